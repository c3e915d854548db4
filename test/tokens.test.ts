import { createPublicKey, createVerify } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { decodeBase64url } from '#bytes'
import type { Personalisation } from '#card'
import { MINUTE, SECOND, systemRandom } from '#clock'
import { checkPairwiseId, type PresenceClaims, parseMessage, presenceClaims, sha256, verifyJws } from '#messages'
import { verifyDigestSignature } from '#pki'
import type { Provider } from '../src/provider/context.ts'
import { receive } from '../src/provider/reception.ts'
import { type Departure, forgeTap } from './forged-tap.ts'
import { createTapRig, createTestCard, enrolTestTerminal, type TapRig, type TestTerminal } from './tap-rig.ts'

let rig: TapRig
let ume: TestTerminal
let hanako: Personalisation
let taro: Personalisation
beforeAll(async () => {
  rig = await createTapRig()
  ume = await enrolTestTerminal(rig, rig.authority, rig.clock, { institution: 'clinic-ume', id: 't2', sequence: 2 })
  hanako = rig.card.personalisation
  taro = (await createTestCard(rig.authority)).personalisation
})
afterAll(() => rig.close())
beforeEach(() => rig.clock.advance(10 * MINUTE))

async function tap(clinic: TestTerminal, card: Personalisation, departure: Departure = {}) {
  const forged = await forgeTap(rig.provider, clinic, card, departure)
  const answer = await receive(rig.provider, forged.body, clinic.thumbprint)
  return { forged, answer, claims: await claimsOf(answer.institutionToken) }
}

const claimsOf = async (token: string): Promise<PresenceClaims> =>
  parseMessage(
    presenceClaims,
    JSON.parse(
      Buffer.from(await verifyJws(token, 'presence+jwt', rig.provider.keys.token.publicKey)).toString(),
    ) as unknown,
  )

test('the institution’s token says what the nonce row said, when, and nothing of the card', async () => {
  const { forged, claims } = await tap(rig.clinic, hanako)
  expect(claims).toEqual({
    ...{ v: 1, iss: 'https://provider.test', aud: 'clinic-sakura', sub: claims.sub, jti: claims.jti },
    ...{ iat: Math.floor(rig.clock.now() / 1000), exp: Math.floor(rig.clock.now() / 1000) + 300 },
    presented: [new Date(rig.clock.now()).toISOString(), new Date(rig.clock.now()).toISOString()],
    ...{ institution: 'clinic-sakura', terminal: 't1', mechanism: 'institution', basis: 'none', role: 'holder' },
    ...{ purpose: 'eligibility', certificate: 'current', cnf: { jkt: 'A'.repeat(43) } },
  })
  expect(checkPairwiseId(claims.sub)).toBe(claims.sub)
  expect(forged.nonce.client).toBe('clinic-sakura-desk')
})

test('presented = [nonce issued, proof received]', async () => {
  const nonce = await rig.clinic.terminal.nonces.take(rig.clinic.offer('institution'))
  const issued = rig.clock.now()
  await rig.clock.advance(7 * SECOND)
  const { claims } = await tap(rig.clinic, hanako, { nonce })
  expect(claims.presented.map(Date.parse)).toEqual([issued, issued + 7 * SECOND])
})

test('what the clinic carries for the register is readable by the register’s key and by no other', async () => {
  const { answer, claims } = await tap(rig.clinic, hanako)
  const sealed = answer.serviceTokens.eligibility ?? ''
  const inner = await claimsOf(await rig.openServiceToken(sealed))
  expect(inner).toEqual({ ...claims, aud: 'eligibility', sub: inner.sub, jti: inner.jti })
  expect(inner.sub).not.toBe(claims.sub)
  expect(inner.jti).not.toBe(claims.jti)
  // The clinic has the answer's text, its own claims and no key: nothing of the register's ID or token is in it.
  const carried = `${JSON.stringify(answer)} ${sealed
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    .join(' ')}`
  for (const secret of [inner.sub, inner.jti]) expect(carried).not.toContain(secret)
  expect(JSON.parse(Buffer.from(sealed.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({
    ...{ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'presence+jwe', cty: 'presence+jwt', kid: 'register-1' },
  })
  const [header, , iv, ciphertext, tag = ''] = sealed.split('.')
  await expect(
    rig.openServiceToken([header, '', iv, ciphertext, `${tag.startsWith('A') ? 'B' : 'A'}${tag.slice(1)}`].join('.')),
  ).rejects.toThrow()
})

test('the register is asked by the very ID that its token names, also after its IDs began afresh', async () => {
  const asked: string[] = []
  const provider: Provider = {
    ...rig.provider,
    async lookUpRecord({ subject }) {
      asked.push(subject)
      return { status: 'none' }
    },
  }
  const inner = async (): Promise<string> => {
    const forged = await forgeTap(rig.provider, rig.clinic, hanako)
    const { serviceTokens } = await receive(provider, forged.body, rig.clinic.thumbprint)
    return (await claimsOf(await rig.openServiceToken(serviceTokens.eligibility ?? ''))).sub
  }
  const before = await inner()
  await rig.database.updateTable('service').set({ id_epoch: 1 }).where('audience', '=', 'eligibility').execute()
  const after = await inner()
  expect(asked).toEqual([before, after])
  expect(after).not.toBe(before)
})

test('a service that the holder did not agree to gets nothing', async () => {
  const { answer } = await tap(rig.clinic, hanako, { offer: { audiences: ['clinic-sakura'] } })
  expect(answer.serviceTokens).toEqual({})
  expect(answer.records).not.toHaveProperty('eligibility')
})

test('one card at one clinic is the same person each time; at another clinic, and to the register, unrelated', async () => {
  const here = [await tap(rig.clinic, hanako), await tap(rig.clinic, hanako)]
  const there = [await tap(ume, hanako), await tap(ume, hanako, { mechanism: 'pin' })]
  const subs = [...here, ...there].map(({ claims }) => claims.sub)
  expect(subs[0]).toBe(subs[1])
  expect(subs[2]).toBe(subs[3])
  expect(subs[0]).not.toBe(subs[2])
  const witnesses = [...here, ...there].map(({ answer }) => answer.records?.visit.witness)
  expect(witnesses[0]).toBe(witnesses[1])
  expect(witnesses[0]).not.toBe(witnesses[2])
  const register = await Promise.all(
    [...here, ...there].map(async ({ answer }) =>
      claimsOf(await rig.openServiceToken(answer.serviceTokens.eligibility ?? '')),
    ),
  )
  expect(new Set(register.map(({ sub }) => sub)).size).toBe(1)
  expect(subs).not.toContain(register[0]?.sub)
  const jtis = [...here.map(({ claims }) => claims.jti), ...register.map(({ jti }) => jti)]
  expect(new Set(jtis).size).toBe(jtis.length)
})

/** M13: what two clinics see of tokens, put together; what the register answers to each names a person anyhow. */
test('two clinics that compare what they see cannot tell whether the same person or another one came', async () => {
  const shape = async (first: Personalisation, second: Personalisation) => {
    const views = [await tap(rig.clinic, first), await tap(ume, second)]
    const seen = new Map<unknown, string>()
    const anonymous = (value: unknown): unknown => {
      if (typeof value === 'string' && value.length > 20) {
        seen.set(value, seen.get(value) ?? `#${seen.size}`)
        return `${seen.get(value)} of ${value.length}`
      }
      if (Array.isArray(value)) return value.map(anonymous)
      if (value === null || typeof value !== 'object') return typeof value
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, anonymous(inner)]))
    }
    return views.map(({ claims, answer }) =>
      anonymous({ claims, ...answer, records: answer.records?.visit, evidence: null }),
    )
  }
  for (const clinic of [rig.clinic, ume]) for (const card of [hanako, taro]) await tap(clinic, card)
  const come = {
    same: await shape(hanako, hanako),
    other: await shape(hanako, taro),
    swapped: await shape(taro, hanako),
  }
  expect(come.other).toEqual(come.same)
  expect(come.swapped).toEqual(come.same)
})

/** M5 (protocol.md section 8). */
test('what a card signs without a PIN is valid for nobody else: a login challenge announced as D is not what comes out', async () => {
  const publicKey = rig.certificateOf(hanako).publicKey
  const challenge = systemRandom.bytes(48) // what another service would have signed: SHA-256, PKCS#1 v1.5
  const login = sha256(challenge)
  // The terminal is hostile: it announces the other service's challenge in the place of its statement.
  const forged = await forgeTap(rig.provider, rig.clinic, hanako, { announced: () => login })
  const signature = decodeBase64url(forged.proof.cardSignature)
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
  expect(createVerify('sha256').update(challenge).verify(key, signature)).toBe(false)
  expect(verifyDigestSignature(publicKey, login, signature)).toBe(false)
  expect(verifyDigestSignature(publicKey, forged.t, signature)).toBe(true)
})
