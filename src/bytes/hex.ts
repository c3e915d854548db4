import { BytesError } from './failures.ts'

/** Lower-case hexadecimal of `bytes`. Hex appears in traces, vectors and tests only. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/**
 * Bytes of an even number of hexadecimal digits; white space is ignored.
 * @throws BytesError `hex-malformed`
 */
export function decodeHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '')
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) throw new BytesError('hex-malformed')
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}
