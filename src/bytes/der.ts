import { concatBytes } from './compare.ts'
import { BytesError } from './failures.ts'
import { decodeTlvs, encodeTlv, type Tlv } from './tlv.ts'

/** Universal tags of ASN.1 used by X.509 (X.680 §8.6), constructed bit included where it belongs. */
export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Context tag `[number]`, constructed (explicit or a constructed implicit one). */
export const contextConstructed = (number: number): number => 0xa0 | number
/** Context tag `[number]`, primitive (implicit). */
export const contextPrimitive = (number: number): number => 0x80 | number

/** A DER sequence (or other constructed TLV) of parts already encoded. */
export const encodeSequence = (...parts: readonly Uint8Array[]): Uint8Array => encodeTlv(DER.sequence, ...parts)

/** DER OBJECT IDENTIFIER from its dotted form; arcs of any size. */
export function encodeObjectIdentifier(dotted: string): Uint8Array {
  return encodeTlv(DER.objectIdentifier, objectIdentifierValue(dotted))
}

/** The value octets of an object identifier (X.690 §8.19). */
export function objectIdentifierValue(dotted: string): Uint8Array {
  const arcs = dotted.split('.').map(BigInt)
  const [first = 0n, second = 0n, ...rest] = arcs
  return Uint8Array.from([first * 40n + second, ...rest].flatMap(base128))
}

function base128(arc: bigint): number[] {
  const groups = [Number(arc & 0x7fn)]
  for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80)
  return groups
}

/**
 * Dotted form of an object identifier's value octets.
 * @throws BytesError `der-malformed` for an empty value, a padded arc (leading 80) or an arc of more than 20 octets
 */
export function decodeObjectIdentifierValue(value: Uint8Array): string {
  const arcs: bigint[] = []
  let arc = 0n
  let octets = 0
  for (const octet of value) {
    if ((octets === 0 && octet === 0x80) || octets === 20) throw new BytesError('der-malformed')
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    octets++
    if ((octet & 0x80) === 0) {
      arcs.push(arc)
      arc = 0n
      octets = 0
    }
  }
  const [head, ...rest] = arcs
  if (head === undefined || octets !== 0) throw new BytesError('der-malformed')
  const top = head < 40n ? 0n : head < 80n ? 1n : 2n
  return [top, head - top * 40n, ...rest].join('.')
}

/** DER INTEGER of an unsigned big-endian number: leading zeros dropped, a sign octet put where needed. */
export function encodeUnsignedInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const digits = magnitude.length === 0 ? Uint8Array.of(0) : magnitude.subarray(start)
  return encodeTlv(DER.integer, (digits[0] ?? 0) & 0x80 ? concatBytes(Uint8Array.of(0), digits) : digits)
}

/**
 * Magnitude of a non-negative INTEGER's value octets, without the sign octet.
 * @throws BytesError `der-malformed` if empty, negative or not minimal
 */
export function decodeUnsignedIntegerValue(value: Uint8Array): Uint8Array {
  const [first, second] = value
  if (first === undefined || first & 0x80) throw new BytesError('der-malformed')
  if (first !== 0 || second === undefined) return value
  if ((second & 0x80) === 0) throw new BytesError('der-malformed')
  return value.subarray(1)
}

/** DER BIT STRING of whole octets. */
export const encodeBitString = (octets: Uint8Array): Uint8Array => encodeTlv(DER.bitString, Uint8Array.of(0), octets)

/**
 * Octets of a BIT STRING's value that has no unused bits.
 * @throws BytesError `der-malformed`
 */
export function decodeBitStringValue(value: Uint8Array): Uint8Array {
  if (value[0] !== 0) throw new BytesError('der-malformed')
  return value.subarray(1)
}

/** Walks the members of a constructed value in order; every `take` names what it expects. */
export class DerReader {
  readonly #objects: readonly Tlv[]
  #next = 0

  /** @param content the value octets of a SEQUENCE or of another constructed TLV */
  constructor(content: Uint8Array) {
    this.#objects = decodeTlvs(content)
  }

  /** The next member's tag, `undefined` at the end. */
  get peek(): number | undefined {
    return this.#objects[this.#next]?.tag
  }

  /** The next member, whatever it is. @throws BytesError `der-unexpected` at the end */
  any(): Tlv {
    const object = this.#objects[this.#next++]
    if (!object) throw new BytesError('der-unexpected', { expected: 'another member' })
    return object
  }

  /** The next member, which must have `tag`. @throws BytesError `der-unexpected` */
  take(tag: number): Tlv {
    const object = this.any()
    if (object.tag !== tag) throw new BytesError('der-unexpected', { expected: tag.toString(16) })
    return object
  }

  /** The next member if it has `tag`, otherwise `undefined` and nothing is consumed. */
  optional(tag: number): Tlv | undefined {
    return this.peek === tag ? this.any() : undefined
  }

  /** A reader over the next member, which must be constructed with `tag`. */
  enter(tag: number = DER.sequence): DerReader {
    return new DerReader(this.take(tag).value)
  }

  /** @throws BytesError `tlv-trailing` if members are left */
  end(): void {
    if (this.peek !== undefined) throw new BytesError('tlv-trailing')
  }
}
