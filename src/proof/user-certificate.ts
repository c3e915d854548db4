import type { Time } from '#clock'
import { decodeCertificate, PkiError, type VerifiedPath, verifyPath } from '#pki'
import type { ReceptionPolicy, Trust } from './context.ts'
import { ProofError } from './failures.ts'

/**
 * Check (g): path to an anchor by key, authentication policy, key usage, dates; grace only as the policy row allows.
 * @param unverified the user-authentication certificate (利用者証明用電子証明書), DER
 * @throws ProofError `certificate-untrusted`, `certificate-expired`
 */
export function verifyUserCertificate(
  unverified: Uint8Array,
  trust: Trust,
  policy: ReceptionPolicy,
  at: Time,
): VerifiedPath {
  try {
    return verifyPath(decodeCertificate(unverified), {
      anchors: trust.anchors,
      at,
      keyUsage: 'digitalSignature',
      policy: trust.certificatePolicy,
      graceDays: policy.graceDays,
    })
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    const code = cause.code === 'certificate-expired' ? 'certificate-expired' : 'certificate-untrusted'
    throw new ProofError(code, code === 'certificate-expired' ? {} : { reason: cause.code }, { cause })
  }
}
