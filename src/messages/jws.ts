import { createPublicKey, type KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import { decodeBase64url, encodeBase64url } from '#bytes'
import type { Signer } from '#pki'
import { MessagesError } from './failures.ts'
import { canonicalJson } from './forms.ts'

/** Order of P-256 (SEC 2 §2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)

/**
 * The one of the two signatures (r, s), (r, n − s) with the smaller s. A compact JWS is a name here – `prev` is its
 * hash –, and a thing must not get a second name from somebody without the key (docs/decisions/0012).
 */
function canonicalSignature(signature: Uint8Array): Uint8Array {
  const s = number(signature.subarray(32))
  if (s <= ORDER / 2n) return signature
  return Uint8Array.from([
    ...signature.subarray(0, 32),
    ...Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex'),
  ])
}

/** JWS compact form (RFC 7515 §7.1) by any {@link Signer} of P-256; header and payload in canonical JSON, s small. */
export async function signJws(
  header: { readonly typ: string; readonly kid?: string },
  payload: unknown,
  signer: Signer,
): Promise<string> {
  const parts = [{ alg: 'ES256', ...header }, payload].map((part) => encodeBase64url(canonicalJson(part)))
  const input = parts.join('.')
  return `${input}.${encodeBase64url(canonicalSignature(await signer.sign(new TextEncoder().encode(input))))}`
}

/** KeyObjects by SPKI: reading a key costs six times a verification. */
const keys = new Map<string, KeyObject>()

function publicKey(spki: Uint8Array): KeyObject {
  const name = encodeBase64url(spki)
  const known = keys.get(name)
  if (known) return known
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  if (keys.size >= 10_000) keys.clear()
  keys.set(name, key)
  return key
}

/**
 * Payload bytes of a JWS with exactly this `typ` and ES256, under this key (SPKI).
 * Base64url and s are checked to be canonical first: libraries are lenient, and a token would then have many spellings.
 * @throws MessagesError `signature-invalid`
 */
export async function verifyJws(unverified: string, typ: string, spki: Uint8Array): Promise<Uint8Array> {
  try {
    const parts = unverified.split('.').map(decodeBase64url)
    if (number(parts[2]?.subarray(32) ?? new Uint8Array(1)) > ORDER / 2n)
      throw new MessagesError('signature-invalid', { typ })
    const { payload, protectedHeader } = await compactVerify(unverified, publicKey(spki), { algorithms: ['ES256'] })
    if (protectedHeader.typ !== typ) throw new MessagesError('signature-invalid', { typ })
    return payload
  } catch (cause) {
    if (cause instanceof MessagesError) throw cause
    throw new MessagesError('signature-invalid', { typ }, { cause })
  }
}
