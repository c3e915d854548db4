import { concatBytes } from './compare.ts'
import { BytesError } from './failures.ts'

/** One BER-TLV data object (ISO/IEC 7816-4 §5.2.2): `tag` as the number its bytes spell (0x7F4E), `raw` its whole TLV. */
export interface Tlv {
  readonly tag: number
  readonly value: Uint8Array
  readonly raw: Uint8Array
}

/** Caps against hostile input. Tags of up to 3 bytes and lengths of up to 4 bytes cover CVC, X.509, CRL and card files. */
export interface TlvLimits {
  /** Largest length of one value, in bytes. */
  readonly size: number
  /** Largest number of objects in one sequence. */
  readonly count: number
}

const DEFAULT_LIMITS: TlvLimits = { size: 1 << 20, count: 10_000 }

/**
 * Reads one TLV at `offset` without copying; length and tag forms must be minimal (X.690 §10.1).
 * @throws BytesError `tlv-truncated`, `tlv-malformed`, `tlv-too-large`
 */
export function readTlv(input: Uint8Array, offset = 0, limits: TlvLimits = DEFAULT_LIMITS): Tlv {
  const fail = (code: 'tlv-truncated' | 'tlv-malformed' | 'tlv-too-large'): never => {
    throw new BytesError(code, { offset })
  }
  let at = offset
  const next = (): number => input[at++] ?? fail('tlv-truncated')
  let tag = next()
  if ((tag & 0x1f) === 0x1f) {
    let more = next()
    if (more < 0x1f || more === 0x80) fail('tlv-malformed') // low tag number, or padded with a leading zero group
    tag = (tag << 8) | more
    if (more & 0x80) {
      more = next()
      if (more & 0x80) fail('tlv-malformed')
      tag = (tag << 8) | more
    }
  }
  let length = next()
  if (length === 0x80 || length > 0x84) fail('tlv-malformed') // indefinite, or a length of more than 32 bits
  if (length > 0x80) {
    const octets = length & 0x7f
    length = 0
    for (let i = 0; i < octets; i++) length = length * 256 + next()
    if (length < 0x80 || length < 256 ** (octets - 1)) fail('tlv-malformed')
  }
  if (length > limits.size) fail('tlv-too-large')
  if (at + length > input.length) fail('tlv-truncated')
  return { tag, value: input.subarray(at, at + length), raw: input.subarray(offset, at + length) }
}

/**
 * All TLVs that make up `input`, which must be used whole.
 * @throws BytesError as {@link readTlv}, and `tlv-too-many`
 */
export function decodeTlvs(input: Uint8Array, limits: TlvLimits = DEFAULT_LIMITS): readonly Tlv[] {
  const objects: Tlv[] = []
  for (let offset = 0; offset < input.length; ) {
    if (objects.length >= limits.count) throw new BytesError('tlv-too-many', { offset })
    const object = readTlv(input, offset, limits)
    objects.push(object)
    offset += object.raw.length
  }
  return objects
}

/**
 * The one TLV that is all of `input`, with the expected tag if one is given.
 * @throws BytesError as {@link readTlv}, `tlv-trailing`, and `der-unexpected` for another tag
 */
export function decodeTlv(input: Uint8Array, tag?: number, limits: TlvLimits = DEFAULT_LIMITS): Tlv {
  const object = readTlv(input, 0, limits)
  if (object.raw.length !== input.length) throw new BytesError('tlv-trailing', { offset: object.raw.length })
  if (tag !== undefined && object.tag !== tag) throw new BytesError('der-unexpected', { expected: tag.toString(16) })
  return object
}

function encodeTag(tag: number): Uint8Array {
  if (tag > 0xffff) return Uint8Array.of(tag >>> 16, (tag >>> 8) & 0xff, tag & 0xff)
  return tag > 0xff ? Uint8Array.of(tag >>> 8, tag & 0xff) : Uint8Array.of(tag)
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

/** One TLV with a minimal length; several values are put one after the other. */
export function encodeTlv(tag: number, ...values: readonly Uint8Array[]): Uint8Array {
  const value = concatBytes(...values)
  return concatBytes(encodeTag(tag), encodeLength(value.length), value)
}
