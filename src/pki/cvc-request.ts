import { DerReader, decodeTlv, encodeTlv } from '#bytes'
import { decodeReference, LARGEST_CVC, strictly } from './cvc.ts'
import { type CvcAlgorithm, decodeCvcPublicKey, encodeCvcPublicKey } from './cvc-public-key.ts'
import { PkiError } from './failures.ts'
import { verifySignature } from './signature.ts'
import type { Signer } from './signer.ts'

declare const verified: unique symbol

/** A certificate request whose own key signed it; made by {@link verifyCvcRequest} only. */
export interface VerifiedCvcRequest {
  /** The whole `7F21`. */
  readonly raw: Uint8Array
  /** Reference that is wished for; the issuer decides. */
  readonly chr: string
  readonly algorithm: CvcAlgorithm
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly [verified]: 'request'
}

/**
 * 証明書発行要求 – `7F21 {7F4E {5F29, 7F49, 5F20}, 5F37}` signed by the very key that it is for. Requests spell out the
 * domain parameters of a curve (BSI TR-03110-3 C.2.3); CAR, extensions and outer signature are left out.
 * @throws PkiError `cvc-malformed`, `public-key-unsupported`
 */
export async function issueCvcRequest(chr: string, signer: Signer): Promise<Uint8Array> {
  const body = encodeTlv(
    0x7f4e,
    encodeTlv(0x5f29, Uint8Array.of(0)),
    encodeCvcPublicKey(signer.publicKey, true),
    encodeTlv(0x5f20, Buffer.from(chr, 'latin1')),
  )
  return verifyCvcRequest(encodeTlv(0x7f21, body, encodeTlv(0x5f37, await signer.sign(body)))).raw
}

/**
 * Reads a request by the letter and verifies its inner signature: proof that its key is held.
 * @throws PkiError `cvc-malformed`, `public-key-unsupported`, `cvc-signature`
 */
export function verifyCvcRequest(unverified: Uint8Array): VerifiedCvcRequest {
  return strictly(() => {
    const raw = Uint8Array.from(unverified)
    const reader = new DerReader(decodeTlv(raw, 0x7f21, { size: LARGEST_CVC, count: 2 }).value)
    const body = reader.take(0x7f4e)
    const signature = reader.take(0x5f37).value
    reader.end()
    const fields = new DerReader(body.value)
    const profile = fields.take(0x5f29).value
    if (profile.length !== 1 || profile[0] !== 0) throw new PkiError('cvc-malformed', { field: '5F29' })
    const { algorithm, publicKey } = decodeCvcPublicKey(fields.take(0x7f49), true)
    const chr = decodeReference(fields.take(0x5f20).value)
    fields.end()
    if (!verifySignature(publicKey, algorithm, body.raw, signature)) throw new PkiError('cvc-signature')
    return { raw, chr, algorithm, publicKey } as VerifiedCvcRequest
  })
}
