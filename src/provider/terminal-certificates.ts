import { sql } from 'kysely'
import { encodeBase64url } from '#bytes'
import { DAY, japanDate, parseTime } from '#clock'
import { type Cvc, certHash, issueCvc } from '#pki'
import type { IssuingProvider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { Database, ProviderTransaction } from './tables.ts'

/**
 * A certificate for a terminal's institution key, by the DV key: effective today in Japan, never beyond the DV's own
 * end. Its reference is never used twice. It counts only once {@link registerCertificate} is committed.
 * @throws ProviderError `trust-missing` without a DV certificate in force
 */
export async function issueTerminalCertificate(provider: IssuingProvider, publicKey: Uint8Array): Promise<Cvc> {
  const { dv } = provider.trust()
  const effective = japanDate(provider.clock.now())
  if (dv.expiry < effective) throw new ProviderError('trust-missing', { what: 'a DV certificate in force' })
  const last = addDays(effective, provider.certificateDays)
  return issueCvc(
    {
      car: dv.chr,
      chr: await nextReference(provider.database, dv.chr),
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
}

/**
 * `JP`, four letters of the DV's mnemonic, `T`, a sequence number of nine digits – base 36 but for the last five, which
 * TR-03110 wants decimal: 1.6 × 10¹¹ references.
 */
async function nextReference(database: Database, dvReference: string): Promise<string> {
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
