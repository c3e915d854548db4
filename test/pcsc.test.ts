import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { scenarios } from './pcsc-scenarios.ts'
import { isolation, missingForPcscd, skipLoudly, startRig, testInRig } from './pcscd-rig.ts'

const skip = skipLoudly('pcsc', missingForPcscd())

/** Programs, by name, that carry a rig's marker in their environment. */
function leftOf(marker: string): readonly string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const belongs = readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`KAZASU_RIG=${marker}`)
        return belongs ? [readFileSync(`/proc/${pid}/comm`, 'utf8').trim()] : []
      } catch {
        return [] // it has ended, or is another user's
      }
    })
}

describe.skipIf(skip)(`PC/SC over pcscd and vpcd (isolation: ${isolation})`, () => {
  testInRig('pcsc-scenarios.ts', scenarios)
})

describe.skipIf(skip)('the rig', () => {
  test('leaves nothing behind, not even when it is killed in the middle', async () => {
    const rig = startRig('pcsc-scenarios.ts')
    const killed = expect(rig.outcomes).rejects.toThrow('SIGKILL')
    await expect.poll(() => leftOf(rig.marker), { timeout: 20_000 }).toContain('pcscd')
    rig.kill()
    await killed
    for (let tries = 0; leftOf(rig.marker).length > 0 && tries < 100; tries++) await delay(20)
    expect(leftOf(rig.marker)).toEqual([])
  })
})
