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

/** Certificate and CRL extensions (RFC 5280 §4.2, §5.2, §5.3). */
export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
} as const

/** AuthorityInfoAccess methods (RFC 5280 §4.2.2.1). */
export const ACCESS_METHOD = { ocsp: '1.3.6.1.5.5.7.48.1' } as const

/** Purposes of ExtendedKeyUsage (RFC 5280 §4.2.1.12). */
export const KEY_PURPOSE = {
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
} as const

/** Certificate policies of the real JPKI (facts from published certificates): what a production verifier asks for. */
export const JPKI_POLICY = {
  signature: '1.2.392.200149.8.5.1.1.20',
  userAuthentication: '1.2.392.200149.8.5.1.3.30',
} as const

/** The same two for this project's test authority, in an arc of our own: a test card never passes as a real one. */
export const TEST_POLICY = {
  signature: `${KAZASU_ARC}.5.1`,
  userAuthentication: `${KAZASU_ARC}.5.2`,
} as const
