import type { Kysely } from 'kysely'
import { japanDate, type Time } from '#clock'
import { checkPairwiseId, type Eligibility } from '#messages'
import { EligibilityError } from './failures.ts'

/** 資格 – one membership of one insurer; dates are days in Japan, `valid_to` the last day, null while it goes on. */
export interface MembershipTable {
  /** The register's own pairwise ID of the insured person. */
  subject: string
  /** 保険者番号, 8 characters, left padded with spaces. */
  insurer: string
  symbol: string | null
  number: string
  branch: string | null
  /** 一部負担金の割合, per cent. */
  ratio: number | null
  valid_from: string
  valid_to: string | null
}
export interface EligibilityTables {
  membership: MembershipTable
}
export type EligibilityDatabase = Kysely<EligibilityTables>

/** What an insurer reports. */
export interface Membership {
  readonly subject: string
  readonly insurer: string
  readonly symbol: string | null
  readonly number: string
  readonly branch: string | null
  readonly ratio: number | null
  readonly validFrom: string
  readonly validTo: string | null
}

/**
 * Check digit of an 8-digit insurer number (保険者番号): weights 2 and 1 from the right of the first seven digits, sums
 * of digits, complement to 10. Official FHIR examples carry wrong ones (06123456, 00012345), so callers only warn.
 */
export function hasInsurerCheckDigit(insurer: string): boolean {
  const digits = [...insurer.trim().padStart(8, '0')].map(Number)
  const sum = digits.slice(0, 7).reduce((total, digit, i) => {
    const product = digit * (i % 2 === 0 ? 2 : 1)
    return total + Math.floor(product / 10) + (product % 10)
  }, 0)
  return (10 - (sum % 10)) % 10 === digits[7]
}

/**
 * Records a membership, or replaces what was reported of it before.
 * @throws EligibilityError `subject-malformed`, `dates-reversed`
 */
export async function recordMembership(database: EligibilityDatabase, reported: Membership): Promise<void> {
  const { validFrom, validTo, ...rest } = reported
  try {
    checkPairwiseId(reported.subject)
  } catch (cause) {
    throw new EligibilityError('subject-malformed', {}, { cause })
  }
  if (validTo !== null && validTo < validFrom) throw new EligibilityError('dates-reversed')
  const row = { ...rest, valid_from: validFrom, valid_to: validTo }
  await database
    .insertInto('membership')
    .values(row)
    .onConflict((conflict) => conflict.columns(['subject', 'insurer', 'number', 'valid_from']).doUpdateSet(row))
    .execute()
}

/** 資格確認 – what is known of a subject on the day in Japan that `at` falls on. */
export async function confirmEligibility(
  database: EligibilityDatabase,
  subject: string,
  at: Time,
): Promise<Eligibility> {
  const today = japanDate(at)
  const rows = await database
    .selectFrom('membership')
    .selectAll()
    .where('subject', '=', subject)
    .where('valid_from', '<=', today)
    .orderBy('valid_from', 'desc')
    .execute()
  const current = rows.find((row) => row.valid_to === null || row.valid_to >= today)
  if (current) {
    const { insurer, symbol, number, branch, ratio } = current
    return { status: 'valid', insurer, symbol, number, branch, ratio }
  }
  const ended = rows.toSorted((a, b) => (b.valid_to ?? '').localeCompare(a.valid_to ?? ''))[0]
  return ended?.valid_to ? { status: 'invalid', insurer: ended.insurer, endedOn: ended.valid_to } : { status: 'none' }
}
