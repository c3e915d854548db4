/** Root of this project's own object identifiers (2.25 = UUID, X.667): statements, CHAT, test certificates. */
export const KAZASU_ARC = '2.25.228554361468059162334206376685536276904'

/** CHAT of this profile: role and the right to sign without a PIN. */
export const KAZASU_CHAT = `${KAZASU_ARC}.2`

/** Key types (RFC 3279 §2.3, RFC 5480 §2.1.1). */
export const KEY_TYPE = {
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecPublicKey: '1.2.840.10045.2.1',
} as const

/** Named curves (RFC 5480 §2.1.1.1). */
export const CURVE = {
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
} as const

/** Digests (RFC 8017 appendix B.1, RFC 3279 §2.1). */
export const DIGEST = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const
