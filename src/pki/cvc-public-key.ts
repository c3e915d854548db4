import {
  BytesError,
  concatBytes,
  DerReader,
  decodeHex,
  encodeTlv,
  equalBytes,
  objectIdentifierValue,
  type Tlv,
} from '#bytes'
import { PkiError } from './failures.ts'
import { decodePublicKey, encodePublicKey, type PublicKey } from './public-key.ts'

/** What a card verifiable certificate's key signs with. */
export type CvcAlgorithm = 'ecdsa-p256-sha256' | 'rsa-pkcs1-sha256'

/** Value octets of id-TA-ECDSA-SHA-256 and id-TA-RSA-v1-5-SHA-256 (BSI TR-03110-3 A.7.1.1): `06` in keys, `80` in MSE. */
export const TERMINAL_AUTHENTICATION: Readonly<Record<CvcAlgorithm, Uint8Array>> = {
  'ecdsa-p256-sha256': objectIdentifierValue('0.4.0.127.0.7.2.2.2.2.3'),
  'rsa-pkcs1-sha256': objectIdentifierValue('0.4.0.127.0.7.2.2.2.1.2'),
}

/** Domain parameters of P-256 as a CVCA carries them: p, a, b, G, n (TR-03110-3 D.3.3; FIPS 186-4 D.1.2.3). */
const P256_PARAMETERS: readonly (readonly [tag: number, value: Uint8Array])[] = [
  [0x81, decodeHex('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff')],
  [0x82, decodeHex('ffffffff00000001000000000000000000000000fffffffffffffffffffffffc')],
  [0x83, decodeHex('5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b')],
  [
    0x84,
    decodeHex(
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
        '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    ),
  ],
  [0x85, decodeHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')],
]
const COFACTOR = [0x87, Uint8Array.of(1)] as const

/** The `7F49` of a key; `withParameters` (the curve spelt out) is for CVCAs only (TR-03110-3 C.1.3). */
export function encodeCvcPublicKey(spki: Uint8Array, withParameters: boolean): Uint8Array {
  const key = decodePublicKey(spki)
  const algorithm = cvcAlgorithmOf(key)
  const members = key.kind === 'rsa' ? rsaMembers(key) : ecMembers(key.point, withParameters)
  return encodeTlv(0x7f49, encodeTlv(0x06, TERMINAL_AUTHENTICATION[algorithm]), members)
}

/**
 * The SubjectPublicKeyInfo and algorithm in a `7F49`; the curve must be spelt out exactly if `withParameters`.
 * @throws PkiError `cvc-malformed`, `public-key-unsupported`
 */
export function decodeCvcPublicKey(
  unverified: Tlv,
  withParameters: boolean,
): { readonly algorithm: CvcAlgorithm; readonly publicKey: Uint8Array } {
  const reader = new DerReader(unverified.value)
  const identifier = reader.take(0x06).value
  const key = equalBytes(identifier, TERMINAL_AUTHENTICATION['rsa-pkcs1-sha256'])
    ? readRsa(reader)
    : equalBytes(identifier, TERMINAL_AUTHENTICATION['ecdsa-p256-sha256'])
      ? readEc(reader, withParameters)
      : undefined
  if (!key) throw new PkiError('cvc-malformed', { field: '7F49' })
  const publicKey = encodePublicKey(key)
  decodePublicKey(publicKey) // size, parity, length of the point
  return { algorithm: cvcAlgorithmOf(key), publicKey }
}

function cvcAlgorithmOf(key: PublicKey): CvcAlgorithm {
  if (key.kind === 'rsa') return 'rsa-pkcs1-sha256'
  if (key.curve === 'p256') return 'ecdsa-p256-sha256'
  throw new PkiError('public-key-unsupported', { curve: key.curve })
}

function rsaMembers(key: { readonly modulus: Uint8Array; readonly exponent: Uint8Array }): Uint8Array {
  return concatBytes(encodeTlv(0x81, key.modulus), encodeTlv(0x82, key.exponent))
}

function readRsa(reader: DerReader): PublicKey {
  const modulus = reader.take(0x81).value
  const exponent = reader.take(0x82).value
  reader.end()
  // An unsigned number here has no sign octet and no leading zero (TR-03110-3 D.2.1.1).
  if (modulus[0] === 0 || exponent[0] === 0) throw new PkiError('cvc-malformed', { field: '7F49' })
  return { kind: 'rsa', modulus, exponent }
}

function ecMembers(point: Uint8Array, withParameters: boolean): Uint8Array {
  const parameters = P256_PARAMETERS.map(([tag, value]) => encodeTlv(tag, value))
  const key = encodeTlv(0x86, point)
  return withParameters ? concatBytes(...parameters, key, encodeTlv(...COFACTOR)) : key
}

function readEc(reader: DerReader, withParameters: boolean): PublicKey {
  const expect = ([tag, value]: readonly [number, Uint8Array]): void => {
    if (!equalBytes(reader.take(tag).value, value)) throw new BytesError('der-unexpected', { field: tag })
  }
  if (withParameters) P256_PARAMETERS.forEach(expect)
  const point = reader.take(0x86).value
  if (withParameters) expect(COFACTOR)
  reader.end()
  return { kind: 'ec', curve: 'p256', point }
}
