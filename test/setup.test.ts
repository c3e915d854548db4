import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { hasProgram, SHIM, skipLoudly } from './pcscd-rig.ts'

const root = join(import.meta.dirname, '..')
const scratch = mkdtempSync(join(tmpdir(), 'kazasu-setup-'))
afterAll(() => rmSync(scratch, { recursive: true }))

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const start = performance.now()
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, output: stdout + stderr, ms: performance.now() - start }
}

const isDebian = hasProgram('dpkg-query')

describe.skipIf(skipLoudly('setup', isDebian ? [] : ['dpkg-query']))('set-up of Debian packages', () => {
  // A package database without packages; without root nothing can be installed into it.
  const nothing = join(scratch, 'dpkg')
  mkdirSync(nothing)
  writeFileSync(join(nothing, 'status'), '')
  const asNobody = userInfo().uid === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []

  test('without root it names what is missing and the suites that will not run, and lets the tests go on', () => {
    const [command = '', ...args] = [...asNobody, 'bash', 'scripts/setup-debian.sh']
    const { status, output } = run(command, args, { DPKG_ADMINDIR: nothing })
    expect(status).toBe(0)
    expect(output).toMatch(/missing: pcscd vsmartcard-vpcd .*\bpostgresql chromium\b/)
    expect(output).toMatch(/will not run.*: pcsc opensc pkcs11 cvc postgresql screens$/m)
    expect(output).toContain('sudo apt-get install --no-install-recommends pcscd')
    expect(output).not.toContain('installing')
  })

  test('where all is there it says nothing, changes nothing and takes no time', () => {
    const status = run('bash', ['scripts/setup-debian.sh'])
    const built = existsSync(SHIM) ? statSync(SHIM).mtimeMs : undefined
    const again = run('bash', ['scripts/setup-debian.sh'])
    expect([status.status, again.status]).toEqual([0, 0])
    expect(existsSync(SHIM) ? statSync(SHIM).mtimeMs : undefined).toBe(built)
    expect(again.output === '' || again.output.includes('missing: ')).toBe(true)
    expect(again.ms).toBeLessThan(6000) // 20 ms when nothing is missing
  })
})

const native = ['smartcard', 'graphene-pk11']
const broken = (await Promise.allSettled(native.map((name) => import(name)))).some(
  ({ status }) => status === 'rejected',
)

// Where they are broken the repair would take minutes and change node_modules under the other tests.
describe.skipIf(skipLoudly('repair', broken ? native : []))('repair of native packages', () => {
  test('leaves alone what can be imported', () => {
    const hash = () =>
      createHash('sha256')
        .update(readFileSync(join(root, 'package-lock.json')))
        .digest('hex')
    const before = hash()
    const { status, output } = run(process.execPath, ['scripts/repair-native.mjs'])
    expect([status, output]).toEqual([0, ''])
    expect(hash()).toBe(before)
  })
})

describe('the Node that is needed', () => {
  test.each([
    ['v24.21.0', 0],
    ['v20.20.2', 1],
  ])('on %s every entry ends with %i', (version, expected) => {
    const pretend = `Object.defineProperty(process, 'versions', { value: { node: '${version.slice(1)}' } });
      Object.defineProperty(process, 'version', { value: '${version}' }); await import('./scripts/require-node.mjs')`
    const { status, output } = run(process.execPath, ['--input-type=module', '-e', pretend])
    expect(status).toBe(expected)
    if (expected === 1) expect(output).toContain(`Kazasu runs on Node 24, this is ${version}`)
  })
})
