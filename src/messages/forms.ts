import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { decodeBase64url, encodeBase64url } from '#bytes'
import { parseTime } from '#clock'
import { MessagesError } from './failures.ts'

/** H of protocol.md: SHA-256, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(hash('sha256', bytes, 'buffer'))
}

/**
 * JCS (RFC 8785): the one byte string of a JSON value.
 * @throws MessagesError `not-canonical` for what JSON or Unicode cannot carry: undefined, NaN, lone surrogates
 */
export function canonicalJson(value: unknown): Uint8Array {
  const text = canonicalize(value)
  if (text === undefined || !text.isWellFormed()) throw new MessagesError('not-canonical')
  return new TextEncoder().encode(text)
}

/** b64u of H(JCS(value)): how one message names another. */
export function hashText(value: unknown): string {
  return encodeBase64url(sha256(canonicalJson(value)))
}

const isBase64url = (text: string, length?: number): boolean => {
  try {
    const bytes = decodeBase64url(text)
    return length === undefined || bytes.length === length
  } catch {
    return false
  }
}

/** b64u text of exactly `length` bytes. */
export const bytesText = (length: number) =>
  z
    .string()
    .max(Math.ceil((length * 4) / 3))
    .refine((text) => isBase64url(text, length), { message: `not base64url of ${length} bytes` })

/** b64u text of 1 to `limit` bytes. */
export const bytesTextUpTo = (limit: number) =>
  z
    .string()
    .min(2)
    .max(Math.ceil((limit * 4) / 3))
    .refine((text) => isBase64url(text), { message: 'not base64url' })

/** A time in the only form messages use: RFC 3339, UTC, milliseconds, Z. */
export const timeString = z
  .string()
  .max(24)
  .refine((text) => parseTime(text) !== undefined, { message: 'not a UTC time with milliseconds' })

/**
 * A message in its schema's shape, unknown members refused.
 * @throws MessagesError `malformed` naming the first wrong member; the value itself is never repeated
 */
export function parseMessage<T>(schema: z.ZodType<T>, unverified: unknown): T {
  const result = schema.safeParse(unverified)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new MessagesError('malformed', { member: issue?.path.join('.') || '(whole)', problem: issue?.code })
}

/**
 * A message from canonical bytes: any other spelling of the same value is refused, so bytes and value are one.
 * @throws MessagesError `malformed`, `not-canonical`
 */
export function decodeCanonical<T>(schema: z.ZodType<T>, unverified: Uint8Array): T {
  const value = parseJson(unverified)
  if (Buffer.compare(canonicalJson(value), unverified) !== 0) throw new MessagesError('not-canonical')
  return parseMessage(schema, value)
}

/**
 * JSON of UTF-8 bytes.
 * @throws MessagesError `malformed` for invalid UTF-8 or JSON
 */
export function parseJson(unverified: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(unverified))
  } catch (cause) {
    throw new MessagesError('malformed', { member: '(whole)', problem: 'not JSON' }, { cause })
  }
}
