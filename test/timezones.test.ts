import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Suites in which dates matter: law and screens are in Japan, machines are anywhere. */
const SUITES = [
  'src/clock',
  'src/eligibility',
  'src/pki/path.test.ts',
  'src/pki/certificate.test.ts',
  'src/pki/cvc.test.ts',
]
const root = join(import.meta.dirname, '..')
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')

test.each(['UTC', 'Asia/Tokyo', 'America/New_York'])('dates mean the same on a machine in %s', async (zone) => {
  const { stdout } = await promisify(execFile)(process.execPath, [vitest, 'run', '--project', 'unit', ...SUITES], {
    cwd: root,
    env: { ...process.env, TZ: zone, NO_COLOR: '1' },
  })
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^[1-9]\d+ passed, 0 failed, \d+ skipped$/)
})
