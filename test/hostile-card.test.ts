import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SECOND } from '#clock'
import { receive } from '../src/provider/reception.ts'
import { type Departure, forgeTap } from './forged-tap.ts'
import { isRefusal } from './provider-rig.ts'
import { readTables } from './reception-tables.ts'
import { createTapRig, type TapRig } from './tap-rig.ts'

let rig: TapRig
beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(() => rig.close())

type Bytes = Uint8Array<ArrayBufferLike>
/** What a hostile card may answer in the place of something honest: damaged, cut, lengthened, or anything at all. */
const answer: fc.Arbitrary<(honest: Bytes) => Bytes> = fc.oneof(
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(
    ([at, mask]) =>
      (honest: Bytes) =>
        honest.map((byte, i) => (i === at % honest.length ? byte ^ mask : byte)),
  ),
  fc.nat().map((length) => (honest: Bytes) => honest.slice(0, 1 + (length % honest.length))),
  fc.uint8Array({ minLength: 1, maxLength: 64 }).map((more) => (honest: Bytes) => Uint8Array.of(...honest, ...more)),
  fc.uint8Array({ minLength: 1, maxLength: 150 }).map((anything) => () => anything),
)

const departure: fc.Arbitrary<Departure> = fc.oneof(
  fc.record({ mechanism: fc.constantFrom('institution', 'pin'), certificate: answer }),
  fc.record({ mechanism: fc.constantFrom('institution', 'pin'), cardSignature: answer }),
  fc.record({ mechanism: fc.constantFrom('institution', 'pin'), certificate: answer, cardSignature: answer }),
)

/** An error that is no refusal would be sent again for ever: a card could stop a terminal. */
test('whatever a card answers, the proof ends in a refusal with a name, and the terminal goes on', async () => {
  const codes = new Map<string, number>()
  const property = fc.asyncProperty(departure, async (change) => {
    await rig.clock.advance(SECOND)
    const forged = await forgeTap(rig.provider, rig.clinic, rig.card.personalisation, change)
    const outcome = await receive(rig.provider, forged.body, rig.clinic.thumbprint).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!isRefusal(outcome)) throw new Error('no refusal', { cause: outcome })
    codes.set(outcome.code, (codes.get(outcome.code) ?? 0) + 1)
    expect((await readTables(rig.database, 't1')).chain).toMatchObject({ state: 'active', head: forged.statementHash })
  })
  await fc.assert(property, { numRuns: process.env.KAZASU_LONG === '1' ? 20_000 : 150 })
  console.info([...codes].map(([code, times]) => `${code} ${times}`).join(', '))
})
