import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { checkPairwiseId, verifyJws } from '#messages'
import { tap } from '../src/terminal/tap.ts'
import { createTapRig, createTestCard, enrolTestTerminal, powerCard, type TapRig, willingHolder } from './tap-rig.ts'

let rig: TapRig
beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(() => rig.close())
beforeEach(async () => {
  await rig.clinic.reader.remove()
  await rig.clock.advance(61_000)
})

describe('a card laid on the reader', () => {
  test('is recognised without a PIN, and the same at the next visit', async () => {
    const { terminal, reader, offer } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const first = await tap(terminal, willingHolder(), offer('institution'))
    expect(first.result).toBe('recognised')
    if (first.result !== 'recognised') return
    const token = JSON.parse(
      Buffer.from(
        await verifyJws(first.answer.institutionToken, 'presence+jwt', rig.provider.keys.token.publicKey),
      ).toString(),
    )
    expect(token).toMatchObject({
      aud: 'clinic-sakura',
      mechanism: 'institution',
      basis: 'none',
      certificate: 'current',
    })
    expect(checkPairwiseId(token.sub)).toBe(token.sub)
    expect(first.answer.records).toMatchObject({ visit: { returning: false }, eligibility: { status: 'none' } })
    const second = await tap(terminal, willingHolder(), offer('institution'))
    if (second.result !== 'recognised') throw new Error(second.result)
    expect(second.answer.records).toMatchObject({ visit: { returning: true }, eligibility: { status: 'valid' } })
    expect(second.answer.records?.visit.witness).toBe(first.answer.records?.visit.witness)
  })

  test('is recognised with its PIN, and the card signed the statement itself', async () => {
    const { terminal, reader, offer } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const outcome = await tap(terminal, willingHolder(), offer('pin'))
    expect(outcome.result).toBe('recognised')
    const wrong = await tap(terminal, willingHolder('0000'), offer('pin'))
    expect(wrong).toMatchObject({ result: 'wrong-pin', triesLeft: 2 })
  })

  test('at another clinic its ID is another', async () => {
    const other = await enrolTestTerminal(rig, rig.authority, rig.clock, {
      institution: 'clinic-ume',
      id: 't9',
      sequence: 9,
    })
    other.reader.insert(powerCard(rig.card.personalisation))
    const outcome = await tap(other.terminal, willingHolder(), other.offer('institution'))
    if (outcome.result !== 'recognised') throw new Error(outcome.result)
    expect(outcome.answer.records?.visit.returning).toBe(false)
  })

  test('of another authority is refused, and the refusal stands in the log', async () => {
    const { createThrowawaySigner } = await import('../src/pki/throwaway-signer.ts')
    const stranger = await createTestCard(rig.authority, {
      ca: { signer: createThrowawaySigner('rsa-pkcs1-sha256'), serial: 7 },
    })
    rig.clinic.reader.insert(stranger.device)
    const outcome = await tap(rig.clinic.terminal, willingHolder(), rig.clinic.offer('institution'))
    expect(outcome).toMatchObject({ result: 'refused', problem: { code: 'certificate-untrusted' } })
  })
})
