import { createHash } from 'node:crypto'
import {
  BytesError,
  contextConstructed,
  DER,
  DerReader,
  decodeHex,
  decodeObjectIdentifierValue,
  decodeTlv,
  encodeObjectIdentifier,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
} from '#bytes'
import { type Certificate, decodeSerial, keyBits } from './certificate.ts'
import { decodeExtensions, type Extension, encodeExtensions } from './extension.ts'
import { PkiError } from './failures.ts'
import { DIGEST, EXTENSION } from './object-identifiers.ts'

/** Which certificate is meant (RFC 6960 §4.1.1). The hashes name the issuer; they prove nothing, so SHA-1 will do. */
export interface CertificateId {
  readonly hash: keyof typeof DIGEST
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** As {@link Certificate} has it. */
  readonly serial: string
}

export interface OcspRequest {
  readonly ids: readonly CertificateId[]
  readonly nonce?: Uint8Array
}

const LARGEST_REQUEST = 1 << 14
const MOST_IDS = 32

/** The id of a certificate under its issuer. */
export function certificateId(
  certificate: Pick<Certificate, 'serial'>,
  issuer: Pick<Certificate, 'subject' | 'publicKey'>,
  hash: CertificateId['hash'] = 'sha1',
): CertificateId {
  const digest = (data: Uint8Array): Uint8Array => Uint8Array.from(createHash(hash).update(data).digest())
  const { serial } = certificate
  return { hash, issuerNameHash: digest(issuer.subject), issuerKeyHash: digest(keyBits(issuer.publicKey)), serial }
}

export function sameCertificateId(a: CertificateId, b: CertificateId): boolean {
  const sameIssuer = equalBytes(a.issuerNameHash, b.issuerNameHash) && equalBytes(a.issuerKeyHash, b.issuerKeyHash)
  return a.hash === b.hash && a.serial === b.serial && sameIssuer
}

export function encodeCertificateId({ hash, issuerNameHash, issuerKeyHash, serial }: CertificateId): Uint8Array {
  return encodeSequence(
    encodeSequence(encodeObjectIdentifier(DIGEST[hash]), encodeTlv(DER.null)),
    encodeTlv(DER.octetString, issuerNameHash),
    encodeTlv(DER.octetString, issuerKeyHash),
    encodeUnsignedInteger(decodeHex(serial)),
  )
}

/** Reads the CertID that is next. @throws BytesError */
export function readCertificateId(parent: DerReader): CertificateId {
  const reader = parent.enter()
  const algorithm = reader.enter()
  const identifier = decodeObjectIdentifierValue(algorithm.take(DER.objectIdentifier).value)
  algorithm.optional(DER.null)
  algorithm.end()
  const hash = (['sha1', 'sha256'] as const).find((name) => DIGEST[name] === identifier)
  if (!hash) throw new BytesError('der-unexpected', { field: 'hash algorithm' })
  const issuerNameHash = reader.take(DER.octetString).value
  const issuerKeyHash = reader.take(DER.octetString).value
  const serial = decodeSerial(reader.take(DER.integer).value)
  reader.end()
  return { hash, issuerNameHash, issuerKeyHash, serial }
}

/** OCSPRequest, unsigned (RFC 6960 §4.1.1). */
export function encodeOcspRequest({ ids, nonce }: OcspRequest): Uint8Array {
  return encodeSequence(
    encodeSequence(
      encodeSequence(...ids.map((id) => encodeSequence(encodeCertificateId(id)))),
      ...(nonce ? [encodeTlv(contextConstructed(2), encodeExtensions([nonceExtension(nonce)]))] : []),
    ),
  )
}

/**
 * Reads a request for 1–32 certificates; a signature, and a requestor's name, are skipped.
 * @throws PkiError `ocsp-malformed`
 */
export function decodeOcspRequest(unverified: Uint8Array): OcspRequest {
  return ocspStrictly(() => {
    const raw = Uint8Array.from(unverified)
    const outer = new DerReader(decodeTlv(raw, DER.sequence, { size: LARGEST_REQUEST, count: 2 }).value)
    const reader = outer.enter()
    outer.optional(contextConstructed(0))
    outer.end()
    reader.optional(contextConstructed(1))
    const list = reader.enter()
    const wrapped = reader.optional(contextConstructed(2))
    reader.end()
    const ids: CertificateId[] = []
    do {
      const request = list.enter()
      ids.push(readCertificateId(request))
      request.optional(contextConstructed(0))
      request.end()
    } while (list.peek !== undefined && ids.length < MOST_IDS)
    list.end()
    const nonce = wrapped && decodeNonce(decodeExtensions(wrapped.value))
    return { ids, ...(nonce ? { nonce } : {}) }
  })
}

export function nonceExtension(nonce: Uint8Array): Extension {
  return { objectIdentifier: EXTENSION.ocspNonce, critical: false, value: encodeTlv(DER.octetString, nonce) }
}

/** The nonce among the extensions of a request or response: 1–128 octets (RFC 9654 §2.1). */
export function decodeNonce(extensions: ReadonlyMap<string, Extension>): Uint8Array | undefined {
  for (const { objectIdentifier, critical } of extensions.values()) {
    if (critical && objectIdentifier !== EXTENSION.ocspNonce) throw new BytesError('der-unexpected')
  }
  const extension = extensions.get(EXTENSION.ocspNonce)
  if (!extension) return undefined
  const nonce = decodeTlv(extension.value, DER.octetString).value
  if (nonce.length < 1 || nonce.length > 128) throw new BytesError('der-malformed', { field: 'nonce' })
  return nonce
}

/** Translates what is wrong with bytes into `ocsp-malformed`. */
export function ocspStrictly<T>(decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    const codes: readonly string[] = ['time-malformed', 'certificate-malformed']
    const understood = cause instanceof BytesError || (cause instanceof PkiError && codes.includes(cause.code))
    if (!understood) throw cause
    throw new PkiError('ocsp-malformed', { reason: cause.code }, { cause })
  }
}
