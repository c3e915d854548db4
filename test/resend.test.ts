import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decodeBase64url, encodeBase64url, encodeHex } from '#bytes'
import { MINUTE, SECOND } from '#clock'
import { verifyCheckpoint, verifyInclusion } from '#evidence'
import { HttpError } from '#http'
import { type Answer, canonicalJson, decodeProof, type Proof } from '#messages'
import type { Signer } from '#pki'
import { StoreError } from '#store'
import { eraseAnswers } from '../src/provider/answers.ts'
import type { Provider } from '../src/provider/context.ts'
import { logOrigin } from '../src/provider/log.ts'
import { receive } from '../src/provider/reception.ts'
import { activateTerminal } from '../src/provider/terminals.ts'
import { createOutbox } from '../src/terminal/outbox.ts'
import { tap } from '../src/terminal/tap.ts'
import { type Departure, type ForgedTap, forgeTap } from './forged-tap.ts'
import { expectAccepted, expectRecorded, expectUnmoved, readTables } from './reception-tables.ts'
import {
  createTapRig,
  createTestLink,
  createTestMemory,
  enrolTestTerminal,
  powerCard,
  type TapRig,
  willingHolder,
} from './tap-rig.ts'

let rig: TapRig
beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(() => rig.close())
beforeEach(async () => {
  await rig.clock.advance(20 * MINUTE)
  await activateTerminal(rig.database, 't1')
})

const forge = (departure: Departure = {}): Promise<ForgedTap> =>
  forgeTap(rig.provider, rig.clinic, rig.card.personalisation, departure)
const send = ({ body }: { readonly body: Uint8Array }, provider = rig.provider): Promise<Answer> =>
  receive(provider, body, rig.clinic.thumbprint)
const tables = () => readTables(rig.database, 't1')

/** The provider with a token key that fails a number of times: it dies between commit and release. */
function dyingBeforeRelease(times = 1): Provider {
  const { keys } = rig.provider
  let left = times
  const sign = async (data: Uint8Array): Promise<Uint8Array> => {
    if (left-- > 0) throw new StoreError('store-unreachable')
    return keys.token.sign(data)
  }
  return { ...rig.provider, keys: { ...keys, token: { ...keys.token, sign } } }
}

function expectIncluded({ evidence: { index, checkpoint, inclusion, leaf } }: Answer): void {
  const trusted = { origin: logOrigin(rig.provider.id), publicKey: rig.provider.keys.log.publicKey }
  const head = verifyCheckpoint(checkpoint, trusted)
  verifyInclusion({ index, leaf: decodeBase64url(leaf), proof: inclusion.map(decodeBase64url) }, head)
}

describe('the same bytes again', () => {
  test('get the very same answer, however often, and move nothing', async () => {
    const forged = await forge()
    const first = await expectAccepted(rig.provider, rig.clinic, forged)
    expectIncluded(first)
    const before = await tables()
    await expectAccepted(rig.provider, rig.clinic, await forge()) // the log goes on meanwhile
    const after = await tables()
    for (let i = 0; i < 3; i++) expect(await send(forged)).toEqual(first)
    expect(await tables()).toEqual(after)
    expect(after.size).toBe(before.size + 1)
  })

  test('at the same time are one leaf and equal answers', async () => {
    const forged = await forge()
    const before = await tables()
    const answers = await Promise.all([send(forged), send(forged), send(forged), send(forged)])
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(await tables()).toMatchObject({ size: before.size + 1, legs: before.legs + 1, seen: before.seen + 1 })
  })

  test('at the same time are one refusal, recorded once', async () => {
    const forged = await forge({ cardSignature: (signature) => signature.map((byte) => byte ^ 1) })
    const before = await tables()
    const outcomes = await Promise.allSettled([send(forged), send(forged), send(forged)])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'card-signature' } })
    expect(await tables()).toMatchObject({ size: before.size + 1, seen: before.seen + 1, chain: { state: 'active' } })
  })

  test('after a crash between commit and release are answered from what was committed', async () => {
    const forged = await forge()
    const before = await tables()
    await expect(send(forged, dyingBeforeRelease())).rejects.toMatchObject({ code: 'store-unreachable' })
    const row = await rig.database
      .selectFrom('seen')
      .selectAll()
      .where('statement_hash', '=', forged.statementHash)
      .executeTakeFirstOrThrow()
    expect(row).toMatchObject({ verdict: 'accepted', answer: null, answered_at: null })
    expect(await tables()).toMatchObject({ size: before.size + 1, spent: before.spent + 1 })
    await rig.clock.advance(30 * SECOND)
    const finished = await send(forged)
    expectIncluded(finished)
    expect(finished.evidence.index).toBe(before.size)
    const claims = JSON.parse(Buffer.from(finished.institutionToken.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toEqual(row.claims?.institution)
    expect(await send(forged)).toEqual(finished)
    expect(await tables()).toMatchObject({ size: before.size + 1, seen: before.seen + 1 })
  })

  test('at the same time as an answer is still being signed: whoever loses sends the stored one', async () => {
    const forged = await forge()
    await expect(send(forged, dyingBeforeRelease())).rejects.toThrow()
    const answers = await Promise.all([send(forged), send(forged), send(forged)])
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('ten minutes after the tokens ended there is nothing left to send', async () => {
    const forged = await forge()
    const first = await send(forged)
    await rig.clock.advance(15 * MINUTE)
    await eraseAnswers(rig.provider)
    expect(await send(forged)).toEqual(first)
    await rig.clock.advance(SECOND)
    await eraseAnswers(rig.provider)
    await expectUnmoved(rig.provider, rig.clinic, forged.body, 'answer-erased')
    const row = await rig.database
      .selectFrom('seen')
      .selectAll()
      .where('statement_hash', '=', forged.statementHash)
      .executeTakeFirstOrThrow()
    expect(row).toMatchObject({ verdict: 'accepted', answer: null, claims: null })
    expect(row.leaf_index).toBe(first.evidence.index)
  })

  test('a stored answer is unreadable without the proof’s bytes', async () => {
    const forged = await forge()
    const { institutionToken } = await send(forged)
    const row = await rig.database
      .selectFrom('seen')
      .select('answer')
      .where('statement_hash', '=', forged.statementHash)
      .executeTakeFirstOrThrow()
    const [, , signature = ''] = institutionToken.split('.')
    expect(Buffer.from(row.answer ?? []).includes(signature)).toBe(false)
  })
})

describe('another body with a statement seen before', () => {
  const changed = ({ proof }: ForgedTap): Uint8Array => new TextEncoder().encode(JSON.stringify(proof, null, 1))

  test('is a mismatch after it was accepted, and nothing moves', async () => {
    const forged = await forge()
    const first = await send(forged)
    await expectUnmoved(rig.provider, rig.clinic, changed(forged), 'proof-mismatch')
    expect(await send(forged)).toEqual(first)
  })

  test('is a mismatch after it was refused', async () => {
    const forged = await forge({ offer: { audiences: ['insurer-9'] } })
    await expectRecorded(rig.provider, rig.clinic, forged, 'consent-audience')
    await expectUnmoved(rig.provider, rig.clinic, changed(forged), 'proof-mismatch')
  })

  test('while the first one is unanswered gets no answer of it', async () => {
    const forged = await forge()
    await expect(send(forged, dyingBeforeRelease())).rejects.toThrow()
    await expectUnmoved(rig.provider, rig.clinic, changed(forged), 'proof-mismatch')
  })
})

describe('the terminal’s chain', () => {
  const place = async () => {
    const { chain } = await tables()
    return { prev: chain.head, counter: Number(chain.counter) + 1 }
  }

  test('forked – a second statement with the same predecessor – suspends the terminal', async () => {
    const at = await place()
    const [one, two] = [await forge({ place: at }), await forge({ place: at })]
    await send(one)
    const before = await tables()
    await expect(send(two)).rejects.toMatchObject({ code: 'device-fork' })
    const { chain, ...rest } = await tables()
    expect(chain).toMatchObject({ state: 'suspended', head: one.statementHash })
    expect({ ...rest, chain: before.chain }).toEqual(before)
    await expectUnmoved(rig.provider, rig.clinic, two.body, 'terminal-suspended')
  })

  test('forked at the very same time: one counts, the terminal is suspended', async () => {
    const at = await place()
    const twins = [await forge({ place: at }), await forge({ place: at })]
    const outcomes = await Promise.allSettled(twins.map((twin) => send(twin)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await tables()).chain.state).toBe('suspended')
  })

  test('forked with a counter further on is forked all the same', async () => {
    const at = await place()
    await send(await forge({ place: at }))
    const further = await forge({ place: { ...at, counter: at.counter + 5 } })
    await expect(send(further)).rejects.toMatchObject({ code: 'device-fork' })
    expect((await tables()).chain.state).toBe('suspended')
  })

  test('forked by a refused statement is forked all the same', async () => {
    const at = await place()
    const one = await forge({ place: at, offer: { audiences: ['insurer-9'] } })
    await expectRecorded(rig.provider, rig.clinic, one, 'consent-audience')
    await expect(send(await forge({ place: at }))).rejects.toMatchObject({ code: 'device-fork' })
    expect((await tables()).chain.state).toBe('suspended')
  })

  test('with a gap is for an operator: nothing moves, nobody is suspended', async () => {
    const { counter } = await place()
    const forged = await forge({ place: { prev: encodeBase64url(new Uint8Array(32).fill(7)), counter } })
    await expectUnmoved(rig.provider, rig.clinic, forged.body, 'counter-gap')
  })

  test('with a counter that does not rise is a gap', async () => {
    const at = await place()
    const forged = await forge({ place: { ...at, counter: at.counter - 1 } })
    await expectUnmoved(rig.provider, rig.clinic, forged.body, 'counter-gap')
  })

  test('whose statement continues it but counts backwards is a gap, whatever came after that place before', async () => {
    const first = await forge()
    await send(first)
    const { terminal } = rig.clinic
    const { prev, counter } = first.claims
    await rig.database.updateTable('terminal').set({ head: prev, counter }).where('id', '=', terminal.id).execute()
    const again = await forge({ place: { prev, counter } })
    await expectUnmoved(rig.provider, rig.clinic, again.body, 'counter-gap')
    const head = first.statementHash
    await rig.database.updateTable('terminal').set({ head, counter }).where('id', '=', terminal.id).execute()
  })

  test('cannot be forked by who has no key: the other signature of ECDSA is none', async () => {
    const { body, proof } = await forge()
    await send({ body })
    const [header, payload, signature = ''] = proof.deviceStatement.split('.')
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const bytes = decodeBase64url(signature)
    const other = (order - BigInt(`0x${encodeHex(bytes.subarray(32))}`)).toString(16).padStart(64, '0')
    const twin = [header, payload, encodeBase64url(Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, 'hex')]))]
    const again = canonicalJson({ ...proof, deviceStatement: twin.join('.') })
    await expectUnmoved(rig.provider, rig.clinic, again, 'signature-invalid')
  })

  test('goes on after an answer that the terminal could not read, and after one that nobody can read any more', async () => {
    const clinic = await enrolTestTerminal(rig, rig.authority, rig.clock, {
      ...{ institution: 'clinic-sakura', id: 't17', sequence: 17 },
    })
    for (const after of ['answer-malformed', 'timed-out'] as const) {
      const link = createTestLink(rig.provider, clinic.thumbprint)
      let lost = true
      link.after = async (answer) => {
        if (!lost) return answer
        lost = false
        // What a newer version will find in the row: an answer in words that it does not know.
        await rig.database
          .updateTable('seen')
          .set({ answer: new Uint8Array(64) })
          .where('terminal', '=', 't17')
          .execute()
        throw new HttpError(after)
      }
      const outbox = createOutbox(clinic.memory, link, { ...rig.clock, sleep: async () => {} })
      const attempt = outbox.submit((place) => forgeTap(rig.provider, clinic, rig.card.personalisation, { place }))
      if (after === 'answer-malformed') await expect(attempt).rejects.toMatchObject({ code: 'answer-malformed' })
      else expect(await attempt).toMatchObject({ accepted: false, problem: { code: 'answer-erased' } })
      expect(clinic.memory.state.pending).toBeNull()
      const next = await outbox.submit((place) => forgeTap(rig.provider, clinic, rig.card.personalisation, { place }))
      expect(next.accepted).toBe(true)
    }
  })

  test('with a gap and another fault names the gap and moves nothing', async () => {
    const prev = encodeBase64url(new Uint8Array(32).fill(9))
    const departure = { place: { prev, counter: 99 }, offer: { audiences: ['insurer-9'] } }
    await expectUnmoved(rig.provider, rig.clinic, (await forge(departure)).body, 'counter-gap')
  })

  test('an old statement that comes late is answered as it was, and suspends nobody', async () => {
    const old = await forge()
    const first = await send(old)
    await send(await forge())
    await send(await forge())
    expect(await send(old)).toEqual(first)
    expect((await tables()).chain.state).toBe('active')
  })
})

/** M9 (protocol.md section 8). */
test('nothing is signed for a tap that does not commit', async () => {
  const { keys } = rig.provider
  let signatures = 0
  const counting = (key: Signer): Signer => ({
    ...key,
    sign(data) {
      signatures++
      return key.sign(data)
    },
  })
  const provider = { ...rig.provider, keys: { ...keys, token: counting(keys.token), log: counting(keys.log) } }
  const first = await forge()
  await send(first, provider)
  const signed = signatures
  expect(signed).toBeGreaterThanOrEqual(2) // two tokens, and a checkpoint where it is this process that signs it
  const again = await forge({ consent: () => first.proof.consentRecord })
  await expect(send(again, provider)).rejects.toMatchObject({ code: 'consent-used' })
  await expect(send(await forge({ mechanism: 'pin' }), { ...provider, policy: [] })).rejects.toThrow()
  expect(signatures).toBe(signed)
})

test('a proof that waits in the outbox holds no certificate in clear', async () => {
  const fresh = await enrolTestTerminal(rig, rig.authority, rig.clock, {
    ...{ institution: 'clinic-sakura', id: 't7', sequence: 7 },
  })
  const { terminal, reader, link, memory, offer } = fresh
  reader.insert(powerCard(rig.card.personalisation))
  link.before = () => {
    throw new HttpError('unreachable')
  }
  await expect(tap(terminal, willingHolder(), offer('institution'))).rejects.toThrow()
  const waiting = Buffer.from(decodeBase64url(memory.state.pending?.body ?? ''))
  const proof: Proof = decodeProof(waiting)
  const certificate = Buffer.from(decodeBase64url(rig.card.personalisation.userAuthentication.certificate))
  const { serial, subject } = rig.certificateOf(rig.card.personalisation)
  for (const part of [certificate.subarray(100, 130), Buffer.from(serial, 'hex'), Buffer.from(subject)]) {
    for (const held of [waiting, Buffer.from(decodeBase64url(proof.sealedCertificate))]) {
      expect(held.includes(part)).toBe(false)
      expect(held.includes(encodeBase64url(part))).toBe(false)
      expect(held.includes(encodeHex(part))).toBe(false)
    }
  }
  link.before = (body) => body
  await terminal.outbox.flush()
  await reader.remove()
})

test('two taps handed to one outbox at once take two places in the chain', async () => {
  const twin = await enrolTestTerminal(rig, rig.authority, rig.clock, {
    ...{ institution: 'clinic-sakura', id: 't8', sequence: 8 },
  })
  const outbox = createOutbox(createTestMemory(), createTestLink(rig.provider, twin.thumbprint), rig.clock)
  const submit = () => outbox.submit((place) => forgeTap(rig.provider, twin, rig.card.personalisation, { place }))
  const delivered = await Promise.all([submit(), outbox.flush(), submit()])
  expect([delivered[0].accepted, delivered[2].accepted]).toEqual([true, true])
  expect((await readTables(rig.database, 't8')).chain).toMatchObject({ state: 'active', counter: 2 })
})
