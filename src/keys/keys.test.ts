import { generateKeyPairSync, subtle } from 'node:crypto'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeHex, encodeHex } from '#bytes'
import { type SignatureAlgorithm, verifySignature } from '#pki'
import {
  createMac,
  createSoftwareSigner,
  generateSoftwareSigner,
  keyId,
  loadMac,
  loadPrivateKey,
  loadSealingKey,
  loadSigner,
} from './index.ts'
import { pkcs11Failure } from './pkcs11-errors.ts'

const ALGORITHMS: readonly SignatureAlgorithm[] = ['ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-pkcs1-sha256']
const data = new TextEncoder().encode('かざす')

let parent: string
let directory: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'kazasu-keys-'))
  directory = join(parent, 'keys')
})
afterEach(() => rmSync(parent, { recursive: true }))

describe('software signers', () => {
  test.each(ALGORITHMS)('%s: signatures have their fixed length and verify', async (algorithm) => {
    const signer = await generateSoftwareSigner(algorithm)
    const signatures = await Promise.all(Array.from({ length: 20 }, () => signer.sign(data)))
    const length = { 'ecdsa-p256-sha256': 64, 'ecdsa-p384-sha384': 96, 'rsa-pkcs1-sha256': 256 }[algorithm]
    for (const signature of signatures) {
      expect(signature).toHaveLength(length)
      expect(verifySignature(signer.publicKey, algorithm, data, signature)).toBe(true)
    }
  })

  test.each([
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
    ['Ed25519', () => generateKeyPairSync('ed25519')],
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
  ])('%s is refused', (_name, make) => {
    expect(() => createSoftwareSigner(make().privateKey)).toThrow(expect.objectContaining({ code: 'key-unsuitable' }))
  })
})

describe('keys in files', () => {
  test.each(ALGORITHMS)('%s: made once, private to the owner, the same ever after', async (algorithm) => {
    const made = await loadSigner(directory, 'token', algorithm, { create: true })
    const again = await loadSigner(directory, 'token', algorithm)
    expect(again.publicKey).toEqual(made.publicKey)
    expect(verifySignature(made.publicKey, algorithm, data, await again.sign(data))).toBe(true)
    expect(readdirSync(directory)).toEqual(['token.pem'])
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'token.pem')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(directory, 'token.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
  })

  test('of 20 that make the same key at once, all get the same one', async () => {
    const signers = await Promise.all(
      Array.from({ length: 20 }, () => loadSigner(directory, 'race', 'ecdsa-p256-sha256', { create: true })),
    )
    expect(new Set(signers.map(({ publicKey }) => encodeHex(publicKey))).size).toBe(1)
    expect(readdirSync(directory)).toEqual(['race.pem'])
  })

  test('an absent key is not made unless asked for', async () => {
    await expect(loadSigner(directory, 'none', 'ecdsa-p256-sha256')).rejects.toMatchObject({ code: 'key-file-missing' })
    await expect(loadMac(directory, 'none')).rejects.toMatchObject({ code: 'key-file-missing' })
    expect(readdirSync(parent)).toEqual([])
  })

  test.each(['', '.', '../x', 'a/b', 'A', 'x'.repeat(65)])('%j is no name of a key', (name) =>
    expect(loadMac(directory, name, { create: true })).rejects.toMatchObject({ code: 'key-name-malformed' }),
  )

  test.each([0o640, 0o604, 0o620, 0o610])('a key file of mode %o is refused', async (mode) => {
    await loadMac(directory, 'link', { create: true })
    chmodSync(join(directory, 'link.key'), mode)
    await expect(loadMac(directory, 'link')).rejects.toMatchObject({ code: 'key-exposed' })
  })

  test('no key is made in a directory that others can enter', async () => {
    await loadMac(directory, 'link', { create: true })
    chmodSync(directory, 0o755)
    await expect(loadMac(directory, 'other', { create: true })).rejects.toMatchObject({ code: 'key-exposed' })
  })

  test('a symbolic link in place of a key is refused', async () => {
    await loadMac(directory, 'link', { create: true })
    symlinkSync('link.key', join(directory, 'alias.key'))
    await expect(loadMac(directory, 'alias')).rejects.toMatchObject({ code: 'key-file-malformed' })
  })

  test.each([
    ['empty', ''],
    ['torn', '-----BEGIN PRIVATE KEY-----\nMIGH'],
    ['enormous', 'x'.repeat(20_000)],
  ])('%s content is refused and left as it is', async (_name, content) => {
    await loadMac(directory, 'other', { create: true })
    const path = join(directory, 'torn.pem')
    writeFileSync(path, content, { mode: 0o600 })
    await expect(loadSigner(directory, 'torn', 'ecdsa-p256-sha256', { create: true })).rejects.toMatchObject({
      code: 'key-file-malformed',
    })
    expect(readFileSync(path, 'utf8')).toBe(content)
  })

  test('a key of another algorithm is refused', async () => {
    await loadSigner(directory, 'dv', 'ecdsa-p384-sha384', { create: true })
    await expect(loadSigner(directory, 'dv', 'ecdsa-p256-sha256')).rejects.toMatchObject({ code: 'key-unsuitable' })
    await expect(loadSealingKey(directory, 'dv')).rejects.toMatchObject({ code: 'key-unsuitable' })
  })

  test('the key of a TLS server is the one that signs', async () => {
    const signer = await loadSigner(directory, 'tls', 'ecdsa-p256-sha256', { create: true })
    const key = await loadPrivateKey(directory, 'tls', 'ecdsa-p256-sha256')
    expect(createSoftwareSigner(key).publicKey).toEqual(signer.publicKey)
  })
})

describe('MAC', () => {
  test('is HMAC-SHA-256 (RFC 4231 has no key of 32 bytes; computed with OpenSSL)', async () => {
    const mac = createMac(new Uint8Array(32).fill(0x0b))
    expect(encodeHex(await mac.compute(new TextEncoder().encode('Hi There')))).toBe(
      '198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7',
    )
  })
  test('keeps its own copy of the key', async () => {
    const key = new Uint8Array(32).fill(1)
    const mac = createMac(key)
    const before = await mac.compute(data)
    key.fill(0)
    expect(await mac.compute(data)).toEqual(before)
  })
  test('is the same after loading again, and another for another name', async () => {
    const [a, b] = [await loadMac(directory, 'a', { create: true }), await loadMac(directory, 'b', { create: true })]
    expect(await (await loadMac(directory, 'a')).compute(data)).toEqual(await a.compute(data))
    expect(await b.compute(data)).not.toEqual(await a.compute(data))
  })
  test.each([0, 31, 33])('a key of %i bytes is refused', (length) => {
    expect(() => createMac(new Uint8Array(length))).toThrow(expect.objectContaining({ code: 'key-unsuitable' }))
  })
})

describe('sealing key', () => {
  test('opens what was agreed with its public key, after loading again', async () => {
    const made = await loadSealingKey(directory, 'certificate', { create: true })
    const again = await loadSealingKey(directory, 'certificate')
    expect(again.keyId).toBe(made.keyId)
    const other = await loadSealingKey(directory, 'other', { create: true })
    const agree = (mine: typeof made, theirs: typeof made) =>
      subtle.deriveBits({ name: 'ECDH', public: theirs.publicKey }, mine.privateKey, 256)
    expect(await agree(again, other)).toEqual(await agree(other, made))
  })
})

describe('key id', () => {
  test('is the thumbprint of RFC 7638 §3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    const spki = Buffer.concat([
      decodeHex('30820122300d06092a864886f70d01010105000382010f003082010a0282010100'),
      Buffer.from(n, 'base64url'),
      decodeHex('0203010001'),
    ])
    expect(keyId(spki)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })
})

describe('errors of PKCS#11', () => {
  test.each([
    ['CKR_PIN_LOCKED', 'token-pin-locked'],
    ['CKR_PIN_INCORRECT', 'token-pin-wrong'],
    ['CKR_PIN_LEN_RANGE', 'token-pin-wrong'],
    ['CKR_TOKEN_NOT_PRESENT', 'token-missing'],
    ['CKR_DEVICE_REMOVED', 'token-lost'],
    ['CKR_SESSION_HANDLE_INVALID', 'token-lost'],
    ['CKR_KEY_TYPE_INCONSISTENT', 'key-unsuitable'],
    ['CKR_MECHANISM_INVALID', 'token-failed'],
    ['no CKR at all', 'token-failed'],
  ])('%s is %s', (message, code) => expect(pkcs11Failure(new Error(message)).code).toBe(code))
})
