import { execFile, execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Hides programs in a mount namespace of its own: an overlay over /usr from which they are deleted. */
const HIDE = `set -e
mount -t tmpfs tmpfs /mnt; mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work /usr
rm -f /usr/sbin/pcscd /usr/bin/opensc-tool /usr/bin/cvc-print
rm -rf /usr/lib/softhsm`

const RUN = `exec "$NODE" node_modules/vitest/vitest.mjs run test/opensc.test.ts test/openpace.test.ts test/softhsm.test.ts`

function canHide(): boolean {
  try {
    execFileSync('unshare', ['-m', 'bash', '-c', HIDE], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!canHide())(
  'suites whose programs are missing are named and counted at the end, and fail nothing',
  async () => {
    const { stdout } = await promisify(execFile)('unshare', ['-m', 'bash', '-c', `${HIDE}\n${RUN}`], {
      cwd: root,
      env: { ...process.env, NODE: process.execPath, NO_COLOR: '1', CI: '' },
    })
    const lines = stdout.trimEnd().split('\n')
    expect(lines.at(-1)).toMatch(/^0 passed, 0 failed, [1-9]\d* skipped$/)
    expect(lines.at(-3)).toMatch(/^NOT RUN: 3 suites: .*openpace.* \(\d+\), .*opensc.* \(\d+\), .*softhsm.* \(\d+\)$/)
  },
)
