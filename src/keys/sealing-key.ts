import { subtle, type webcrypto } from 'node:crypto'
import { KeysError } from './failures.ts'
import type { KeyCreation } from './key-file.ts'
import { keyId } from './key-id.ts'
import { createSoftwareSigner, loadPrivateKey } from './software-signer.ts'

/**
 * Key pair that others seal to: HPKE DHKEM(P-256, HKDF-SHA256), RFC 9180 §7.1. The private key can be exported
 * within the process, because @hpke/core derives the public key from it; never publish more than `publicKey`.
 */
export interface SealingKey {
  readonly publicKey: webcrypto.CryptoKey
  readonly privateKey: webcrypto.CryptoKey
  /** RFC 7638. */
  readonly keyId: string
}

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const

/**
 * The sealing key in `directory/name.pem`: the provider's for user certificates, a service's for its tokens.
 * @throws KeysError `key-name-malformed`, `key-file-missing`, `key-file-malformed`, `key-exposed`, `key-unsuitable`
 */
export async function loadSealingKey(directory: string, name: string, creation: KeyCreation = {}): Promise<SealingKey> {
  const key = await loadPrivateKey(directory, name, 'ecdsa-p256-sha256', creation)
  const { publicKey: spki, algorithm } = createSoftwareSigner(key)
  if (algorithm !== 'ecdsa-p256-sha256') throw new KeysError('key-unsuitable', { name, expected: 'P-256' })
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' })
  try {
    return {
      publicKey: await subtle.importKey('spki', Uint8Array.from(spki), CURVE, true, []),
      privateKey: await subtle.importKey('pkcs8', Uint8Array.from(pkcs8), CURVE, true, ['deriveBits']),
      keyId: keyId(spki),
    }
  } finally {
    pkcs8.fill(0)
  }
}
