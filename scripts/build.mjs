// Builds what is published: dist/ with JavaScript and declarations, a package.json of its own, and the files that
// programs read when they run. Runs on Node 20 too.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

/** Folders below src that are read as they are. */
const ASSETS = ['town/page']

rmSync(dist, { recursive: true, force: true })
const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (tsc.status !== 0) process.exit(tsc.status ?? 1)

// The nearest package.json wins: inside dist, `#bytes` is dist/bytes/index.js.
writeFileSync(
  join(dist, 'package.json'),
  `${JSON.stringify({ type: 'module', imports: { '#*': './*/index.js' } }, null, 2)}\n`,
)
for (const folder of ASSETS) cpSync(join(root, 'src', folder), join(dist, folder), { recursive: true })
chmodSync(join(dist, 'bin', 'kazasu.js'), 0o755)
