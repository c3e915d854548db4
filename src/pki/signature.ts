import { constants, publicDecrypt, verify } from 'node:crypto'
import { DER, encodeObjectIdentifier, encodeSequence, encodeTlv, equalBytes } from '#bytes'
import { PkiError } from './failures.ts'
import { DIGEST } from './object-identifiers.ts'
import { type ParsedKey, parsePublicKey } from './public-key.ts'
import type { SignatureAlgorithm } from './signer.ts'

export const HASH: Readonly<Record<SignatureAlgorithm, string>> = {
  'ecdsa-p256-sha256': 'sha256',
  'ecdsa-p384-sha384': 'sha384',
  'rsa-pkcs1-sha256': 'sha256',
}

/**
 * Whether `signature` over `data` (hashed here) is by the key and of exactly this algorithm. ECDSA: r‖s (IEEE P1363).
 * A key that is malformed, weak or of another algorithm verifies nothing.
 */
export function verifySignature(
  publicKeySpki: Uint8Array,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = usableKey(publicKeySpki, algorithm)
  if (!key || signature.length !== key.signatureLength) return false
  const { keyObject } = key
  const by = algorithm === 'rsa-pkcs1-sha256' ? keyObject : ({ key: keyObject, dsaEncoding: 'ieee-p1363' } as const)
  return verify(HASH[algorithm], data, by, signature)
}

/**
 * Whether an RSA PKCS#1 v1.5 signature is over this SHA-256 digest, which is *not* hashed again: what a card makes of
 * a DigestInfo (`80 2A`). The whole recovered block is compared, so nothing can hide behind the digest.
 */
export function verifyDigestSignature(rsaSpki: Uint8Array, sha256Digest: Uint8Array, signature: Uint8Array): boolean {
  const key = usableKey(rsaSpki, 'rsa-pkcs1-sha256')
  if (!key || sha256Digest.length !== 32 || signature.length !== key.signatureLength) return false
  try {
    const recovered = publicDecrypt({ key: key.keyObject, padding: constants.RSA_PKCS1_PADDING }, signature)
    return equalBytes(recovered, digestInfoSha256(sha256Digest))
  } catch {
    return false // not below the modulus, or no PKCS#1 type 1 block (RFC 8017 §8.2.2)
  }
}

/** DigestInfo of a SHA-256 digest, with the NULL parameter (RFC 8017 §9.2 note 1): 51 bytes. */
export function digestInfoSha256(sha256Digest: Uint8Array): Uint8Array {
  return encodeSequence(
    encodeSequence(encodeObjectIdentifier(DIGEST.sha256), encodeTlv(DER.null)),
    encodeTlv(DER.octetString, sha256Digest),
  )
}

/** The parsed key if it is sound and of this algorithm. */
export function usableKey(spki: Uint8Array, algorithm: SignatureAlgorithm): ParsedKey | undefined {
  try {
    const key = parsePublicKey(spki)
    return key.algorithm === algorithm ? key : undefined
  } catch (error) {
    if (error instanceof PkiError) return undefined
    throw error
  }
}
