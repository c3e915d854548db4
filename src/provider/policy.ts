import type { Basis, Mechanism } from '#messages'
import { ProviderError } from './failures.ts'

/** One row: what a terminal may ask for, and what a certificate's state must be then. Everything else is refused. */
export interface PolicyRow {
  readonly purpose: string
  readonly mechanism: Mechanism
  readonly basis: Basis
  /** Terminals this row is for: staff beside them, or nobody. */
  readonly attended: boolean
  /** 猶予 – days after its last one on which a certificate still counts. */
  readonly graceDays: number
  /** `fresh`: feed or OCSP within 60 s. `crl`: a CRL alone will do, the token then says `not-checked`; no grace then. */
  readonly status: 'fresh' | 'crl'
  /** Consent texts accepted. */
  readonly texts: readonly { readonly textId: string; readonly lang: 'ja' | 'en' }[]
  /** Accepted taps of one person at one terminal in an hour. */
  readonly quota: number
}

const text = (textId: string): PolicyRow['texts'] => [
  { textId, lang: 'ja' },
  { textId, lang: 'en' },
]

/** Eligibility is still confirmed for three months after a certificate’s end (オンライン資格確認の運用). */
const ELIGIBILITY_GRACE = 92

/**
 * The research profile. Mechanism `institution` stands on no article of law today, so its basis is `none`;
 * `pin` is art. 38-2 of the JPKI act (公的個人認証法38条2項).
 */
export const RESEARCH_POLICY: readonly PolicyRow[] = [true, false].flatMap((attended) => [
  {
    purpose: 'eligibility',
    mechanism: 'institution' as const,
    basis: 'none' as const,
    attended,
    graceDays: ELIGIBILITY_GRACE,
    status: 'fresh' as const,
    texts: text('eligibility-1'),
    quota: 20,
  },
  {
    purpose: 'eligibility',
    mechanism: 'pin' as const,
    basis: '38-2-pin' as const,
    attended,
    graceDays: ELIGIBILITY_GRACE,
    status: 'fresh' as const,
    texts: text('eligibility-pin-1'),
    quota: 20,
  },
  {
    purpose: 'visit',
    mechanism: 'institution' as const,
    basis: 'none' as const,
    attended,
    graceDays: 0,
    status: 'crl' as const,
    texts: text('visit-1'),
    quota: 20,
  },
])

/**
 * A table that says one thing of each case. A token has one word for its certificate: where a CRL alone may decide it is
 * `not-checked`, which would hide `grace` – so such a row gives none (docs/decisions/0011).
 * @throws ProviderError `policy-unsound`
 */
export function requireSoundPolicy(table: readonly PolicyRow[]): readonly PolicyRow[] {
  for (const row of table) {
    const { purpose, mechanism, basis, attended } = row
    if (findPolicy(table, row) !== row) {
      throw new ProviderError('policy-unsound', { purpose, mechanism, basis, attended, reason: 'twice' })
    }
    if (row.status === 'crl' && row.graceDays !== 0) {
      throw new ProviderError('policy-unsound', { purpose, mechanism, basis, attended, reason: 'grace by a CRL alone' })
    }
  }
  return table
}

/** The row for what is asked, `undefined` if it may not be asked. */
export function findPolicy(
  table: readonly PolicyRow[],
  asked: { readonly purpose: string; readonly mechanism: string; readonly basis: string; readonly attended: boolean },
): PolicyRow | undefined {
  return table.find(
    (row) =>
      row.purpose === asked.purpose &&
      row.mechanism === asked.mechanism &&
      row.basis === asked.basis &&
      row.attended === asked.attended,
  )
}
