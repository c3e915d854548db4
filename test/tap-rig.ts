import { createHmac, subtle } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compactDecrypt } from 'jose'
import type { CardDevice } from '#apdu'
import { decodeBase64url, encodeBase64url } from '#bytes'
import {
  createMemoryCardState,
  createPersonalisation,
  createVirtualCard,
  initialCardState,
  type Personalisation,
} from '#card'
import { createVirtualClock, DAY, japanDate, systemRandom, type Time, type VirtualClock } from '#clock'
import { importAuditPrivateKey, importAuditPublicKey, openSealedRecord } from '#evidence'
import { CodedError } from '#failure'
import { HttpError } from '#http'
import { type Answer, importSealingKey, MessagesError, type NonceRow, parseJson, unsealCertificate } from '#messages'
import {
  type CardCertificate,
  type CertificateTemplate,
  certHash,
  decodeCertificate,
  issueCertificate,
  issueCvc,
  jpkiAuthority,
  type Mac,
  type RevocationSource,
  TEST_POLICY,
  trustAnchor,
  trustCvca,
  userAuthenticationCertificate,
} from '#pki'
import { ProofError } from '#proof'
import { createInProcessReader, type InProcessReader } from '#reader'
import { openStore, type StoreLocation } from '#store'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import type { Provider } from '../src/provider/context.ts'
import { ProviderError } from '../src/provider/failures.ts'
import { providerMigrations } from '../src/provider/migrations.ts'
import { issueNonces } from '../src/provider/nonces.ts'
import { RESEARCH_POLICY } from '../src/provider/policy.ts'
import { receive } from '../src/provider/reception.ts'
import { RecalledRefusal } from '../src/provider/submission.ts'
import type { Database, ProviderTables } from '../src/provider/tables.ts'
import { FIRST_HEAD, identifyTerminal } from '../src/provider/terminals.ts'
import { type DeviceMemory, type DeviceState, FIRST_STATE } from '../src/terminal/device-memory.ts'
import { createOutbox } from '../src/terminal/outbox.ts'
import type { ProviderLink } from '../src/terminal/provider-link.ts'
import type { Desk, Offer, Terminal } from '../src/terminal/terminal.ts'

/** Sunday noon in Japan; nothing here depends on the machine's clock. */
export const NOON: Time = Date.parse('2026-11-22T03:00:00.000Z')

export type SigningKey = ReturnType<typeof createThrowawaySigner>
const newKey = (): SigningKey => createThrowawaySigner('ecdsa-p256-sha256')

const hmac = (key: string): Mac => ({
  compute: async (data) => Uint8Array.from(createHmac('sha256', key).update(data).digest()),
})

/** What a test may say about certificates: asked instead of an authority. */
export interface TestRevocation extends RevocationSource {
  answer: Awaited<ReturnType<RevocationSource['status']>> | undefined
}

function createTestRevocation(clock: VirtualClock): TestRevocation {
  return {
    answer: undefined,
    async status() {
      return this.answer ?? { state: 'good', by: 'ocsp', producedAt: clock.now() }
    },
  }
}

/** Roots of trust and the provider's DV certificate, all made for this run. */
export async function createTestAuthority() {
  const root = createThrowawaySigner('rsa-pkcs1-sha256')
  const years = 365 * DAY
  const caOf = (signer: SigningKey, serial: number) =>
    issueCertificate(
      jpkiAuthority('userAuthentication', {
        serial: Uint8Array.of(serial),
        publicKey: signer.publicKey,
        notBefore: NOON - 2 * years,
        notAfter: NOON + 8 * years,
      }),
      signer,
    )
  const cvca = newKey()
  const dv = newKey()
  const day = (offset: number) => japanDate(NOON + offset * DAY)
  const span = { effective: day(-1), expiry: day(60) }
  const rights = { pinless: true }
  const cvcaChr = 'JPKZCVCA00001'
  const dvChr = 'JPKZPROV00001'
  const cvcaCvc = await issueCvc(
    { car: cvcaChr, chr: cvcaChr, role: 'cvca', publicKey: cvca.publicKey, ...rights, ...span, expiry: day(900) },
    cvca,
  )
  const dvCvc = await issueCvc(
    { car: cvcaChr, chr: dvChr, role: 'dv', publicKey: dv.publicKey, ...rights, ...span },
    cvca,
  )
  return { root, ca: await caOf(root, 1), caOf, cvca, cvcaCvc, dv, dvCvc, dvHolder: dvChr.slice(0, -5), day }
}
export type TestAuthority = Awaited<ReturnType<typeof createTestAuthority>>

/** Certificate of a terminal's key under the test DV. */
export function issueTerminalCvc(authority: TestAuthority, sequence: number, publicKey: Uint8Array, pinless = true) {
  const { dvCvc, dv, day } = authority
  const chr = `JPKZT${String(sequence).padStart(5, '0')}`
  return issueCvc({ car: dvCvc.chr, chr, role: 'terminal', pinless, publicKey, effective: day(0), expiry: day(14) }, dv)
}

export interface CardOptions {
  readonly notAfter?: Time
  /** Makes another kind of certificate of the same particulars. */
  readonly template?: (card: CardCertificate) => CertificateTemplate
  readonly ca?: { readonly signer: SigningKey; readonly serial: number }
}

/** A card of an invented resident, with its personalisation for tests that look inside. */
export async function createTestCard(authority: TestAuthority, options: CardOptions = {}) {
  const signer = options.ca?.signer ?? authority.root
  const ca = options.ca ? await authority.caOf(signer, options.ca.serial) : authority.ca
  const template = options.template ?? userAuthenticationCertificate
  const personalisation = await createPersonalisation({
    holder: 'Test',
    pin: '1234',
    institutionRoots: { current: encodeBase64url(authority.cvcaCvc.raw) },
    date: authority.day(-30),
    async issue({ publicKey }) {
      const certificate = await issueCertificate(
        template({
          serial: systemRandom.bytes(8).map((byte, i) => (i === 0 ? (byte & 0x3f) | 0x40 : byte)),
          publicKey,
          notBefore: NOON - 365 * DAY,
          notAfter: options.notAfter ?? NOON + 400 * DAY,
          issuer: ca,
          commonName: 'TEST00000AKAZ13221000A',
          locality: { prefecture: 'Tokyo-to', city: 'Kazasu-shi' },
          ocsp: 'http://127.0.0.1:1/ocsp',
        }),
        signer,
      )
      return { certificate: certificate.raw, caCertificate: ca.raw }
    },
  })
  return { personalisation, device: powerCard(personalisation) }
}

/** A fresh card from a personalisation, its memory as when new. */
export function powerCard(personalisation: Personalisation): CardDevice {
  const state = createMemoryCardState(initialCardState(personalisation))
  return createVirtualCard({ personalisation, state, random: systemRandom })
}

/** Opens a provider on a database, as one process would: with the same keys, several may share one database. */
export async function openTestProvider(
  authority: TestAuthority,
  location: StoreLocation,
  clock: VirtualClock,
  keys = createProviderKeys(authority),
) {
  const store = await openStore(location)
  const database = (await store.role<ProviderTables>('provider', providerMigrations)) as Database
  const material = await keys
  const revocation = createTestRevocation(clock)
  const counted: string[] = []
  const provider: Provider = {
    id: 'provider-1',
    issuer: 'https://provider.test',
    database,
    clock,
    random: systemRandom,
    keys: material.keys,
    auditKey: material.auditKey,
    policy: RESEARCH_POLICY,
    trust: () => ({
      anchors: [trustAnchor(authority.ca)],
      certificatePolicy: TEST_POLICY.userAuthentication,
      cvcAnchors: [trustCvca(authority.cvcaCvc)],
      dvKeys: [encodeBase64url(authority.dv.publicKey)],
      dvHolder: authority.dvHolder,
      unseal: (sealed, nonce) => unsealCertificate(sealed, nonce, material.keys.sealing.privateKey),
    }),
    revocation,
    lookUpRecord: async () => ({
      status: 'valid',
      insurer: '99139999',
      symbol: '77',
      number: '1234567',
      branch: '01',
      ratio: 30,
    }),
    registerAudience: 'eligibility',
    count: (verdict) => counted.push(verdict),
    time: (_check, run) => run(),
  }
  const { openRecord, registerKey, openServiceToken } = material
  return { provider, database, store, revocation, counted, openRecord, registerKey, openServiceToken }
}

export async function createProviderKeys(authority: TestAuthority) {
  const ecdh = { name: 'ECDH', namedCurve: 'P-256' }
  const sealing = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const audit = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const register = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const { kty, crv, x, y } = await subtle.exportKey('jwk', register.publicKey)
  const auditKey = await importAuditPublicKey(new Uint8Array(await subtle.exportKey('spki', audit.publicKey)))
  const auditPrivate = await importAuditPrivateKey(new Uint8Array(await subtle.exportKey('pkcs8', audit.privateKey)))
  return {
    auditKey,
    keys: {
      token: newKey(),
      log: newKey(),
      dv: authority.dv,
      sealing,
      link: hmac('link'),
      witness: hmac('witness'),
      pairwise: hmac('pairwise'),
      pairwiseVersion: 1,
    },
    /** The register of insured persons' own key, which its tokens are sealed to. */
    registerKey: { kty, crv, x, y, kid: 'register-1' },
    /** The JWS in a token of the register's. */
    async openServiceToken(jwe: string): Promise<string> {
      return new TextDecoder().decode((await compactDecrypt(jwe, register.privateKey)).plaintext)
    },
    /** What an auditor reads in a leaf. */
    async openRecord(row: { leaf: Uint8Array; body: Uint8Array; wrapped_key: Uint8Array }): Promise<unknown> {
      return parseJson((await openSealedRecord({ ...row, wrappedKey: row.wrapped_key }, auditPrivate)).record)
    },
  }
}

/** Registers a clinic with one client and one terminal; gives the terminal's side, linked without a network. */
export async function enrolTestTerminal(
  parts: Awaited<ReturnType<typeof openTestProvider>>,
  authority: TestAuthority,
  clock: VirtualClock,
  options: {
    readonly institution: string
    readonly id: string
    readonly sequence: number
    readonly attended?: boolean
  },
) {
  const { provider, database } = parts
  const { institution, id, sequence } = options
  const institutionKey = newKey()
  const deviceKey = newKey()
  const cvc = await issueTerminalCvc(authority, sequence, institutionKey.publicKey)
  const client = `${institution}-desk`
  await database
    .insertInto('institution')
    .values({ id: institution, name: institution, audience_id: `audience-${institution}`, code: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await database
    .insertInto('client')
    .values({ id: client, institution, confirmation: JSON.stringify({ jkt: 'A'.repeat(43) }) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await database
    .insertInto('client_audience')
    .values([institution, 'eligibility'].map((audience) => ({ client, audience })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await database
    .insertInto('service')
    .values({ audience: 'eligibility', name: 'Register', sealing_key: JSON.stringify(parts.registerKey) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  await database
    .insertInto('terminal')
    .values({
      id,
      institution,
      attended: options.attended ?? false,
      state: 'active',
      thumbprint: `thumbprint-${id}`,
      device_key: deviceKey.publicKey,
      head: FIRST_HEAD,
      operator: null,
      lease: null,
      lease_until: null,
      enrolled_at: clock.now(),
      last_seen_at: null,
    })
    .execute()
  await database
    .insertInto('terminal_certificate')
    .values({
      cert_hash: encodeBase64url(certHash(cvc)),
      terminal: id,
      raw: cvc.raw,
      expiry: cvc.expiry,
      withdrawn_at: null,
    })
    .execute()
  const reader: InProcessReader = createInProcessReader(`reader of ${id}`)
  const memory = createTestMemory()
  const link = createTestLink(provider, `thumbprint-${id}`)
  const sealingKey = await importSealingKey(await subtle.exportKey('jwk', provider.keys.sealing.publicKey))
  const terminal: Terminal = {
    provider: provider.id,
    institution,
    id,
    chain: [authority.dvCvc.raw, cvc.raw],
    institutionKey,
    deviceKey,
    sealingKey,
    reader,
    nonces: {
      async take({ client: name, purpose, mechanism, basis }): Promise<NonceRow> {
        const self = await identifyTerminal(database, `thumbprint-${id}`)
        const request = { client: name, purpose, mechanism, basis, role: 'holder' as const }
        const [row] = await issueNonces(provider, self, request, 1)
        if (!row) throw new Error('no nonce')
        return row
      },
    },
    outbox: createOutbox(memory, link, { ...clock, sleep: async () => {} }),
    clock,
    random: systemRandom,
    cardPatience: 30_000,
  }
  const offer = (mechanism: 'institution' | 'pin'): Offer => ({
    client,
    purpose: 'eligibility',
    mechanism,
    basis: mechanism === 'pin' ? '38-2-pin' : 'none',
    audiences: [institution, 'eligibility'].sort(),
    textId: mechanism === 'pin' ? 'eligibility-pin-1' : 'eligibility-1',
  })
  return { terminal, reader, memory, link, offer, institutionKey, deviceKey, cvc, thumbprint: `thumbprint-${id}` }
}
export type TestTerminal = Awaited<ReturnType<typeof enrolTestTerminal>>

/** A device memory that a test can look into. */
export function createTestMemory(): DeviceMemory & { state: DeviceState } {
  return {
    state: FIRST_STATE,
    async read() {
      return this.state
    },
    async write(state) {
      this.state = state
    },
  }
}

/** A test's hold on the wire between terminal and provider. */
export interface TestLink extends ProviderLink {
  /** Every proof sent, byte for byte. */
  readonly sent: Uint8Array[]
  /** Changes what is sent, or throws in the place of the network. */
  before: (body: Uint8Array) => Uint8Array | Promise<Uint8Array>
  /** Runs when the provider has answered and the answer is on its way. */
  after: (answer: Answer) => Answer | Promise<Answer>
}

/** What the server has a status for; anything else is its own trouble, 500. */
const REFUSALS = [ProviderError, ProofError, MessagesError, RecalledRefusal]

/** Straight to `receive`, errors made into problems as the server makes them. */
export function createTestLink(provider: Provider, thumbprint: string): TestLink {
  const link: TestLink = {
    sent: [],
    before: (body) => body,
    after: (answer) => answer,
    async prove(body) {
      const sent = await link.before(body)
      link.sent.push(sent)
      try {
        return await link.after(await receive(provider, sent, thumbprint))
      } catch (error) {
        if (!(error instanceof CodedError) || error instanceof HttpError) throw error
        const refusal = REFUSALS.some((kind) => error instanceof kind)
        const [status, code] = refusal ? [403, error.code] : [500, 'internal']
        const text = { ja: '', en: '' }
        const problem = { type: '', title: code, status, code, cause: text, remedy: text, requestId: 'test' }
        throw new HttpError('problem', { code }, { problem, cause: error })
      }
    },
    async standing() {
      const { id, institution, state, head, counter } = await identifyTerminal(provider.database, thumbprint)
      return { terminal: id, institution, state, head, counter }
    },
  }
  return link
}

/** A holder who presses OK at once and knows the PIN. */
export const willingHolder = (pin = '1234'): Desk => ({
  askConsent: async () => ({ kind: 'ok-button', lang: 'ja', input: 'touch' }),
  askCard() {},
  askPin: async () => new TextEncoder().encode(pin),
  report() {},
})

/** The whole: authority, provider on the embedded database, one clinic, its terminal, one card on the reader. */
export async function createTapRig() {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-tap-'))
  const clock = createVirtualClock(NOON)
  const authority = await createTestAuthority()
  const parts = await openTestProvider(authority, { kind: 'embedded', directory: join(directory, 'database') }, clock)
  const clinic = await enrolTestTerminal(parts, authority, clock, {
    institution: 'clinic-sakura',
    id: 't1',
    sequence: 1,
  })
  const card = await createTestCard(authority)
  return {
    ...parts,
    authority,
    clock,
    clinic,
    card,
    certificateOf: (personalisation: Personalisation) =>
      decodeCertificate(decodeBase64url(personalisation.userAuthentication.certificate)),
    async close() {
      await parts.store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
export type TapRig = Awaited<ReturnType<typeof createTapRig>>
