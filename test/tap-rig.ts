import { subtle } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CardDevice } from '#apdu'
import { decodeBase64url, encodeBase64url } from '#bytes'
import {
  createMemoryCardState,
  createPersonalisation,
  createVirtualCard,
  initialCardState,
  type Personalisation,
} from '#card'
import { type Clock, createVirtualClock, DAY, systemRandom, type Time } from '#clock'
import { CodedError } from '#failure'
import { HttpError } from '#http'
import { type Answer, importSealingKey, type NonceRow } from '#messages'
import {
  type CardCertificate,
  type CertificateTemplate,
  certHash,
  decodeCertificate,
  issueCertificate,
  userAuthenticationCertificate,
} from '#pki'
import { createInProcessReader, type InProcessReader } from '#reader'
import type { Provider } from '../src/provider/context.ts'
import { issueNonces } from '../src/provider/nonces.ts'
import { receive } from '../src/provider/reception.ts'
import { FIRST_HEAD, identifyTerminal } from '../src/provider/terminals.ts'
import { type DeviceMemory, type DeviceState, FIRST_STATE } from '../src/terminal/device-memory.ts'
import { createOutbox } from '../src/terminal/outbox.ts'
import type { ProviderLink } from '../src/terminal/provider-link.ts'
import type { Desk, Offer, Terminal } from '../src/terminal/terminal.ts'
import {
  createProviderKeys,
  createTestAuthority,
  isRefusal,
  issueTerminalCvc,
  NOON,
  newKey,
  openTestProvider,
  type SigningKey,
  type TestAuthority,
} from './provider-rig.ts'

export { createProviderKeys, createTestAuthority, issueTerminalCvc, NOON, openTestProvider, type TestAuthority }

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

/** Registers a clinic with one client and one terminal; gives the terminal's side, linked without a network. */
export async function enrolTestTerminal(
  parts: Awaited<ReturnType<typeof openTestProvider>>,
  authority: TestAuthority,
  clock: Clock,
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

/** The server's problem document as a terminal meets it. */
export function asProblem(code: string, cause?: unknown): HttpError {
  const text = { ja: '', en: '' }
  const status = code === 'internal' ? 500 : 403
  const problem = { type: '', title: code, status, code, cause: text, remedy: text, requestId: 'test' }
  return new HttpError('problem', { code }, { problem, cause })
}

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
        throw asProblem(isRefusal(error) ? error.code : 'internal', error)
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
