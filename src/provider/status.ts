import { HOUR, SECOND, type Time } from '#clock'
import type { VerifiedPath } from '#pki'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { PolicyRow } from './policy.ts'

/** Oldest word about a certificate that still counts; a list is published at least once a day. */
const STATUS_AGE = { ocsp: 60 * SECOND, crl: 24 * HOUR } as const

/** What is known of a certificate's revocation at the time of the tap. */
export interface CheckedStatus {
  /** `not-checked`, where a list alone spoke, says less than either of the others, and so goes before them. */
  readonly certificate: 'current' | 'grace' | 'not-checked'
  readonly by: 'ocsp' | 'crl'
  readonly producedAt: Time
}

/**
 * Check (j): not revoked, by a word not older than 60 s; a CRL alone only where the policy row says so.
 * @throws ProviderError `certificate-revoked`, `status-unknown`, `status-unavailable`, `status-stale`
 */
export async function checkStatus(
  provider: Provider,
  path: VerifiedPath,
  policy: PolicyRow,
  at: Time,
): Promise<CheckedStatus> {
  const status = await provider.revocation.status(path.leaf, path.anchor, at)
  switch (status.state) {
    case 'revoked':
      throw new ProviderError('certificate-revoked')
    case 'unknown':
      throw new ProviderError('status-unknown')
    case 'unavailable':
      throw new ProviderError('status-unavailable')
    case 'good': {
      if (status.by === 'crl' && policy.status !== 'crl') throw new ProviderError('status-stale')
      const certificate = status.by === 'crl' ? 'not-checked' : path.validity
      const checked: CheckedStatus = { certificate, by: status.by, producedAt: status.producedAt }
      requireFresh(checked, at)
      return checked
    }
  }
}

/** The same word, judged once more when the tap commits. @throws ProviderError `status-stale` */
export function requireFresh(status: CheckedStatus, at: Time): void {
  if (at - status.producedAt > STATUS_AGE[status.by]) throw new ProviderError('status-stale')
}
