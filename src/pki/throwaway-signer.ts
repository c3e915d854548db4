import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { HASH } from './signature.ts'
import type { SignatureAlgorithm, Signer } from './signer.ts'

/** A new key that is gone when the process is: for tests. Keys that stay are in `keys/`. */
export function createThrowawaySigner(algorithm: SignatureAlgorithm): Signer & { readonly privateKey: KeyObject } {
  const { privateKey, publicKey } =
    algorithm === 'rsa-pkcs1-sha256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: algorithm === 'ecdsa-p256-sha256' ? 'P-256' : 'P-384' })
  return {
    algorithm,
    privateKey,
    publicKey: Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' })),
    sign: async (data) => Uint8Array.from(sign(HASH[algorithm], data, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}
