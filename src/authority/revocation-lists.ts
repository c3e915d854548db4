import { type Kysely, sql } from 'kysely'
import { type Clock, DAY, HOUR, type Time } from '#clock'
import { issueCrl } from '#pki'
import { storedTime } from '#store'
import { type IssuingAuthority, readRevoked } from './certificates.ts'
import { type AuthorityTables, type CertificateKind, KINDS } from './migrations.ts'

/** A list is good for a day, as the real ones are, and replaced when half of that is over. */
const CRL_LIFE = 24 * HOUR
/**
 * Revoked certificates stay listed this long after their end, so that whoever accepts expired ones in grace can be
 * told (protocol.md section 3 (j)). 健康保険証としての利用 goes on to the end of the third month: 123 days at most.
 */
export const GRACE_DAYS = 124
const CRL_LOCK = 0x63726c

/** A CRL as it stands in the store. */
export interface StoredCrl {
  readonly der: Uint8Array
  readonly thisUpdate: Time
  readonly nextUpdate: Time
}

/** 失効リスト – the complete, current CRL of each CA. */
export interface RevocationLists {
  current(kind: CertificateKind): Promise<StoredCrl>
  /** Signs a list that names everything revoked before the call. */
  reissue(kind: CertificateKind): Promise<void>
  /** Reissues what is half over, and what could not be signed before. */
  renew(): Promise<void>
}

/** Opens the lists, and issues both: a revocation just before a sudden end is then on one. */
export async function openRevocationLists(
  database: Kysely<AuthorityTables>,
  authorities: Readonly<Record<CertificateKind, IssuingAuthority>>,
  clock: Clock,
): Promise<RevocationLists> {
  const owed = new Set<CertificateKind>(KINDS)

  async function reissue(kind: CertificateKind): Promise<void> {
    owed.add(kind)
    const { certificate: issuer, signer } = authorities[kind]
    await database.transaction().execute(async (transaction) => {
      // One at a time, also between processes: numbers rise, and a later list never knows less.
      await sql`select pg_advisory_xact_lock(${CRL_LOCK})`.execute(transaction)
      const last = await transaction.selectFrom('crl').select('number').where('kind', '=', kind).executeTakeFirst()
      const number = (last?.number ?? 0) + 1
      const thisUpdate = clock.now()
      const nextUpdate = thisUpdate + CRL_LIFE
      const entries = await readRevoked(transaction, kind, thisUpdate - (GRACE_DAYS + 1) * DAY)
      const { raw } = await issueCrl({ issuer, thisUpdate, nextUpdate, number: BigInt(number), entries }, signer)
      const row = { number, der: raw, this_update: storedTime(thisUpdate), next_update: storedTime(nextUpdate) }
      await transaction
        .insertInto('crl')
        .values({ kind, ...row })
        .onConflict((conflict) => conflict.column('kind').doUpdateSet(row))
        .execute()
    })
    owed.delete(kind)
  }

  async function current(kind: CertificateKind): Promise<StoredCrl> {
    return database
      .selectFrom('crl')
      .select(['der', 'this_update as thisUpdate', 'next_update as nextUpdate'])
      .where('kind', '=', kind)
      .executeTakeFirstOrThrow()
  }

  for (const kind of KINDS) await reissue(kind)
  return {
    current,
    reissue,
    async renew() {
      for (const kind of KINDS) {
        const { thisUpdate } = await current(kind)
        if (owed.has(kind) || clock.now() - thisUpdate >= CRL_LIFE / 2) await reissue(kind)
      }
    },
  }
}
