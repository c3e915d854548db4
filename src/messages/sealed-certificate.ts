import type { webcrypto } from 'node:crypto'
import { Aes128Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core'
import { concatBytes } from '#bytes'
import { MessagesError } from './failures.ts'

/** HPKE base mode (RFC 9180): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. */
const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() })
const info = new TextEncoder().encode('KAZASU-CERT-1').buffer as ArrayBuffer
/** Length of `enc`: an uncompressed P-256 point. */
const ENC_LENGTH = 65

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer

/** The provider's public key for sealing, from its JWKS (EC P-256, use `enc`). */
export function importSealingKey(jwk: webcrypto.JsonWebKey): Promise<webcrypto.CryptoKey> {
  return suite.kem.importKey('jwk', { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y } as webcrypto.JsonWebKey, true)
}

/** enc ‖ ct of a user certificate (DER), bound to `nonce` (32 bytes) as additional data. */
export async function sealCertificate(
  certificate: Uint8Array,
  nonce: Uint8Array,
  providerKey: webcrypto.CryptoKey,
): Promise<Uint8Array> {
  const sender = await suite.createSenderContext({ recipientPublicKey: providerKey, info })
  const ct = await sender.seal(buffer(certificate), buffer(nonce))
  return concatBytes(new Uint8Array(sender.enc), new Uint8Array(ct))
}

/**
 * The certificate in `sealed`, by the provider's private key (ECDH P-256, `deriveBits`).
 * @throws MessagesError `certificate-unsealable` for another key, another nonce or a changed byte
 */
export async function unsealCertificate(
  sealed: Uint8Array,
  nonce: Uint8Array,
  providerPrivateKey: webcrypto.CryptoKey,
): Promise<Uint8Array> {
  try {
    const recipient = await suite.createRecipientContext({
      recipientKey: providerPrivateKey,
      enc: buffer(sealed.subarray(0, ENC_LENGTH)),
      info,
    })
    return new Uint8Array(await recipient.open(buffer(sealed.subarray(ENC_LENGTH)), buffer(nonce)))
  } catch (cause) {
    throw new MessagesError('certificate-unsealable', {}, { cause })
  }
}
