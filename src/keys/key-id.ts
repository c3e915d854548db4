import { createPublicKey, hash } from 'node:crypto'

/** `kid` of a public key (SubjectPublicKeyInfo, DER): its JWK thumbprint with SHA-256, b64u (RFC 7638 §3). EC or RSA. */
export function keyId(publicKeySpki: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(publicKeySpki), format: 'der', type: 'spki' })
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' })
  // §3.2: the required members only, in lexicographic order, without white space.
  return hash('sha256', JSON.stringify(kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }), 'base64url')
}
