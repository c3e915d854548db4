import { verify } from 'node:crypto'
import {
  concatBytes,
  DER,
  DerReader,
  decodeTlv,
  decodeUnsignedIntegerValue,
  encodeObjectIdentifier,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
} from '#bytes'
import { usableKey, verifySignature } from './signature.ts'
import type { SignatureAlgorithm } from './signer.ts'

/** Whole AlgorithmIdentifiers: RSA with NULL (RFC 4055 §5), ECDSA without parameters (RFC 5758 §3.2). */
const IDENTIFIERS: Readonly<Record<SignatureAlgorithm, Uint8Array>> = {
  'ecdsa-p256-sha256': encodeSequence(encodeObjectIdentifier('1.2.840.10045.4.3.2')),
  'ecdsa-p384-sha384': encodeSequence(encodeObjectIdentifier('1.2.840.10045.4.3.3')),
  'rsa-pkcs1-sha256': encodeSequence(encodeObjectIdentifier('1.2.840.113549.1.1.11'), encodeTlv(DER.null)),
}
const RSA_WITHOUT_NULL = encodeSequence(encodeObjectIdentifier('1.2.840.113549.1.1.11'))
const FIELD = { 'ecdsa-p256-sha256': 32, 'ecdsa-p384-sha384': 48 } as const

/** The DER AlgorithmIdentifier of a signature. */
export const encodeAlgorithmIdentifier = (algorithm: SignatureAlgorithm): Uint8Array => IDENTIFIERS[algorithm]

/**
 * The algorithm of a whole AlgorithmIdentifier TLV, `undefined` for one that we do not take (SHA-1, PSS, …). RSA's NULL
 * may be missing: "implementations MUST accept the parameters being absent as well as present" (RFC 4055 §5).
 */
export function decodeAlgorithmIdentifier(raw: Uint8Array): SignatureAlgorithm | undefined {
  if (equalBytes(raw, RSA_WITHOUT_NULL)) return 'rsa-pkcs1-sha256'
  const algorithms = Object.keys(IDENTIFIERS) as SignatureAlgorithm[]
  return algorithms.find((algorithm) => equalBytes(IDENTIFIERS[algorithm], raw))
}

/** X.509 carries ECDSA signatures as SEQUENCE { r, s } (RFC 3279 §2.2.3); signers and cards give r‖s. */
export function encodeX509Signature(algorithm: SignatureAlgorithm, signature: Uint8Array): Uint8Array {
  if (algorithm === 'rsa-pkcs1-sha256') return signature
  const half = FIELD[algorithm]
  return encodeSequence(
    encodeUnsignedInteger(signature.subarray(0, half)),
    encodeUnsignedInteger(signature.subarray(half)),
  )
}

/** Whether a signature as X.509 carries it is right; strict DER, so that one signature has one encoding. */
export function verifyX509Signature(
  publicKeySpki: Uint8Array,
  algorithm: SignatureAlgorithm | undefined,
  data: Uint8Array,
  unverified: Uint8Array,
): boolean {
  if (!algorithm) return false
  const signature = algorithm === 'rsa-pkcs1-sha256' ? unverified : toPlainSignature(unverified, FIELD[algorithm])
  return signature !== undefined && verifySignature(publicKeySpki, algorithm, data, signature)
}

function toPlainSignature(der: Uint8Array, length: number): Uint8Array | undefined {
  try {
    const reader = new DerReader(decodeTlv(der, DER.sequence).value)
    const halves = [reader.take(DER.integer), reader.take(DER.integer)].map(({ value }) =>
      decodeUnsignedIntegerValue(value),
    )
    reader.end()
    if (halves.some((half) => half.length > length)) return undefined
    return concatBytes(...halves.flatMap((half) => [new Uint8Array(length - half.length), half]))
  } catch {
    return undefined
  }
}

const SHA1_IDENTIFIER = encodeObjectIdentifier('1.2.840.113549.1.1.5')
const RSA_SHA1 = [encodeSequence(SHA1_IDENTIFIER, encodeTlv(DER.null)), encodeSequence(SHA1_IDENTIFIER)]

/** RSA with SHA-1, which can be forged: only behind options that say `dangerously`. */
export function verifySha1Signature(
  publicKeySpki: Uint8Array,
  algorithm: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!RSA_SHA1.some((identifier) => equalBytes(identifier, algorithm))) return false
  const key = usableKey(publicKeySpki, 'rsa-pkcs1-sha256')
  return key !== undefined && verify('sha1', data, key.keyObject, signature)
}
