/** What a key signs with. Hash and scheme go together, so that nobody can pick a weaker pair. */
export type SignatureAlgorithm = 'ecdsa-p256-sha256' | 'ecdsa-p384-sha384' | 'rsa-pkcs1-sha256'

/** A private key in use, wherever it lives: software, PKCS#11, a Secure Element. The key itself cannot be had. */
export interface Signer {
  readonly algorithm: SignatureAlgorithm
  /** SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7). */
  readonly publicKey: Uint8Array
  /** Signature over `data`, which is hashed here. ECDSA: r‖s, each of the field's length; RSA: modulus length. */
  sign(data: Uint8Array): Promise<Uint8Array>
}

/** HMAC-SHA-256 under a key that cannot be had. */
export interface Mac {
  /** 32 bytes. */
  compute(data: Uint8Array): Promise<Uint8Array>
}
