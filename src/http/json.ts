import { HttpError } from './failures.ts'

/** Deepest nesting of objects and arrays that a message may have; the deepest of ours has 6. */
export const JSON_DEPTH = 32

/** In text that is valid JSON: a string and whether it names a member, a bracket, or a number. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")([ \t\r\n]*:)?|[{}[\]]|-?\d[\d.eE+-]*/g

/** Names through which a later merge could reach `Object.prototype`; no message of ours has them. */
const POISONOUS = new Set(['__proto__', 'constructor', 'prototype'])

function refuse(reason: string): never {
  throw new HttpError('malformed-request', { reason })
}

function parse(bytes: Uint8Array): { text: string; value: unknown } {
  try {
    // RFC 8259 §8.1: UTF-8, no byte order mark (kept here, and refused by the parser).
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { text, value: JSON.parse(text) }
  } catch {
    // The parser's own message quotes the input, which must reach neither log nor answer.
    return refuse('not JSON in UTF-8')
  }
}

/** RFC 7493 §2.1: every string is well-formed Unicode; NUL is refused because PostgreSQL cannot hold it. */
function readString(token: string): string {
  if (!token.includes('\\')) return token.slice(1, -1)
  const text = JSON.parse(token) as string
  if (!text.isWellFormed()) refuse('lone surrogate')
  if (text.includes('\0')) refuse('NUL character')
  return text
}

/** RFC 7493 §2.2: a number that every reader understands alike. */
function checkNumber(token: string): void {
  const value = Number(token)
  if (!Number.isFinite(value)) refuse('number out of range')
  if (!/[.eE]/.test(token) && !Number.isSafeInteger(value)) refuse('integer beyond 2^53')
}

/**
 * The value of strict JSON (RFC 7493): UTF-8, no duplicate or poisonous member names, no lone surrogates, no NUL,
 * no number beyond the range of a double, nesting of at most {@link JSON_DEPTH}.
 * @throws HttpError `malformed-request` with the reason, never with a piece of the input
 */
export function decodeJson(bytes: Uint8Array): unknown {
  const { text, value } = parse(bytes)
  const open: Set<string>[] = []
  for (const [token, string, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      if (open.push(new Set()) > JSON_DEPTH) refuse('nested too deeply')
    } else if (token === '}' || token === ']') {
      open.pop()
    } else if (string === undefined) {
      checkNumber(token)
    } else {
      const name = readString(string)
      if (colon === undefined) continue
      const names = open.at(-1)
      if (POISONOUS.has(name)) refuse('forbidden member name')
      if (names?.has(name)) refuse('duplicate member')
      names?.add(name)
    }
  }
  return value
}
