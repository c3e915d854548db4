import { concatBytes } from '#bytes'
import { ApduError } from './failures.ts'

/** A response APDU: `data` without, `sw` the two status bytes as one number (0x9000). */
export interface ResponseApdu {
  readonly data: Uint8Array
  readonly sw: number
}

/** Status words of ISO/IEC 7816-4 §5.6 that this card and its driver use (as measured on test cards). */
export const SW = {
  ok: 0x9000,
  endOfFile: 0x6282,
  authenticationFailed: 0x6300,
  wrongLength: 0x6700,
  logicalChannelUnsupported: 0x6881,
  secureMessagingUnsupported: 0x6882,
  lastCommandExpected: 0x6883,
  chainingUnsupported: 0x6884,
  fileStructure: 0x6981,
  securityStatus: 0x6982,
  blocked: 0x6984,
  conditionsOfUse: 0x6985,
  commandNotAllowed: 0x6986,
  wrongData: 0x6a80,
  fileNotFound: 0x6a82,
  recordNotFound: 0x6a83,
  wrongP1P2: 0x6a86,
  referenceNotFound: 0x6a88,
  offsetOutside: 0x6b00,
  instruction: 0x6d00,
  class: 0x6e00,
  unknown: 0x6f00,
} as const

/** A response that is a status word alone. */
export const status = (sw: number): ResponseApdu => ({ data: new Uint8Array(0), sw })

/** Status 63Cx: `left` tries left, 0–15. */
export const triesLeftStatus = (left: number): number => 0x63c0 | Math.min(15, Math.max(0, left))

/** Tries that a status 63Cx says are left, `undefined` for any other status. */
export const triesLeft = (sw: number): number | undefined => ((sw & 0xfff0) === 0x63c0 ? sw & 0xf : undefined)

/** Status word as four hexadecimal digits. */
export const statusText = (sw: number): string => sw.toString(16).padStart(4, '0')

export function encodeResponse({ data, sw }: ResponseApdu): Uint8Array {
  return concatBytes(data, Uint8Array.of(sw >> 8, sw & 0xff))
}

/** @throws ApduError `response-malformed` for less than two bytes or more than 65538 */
export function decodeResponse(bytes: Uint8Array): ResponseApdu {
  if (bytes.length < 2 || bytes.length > 65538) throw new ApduError('response-malformed', { length: bytes.length })
  const end = bytes.length - 2
  return { data: bytes.slice(0, end), sw: ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0) }
}
