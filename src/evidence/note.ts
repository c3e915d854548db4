import { Buffer } from 'node:buffer'
import { EvidenceError } from './failures.ts'

/** One signature line of a note: `keyId` and `signature` are the 4 + n bytes it carries. */
export interface NoteSignature {
  readonly name: string
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

/** A text that ends in a newline, and signatures over it (C2SP signed-note v1.0.0). */
export interface SignedNote {
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** The standard demands room for 16 signatures of up to 5 kB each. */
const MAX_NOTE_LENGTH = 128 * 1024
const MAX_SIGNATURES = 64
const MARK = '\u2014 '
// biome-ignore lint/suspicious/noControlCharactersInRegex: the standard forbids them, newline excepted
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/
const KEY_NAME = /^[^\s+]+$/u

/** Standard base64 with padding (RFC 4648 §4), as notes carry it. */
export const encodeBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Bytes of canonical base64. @throws EvidenceError `checkpoint-malformed` */
export function decodeBase64(text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'))
  if (encodeBase64(bytes) !== text) throw new EvidenceError('checkpoint-malformed', { part: 'base64' })
  return bytes
}

export function encodeNote({ text, signatures }: SignedNote): string {
  const lines = signatures.map(
    ({ name, keyId, signature }) => `${MARK}${name} ${encodeBase64(Buffer.concat([keyId, signature]))}\n`,
  )
  return `${text}\n${lines.join('')}`
}

/** The note's parts; nothing is verified. @throws EvidenceError `checkpoint-malformed` */
export function decodeNote(note: string): SignedNote {
  const fail = (part: string): never => {
    throw new EvidenceError('checkpoint-malformed', { part })
  }
  if (note.length > MAX_NOTE_LENGTH) fail('length')
  if (!note.isWellFormed() || CONTROL.test(note) || !note.endsWith('\n')) fail('characters')
  const blank = note.lastIndexOf('\n\n')
  if (blank < 0) fail('blank line')
  const lines = note.slice(blank + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) fail('signatures')
  const signatures = lines.map((line) => {
    const [name = '', value = '', ...rest] = line.startsWith(MARK) ? line.slice(MARK.length).split(' ') : []
    const bytes = decodeBase64(value)
    if (!KEY_NAME.test(name) || rest.length > 0 || bytes.length < 5) fail('signature line')
    return { name, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) }
  })
  return { text: note.slice(0, blank + 1), signatures }
}
