import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { awaitTown, type Ended, root, run } from './town-process.ts'

/* The package as a stranger gets it: packed, installed into an empty folder, run with whatever Node the machine has. */

const scratch = mkdtempSync(join(tmpdir(), 'kazasu-pack-'))
const folder = mkdtempSync(join(tmpdir(), 'kazasu-installed-'))
const home = join(scratch, 'home')
afterAll(() => {
  for (const one of [scratch, folder]) rmSync(one, { recursive: true, force: true })
})

/** Neither npm's settings nor the Node of the checkout: they would hide what is missing in the package. */
const env: Record<string, string | undefined> = {
  ...Object.fromEntries(Object.keys(process.env).flatMap((name) => (/^npm_/i.test(name) ? [[name, undefined]] : []))),
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((part) => !part.includes('node_modules') && !part.includes('node-gyp'))
    .join(delimiter),
}
const outside = (program: string, ...args: readonly string[]): Promise<Ended> =>
  run(program, args, { home, cwd: folder, env }).ended

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string; readonly mode: number }[]
}
let packed: Packed
let installed: Ended
beforeAll(async () => {
  const packing = await run('npm', ['pack', '--json', '--pack-destination', scratch], { home, cwd: root, env }).ended
  if (packing.code !== 0) throw new Error(packing.out + packing.err)
  packed = JSON.parse(packing.out.slice(packing.out.indexOf('[\n')))[0]
  const tarball = join(scratch, packed.filename)
  // Native packages are optional; building them would take the longest and show nothing about ours.
  const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
  installed = await outside('npm', 'install', ...quick, tarball)
}, 300_000)

describe('the package', () => {
  test('holds the programs, their declarations and the page, and no sources, tests or fixtures', () => {
    const paths = packed.files.map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['dist/bin/kazasu.js', 'dist/package.json', 'package.json']))
    expect(paths).toEqual(expect.arrayContaining(['dist/store/embedded-worker.js', 'dist/reader/pcsc-process.js']))
    const page = readdirSync(join(root, 'src/town/page')).map((name) => `dist/town/page/${name}`)
    expect(paths).toEqual(expect.arrayContaining(page))
    expect(paths.filter((path) => /\.test\.|fixture|golden|throwaway|^src|^test|(?<!\.d)\.ts$/.test(path))).toEqual([])
    expect(packed.files.find(({ path }) => path === 'dist/bin/kazasu.js')?.mode).toBe(0o755)
    console.info(`package: ${Math.round(packed.size / 1024)} KiB packed, ${Math.round(packed.unpackedSize / 1024)} KiB`)
  })

  test('is installed into an empty folder', () => {
    expect(installed.code, installed.err).toBe(0)
    expect(statSync(join(folder, 'node_modules', '.bin', 'kazasu')).isFile()).toBe(true)
  })

  test('holds up a card by `npx kazasu tap`', async () => {
    const { code, out, err } = await outside('npx', 'kazasu', 'tap', '--json')
    expect(code, err).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ result: 'recognised', eligibility: { status: 'valid' } })
  })

  test('starts the town with its page, and stops it', async () => {
    const running = run('npx', ['kazasu', 'start', '--port', '0', '--no-tap'], { home, cwd: folder, env })
    const town = await awaitTown(home, running)
    for (const file of ['', 'page.js', 'texts.js', 'page.css', 'icon.svg'])
      expect((await fetch(new URL(file, town.town))).status, file).toBe(200)
    process.kill(town.pid, 'SIGTERM')
    expect((await running.ended).code).toBe(0)
  })

  test('explains what PC/SC lacks, from the process that speaks to it', async () => {
    const { out } = await outside('npx', 'kazasu', 'doctor', '--json')
    const readers = JSON.parse(out).find(({ what }: { what: string }) => what.startsWith('readers: '))
    expect(readers.what + readers.remedy).not.toMatch(/internal|unexpected|Cannot find|MODULE_NOT_FOUND/i)
  })

  test('gives its folders to programs, with types', async () => {
    const script = `const { decodeCertificate } = await import('kazasu/pki'); console.log(typeof decodeCertificate)`
    expect((await outside('npx', 'node', '--input-type=module', '-e', script)).out.trim()).toBe('function')
    writeFileSync(
      join(folder, 'consumer.mts'),
      `import { type Certificate, decodeCertificate } from 'kazasu/pki'\n` +
        `export const certificate: Certificate = decodeCertificate(new Uint8Array())\n` +
        `// @ts-expect-error a certificate is no text\nexport const text: string = certificate\n`,
    )
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
    const strict = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck', ...types]
    const compiled = await outside(
      process.execPath,
      join(root, 'node_modules/typescript/bin/tsc'),
      ...strict,
      'consumer.mts',
    )
    expect(compiled.out).toBe('')
  })

  const { stdout } = spawnSync('node', ['-p', 'process.versions.node'], {
    env: env as NodeJS.ProcessEnv,
    encoding: 'utf8',
  })
  const old = Number.parseInt(stdout, 10) < 24
  test.skipIf(!old)('refuses an old Node with a sentence', async () => {
    const { code, err } = await outside('node', join(folder, 'node_modules/kazasu/dist/bin/kazasu.js'), 'tap')
    expect([code, err]).toEqual([2, expect.stringContaining('Kazasu needs Node 24')])
  })
})
