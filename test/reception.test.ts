import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decodeBase64url, encodeBase64url } from '#bytes'
import type { Personalisation } from '#card'
import { DAY, MINUTE, SECOND, systemRandom, timeText } from '#clock'
import { type NonceRow, verifyJws } from '#messages'
import { certHash, issueCvc, type RevocationStatus, signatureCertificate } from '#pki'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import type { Provider } from '../src/provider/context.ts'
import { receive } from '../src/provider/reception.ts'
import { setInstitutionState } from '../src/provider/registration.ts'
import { activateTerminal, suspendTerminal, withdrawCertificate } from '../src/provider/terminals.ts'
import { type Departure, type ForgedTap, forgeTap } from './forged-tap.ts'
import { expectAccepted, expectRecorded, expectUnmoved } from './reception-tables.ts'
import {
  createTapRig,
  createTestCard,
  enrolTestTerminal,
  issueTerminalCvc,
  NOON,
  type TapRig,
  type TestTerminal,
} from './tap-rig.ts'

let rig: TapRig
let clinic: TestTerminal
let second: TestTerminal
let attended: TestTerminal
let card: Personalisation

beforeAll(async () => {
  rig = await createTapRig()
  clinic = rig.clinic
  const others = { institution: 'clinic-ume', attended: true }
  second = await enrolTestTerminal(rig, rig.authority, rig.clock, {
    institution: 'clinic-sakura',
    id: 't2',
    sequence: 2,
  })
  attended = await enrolTestTerminal(rig, rig.authority, rig.clock, { ...others, id: 't3', sequence: 3 })
  card = rig.card.personalisation
})
afterAll(() => rig.close())
beforeEach(() => rig.clock.advance(20 * MINUTE))

const forge = (departure: Departure = {}, at: TestTerminal = clinic, by: Personalisation = card): Promise<ForgedTap> =>
  forgeTap(rig.provider, at, by, departure)
const recorded = async (code: string, departure: Departure, detail?: object): Promise<void> =>
  expectRecorded(rig.provider, clinic, await forge(departure), code, detail)

/** The provider while something happens between its checks and its transaction. */
const meanwhile = (act: () => Promise<unknown>, status?: () => RevocationStatus): Provider => ({
  ...rig.provider,
  revocation: {
    async status() {
      const asked = status?.() ?? { state: 'good', by: 'ocsp', producedAt: rig.clock.now() }
      await act()
      return asked
    },
  },
})
const saying = (status: RevocationStatus): Provider =>
  meanwhile(
    async () => {},
    () => status,
  )

describe('(a), (b) a terminal that is not who it says moves nothing', () => {
  test('an unknown TLS certificate, or none', async () => {
    const { body } = await forge()
    await expectUnmoved(rig.provider, clinic, body, 'terminal-unknown', 'thumbprint-of-a-stranger')
    const before = rig.counted.length
    await expect(receive(rig.provider, body, undefined)).rejects.toMatchObject({ code: 'terminal-unknown' })
    expect(rig.counted.length).toBe(before)
  })

  test('a device statement under another key', async () => {
    const { body } = await forge({ deviceKey: createThrowawaySigner('ecdsa-p256-sha256') })
    await expectUnmoved(rig.provider, clinic, body, 'signature-invalid')
  })

  test('a device statement of another terminal, sent over this one’s connection', async () => {
    const { body } = await forge({}, second)
    await expectUnmoved(rig.provider, clinic, body, 'signature-invalid')
  })

  test('a changed device statement', async () => {
    const { body } = await forge({
      proof: (proof) => {
        const [header, payload, signature] = proof.deviceStatement.split('.')
        const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
        const changed = Buffer.from(JSON.stringify({ ...claims, counter: claims.counter + 1 })).toString('base64url')
        return { ...proof, deviceStatement: [header, changed, signature].join('.') }
      },
    })
    await expectUnmoved(rig.provider, clinic, body, 'signature-invalid')
  })

  test.each([
    ['nothing', ''],
    ['no JSON', '{"v":1'],
    ['another version', '{"v":2}'],
    ['an unknown member', '{"v":1,"admin":true}'],
  ])('%s as a proof', async (_, text) => {
    await expectUnmoved(rig.provider, clinic, new TextEncoder().encode(text), 'malformed')
  })
})

describe('(d) the nonce', () => {
  test('is taken until its last millisecond and refused in the next', async () => {
    const row = await clinic.terminal.nonces.take(clinic.offer('institution'))
    await rig.clock.advance(60 * SECOND - 1)
    await expectAccepted(rig.provider, clinic, await forge({ nonce: row }))
    const late = await clinic.terminal.nonces.take(clinic.offer('institution'))
    await rig.clock.advance(60 * SECOND)
    await recorded('nonce-expired', { nonce: late })
  })

  test('that runs out between check and commit is refused', async () => {
    const forged = await forge()
    const provider = meanwhile(() => rig.clock.advance(60 * SECOND))
    await expectRecorded(provider, clinic, forged, 'nonce-used')
    const row = await rig.database
      .selectFrom('nonce')
      .select('state')
      .where('nonce', '=', forged.nonce.nonce)
      .executeTakeFirst()
    expect(row?.state).toBe('issued')
  })

  test('replayed in a statement of its own is refused', async () => {
    const first = await forge()
    await expectAccepted(rig.provider, clinic, first)
    await recorded('nonce-used', { nonce: first.nonce })
  })

  test('of another terminal, even of the same clinic, is unknown', async () => {
    await recorded('nonce-unknown', { nonce: await second.terminal.nonces.take(second.offer('institution')) })
  })

  test('never issued is unknown', async () => {
    const row = await clinic.terminal.nonces.take(clinic.offer('institution'))
    await recorded('nonce-unknown', { nonce: { ...row, nonce: encodeBase64url(systemRandom.bytes(32)) } })
  })

  test('of another class is not for a tap', async () => {
    const row = await clinic.terminal.nonces.take(clinic.offer('pin'))
    await rig.database.updateTable('nonce').set({ class: 'activation' }).where('nonce', '=', row.nonce).execute()
    await recorded('nonce-unknown', { nonce: row })
  })

  test('whose policy row was taken back is refused', async () => {
    const forged = await forge()
    await expectRecorded({ ...rig.provider, policy: [] }, clinic, forged, 'policy-refused')
  })

  test.each(['internal', 'password'] as const)('of mechanism %s is refused: it has no bytes yet', async (mechanism) => {
    const row = await clinic.terminal.nonces.take(clinic.offer('institution'))
    await rig.database.updateTable('nonce').set({ mechanism }).where('nonce', '=', row.nonce).execute()
    const policy = rig.provider.policy.map((one) => ({ ...one, mechanism }))
    const forged = await forge({ nonce: { ...row, mechanism }, cardSigns: ({ d }) => d })
    await expectRecorded({ ...rig.provider, policy }, clinic, forged, 'mechanism-unsupported')
  })
})

describe('M8 – a terminal that is stopped', () => {
  test('before the proof: refused, and nothing moves', async () => {
    const { body } = await forge()
    await suspendTerminal(rig.database, 't1')
    await expectUnmoved(rig.provider, clinic, body, 'terminal-suspended')
    await activateTerminal(rig.database, 't1')
  })

  test('between check and commit: refused, and nothing moves', async () => {
    const { body } = await forge()
    const provider = meanwhile(() => suspendTerminal(rig.database, 't1'))
    await expect(receive(provider, body, clinic.thumbprint)).rejects.toMatchObject({ code: 'terminal-suspended' })
    await expectUnmoved(rig.provider, clinic, body, 'terminal-suspended')
    await activateTerminal(rig.database, 't1')
    await expectAccepted(rig.provider, clinic, await forge())
  })

  test('and started again between check and commit: the tap is checked anew', async () => {
    const forged = await forge()
    const provider = meanwhile(async () => {
      await suspendTerminal(rig.database, 't1')
      await activateTerminal(rig.database, 't1')
    })
    await expect(receive(provider, forged.body, clinic.thumbprint)).rejects.toMatchObject({ code: 'terminal-changed' })
    await expectAccepted(rig.provider, clinic, forged)
  })

  test('that is not active yet', async () => {
    const { body } = await forge()
    await rig.database.updateTable('terminal').set({ state: 'enrolled' }).where('id', '=', 't1').execute()
    await expectUnmoved(rig.provider, clinic, body, 'terminal-not-active')
    await rig.database.updateTable('terminal').set({ state: 'active' }).where('id', '=', 't1').execute()
  })

  test('has no card looked up at all: neither its authority nor the register is asked', async () => {
    const { body } = await forge()
    const asked: string[] = []
    const provider = {
      ...rig.provider,
      revocation: { status: async () => void asked.push('authority') as never },
      lookUpRecord: async () => void asked.push('register') as never,
    }
    await suspendTerminal(rig.database, 't1')
    await expectUnmoved(provider, clinic, body, 'terminal-suspended')
    expect(asked).toEqual([])
    await activateTerminal(rig.database, 't1')
  })

  test('by withdrawal of its certificate between check and commit', async () => {
    const third = await enrolTestTerminal(rig, rig.authority, rig.clock, {
      ...{ institution: 'clinic-sakura', id: 't4', sequence: 4 },
    })
    const hash = encodeBase64url(certHash(third.cvc))
    const forged = await forge({}, third)
    const provider = meanwhile(() => withdrawCertificate(rig.database, hash, rig.clock.now()))
    await expect(receive(provider, forged.body, third.thumbprint)).rejects.toMatchObject({ code: 'terminal-changed' })
    await expectRecorded(rig.provider, third, forged, 'institution-unregistered')
  })

  test.each([
    [
      'before',
      async (forged: ForgedTap) => {
        await setInstitutionState(rig.database, 'clinic-sakura', 'suspended')
        return expectUnmoved(rig.provider, clinic, forged.body, 'terminal-suspended')
      },
    ],
    [
      'between',
      (forged: ForgedTap) =>
        expectRecorded(
          meanwhile(() => setInstitutionState(rig.database, 'clinic-sakura', 'suspended')),
          clinic,
          forged,
          'institution-suspended',
        ),
    ],
  ])('with its institution, %s check and commit', async (_, refuse) => {
    await refuse(await forge())
    await setInstitutionState(rig.database, 'clinic-sakura', 'active')
    await expectAccepted(rig.provider, clinic, await forge())
  })

  test('by the end of its lease, and not a millisecond before', async () => {
    const lease = (until: number | null) =>
      rig.database
        .updateTable('terminal')
        .set(until === null ? { lease: null, lease_until: null } : { lease: 'lease-1', lease_until: until })
        .where('id', '=', 't1')
        .execute()
    const device: Departure['device'] = (claims) => ({ ...claims, lease: 'lease-1' })
    await lease(rig.clock.now() + 1)
    await expectAccepted(rig.provider, clinic, await forge({ device }))
    await lease(rig.clock.now())
    await expectUnmoved(rig.provider, clinic, (await forge({ device })).body, 'lease-expired')
    await lease(null)
  })
})

describe('(e) consent', () => {
  const later = (milliseconds: number) => timeText(rig.clock.now() + milliseconds)

  test.each<[string, Departure['consent'], string]>([
    ['to another purpose', (record) => ({ ...record, purpose: 'visit' }), 'consent-purpose'],
    ['to an unknown text', (record) => ({ ...record, textId: 'eligibility-2' }), 'consent-text'],
    ['to the text of another mechanism', (record) => ({ ...record, textId: 'eligibility-pin-1' }), 'consent-text'],
    [
      'to an audience that the client may not ask for',
      (record) => ({ ...record, audiences: [...record.audiences, 'insurer-9'] }),
      'consent-audience',
    ],
    [
      'that says nothing of the institution itself',
      (record) => ({ ...record, audiences: ['eligibility'] }),
      'consent-audience',
    ],
    ['given by staff in the holder’s name', (record) => ({ ...record, input: 'staff' }), 'consent-kind'],
    ['of 120 s and 1 ms ago', (record) => ({ ...record, at: later(-120_001) }), 'consent-stale'],
    ['in the future', (record) => ({ ...record, at: later(60_001) }), 'consent-stale'],
    [
      'by the word of staff where there are none',
      (record) => ({ ...record, kind: 'attended', input: 'staff' }),
      'consent-kind',
    ],
    [
      'that says to cover another’s, of a holder who acts for nobody',
      (record) => ({ ...record, covers: 'A'.repeat(43) }),
      'consent-covers',
    ],
  ])('%s is refused', async (_, consent, code) => {
    await recorded(code, consent ? { consent } : {})
  })

  test('120 s old still counts', async () => {
    const at = later(-120_000)
    await expectAccepted(rig.provider, clinic, await forge({ consent: (record) => ({ ...record, at }) }))
  })

  test('by the word of staff counts where there are some', async () => {
    const departure: Departure = { consent: (record) => ({ ...record, kind: 'attended', input: 'staff' }) }
    await expectAccepted(rig.provider, attended, await forge(departure, attended))
  })

  test('other than the one that was signed is refused', async () => {
    await recorded('consent-mismatch', {
      proof: (proof) => ({ ...proof, consentRecord: { ...proof.consentRecord, lang: 'en' } }),
    })
  })

  test('counts once: the same record with a new nonce is refused', async () => {
    const first = await forge()
    await expectAccepted(rig.provider, clinic, first)
    await recorded('consent-used', { consent: () => first.proof.consentRecord })
  })

  test('used at one terminal is used at all', async () => {
    const first = await forge()
    await expectAccepted(rig.provider, clinic, first)
    const again = await forge({ consent: () => first.proof.consentRecord }, second)
    await expectRecorded(rig.provider, second, again, 'consent-used')
  })

  test('that was refused may be used: nothing came of it', async () => {
    const first = await forge({ cardSignature: (signature) => signature.map((byte) => byte ^ 1) })
    await expectRecorded(rig.provider, clinic, first, 'card-signature')
    await expectAccepted(rig.provider, clinic, await forge({ consent: () => first.proof.consentRecord }))
  })
})

describe('(g) the user certificate', () => {
  const holder = (change: Parameters<typeof createTestCard>[1]) => createTestCard(rig.authority, change)
  const visit = { purpose: 'visit', textId: 'visit-1', audiences: ['clinic-sakura'] }

  test('of another authority of the same name is refused', async () => {
    const stranger = await holder({ ca: { signer: createThrowawaySigner('rsa-pkcs1-sha256'), serial: 7 } })
    const forged = await forge({}, clinic, stranger.personalisation)
    await expectRecorded(rig.provider, clinic, forged, 'certificate-untrusted')
  })

  test('for signing documents is refused, though the same authority issued it', async () => {
    const statement = { name: '試験　花子', nameSubstitutes: '00000', birthDate: '419900101', sex: '2' as const }
    const address = { address: '東京都風市一丁目', addressSubstitutes: '00000000' }
    const signing = await holder({ template: (one) => signatureCertificate(one, { ...statement, ...address }) })
    const forged = await forge({}, clinic, signing.personalisation)
    await expectRecorded(rig.provider, clinic, forged, 'certificate-untrusted')
  })

  test('of another person than the card that signed is refused', async () => {
    const other = await holder({})
    const certificate = decodeBase64url(other.personalisation.userAuthentication.certificate)
    await recorded('card-signature', { certificate: () => certificate })
  })

  test('that is none is refused', async () => {
    await recorded('certificate-untrusted', { certificate: () => Uint8Array.of(0x30, 0) })
  })

  test('sealed for another nonce cannot be opened', async () => {
    const other = await forge()
    await recorded('certificate-unsealable', {
      proof: (proof) => ({ ...proof, sealedCertificate: other.proof.sealedCertificate }),
    })
  })

  test('expired counts within the grace that the purpose has, and says so; not where it has none', async () => {
    const { personalisation } = await holder({ notAfter: NOON - 10 * DAY })
    const answer = await expectAccepted(rig.provider, clinic, await forge({}, clinic, personalisation))
    expect(await claimsOf(answer.institutionToken)).toMatchObject({ certificate: 'grace' })
    const forged = await forge({ offer: visit }, clinic, personalisation)
    await expectRecorded(rig.provider, clinic, forged, 'certificate-expired')
  })

  test('expired longer ago than the grace is refused', async () => {
    const { personalisation } = await holder({ notAfter: NOON - 94 * DAY })
    const forged = await forge({}, clinic, personalisation)
    await expectRecorded(rig.provider, clinic, forged, 'certificate-expired')
  })

  test.each<[string, () => RevocationStatus, string]>([
    [
      'revoked',
      () => ({ state: 'revoked', by: 'ocsp', producedAt: NOON, revokedAt: NOON, reason: 'unspecified' }),
      'certificate-revoked',
    ],
    ['unknown to its authority', () => ({ state: 'unknown', by: 'ocsp', producedAt: NOON }), 'status-unknown'],
    ['nobody can be asked about', () => ({ state: 'unavailable' }), 'status-unavailable'],
    [
      'good by a word 60 s and 1 ms old',
      () => ({ state: 'good', by: 'ocsp', producedAt: rig.clock.now() - 60_001 }),
      'status-stale',
    ],
    ['good by a list only', () => ({ state: 'good', by: 'crl', producedAt: rig.clock.now() }), 'status-stale'],
  ])('(j) %s is refused', async (_, status, code) => {
    await expectRecorded(saying(status()), clinic, await forge(), code)
  })

  test('(j) good by a word 60 s old counts', async () => {
    const forged = await forge()
    const provider = saying({ state: 'good', by: 'ocsp', producedAt: rig.clock.now() - 60_000 })
    await expectAccepted(provider, clinic, forged)
  })

  test('(j) good by a list only counts where the purpose says so, and the token says not-checked', async () => {
    const provider = saying({ state: 'good', by: 'crl', producedAt: rig.clock.now() - DAY })
    const answer = await expectAccepted(provider, clinic, await forge({ offer: visit }))
    expect(await claimsOf(answer.institutionToken)).toMatchObject({ certificate: 'not-checked', purpose: 'visit' })
  })

  test('(k) a word that was fresh when it came and is stale when the tap commits is refused', async () => {
    const forged = await forge()
    const producedAt = rig.clock.now() - 40 * SECOND
    const provider = meanwhile(
      () => rig.clock.advance(30 * SECOND),
      () => ({ state: 'good', by: 'ocsp', producedAt }),
    )
    await expectRecorded(provider, clinic, forged, 'status-stale')
  })
})

const claimsOf = async (token: string): Promise<Record<string, unknown>> =>
  JSON.parse(
    Buffer.from(await verifyJws(token, 'presence+jwt', rig.provider.keys.token.publicKey)).toString(),
  ) as Record<string, unknown>

describe('(h) institution authentication', () => {
  /** A host with the PIN composes T, so that the card's own refusal does not save the provider. */
  const composed: Departure = { cardSigns: ({ t }) => t }
  const span = () => ({ effective: rig.authority.day(0), expiry: rig.authority.day(14), pinless: true })
  const register = (cvc: { readonly raw: Uint8Array; readonly expiry: string }, hash: string) =>
    rig.database
      .insertInto('terminal_certificate')
      .values({ cert_hash: hash, terminal: 't1', raw: cvc.raw, expiry: cvc.expiry, withdrawn_at: null })
      .execute()
  const own = (changes: Partial<Parameters<typeof issueCvc>[0]>, signer = rig.authority.dv) =>
    issueCvc(
      {
        ...{
          car: rig.authority.dvCvc.chr,
          chr: 'JPKZT00077',
          role: 'terminal',
          publicKey: clinic.institutionKey.publicKey,
        },
        ...span(),
        ...changes,
      },
      signer,
    )

  test('a host that has the PIN and composes T passes: that is what section 7 says of it', async () => {
    await expectAccepted(rig.provider, clinic, await forge(composed))
  })

  test.each([
    ['the DV of another provider under the same root', 'JPKZOTHR00001', false],
    ['the DV of another provider under the same root, in our name,', () => `${rig.authority.dvHolder}00002`, false],
    ['the key of our DV in another holder’s name', 'JPKZOTHR00002', true],
  ])('with %s is refused', async (_, name, ownKey) => {
    const { cvca, cvcaCvc, dv, day } = rig.authority
    const chr = typeof name === 'string' ? name : name()
    const key = ownKey ? dv : createThrowawaySigner('ecdsa-p256-sha256')
    const dvCvc = await issueCvc(
      {
        ...{ car: cvcaCvc.chr, chr, role: 'dv', publicKey: key.publicKey, pinless: true },
        ...{ effective: day(-1), expiry: day(60) },
      },
      cvca,
    )
    const cvc = await own({ car: dvCvc.chr }, key)
    await register(cvc, encodeBase64url(certHash(cvc)))
    await recorded('institution-foreign', { ...composed, chain: [dvCvc.raw, cvc.raw] })
  })

  test('with certificate and key of another terminal is refused', async () => {
    await recorded('institution-unregistered', { chain: second.terminal.chain, institutionKey: second.institutionKey })
  })

  test('with a withdrawn certificate is refused', async () => {
    const cvc = await own({ chr: 'JPKZT00078' })
    const hash = encodeBase64url(certHash(cvc))
    await register(cvc, hash)
    const departure: Departure = { chain: [rig.authority.dvCvc.raw, cvc.raw] }
    await expectAccepted(rig.provider, clinic, await forge(departure))
    await withdrawCertificate(rig.database, hash, rig.clock.now())
    await recorded('institution-unregistered', departure)
  })

  test('without the right to do without a PIN is refused', async () => {
    const cvc = await issueTerminalCvc(rig.authority, 79, clinic.institutionKey.publicKey, false)
    await register(cvc, encodeBase64url(certHash(cvc)))
    await recorded('institution-right', { ...composed, chain: [rig.authority.dvCvc.raw, cvc.raw] })
  })

  test.each<[string, (changes: typeof own) => ReturnType<typeof own>]>([
    ['expired yesterday', (make) => make({ effective: rig.authority.day(-9), expiry: rig.authority.day(-1) })],
    ['effective in a week', (make) => make({ effective: rig.authority.day(7) })],
    ['that outlives its DV', (make) => make({ expiry: rig.authority.day(61) })],
    ['by another key', (make) => make({}, createThrowawaySigner('ecdsa-p256-sha256'))],
    ['of another role', (make) => make({ role: 'dv' })],
    ['by another issuer', (make) => make({ car: 'JPKZOTHR00009' })],
  ])('with a certificate %s is refused', async (_, make) => {
    const cvc = await make(own)
    await register(cvc, encodeBase64url(systemRandom.bytes(32)))
    await recorded('institution-chain', { ...composed, chain: [rig.authority.dvCvc.raw, cvc.raw] })
  })

  test('with a chain of no certificates is refused', async () => {
    const nothing = encodeBase64url(Uint8Array.of(0x7f, 0x21, 0))
    await recorded('institution-chain', { transcript: (honest) => honest && { ...honest, chain: [nothing, nothing] } })
  })

  test('authorised by another key is refused', async () => {
    await recorded('institution-signature', {
      ...composed,
      institutionKey: createThrowawaySigner('ecdsa-p256-sha256'),
    })
  })

  test('authorised for another r is refused', async () => {
    const r = encodeBase64url(systemRandom.bytes(16))
    await recorded('institution-signature', { transcript: (honest) => honest && { ...honest, r } })
  })
})

describe('(h) T and only T without a PIN, D and only D with it', () => {
  const transcriptOfInstitution = async () => (await forge()).proof.transcript

  test.each<[string, Departure, string]>([
    ['PIN-less nonce, D signed, transcript attached', { cardSigns: ({ d }) => d }, 'card-signature'],
    [
      'PIN-less nonce, D signed, transcript detached',
      { cardSigns: ({ d }) => d, transcript: () => undefined },
      'transcript-missing',
    ],
    ['PIN-less nonce, T signed, transcript detached', { transcript: () => undefined }, 'transcript-missing'],
    ['PIN nonce, T signed, no transcript', { mechanism: 'pin', cardSigns: ({ t }) => t }, 'card-signature'],
  ])('%s', async (_, departure, code) => {
    await recorded(code, departure)
  })

  test.each<[string, Departure]>([
    ['PIN nonce, T signed, transcript attached', { mechanism: 'pin', cardSigns: ({ t }) => t }],
    ['PIN nonce, D signed, transcript attached', { mechanism: 'pin' }],
  ])('%s', async (_, departure) => {
    const transcript = await transcriptOfInstitution()
    await recorded('transcript-unexpected', { ...departure, transcript: () => transcript })
  })

  test.each<[string, Departure, 'institution' | 'pin']>([
    ['says pin of a PIN-less tap', { mechanism: 'institution' }, 'pin'],
    ['says institution of a tap with PIN', { mechanism: 'pin' }, 'institution'],
  ])('a device that %s is refused', async (_, departure, mechanism) => {
    await recorded(
      'device-mismatch',
      { ...departure, device: (claims) => ({ ...claims, mechanism }) },
      {
        member: 'mechanism',
      },
    )
  })

  test('a statement that says pin, signed without one, is another statement', async () => {
    await recorded('institution-signature', { statement: (s) => ({ ...s, mechanism: 'pin', basis: '38-2-pin' }) })
  })

  test('a signature of the same card for another tap is refused', async () => {
    const other = await forge()
    const { cardSignature, transcript } = other.proof
    await recorded('card-signature', { cardSignature: () => decodeBase64url(cardSignature) })
    await recorded('institution-signature', {
      cardSignature: () => decodeBase64url(cardSignature),
      transcript: () => transcript,
    })
  })

  test('a signature for another clinic’s tap is refused, with its transcript and all', async () => {
    const other = await forge({}, attended)
    const { cardSignature, transcript } = other.proof
    await recorded('institution-unregistered', {
      cardSignature: () => decodeBase64url(cardSignature),
      transcript: () => transcript,
    })
  })

  test('a signature with PIN over another service’s login challenge is refused', async () => {
    const challenge = systemRandom.bytes(32)
    await recorded('card-signature', { mechanism: 'pin', cardSigns: () => challenge })
    await recorded('card-signature', { mechanism: 'institution', cardSigns: () => challenge })
  })
})

describe('quota', () => {
  test('one person’s taps at one terminal in an hour are counted; another terminal, another person, the next hour are free', async () => {
    const { personalisation } = await createTestCard(rig.authority)
    const policy = rig.provider.policy.map((row) => ({ ...row, quota: 2 }))
    const provider = { ...rig.provider, policy }
    await rig.clock.advance(60 * MINUTE - (rig.clock.now() % (60 * MINUTE))) // the beginning of an hour
    const tapAgain = () => forge({}, clinic, personalisation)
    await expectAccepted(provider, clinic, await tapAgain())
    await expectAccepted(provider, clinic, await tapAgain())
    await expectRecorded(provider, clinic, await tapAgain(), 'quota-exceeded')
    await expectAccepted(provider, second, await forge({}, second, personalisation))
    await expectAccepted(provider, clinic, await forge())
    await rig.clock.advance(60 * MINUTE)
    await expectAccepted(provider, clinic, await tapAgain())
  })
})

test('a nonce row as handed out says for whom it is, and the provider believes its own row only', async () => {
  const row: NonceRow = await clinic.terminal.nonces.take(clinic.offer('institution'))
  const lied: NonceRow = { ...row, basis: '38の4' }
  await recorded('institution-signature', { nonce: lied })
})
