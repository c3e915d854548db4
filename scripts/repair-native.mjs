// Before `npm test`: native packages that were left out, because `npm ci` ran before their headers were installed, are
// installed again. `npm rebuild` says it does this and does not; `npm install` does. Runs on Node 20 too.
// Never fails the command it stands before: what cannot be mended is named, and its suites will not run.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Package, the folders that make it up, and what does not run without it. */
const NATIVE = [
  { name: 'smartcard', folders: ['smartcard'], suites: 'pcsc' },
  { name: 'graphene-pk11', folders: ['graphene-pk11', 'pkcs11js'], suites: 'pkcs11' },
]

const say = (text) => console.log(`setup: ${text}`)

/** Those that cannot be imported. Asked of a child process, because a broken addon may take its process along. */
function broken() {
  const names = NATIVE.map(({ name }) => name)
  const script = `Promise.allSettled(${JSON.stringify(names)}.map((name) => import(name))).then((results) =>
    process.stdout.write(JSON.stringify(results.map(({ status }) => status === 'fulfilled'))))`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8' })
  const sound = child.status === 0 ? JSON.parse(child.stdout) : []
  return NATIVE.filter((_, index) => sound[index] !== true)
}

/** Where Node's own headers are, so that node-gyp need not download any: in the platform package that npm installed. */
function headers() {
  const folder = join(root, 'node_modules', `node-${process.platform}-${process.arch}`)
  return existsSync(join(folder, 'include', 'node', 'node_api.h')) ? folder : undefined
}

function repair(packages) {
  // A folder that is there but cannot be imported would be left as it is.
  for (const folder of packages.flatMap(({ folders }) => folders))
    rmSync(join(root, 'node_modules', folder), { recursive: true, force: true })
  const lockFile = join(root, 'package-lock.json')
  const lock = readFileSync(lockFile)
  const nodedir = headers()
  const npm = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 600_000,
    env: { ...process.env, ...(nodedir ? { npm_config_nodedir: nodedir } : {}) },
  })
  if (!readFileSync(lockFile).equals(lock)) writeFileSync(lockFile, lock)
  if (npm.status !== 0) say(`npm install did not succeed: ${npm.stderr?.trim().split('\n').at(-1) ?? npm.error}`)
}

const before = broken()
if (before.length > 0) {
  say(
    `cannot be imported: ${before.map(({ name }) => name).join(', ')}; building again with npm install (up to a minute)`,
  )
  repair(before)
  const after = broken()
  for (const { name } of before.filter((one) => !after.includes(one))) say(`${name} works now`)
  for (const { name, suites } of after)
    say(
      `${name} still cannot be imported; its suites will not run: ${suites}. A compiler, python3 and its headers are needed`,
    )
}
