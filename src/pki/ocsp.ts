import { equalBytes } from '#bytes'
import type { Time } from '#clock'
import { decodeAlgorithmIdentifier, verifySha1Signature, verifyX509Signature } from './algorithm-identifier.ts'
import { wholeSeconds } from './asn1-time.ts'
import { type Certificate, isSignedBy, keyIdentifier } from './certificate.ts'
import { PkiError } from './failures.ts'
import { KEY_PURPOSE } from './object-identifiers.ts'
import { certificateId, sameCertificateId } from './ocsp-request.ts'
import type { OcspResponse, SingleResponse } from './ocsp-response.ts'
import { hasUnknownCritical } from './path.ts'
import type { CertificateStatus } from './revocation.ts'

/** How fresh an answer must be and how far clocks may differ, in milliseconds. */
export interface OcspTolerance {
  /** Oldest `producedAt`, whatever `nextUpdate` says. */
  readonly maxAge: number
  readonly clockSkew: number
}

export interface OcspRequirements {
  readonly certificate: Certificate
  /** The CA that signed `certificate`. */
  readonly issuer: Certificate
  readonly at: Time
  readonly tolerance: OcspTolerance
  /** What the request carried. A responder may leave it out (RFC 8954 §2.1) unless `nonceRequired`, never change it. */
  readonly nonce?: Uint8Array
  readonly nonceRequired?: boolean
  /** Takes signatures over SHA-1, which can be forged: for old test vectors only. */
  readonly dangerouslyAcceptSha1?: boolean
}

/**
 * The status in a response that the CA, or a responder it delegated to, signed for this very certificate in time
 * (RFC 6960 §3.2). Whether the delegate itself was revoked is not asked: delegates are short-lived.
 * @throws PkiError `ocsp-responder`, `ocsp-signature`, `ocsp-nonce`, `ocsp-other-certificate`, `ocsp-conflict`, `ocsp-stale`
 */
export function verifyOcspResponse(unverified: OcspResponse, requirements: OcspRequirements): CertificateStatus {
  checkSignature(unverified, requirements)
  checkNonce(unverified, requirements)
  const single = findResponse(unverified, requirements)
  checkDates(unverified.producedAt, single, requirements)
  return { by: 'ocsp', producedAt: unverified.producedAt, ...single.status }
}

function checkSignature(response: OcspResponse, requirements: OcspRequirements): void {
  const responder = [requirements.issuer, ...response.certificates].find((candidate) => isNamed(candidate, response))
  if (!responder || !mayRespond(responder, requirements)) throw new PkiError('ocsp-responder')
  const { algorithm, tbs, signature } = response
  const right =
    verifyX509Signature(responder.publicKey, decodeAlgorithmIdentifier(algorithm), tbs, signature) ||
    (requirements.dangerouslyAcceptSha1 === true && verifySha1Signature(responder.publicKey, algorithm, tbs, signature))
  if (!right) throw new PkiError('ocsp-signature')
}

function isNamed(candidate: Certificate, { responder }: OcspResponse): boolean {
  return 'name' in responder
    ? equalBytes(candidate.subject, responder.name)
    : equalBytes(keyIdentifier(candidate.publicKey), responder.keyHash)
}

/** The CA itself, or a certificate that it signed for this purpose (RFC 6960 §4.2.2.2). */
function mayRespond(responder: Certificate, { issuer, at, dangerouslyAcceptSha1 }: OcspRequirements): boolean {
  if (equalBytes(responder.raw, issuer.raw)) return true
  const signed =
    isSignedBy(responder, issuer.publicKey) ||
    (dangerouslyAcceptSha1 === true &&
      verifySha1Signature(issuer.publicKey, responder.algorithm, responder.tbs, responder.signature))
  return (
    signed &&
    equalBytes(responder.issuer, issuer.subject) &&
    responder.extendedKeyUsage?.includes(KEY_PURPOSE.ocspSigning) === true &&
    responder.keyUsage?.includes('digitalSignature') !== false &&
    !hasUnknownCritical(responder) &&
    responder.notBefore <= at &&
    wholeSeconds(at) <= responder.notAfter
  )
}

function checkNonce(response: OcspResponse, { nonce, nonceRequired }: OcspRequirements): void {
  if (!nonce) return
  const right = response.nonce ? equalBytes(response.nonce, nonce) : nonceRequired !== true
  if (!right) throw new PkiError('ocsp-nonce')
}

function findResponse(response: OcspResponse, { certificate, issuer }: OcspRequirements): SingleResponse {
  const matches = response.responses.filter(({ id }) =>
    sameCertificateId(id, certificateId(certificate, issuer, id.hash)),
  )
  const [single, ...more] = matches
  if (!single) throw new PkiError('ocsp-other-certificate')
  if (more.length > 0) throw new PkiError('ocsp-conflict')
  return single
}

function checkDates(
  producedAt: Time,
  { thisUpdate, nextUpdate }: SingleResponse,
  requirements: OcspRequirements,
): void {
  const { at } = requirements
  const { maxAge, clockSkew } = requirements.tolerance
  const future = producedAt > at + clockSkew || thisUpdate > at + clockSkew
  const past = producedAt < at - maxAge - clockSkew || (nextUpdate !== undefined && nextUpdate < at - clockSkew)
  const reversed = nextUpdate !== undefined && nextUpdate < thisUpdate
  if (future || past || reversed) throw new PkiError('ocsp-stale', { future, past })
}
