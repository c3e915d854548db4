import { sql } from 'kysely'
import { encodeBase64url } from '#bytes'
import { DAY, japanDate, parseTime } from '#clock'
import { sha256 } from '#messages'
import { type Cvc, certHash, issueCvc } from '#pki'
import type { IssuingProvider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { ProviderTransaction } from './tables.ts'

/** Certificates that one terminal is given within a day: by renewal its first and four more, by codes as operators hand out. */
export const CERTIFICATES_A_DAY = { renewal: 5, enrolment: 20 } as const

/** A DV certificate in force, and the reference that the next certificate under it will have. */
export interface CertificateIntent {
  readonly dv: Cvc
  readonly reference: string
}

/**
 * Writes down that the DV key is about to sign for a terminal. To be committed before it does: then every signature of
 * the key has its row, also one that a crash left nobody knowing of. The terminal's row should be locked.
 * @throws ProviderError `trust-missing` without a DV certificate in force; `too-many-requests`
 */
export async function intendCertificate(
  provider: IssuingProvider,
  transaction: ProviderTransaction,
  terminal: string,
  publicKey: Uint8Array,
  by: keyof typeof CERTIFICATES_A_DAY,
): Promise<CertificateIntent> {
  const now = provider.clock.now()
  const { dv } = provider.trust()
  if (dv.expiry < japanDate(now)) throw new ProviderError('trust-missing', { what: 'a DV certificate in force' })
  const { given } = await transaction
    .selectFrom('terminal_certificate_intent')
    .select((row) => row.fn.countAll<number>().as('given'))
    .where('terminal', '=', terminal)
    .where('intended_at', '>', now - DAY)
    .executeTakeFirstOrThrow()
  if (Number(given) >= CERTIFICATES_A_DAY[by])
    throw new ProviderError('too-many-requests', { what: 'certificates a day' })
  const reference = await nextReference(transaction, dv.chr)
  await transaction
    .insertInto('terminal_certificate_intent')
    .values({ reference, terminal, key_hash: encodeBase64url(sha256(publicKey)), intended_at: now })
    .execute()
  return { dv, reference }
}

/**
 * A certificate for a terminal's institution key, by the DV key: effective today in Japan, never beyond the DV's own
 * end. Its reference is never used twice. It counts only once {@link registerCertificate} is committed.
 */
export async function issueTerminalCertificate(
  provider: IssuingProvider,
  { dv, reference }: CertificateIntent,
  publicKey: Uint8Array,
): Promise<Cvc> {
  const effective = japanDate(provider.clock.now())
  const last = addDays(effective, provider.certificateDays)
  return issueCvc(
    {
      car: dv.chr,
      chr: reference,
      role: 'terminal',
      pinless: true,
      publicKey,
      effective,
      expiry: last < dv.expiry ? last : dv.expiry,
    },
    provider.keys.dv,
  )
}

/** Makes a certificate count for `terminal`. @throws ProviderError `enrolment-request` if another terminal has the key */
export async function registerCertificate(transaction: ProviderTransaction, terminal: string, cvc: Cvc): Promise<void> {
  const other = await transaction
    .selectFrom('terminal_certificate')
    .select('terminal')
    .where('public_key', '=', cvc.publicKey)
    .where('terminal', '<>', terminal)
    .executeTakeFirst()
  if (other) throw new ProviderError('enrolment-request', { reason: 'institution key of another terminal' })
  await transaction
    .insertInto('terminal_certificate')
    .values({
      cert_hash: encodeBase64url(certHash(cvc)),
      terminal,
      raw: cvc.raw,
      public_key: cvc.publicKey,
      expiry: cvc.expiry,
      withdrawn_at: null,
    })
    .execute()
  await transaction
    .updateTable('terminal_certificate_intent')
    .set({ state: 'issued' })
    .where('reference', '=', cvc.chr)
    .execute()
}

/**
 * `JP`, four letters of the DV's mnemonic, `T`, a sequence number of nine digits – base 36 but for the last five, which
 * TR-03110 wants decimal: 1.6 × 10¹¹ references.
 */
async function nextReference(database: ProviderTransaction, dvReference: string): Promise<string> {
  const { rows } = await sql<{ next: number }>`select nextval('terminal_reference') as next`.execute(database)
  const number = rows[0]?.next ?? 0
  const high = Math.floor(number / 100_000)
    .toString(36)
    .toUpperCase()
    .padStart(4, '0')
  return `${dvReference.slice(0, -5).slice(0, 6)}T${high}${String(number % 100_000).padStart(5, '0')}`
}

function addDays(date: string, days: number): string {
  return japanDate((parseTime(`${date}T00:00:00.000Z`) ?? 0) + days * DAY)
}
