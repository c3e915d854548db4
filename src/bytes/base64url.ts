import { BytesError } from './failures.ts'

/** base64url without padding (RFC 4648 §5). */
export function encodeBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/**
 * Bytes of canonical, unpadded base64url: no white space, no padding, no stray bits in the last character.
 * One value has exactly one text, so a text can be compared or used as a key.
 * @throws BytesError `base64url-malformed`
 */
export function decodeBase64url(text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64url'))
  if (!/^[A-Za-z0-9_-]*$/.test(text) || encodeBase64url(bytes) !== text) throw new BytesError('base64url-malformed')
  return bytes
}
