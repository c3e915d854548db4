import type { Time } from '#clock'
import type { Certificate } from './certificate.ts'

/** CRLReason (RFC 5280 §5.3.1); at its code's place. 7 is not used. */
export const REVOCATION_REASONS = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  undefined,
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
] as const
export type RevocationReason = NonNullable<(typeof REVOCATION_REASONS)[number]>

/** When and why; without a reason it is `unspecified`. */
export interface Revocation {
  readonly revokedAt: Time
  readonly reason: RevocationReason
}

/** Who said it, and when: OCSP `producedAt`, CRL `thisUpdate`. */
interface Said {
  readonly by: 'ocsp' | 'crl'
  readonly producedAt: Time
}

/** What a CA said of a certificate, signature and dates verified. */
export type CertificateStatus =
  | (Said & { readonly state: 'good' })
  | (Said & { readonly state: 'revoked' } & Revocation)
  | (Said & { readonly state: 'unknown' })

/** `unavailable`: nobody could be asked, or no answer could be believed. What that means is for policy to say. */
export type RevocationStatus = CertificateStatus | { readonly state: 'unavailable' }

/** 失効確認 – somewhere to ask whether a certificate is revoked: OCSP, CRL, later a status feed. */
export interface RevocationSource {
  /**
   * The status at `at`, as fresh as the source has it. An unreachable or unbelievable source is `unavailable`, never an
   * error and never `good`. The certificate's path to `issuer` is already verified.
   */
  status(certificate: Certificate, issuer: Certificate, at: Time): Promise<RevocationStatus>
}
