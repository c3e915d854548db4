import { createPublicKey, type KeyObject } from 'node:crypto'
import {
  BytesError,
  DER,
  DerReader,
  decodeBitStringValue,
  decodeObjectIdentifierValue,
  decodeTlv,
  decodeUnsignedIntegerValue,
  encodeBitString,
  encodeObjectIdentifier,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
} from '#bytes'
import { PkiError } from './failures.ts'
import { CURVE, KEY_TYPE } from './object-identifiers.ts'
import type { SignatureAlgorithm } from './signer.ts'

/** What a SubjectPublicKeyInfo holds. EC: the uncompressed point `04‖x‖y`; RSA: unsigned big-endian numbers. */
export type PublicKey =
  | { readonly kind: 'ec'; readonly curve: 'p256' | 'p384'; readonly point: Uint8Array }
  | { readonly kind: 'rsa'; readonly modulus: Uint8Array; readonly exponent: Uint8Array }

const POINT_LENGTH = { p256: 65, p384: 97 } as const
/** NIST SP 800-131A: 2048 bits at least. The upper cap keeps one verification under about a millisecond. */
const RSA_MODULUS_OCTETS = { least: 256, most: 1024 } as const

/** The algorithm that signatures under this key have. */
export function algorithmOf(key: PublicKey): SignatureAlgorithm {
  if (key.kind === 'rsa') return 'rsa-pkcs1-sha256'
  return key.curve === 'p256' ? 'ecdsa-p256-sha256' : 'ecdsa-p384-sha384'
}

/** SubjectPublicKeyInfo, DER (RFC 3279 §2.3.1, RFC 5480 §2). */
export function encodePublicKey(key: PublicKey): Uint8Array {
  return key.kind === 'ec'
    ? encodeSequence(
        encodeSequence(encodeObjectIdentifier(KEY_TYPE.ecPublicKey), encodeObjectIdentifier(CURVE[key.curve])),
        encodeBitString(key.point),
      )
    : encodeSequence(
        encodeSequence(encodeObjectIdentifier(KEY_TYPE.rsaEncryption), encodeTlv(DER.null)),
        encodeBitString(encodeSequence(encodeUnsignedInteger(key.modulus), encodeUnsignedInteger(key.exponent))),
      )
}

/**
 * Reads a SubjectPublicKeyInfo: P-256 or P-384 by name and an uncompressed point, or RSA of 2048–8192 bits with an
 * odd modulus and an odd exponent of 65537–2^64. Whether the point is on its curve is seen by {@link parsePublicKey}.
 * @throws PkiError `public-key-unsupported`
 */
export function decodePublicKey(unverified: Uint8Array): PublicKey {
  let key: PublicKey | undefined
  try {
    key = read(unverified)
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause
    throw new PkiError('public-key-unsupported', {}, { cause })
  }
  if (!key || !isAcceptable(key) || !equalBytes(encodePublicKey(key), unverified)) {
    throw new PkiError('public-key-unsupported')
  }
  return key
}

function read(unverified: Uint8Array): PublicKey | undefined {
  const info = new DerReader(decodeTlv(unverified, DER.sequence).value)
  const algorithm = info.enter()
  const type = decodeObjectIdentifierValue(algorithm.take(DER.objectIdentifier).value)
  const bits = decodeBitStringValue(info.take(DER.bitString).value)
  if (type === KEY_TYPE.ecPublicKey) {
    const curve = decodeObjectIdentifierValue(algorithm.take(DER.objectIdentifier).value)
    if (curve === CURVE.p256) return { kind: 'ec', curve: 'p256', point: bits }
    return curve === CURVE.p384 ? { kind: 'ec', curve: 'p384', point: bits } : undefined
  }
  if (type !== KEY_TYPE.rsaEncryption) return undefined
  const numbers = new DerReader(decodeTlv(bits, DER.sequence).value)
  const modulus = decodeUnsignedIntegerValue(numbers.take(DER.integer).value)
  const exponent = decodeUnsignedIntegerValue(numbers.take(DER.integer).value)
  return { kind: 'rsa', modulus, exponent }
}

function isAcceptable(key: PublicKey): boolean {
  if (key.kind === 'ec') return key.point.length === POINT_LENGTH[key.curve] && key.point[0] === 0x04
  const { modulus, exponent } = key
  const odd = (number: Uint8Array): boolean => ((number.at(-1) ?? 0) & 1) === 1
  return (
    modulus.length >= RSA_MODULUS_OCTETS.least &&
    modulus.length <= RSA_MODULUS_OCTETS.most &&
    ((modulus[0] ?? 0) >= 0x80 || modulus.length > RSA_MODULUS_OCTETS.least) &&
    odd(modulus) &&
    exponent.length >= 3 &&
    exponent.length <= 8 &&
    odd(exponent) // odd and of three octets or more without leading zeros: 65537 at least
  )
}

/** A parsed key and what may be done with it. */
export interface ParsedKey {
  readonly algorithm: SignatureAlgorithm
  /** Length of a signature in octets: r‖s, or the RSA modulus. */
  readonly signatureLength: number
  readonly keyObject: KeyObject
}

/** Parsing costs six verifications, so keys are kept parsed; the one longest unused goes when there is no room. */
const parsedKeys = new Map<string, ParsedKey>()
const PARSED_KEYS_KEPT = 1024

/**
 * The parsed key of a SubjectPublicKeyInfo, from a bounded cache.
 * @throws PkiError `public-key-unsupported`, also for a point that is not on its curve
 */
export function parsePublicKey(unverifiedSpki: Uint8Array): ParsedKey {
  const name = Buffer.from(unverifiedSpki.buffer, unverifiedSpki.byteOffset, unverifiedSpki.length).toString('latin1')
  const kept = parsedKeys.get(name)
  if (kept) {
    parsedKeys.delete(name) // to the end of the queue: an anchor's key must outlast the many of cards
    parsedKeys.set(name, kept)
    return kept
  }
  const key = decodePublicKey(unverifiedSpki)
  const parsed: ParsedKey = {
    algorithm: algorithmOf(key),
    signatureLength: key.kind === 'rsa' ? key.modulus.length : POINT_LENGTH[key.curve] - 1,
    keyObject: toKeyObject(unverifiedSpki),
  }
  const oldest = parsedKeys.size >= PARSED_KEYS_KEPT ? parsedKeys.keys().next().value : undefined
  if (oldest !== undefined) parsedKeys.delete(oldest)
  parsedKeys.set(name, parsed)
  return parsed
}

function toKeyObject(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch (cause) {
    throw new PkiError('public-key-unsupported', {}, { cause })
  }
}
