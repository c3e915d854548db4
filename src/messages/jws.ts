import { createPublicKey, type KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import { decodeBase64url, encodeBase64url } from '#bytes'
import type { Signer } from '#pki'
import { MessagesError } from './failures.ts'
import { canonicalJson } from './forms.ts'

/** JWS compact form (RFC 7515 §7.1) by any {@link Signer} of P-256; header and payload in canonical JSON. */
export async function signJws(
  header: { readonly typ: string; readonly kid?: string },
  payload: unknown,
  signer: Signer,
): Promise<string> {
  const parts = [{ alg: 'ES256', ...header }, payload].map((part) => encodeBase64url(canonicalJson(part)))
  const input = parts.join('.')
  return `${input}.${encodeBase64url(await signer.sign(new TextEncoder().encode(input)))}`
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
 * Base64url is checked to be canonical first, because libraries are lenient and a token would then have many spellings.
 * @throws MessagesError `signature-invalid`
 */
export async function verifyJws(unverified: string, typ: string, spki: Uint8Array): Promise<Uint8Array> {
  try {
    for (const part of unverified.split('.')) decodeBase64url(part)
    const { payload, protectedHeader } = await compactVerify(unverified, publicKey(spki), { algorithms: ['ES256'] })
    if (protectedHeader.typ !== typ) throw new MessagesError('signature-invalid', { typ })
    return payload
  } catch (cause) {
    if (cause instanceof MessagesError) throw cause
    throw new MessagesError('signature-invalid', { typ }, { cause })
  }
}
