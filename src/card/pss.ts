import { createHash } from 'node:crypto'
import { concatBytes } from '#bytes'

const HASH_LENGTH = 32
const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  createHash('sha256')
    .update(concatBytes(...parts))
    .digest()

/**
 * EMSA-PSS block over a SHA-256 digest, MGF1 with SHA-256, `salt` as long as the digest (RFC 8017 §9.1.1). Written out
 * because the card is handed finished digests, which node:crypto would hash again.
 */
export function encodePss(digest: Uint8Array, modulusBits: number, salt: Uint8Array): Uint8Array {
  const length = Math.ceil((modulusBits - 1) / 8)
  const h = sha256(new Uint8Array(8), digest, salt)
  const db = concatBytes(new Uint8Array(length - salt.length - HASH_LENGTH - 2), Uint8Array.of(1), salt)
  const mask = mgf1(h, db.length)
  const masked = db.map((octet, at) => octet ^ (mask[at] ?? 0))
  masked[0] = (masked[0] ?? 0) & (0xff >> (8 * length - (modulusBits - 1)))
  return concatBytes(masked, h, Uint8Array.of(0xbc))
}

/** RFC 8017 appendix B.2.1. */
function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / HASH_LENGTH) }, (_, i) =>
    sha256(seed, Uint8Array.of(i >>> 24, i >>> 16, i >>> 8, i)),
  )
  return concatBytes(...blocks).subarray(0, length)
}
