import { createHash, privateEncrypt, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeHex, encodeSequence } from '#bytes'
import { decodePublicKey, digestInfoSha256, encodePublicKey, verifyDigestSignature, verifySignature } from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const data = Buffer.from('kazasu')
const digest = createHash('sha256').update(data).digest()
const rsa = createThrowawaySigner('rsa-pkcs1-sha256')
const p256 = createThrowawaySigner('ecdsa-p256-sha256')
const p384 = createThrowawaySigner('ecdsa-p384-sha384')

describe('verifySignature', () => {
  test.each([rsa, p256, p384])('$algorithm: right data only, right key only, right algorithm only', async (signer) => {
    const signature = await signer.sign(data)
    const other = createThrowawaySigner(signer.algorithm)
    expect(verifySignature(signer.publicKey, signer.algorithm, data, signature)).toBe(true)
    expect(verifySignature(signer.publicKey, signer.algorithm, Buffer.from('kazasv'), signature)).toBe(false)
    expect(verifySignature(other.publicKey, signer.algorithm, data, signature)).toBe(false)
    for (const { algorithm } of [rsa, p256, p384].filter((each) => each.algorithm !== signer.algorithm)) {
      expect(verifySignature(signer.publicKey, algorithm, data, signature)).toBe(false)
    }
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Uint8Array.from(signature)
      flipped[bit * 7]! ^= 1 << bit
      expect(verifySignature(signer.publicKey, signer.algorithm, data, flipped)).toBe(false)
    }
  })

  test('an ECDSA signature is r‖s of full length, never DER, and neither half is 0 or n', async () => {
    const der = sign('sha256', data, { key: p256.privateKey, dsaEncoding: 'der' })
    const good = await p256.sign(data)
    const n = decodeHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const zero = new Uint8Array(32)
    const halves = [good.subarray(0, 32), good.subarray(32)] as const
    const bad = [der, good.subarray(1), concatBytes(good, Uint8Array.of(0)), new Uint8Array(0)]
    bad.push(concatBytes(zero, halves[1]), concatBytes(halves[0], zero), concatBytes(n, halves[1]))
    for (const signature of bad) {
      expect(verifySignature(p256.publicKey, 'ecdsa-p256-sha256', data, signature)).toBe(false)
    }
  })
})

describe('verifyDigestSignature', () => {
  const raw = (block: Uint8Array): Uint8Array => privateEncrypt(rsa.privateKey, block)

  test('a signature over the DigestInfo of this digest', async () => {
    expect(verifyDigestSignature(rsa.publicKey, digest, raw(digestInfoSha256(digest)))).toBe(true)
    expect(verifyDigestSignature(rsa.publicKey, digest, await rsa.sign(data))).toBe(true)
  })

  test('the digest is not hashed again', async () => {
    expect(verifyDigestSignature(rsa.publicKey, digest, await rsa.sign(digest))).toBe(false)
  })

  test.each([
    ['a bare hash', digest],
    ['trailing bytes', concatBytes(digestInfoSha256(digest), Uint8Array.of(0))],
    ['leading bytes', concatBytes(Uint8Array.of(0), digestInfoSha256(digest))],
    [
      'no NULL parameter',
      encodeSequence(encodeSequence(decodeHex('0609608648016503040201')), concatBytes(decodeHex('0420'), digest)),
    ],
    ['the identifier of SHA-384', Uint8Array.from(digestInfoSha256(digest), (octet, at) => (at === 14 ? 2 : octet))],
    ['an empty block', new Uint8Array(0)],
  ])('%s is no signature', (_, block) => {
    expect(verifyDigestSignature(rsa.publicKey, digest, raw(block))).toBe(false)
  })

  test('an empty digest, another key type and a signature above the modulus are refused', () => {
    expect(verifyDigestSignature(rsa.publicKey, new Uint8Array(0), raw(digestInfoSha256(new Uint8Array(0))))).toBe(
      false,
    )
    expect(verifyDigestSignature(p256.publicKey, digest, new Uint8Array(64))).toBe(false)
    expect(verifyDigestSignature(rsa.publicKey, digest, new Uint8Array(256).fill(0xff))).toBe(false)
  })
})

describe('public keys', () => {
  test.each([rsa, p256, p384])('$algorithm: decode and encode are inverse', ({ publicKey }) => {
    expect(encodePublicKey(decodePublicKey(publicKey))).toEqual(publicKey)
  })

  const modulus = (): Uint8Array => {
    const key = decodePublicKey(rsa.publicKey)
    return key.kind === 'rsa' ? key.modulus : new Uint8Array()
  }
  const rsaKey = (n: Uint8Array, e: string): Uint8Array =>
    encodePublicKey({ kind: 'rsa', modulus: n, exponent: decodeHex(e) })
  const odd = (length: number): Uint8Array => new Uint8Array(length).fill(0xff)
  const point = p256.publicKey.length - 65

  test.each([
    ['exponent 1', rsaKey(modulus(), '01')],
    ['exponent 3', rsaKey(modulus(), '03')],
    ['exponent 65535', rsaKey(modulus(), 'ffff')],
    ['even exponent', rsaKey(modulus(), '010002')],
    ['exponent above 2^64', rsaKey(modulus(), '010000000000000001')],
    [
      'even modulus',
      rsaKey(
        Uint8Array.from(modulus(), (octet, at) => (at === 255 ? octet & 0xfe : octet)),
        '010001',
      ),
    ],
    ['512 bits', rsaKey(odd(64), '010001')],
    [
      '2047 bits',
      rsaKey(
        Uint8Array.from(odd(256), (octet, at) => (at === 0 ? 0x7f : octet)),
        '010001',
      ),
    ],
    ['16384 bits', rsaKey(odd(2048), '010001')],
    ['trailing byte', concatBytes(rsa.publicKey, Uint8Array.of(0))],
    ['compressed point', Uint8Array.from(p256.publicKey, (octet, at) => (at === point ? 0x02 : octet))],
    ['point at infinity', encodePublicKey({ kind: 'ec', curve: 'p256', point: Uint8Array.of(0) })],
    [
      'another curve (P-521)',
      Buffer.from(encodeHex(p256.publicKey).replace('06082a8648ce3d030107', '06052b81040023'), 'hex'),
    ],
    ['nothing', new Uint8Array(0)],
  ])('%s is refused', (_, spki) => {
    expect(() => decodePublicKey(spki)).toThrow('public-key-unsupported')
    expect(verifySignature(spki, 'rsa-pkcs1-sha256', data, new Uint8Array(256))).toBe(false)
  })

  test('a point off its curve verifies nothing', async () => {
    const off = Uint8Array.from(p256.publicKey)
    off[off.length - 1]! ^= 1
    expect(verifySignature(off, 'ecdsa-p256-sha256', data, await p256.sign(data))).toBe(false)
  })
})
