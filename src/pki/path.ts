import { equalBytes } from '#bytes'
import { DAY, HOUR, type Time } from '#clock'
import { wholeSeconds } from './asn1-time.ts'
import { type Certificate, isSignedBy } from './certificate.ts'
import type { KeyUsage } from './extension.ts'
import { PkiError } from './failures.ts'
import { EXTENSION } from './object-identifiers.ts'
import { parsePublicKey } from './public-key.ts'

declare const trusted: unique symbol
declare const verified: unique symbol

/** A root that the operator trusts; made by {@link trustAnchor} only. */
export type TrustAnchor = Certificate & { readonly [trusted]: 'anchor' }

/** What a path is verified for. */
export interface PathRequirements {
  readonly anchors: readonly TrustAnchor[]
  readonly at: Time
  /** The leaf's key must be meant for this. */
  readonly keyUsage: KeyUsage
  /** Dotted; the leaf must name this very policy. anyPolicy does not stand for it. */
  readonly policy?: string
  /** Dotted; the leaf must name this very purpose. */
  readonly extendedKeyUsage?: string
  /** 猶予 – accept a leaf until the end of the day in Japan this many days after its last one. */
  readonly graceDays?: number
}

/** A leaf with an unbroken path to an anchor at the required time. */
export interface VerifiedPath {
  readonly leaf: Certificate
  readonly anchor: TrustAnchor
  /** Leaf first, anchor last. */
  readonly certificates: readonly Certificate[]
  readonly validity: 'current' | 'grace'
  readonly [verified]: 'path'
}

/** The extensions that are looked at here or by revocation; any other that is critical is refused (RFC 5280 §6.1.4(o)). */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.certificatePolicies,
  EXTENSION.subjectAlternativeName,
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.crlDistributionPoints,
  EXTENSION.authorityInfoAccess,
])

/** Signatures tried for one leaf; anchors that share a name are few (JPKI: three generations). */
const SIGNATURE_BUDGET = 16

/**
 * Takes a self-signed CA certificate that the operator trusts. Its dates are judged when a path ends in it.
 * @throws PkiError `anchor-unsuitable`, `public-key-unsupported`
 */
export function trustAnchor(certificate: Certificate): TrustAnchor {
  parsePublicKey(certificate.publicKey)
  const suitable =
    equalBytes(certificate.issuer, certificate.subject) &&
    certificate.basicConstraints?.ca === true &&
    certificate.keyUsage?.includes('keyCertSign') === true &&
    !hasUnknownCritical(certificate) &&
    isSignedBy(certificate, certificate.publicKey)
  if (!suitable) throw new PkiError('anchor-unsuitable')
  return certificate as TrustAnchor
}

/**
 * Verifies a leaf that stands directly under an anchor, as every JPKI certificate does. The anchor is found by its
 * key: every anchor of the issuer's name is tried, because three JPKI roots share one name.
 * @throws PkiError `certificate-issuer-unknown`, `certificate-signature`, `certificate-not-yet-valid`,
 * `certificate-expired`, `certificate-issuer-expired`, `certificate-critical-extension`,
 * `certificate-not-end-entity`, `certificate-key-usage`, `certificate-policy`, `public-key-unsupported`
 */
export function verifyPath(unverifiedLeaf: Certificate, requirements: PathRequirements): VerifiedPath {
  const leaf = unverifiedLeaf
  const anchor = findIssuer(leaf, requirements.anchors)
  checkPurpose(leaf, requirements)
  const validity = judgeValidity(leaf, requirements)
  // In grace the path is judged as it stood in the leaf's last second: a root may end soon after its last leaves.
  const moment = Math.min(wholeSeconds(requirements.at), leaf.notAfter)
  if (moment < anchor.notBefore || moment > anchor.notAfter) throw new PkiError('certificate-issuer-expired')
  return { leaf, anchor, certificates: [leaf, anchor], validity } as unknown as VerifiedPath
}

/** The last moment of the day in Japan that is `days` after the day of `notAfter`. */
export function graceEnd(notAfter: Time, days: number): Time {
  const japan = notAfter + 9 * HOUR
  return (Math.floor(japan / DAY) + days + 1) * DAY - 9 * HOUR - 1
}

function findIssuer(leaf: Certificate, anchors: readonly TrustAnchor[]): TrustAnchor {
  const candidates = anchors.filter(({ subject }) => equalBytes(subject, leaf.issuer))
  if (candidates.length === 0) throw new PkiError('certificate-issuer-unknown')
  const anchor = candidates.slice(0, SIGNATURE_BUDGET).find(({ publicKey }) => isSignedBy(leaf, publicKey))
  if (!anchor) throw new PkiError('certificate-signature')
  return anchor
}

function checkPurpose(leaf: Certificate, requirements: PathRequirements): void {
  const { keyUsage, policy, extendedKeyUsage } = requirements
  parsePublicKey(leaf.publicKey)
  if (hasUnknownCritical(leaf)) throw new PkiError('certificate-critical-extension')
  if (leaf.basicConstraints?.ca || leaf.keyUsage?.includes('keyCertSign')) {
    throw new PkiError('certificate-not-end-entity')
  }
  if (!leaf.keyUsage?.includes(keyUsage)) throw new PkiError('certificate-key-usage', { keyUsage })
  const restricted = leaf.extensions.get(EXTENSION.extendedKeyUsage)?.critical === true
  if (extendedKeyUsage ? !leaf.extendedKeyUsage?.includes(extendedKeyUsage) : restricted) {
    throw new PkiError('certificate-key-usage', { extendedKeyUsage })
  }
  if (policy !== undefined && !leaf.policies?.includes(policy)) throw new PkiError('certificate-policy')
}

/** The errors do not tell notAfter: a card's certificate ends on its holder's birthday. */
function judgeValidity(leaf: Certificate, { at, graceDays }: PathRequirements): VerifiedPath['validity'] {
  if (at < leaf.notBefore) throw new PkiError('certificate-not-yet-valid')
  if (wholeSeconds(at) <= leaf.notAfter) return 'current'
  if (graceDays !== undefined && at <= graceEnd(leaf.notAfter, graceDays)) return 'grace'
  throw new PkiError('certificate-expired')
}

/** Whether a certificate has a critical extension that nothing here looks at. */
export function hasUnknownCritical(certificate: Certificate): boolean {
  return [...certificate.extensions.values()].some(
    ({ objectIdentifier, critical }) => critical && !UNDERSTOOD.has(objectIdentifier),
  )
}
