import { decodeHex } from '#bytes'
import { type Clock, MINUTE } from '#clock'
import {
  type Certificate,
  type CertificateId,
  certificateId,
  decodeOcspRequest,
  encodeOcspRefusal,
  issueOcspResponse,
  type OcspRequest,
  type OcspStatus,
  PkiError,
  type Signer,
  sameCertificateId,
} from '#pki'
import type { CertificateRegister, IssuingAuthority } from './certificates.ts'
import { type CertificateKind, KINDS } from './migrations.ts'

/** How long an answer may be passed on; verifiers of ours take none older than a minute anyhow. */
const RESPONSE_LIFE = MINUTE

/** The delegated responder of both CAs: one key, a certificate from each. */
export interface OcspResponder {
  /** An OCSPResponse (RFC 6960 §4.2.1) to any bytes: what cannot be answered is refused in OCSP's own words. */
  answer(unverifiedRequest: Uint8Array): Promise<Uint8Array>
}

export function createOcspResponder(parts: {
  readonly register: CertificateRegister
  readonly authorities: Readonly<Record<CertificateKind, IssuingAuthority>>
  readonly signer: Signer
  /** The responder's certificate at the moment. */
  readonly certificate: (kind: CertificateKind) => Certificate
  readonly clock: Clock
}): OcspResponder {
  const { register, authorities, signer, certificate, clock } = parts

  const isUnder = (kind: CertificateKind, id: CertificateId): boolean =>
    sameCertificateId(id, certificateId({ serial: id.serial }, authorities[kind].certificate, id.hash))

  /** `good` is said of what is known to be issued, and of nothing else (RFC 6960 §2.2 allows more). */
  async function statusOf(kind: CertificateKind, { serial }: CertificateId): Promise<OcspStatus> {
    const entry = await register.find(kind, decodeHex(serial))
    if (entry?.revokedAt != null) {
      return { state: 'revoked', revokedAt: entry.revokedAt, reason: entry.reason ?? 'unspecified' }
    }
    return { state: entry?.state === 'issued' ? 'good' : 'unknown' }
  }

  return {
    async answer(unverifiedRequest) {
      const request = readRequest(unverifiedRequest)
      if (!request) return encodeOcspRefusal('malformedRequest')
      const { ids, nonce } = request
      // One response bears one responder's name: ids of both CAs, or of neither, are not for us (RFC 5019 §2.2.3).
      const kind = KINDS.find((one) => ids.every((id) => isUnder(one, id)))
      if (!kind) return encodeOcspRefusal('unauthorized')
      const now = clock.now()
      const times = { thisUpdate: now, nextUpdate: now + RESPONSE_LIFE }
      const responses = await Promise.all(ids.map(async (id) => ({ id, status: await statusOf(kind, id), ...times })))
      const template = { responder: certificate(kind), delegated: true, producedAt: now, responses }
      return issueOcspResponse(nonce ? { ...template, nonce } : template, signer)
    },
  }
}

function readRequest(unverified: Uint8Array): OcspRequest | undefined {
  try {
    return decodeOcspRequest(unverified)
  } catch (error) {
    if (error instanceof PkiError) return undefined
    throw error
  }
}
