import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BytesError,
  concatBytes,
  decodeBase64url,
  decodeHex,
  decodeObjectIdentifierValue,
  decodeTlv,
  decodeTlvs,
  decodeUnsignedIntegerValue,
  encodeBase64url,
  encodeHex,
  encodeObjectIdentifier,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
  objectIdentifierValue,
  readTlv,
} from './index.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof BytesError) return error.code
    throw error
  }
  return 'accepted'
}

describe('hex and base64url', () => {
  test('round trip', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeHex(encodeHex(bytes))).toEqual(bytes)
        expect(decodeBase64url(encodeBase64url(bytes))).toEqual(bytes)
      }),
    )
  })
  test.each(['0', 'zz', '0g'])('hex %s is refused', (text) =>
    expect(codeOf(() => decodeHex(text))).toBe('hex-malformed'),
  )
  test.each(['A', 'QQ==', 'Q Q', 'QR', 'a+b/', 'QQ\n'])('base64url %j is refused: not the canonical form', (text) =>
    expect(codeOf(() => decodeBase64url(text))).toBe('base64url-malformed'),
  )
})

describe('BER-TLV', () => {
  test('encode and decode agree for every length form', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
      const value = new Uint8Array(length).fill(7)
      expect(decodeTlv(encodeTlv(0x7f4e, value), 0x7f4e).value).toEqual(value)
    }
  })
  test.each([
    ['empty input', '', 'tlv-truncated'],
    ['length > remaining', '300501', 'tlv-truncated'],
    ['indefinite length', '30800000', 'tlv-malformed'],
    ['long form for a short length', '308101ff', 'tlv-malformed'],
    ['leading zero in the length', '30820080', 'tlv-malformed'],
    ['length of 5 octets', '30850000000001', 'tlv-malformed'],
    ['length of 2^31', '308480000000', 'tlv-too-large'],
    ['padded high tag', '1f800100', 'tlv-malformed'],
    ['low tag in the long form', '1f0100', 'tlv-malformed'],
    ['tag of 4 bytes', '1f81818100', 'tlv-malformed'],
    ['trailing garbage', '0500ff', 'tlv-trailing'],
  ])('%s is refused', (_name, hex, code) => expect(codeOf(() => decodeTlv(decodeHex(hex)))).toBe(code))
  test('10^6 tiny elements stop at the cap', () => {
    expect(codeOf(() => decodeTlvs(new Uint8Array(2_000_000).map((_, i) => (i % 2 === 0 ? 5 : 0))))).toBe(
      'tlv-too-many',
    )
  })
  test('any input is read or refused with our own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => typeof codeOf(() => readTlv(bytes)) === 'string'),
    )
  })
})

describe('DER values', () => {
  const oid = '2.25.228554361468059162334206376685536276904.1'
  test('an object identifier with a 128-bit arc has the octets that protocol.md states', () => {
    expect(encodeHex(objectIdentifierValue(oid))).toBe('6982d7f1fc81f5dafaa2a19695d7ee84c09fe32801')
    expect(decodeObjectIdentifierValue(decodeTlv(encodeObjectIdentifier(oid)).value)).toBe(oid)
  })
  test.each(['', '80', '8001', '2a80'])('object identifier %s is refused', (hex) =>
    expect(codeOf(() => decodeObjectIdentifierValue(decodeHex(hex)))).toBe('der-malformed'),
  )
  test.each(['', '80', '0001', 'ff'])('integer %s is refused', (hex) =>
    expect(codeOf(() => decodeUnsignedIntegerValue(decodeHex(hex)))).toBe('der-malformed'),
  )
  test('unsigned integers round trip', () => {
    for (const hex of ['00', '7f', '80', '0100', 'ffff'])
      expect(encodeHex(decodeUnsignedIntegerValue(decodeTlv(encodeUnsignedInteger(decodeHex(hex))).value))).toBe(hex)
  })
  test('equality of unlike lengths is false, not an exception', () => {
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false)
    expect(equalBytes(concatBytes(Uint8Array.of(1), Uint8Array.of(2)), Uint8Array.of(1, 2))).toBe(true)
  })
})
