import { createHmac, subtle } from 'node:crypto'
import { compactDecrypt } from 'jose'
import { encodeBase64url } from '#bytes'
import { type Clock, DAY, japanDate, systemRandom, type Time } from '#clock'
import { importAuditPrivateKey, importAuditPublicKey, openSealedRecord } from '#evidence'
import type { CodedError } from '#failure'
import { MessagesError, parseJson, unsealCertificate } from '#messages'
import {
  issueCertificate,
  issueCvc,
  jpkiAuthority,
  type Mac,
  type RevocationSource,
  TEST_POLICY,
  trustAnchor,
  trustCvca,
} from '#pki'
import { ProofError } from '#proof'
import { openStore, type StoreLocation } from '#store'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import type { Provider } from '../src/provider/context.ts'
import { ProviderError } from '../src/provider/failures.ts'
import { providerMigrations } from '../src/provider/migrations.ts'
import { RESEARCH_POLICY } from '../src/provider/policy.ts'
import { RecalledRefusal } from '../src/provider/submission.ts'
import type { Database, ProviderTables } from '../src/provider/tables.ts'
import { openWitness } from '../src/provider/witness.ts'

/** Sunday noon in Japan; nothing here depends on the machine's clock. */
export const NOON: Time = Date.parse('2026-11-22T03:00:00.000Z')

export type SigningKey = ReturnType<typeof createThrowawaySigner>
export const newKey = (): SigningKey => createThrowawaySigner('ecdsa-p256-sha256')

const hmac = (key: string): Mac => ({
  compute: async (data) => Uint8Array.from(createHmac('sha256', key).update(data).digest()),
})

/** What a test may say about certificates: asked instead of an authority. */
export interface TestRevocation extends RevocationSource {
  answer: Awaited<ReturnType<RevocationSource['status']>> | undefined
}

function createTestRevocation(clock: Clock): TestRevocation {
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
/** What a provider has of it. */
export type ProviderAuthority = Pick<TestAuthority, 'ca' | 'cvcaCvc' | 'dv' | 'dvHolder'>

/** Certificate of a terminal's key under the test DV. */
export function issueTerminalCvc(authority: TestAuthority, sequence: number, publicKey: Uint8Array, pinless = true) {
  const { dvCvc, dv, day } = authority
  const chr = `JPKZT${String(sequence).padStart(5, '0')}`
  return issueCvc({ car: dvCvc.chr, chr, role: 'terminal', pinless, publicKey, effective: day(0), expiry: day(14) }, dv)
}

/** Opens a provider on a database, as one process would: with the same keys, several may share one database. */
export async function openTestProvider(
  authority: ProviderAuthority,
  location: StoreLocation,
  clock: Clock,
  keys: Promise<ProviderMaterial> | ProviderMaterial = createProviderKeys(authority),
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
    witness: await openWitness(
      { id: 'provider-1', database, keys: material.keys },
      { read: async () => undefined, write: async () => {} },
      () => {},
    ),
    policy: RESEARCH_POLICY,
    trust: () => ({
      epoch: 0,
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

export async function createProviderKeys(authority: Pick<ProviderAuthority, 'dv'>) {
  const ecdh = { name: 'ECDH', namedCurve: 'P-256' }
  const sealing = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const audit = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const register = await subtle.generateKey(ecdh, true, ['deriveBits'])
  const { kty, crv, x, y } = await subtle.exportKey('jwk', register.publicKey)
  const auditSpki = new Uint8Array(await subtle.exportKey('spki', audit.publicKey))
  const auditKey = await importAuditPublicKey(auditSpki)
  const auditPrivate = await importAuditPrivateKey(new Uint8Array(await subtle.exportKey('pkcs8', audit.privateKey)))
  return {
    auditKey,
    auditSpki,
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

/** What one provider's processes share. */
export type ProviderMaterial = Awaited<ReturnType<typeof createProviderKeys>>

/** What the server has a status for; anything else is its own trouble. */
export const isRefusal = (error: unknown): error is CodedError<string> =>
  [ProviderError, ProofError, MessagesError, RecalledRefusal].some((kind) => error instanceof kind)
