import {
  BytesError,
  contextConstructed,
  contextPrimitive,
  DER,
  DerReader,
  decodeBitStringValue,
  decodeTlv,
  encodeBitString,
  encodeSequence,
  encodeTlv,
  equalBytes,
  objectIdentifierValue,
} from '#bytes'
import type { Time } from '#clock'
import { encodeAlgorithmIdentifier, encodeX509Signature } from './algorithm-identifier.ts'
import { decodeGeneralizedTime, encodeGeneralizedTime } from './asn1-time.ts'
import { type Certificate, decodeCertificate, keyIdentifier } from './certificate.ts'
import { decodeReasonCode } from './crl.ts'
import { checkName } from './distinguished-name.ts'
import { decodeExtensions, encodeExtensions } from './extension.ts'
import { PkiError } from './failures.ts'
import {
  type CertificateId,
  decodeNonce,
  encodeCertificateId,
  nonceExtension,
  ocspStrictly,
  readCertificateId,
} from './ocsp-request.ts'
import { REVOCATION_REASONS, type Revocation } from './revocation.ts'
import type { Signer } from './signer.ts'

/** What a responder says of one certificate. */
export type OcspStatus =
  | { readonly state: 'good' }
  | ({ readonly state: 'revoked' } & Revocation)
  | { readonly state: 'unknown' }

export interface SingleResponse {
  readonly id: CertificateId
  readonly status: OcspStatus
  readonly thisUpdate: Time
  readonly nextUpdate: Time | undefined
}

/** A successful, basic response, decoded and not verified (RFC 6960 §4.2.1). */
export interface OcspResponse {
  readonly raw: Uint8Array
  /** DER of the signed part. */
  readonly tbs: Uint8Array
  readonly responder: { readonly name: Uint8Array } | { readonly keyHash: Uint8Array }
  readonly producedAt: Time
  readonly responses: readonly SingleResponse[]
  readonly nonce: Uint8Array | undefined
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Uint8Array
  readonly signature: Uint8Array
  readonly certificates: readonly Certificate[]
}

/** Why a responder gives no status, at its code's place (RFC 6960 §4.2.1). */
const RESPONSE_STATUSES = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  undefined,
  'sigRequired',
  'unauthorized',
] as const
export type OcspRefusal = Exclude<NonNullable<(typeof RESPONSE_STATUSES)[number]>, 'successful'>

const BASIC = objectIdentifierValue('1.3.6.1.5.5.7.48.1.1')
const LARGEST_RESPONSE = 1 << 16
const MOST_RESPONSES = 32
const MOST_CERTIFICATES = 4

/** What a responder decides. `responder`: its own certificate, sent along unless the CA itself signs. */
export interface OcspTemplate {
  readonly responder: Certificate
  readonly delegated: boolean
  readonly producedAt: Time
  readonly responses: readonly SingleResponse[]
  readonly nonce?: Uint8Array
}

/** A response without a status, which is never signed. */
export function encodeOcspRefusal(refusal: OcspRefusal): Uint8Array {
  return encodeSequence(encodeTlv(DER.enumerated, Uint8Array.of(RESPONSE_STATUSES.indexOf(refusal))))
}

/** Signs a response, DER. The responder is named by the hash of its key. */
export async function issueOcspResponse(template: OcspTemplate, signer: Signer): Promise<Uint8Array> {
  const { responder, delegated, producedAt, responses, nonce } = template
  const tbs = encodeSequence(
    encodeTlv(contextConstructed(2), encodeTlv(DER.octetString, keyIdentifier(responder.publicKey))),
    encodeGeneralizedTime(producedAt),
    encodeSequence(...responses.map(encodeSingleResponse)),
    ...(nonce ? [encodeTlv(contextConstructed(1), encodeExtensions([nonceExtension(nonce)]))] : []),
  )
  const basic = encodeSequence(
    tbs,
    encodeAlgorithmIdentifier(signer.algorithm),
    encodeBitString(encodeX509Signature(signer.algorithm, await signer.sign(tbs))),
    ...(delegated ? [encodeTlv(contextConstructed(0), encodeSequence(responder.raw))] : []),
  )
  const bytes = encodeSequence(encodeTlv(DER.objectIdentifier, BASIC), encodeTlv(DER.octetString, basic))
  return encodeSequence(encodeTlv(DER.enumerated, Uint8Array.of(0)), encodeTlv(contextConstructed(0), bytes))
}

/**
 * Reads a response of up to 64 kB, 32 statuses and 4 certificates.
 * @throws PkiError `ocsp-malformed`, `ocsp-refused` (`detail.refusal`: tryLater, unauthorized …)
 */
export function decodeOcspResponse(unverified: Uint8Array): OcspResponse {
  return ocspStrictly(() => {
    const raw = Uint8Array.from(unverified)
    const outer = new DerReader(decodeTlv(raw, DER.sequence, { size: LARGEST_RESPONSE, count: 2 }).value)
    const code = outer.take(DER.enumerated).value
    const status = code.length === 1 ? RESPONSE_STATUSES[code[0] ?? 0] : undefined
    if (!status) throw new BytesError('der-malformed', { field: 'status' })
    if (status !== 'successful') throw new PkiError('ocsp-refused', { refusal: status })
    const bytes = outer.enter(contextConstructed(0)).enter()
    outer.end()
    if (!equalBytes(bytes.take(DER.objectIdentifier).value, BASIC)) throw new BytesError('der-unexpected')
    const basic = new DerReader(decodeTlv(bytes.take(DER.octetString).value, DER.sequence).value)
    bytes.end()
    const tbs = basic.take(DER.sequence)
    const algorithm = basic.take(DER.sequence).raw
    const signature = decodeBitStringValue(basic.take(DER.bitString).value)
    const certificates = readCertificates(basic)
    basic.end()
    return { raw, tbs: tbs.raw, ...decodeData(tbs.value), algorithm, signature, certificates }
  })
}

type Data = Pick<OcspResponse, 'responder' | 'producedAt' | 'responses' | 'nonce'>

function decodeData(value: Uint8Array): Data {
  const reader = new DerReader(value) // version 1 is the default, and DER leaves it out
  const responder = readResponder(reader)
  const producedAt = decodeGeneralizedTime(reader.any())
  const list = reader.enter()
  const responses: SingleResponse[] = []
  do responses.push(readSingleResponse(list))
  while (list.peek !== undefined && responses.length < MOST_RESPONSES)
  list.end()
  const wrapped = reader.optional(contextConstructed(1))
  reader.end()
  return { responder, producedAt, responses, nonce: wrapped && decodeNonce(decodeExtensions(wrapped.value)) }
}

function readResponder(reader: DerReader): OcspResponse['responder'] {
  const named = reader.optional(contextConstructed(1))
  if (!named) return { keyHash: decodeTlv(reader.take(contextConstructed(2)).value, DER.octetString).value }
  checkName(named.value)
  return { name: named.value }
}

function encodeSingleResponse({ id, status, thisUpdate, nextUpdate }: SingleResponse): Uint8Array {
  return encodeSequence(
    encodeCertificateId(id),
    encodeStatus(status),
    encodeGeneralizedTime(thisUpdate),
    ...(nextUpdate === undefined ? [] : [encodeTlv(contextConstructed(0), encodeGeneralizedTime(nextUpdate))]),
  )
}

function readSingleResponse(parent: DerReader): SingleResponse {
  const reader = parent.enter()
  const id = readCertificateId(reader)
  const status = readStatus(reader)
  const thisUpdate = decodeGeneralizedTime(reader.any())
  const next = reader.optional(contextConstructed(0))
  const nextUpdate = next && decodeGeneralizedTime(decodeTlv(next.value))
  const wrapped = reader.optional(contextConstructed(1))
  reader.end()
  const extensions = wrapped ? [...decodeExtensions(wrapped.value).values()] : []
  if (extensions.some(({ critical }) => critical)) throw new BytesError('der-unexpected', { field: 'extension' })
  return { id, status, thisUpdate, nextUpdate }
}

function encodeStatus(status: OcspStatus): Uint8Array {
  if (status.state === 'good') return encodeTlv(contextPrimitive(0))
  if (status.state === 'unknown') return encodeTlv(contextPrimitive(2))
  const code = REVOCATION_REASONS.indexOf(status.reason)
  const reason = encodeTlv(contextConstructed(0), encodeTlv(DER.enumerated, Uint8Array.of(code)))
  return encodeTlv(contextConstructed(1), encodeGeneralizedTime(status.revokedAt), ...(code === 0 ? [] : [reason]))
}

function readStatus(parent: DerReader): OcspStatus {
  const choice = parent.any()
  if (choice.tag === contextConstructed(1)) {
    const reader = new DerReader(choice.value)
    const revokedAt = decodeGeneralizedTime(reader.any())
    const reason = reader.optional(contextConstructed(0))
    reader.end()
    const code = reason && decodeTlv(reason.value, DER.enumerated).value
    return { state: 'revoked', revokedAt, reason: code ? decodeReasonCode(code) : 'unspecified' }
  }
  if (choice.value.length > 0) throw new BytesError('der-malformed', { field: 'status' })
  if (choice.tag === contextPrimitive(0)) return { state: 'good' }
  if (choice.tag === contextPrimitive(2)) return { state: 'unknown' }
  throw new BytesError('der-unexpected', { field: 'status' })
}

function readCertificates(basic: DerReader): readonly Certificate[] {
  const wrapped = basic.optional(contextConstructed(0))
  if (!wrapped) return []
  const list = new DerReader(decodeTlv(wrapped.value, DER.sequence).value)
  const certificates: Certificate[] = []
  while (list.peek !== undefined && certificates.length < MOST_CERTIFICATES) {
    certificates.push(decodeCertificate(list.take(DER.sequence).raw))
  }
  list.end()
  return certificates
}
