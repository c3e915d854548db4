import { constants, createHash, createPublicKey, publicDecrypt, verify } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeHex } from '#bytes'
import { digestInfoSha256, verifyDigestSignature } from '#pki'
import type { HolderKey } from './application.ts'
import { signDigest } from './compute-signature.ts'
import { ascii, createTestPersonalisation, PASSWORD, PIN, powerUp, type TestCard, TestInstitution } from './fixture.ts'
import type { Personalisation } from './personalisation.ts'
import { selectJpki } from './select.ts'
import { verifyPin } from './verify.ts'

let personalisation: Personalisation
let publicKeys: readonly Uint8Array[]
beforeAll(async () => {
  const made = await createTestPersonalisation(await new TestInstitution().root())
  personalisation = made.personalisation
  publicKeys = made.publicKeys
})

const DATA = ascii('a message of any length that is hashed by the card')
const DIGEST: Uint8Array = createHash('sha256').update(DATA).digest()
const DIGEST_INFO = digestInfoSha256(DIGEST)
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }

async function opened(...keys: readonly HolderKey[]): Promise<TestCard> {
  const card = await powerUp(personalisation)
  await selectJpki(card)
  for (const key of keys) await verifyPin(card, key, ascii(key === 'signature' ? PASSWORD : PIN))
  return card
}
const userKey = () => createPublicKey({ key: Buffer.from(publicKeys[0]!), format: 'der', type: 'spki' })
const sign = (card: TestCard, p1: string, p2: string, data: Uint8Array): Promise<string> =>
  card.send(`802a${p1}${p2}${data.length.toString(16).padStart(2, '0')}${encodeHex(data)}00`)
const signatureOf = (answer: string): Uint8Array => {
  expect(answer.slice(-4)).toBe('9000')
  return decodeHex(answer.slice(0, -4))
}
const recovered = (signature: Uint8Array): string =>
  encodeHex(publicDecrypt({ key: userKey(), padding: constants.RSA_PKCS1_PADDING }, signature))

describe('the six schemes of 80 2A', () => {
  test('00 pads what it is given: a DigestInfo makes an ordinary signature', async () => {
    const signature = signatureOf(await sign(await opened('user-authentication'), '00', '97', DIGEST_INFO))
    expect(verify('sha256', DATA, userKey(), signature)).toBe(true)
  })
  test('00 takes up to 245 bytes', async () => {
    const card = await opened('user-authentication')
    for (const length of [1, 244, 245]) {
      const data = new Uint8Array(length).fill(5)
      expect(recovered(signatureOf(await sign(card, '00', '97', data)))).toBe(encodeHex(data))
    }
    for (const length of [246, 255]) expect(await sign(card, '00', '97', new Uint8Array(length))).toBe('6985')
  })
  test('01 hashes and pads the bare hash', async () => {
    const signature = signatureOf(await sign(await opened('user-authentication'), '01', '97', DATA))
    expect(recovered(signature)).toBe(encodeHex(DIGEST))
  })
  test('02 takes a hash, 03 makes one: both wrap it in a DigestInfo', async () => {
    const card = await opened('user-authentication')
    for (const answer of [await sign(card, '02', '97', DIGEST), await sign(card, '03', '97', DATA)]) {
      expect(verify('sha256', DATA, userKey(), signatureOf(answer))).toBe(true)
    }
  })
  test('04 takes a hash, 05 makes one: both are PSS', async () => {
    const card = await opened('user-authentication')
    for (const answer of [await sign(card, '04', '97', DIGEST), await sign(card, '05', '97', DATA)]) {
      expect(verify('sha256', DATA, { key: userKey(), ...PSS }, signatureOf(answer))).toBe(true)
    }
  })
  test.each(['02', '04'])('%s wants 32 bytes', async (p1) => {
    const card = await opened('user-authentication')
    for (const length of [1, 31, 33]) expect(await sign(card, p1, '97', new Uint8Array(length))).toBe('6985')
  })
  test.each([
    ['06', '97', '6a86'],
    ['ff', '97', '6a86'],
    ['00', '9a', '6982'],
    ['00', '80', '6986'],
    ['00', '98', '6a88'],
    ['00', '83', '6a88'],
    ['00', 'b7', '6a86'],
  ])('P1 %s, P2 %s: %s', async (p1, p2, sw) => {
    expect(await sign(await opened('user-authentication'), p1, p2, DIGEST_INFO)).toBe(sw)
  })
  test('no data is a wrong length, and long data come extended or chained', async () => {
    const card = await opened('user-authentication')
    expect(await card.send('802a039700')).toBe('6700')
    const long = new Uint8Array(600).fill(3)
    const chunk = (at: number) => encodeHex(long.slice(at, at + 200))
    expect(await card.send(`902a0397c8${chunk(0)}`)).toBe('9000')
    expect(await card.send(`902a0397c8${chunk(200)}`)).toBe('9000')
    const chained = signatureOf(await card.send(`802a0397c8${chunk(400)}00`))
    const extended = signatureOf(await card.send(`802a0397000258${encodeHex(long)}0000`))
    for (const signature of [chained, extended]) expect(verify('sha256', long, userKey(), signature)).toBe(true)
  })
})

describe('which key, opened by what', () => {
  test('P2 = 80 is the current file, 97 and 9A are the keys, 00 the user-authentication key', async () => {
    const card = await opened('user-authentication', 'signature')
    await card.send('00a4020c02001a')
    const [current, user, signing, byDefault] = [
      await sign(card, '00', '80', DIGEST_INFO),
      await sign(card, '00', '97', DIGEST_INFO),
      await sign(card, '00', '9a', DIGEST_INFO),
      await sign(card, '00', '00', DIGEST_INFO),
    ].map(signatureOf)
    expect(current).toEqual(signing)
    expect(byDefault).toEqual(user)
    expect(verifyDigestSignature(publicKeys[1]!, DIGEST, signing!)).toBe(true)
    expect(verifyDigestSignature(publicKeys[0]!, DIGEST, user!)).toBe(true)
    await card.send('00a4020c020018')
    expect(await sign(card, '00', '80', DIGEST_INFO)).toBe('6981')
  })
  test.each<[string, readonly HolderKey[], string, string]>([
    ['no PIN', [], '97', '6982'],
    ['no PIN', [], '9a', '6982'],
    ['the PIN', ['user-authentication'], '9a', '6982'],
    ['the password', ['signature'], '97', '6982'],
  ])('%s %s opens not key %s', async (_name, keys, p2, sw) => {
    expect(await sign(await opened(...keys), '00', p2, DIGEST_INFO)).toBe(sw)
  })
  test('a PIN verified before the application was left opens nothing', async () => {
    const card = await opened('user-authentication', 'signature')
    await card.send('00a4040c07a0000001510000')
    await selectJpki(card)
    expect(await sign(card, '00', '97', DIGEST_INFO)).toBe('6982')
    expect(await sign(card, '00', '9a', DIGEST_INFO)).toBe('6982')
  })
  test('Le too small is told the right one; without Le the answer waits', async () => {
    const card = await opened('user-authentication')
    expect(await card.send(`802a029720${encodeHex(DIGEST)}80`)).toBe('6c00')
    expect(await card.send(`802a029720${encodeHex(DIGEST)}`)).toBe('6100')
    const first = await card.send('00c0000080')
    expect(first.slice(-4)).toBe('6180')
    const second = await card.send('00c0000080')
    expect(verifyDigestSignature(publicKeys[0]!, DIGEST, signatureOf(first.slice(0, -4) + second))).toBe(true)
  })
  test('what waits is for GET RESPONSE only: any other command drops it', async () => {
    const card = await opened('user-authentication')
    await card.send(`802a029720${encodeHex(DIGEST)}`)
    await card.send('00200098')
    expect(await card.send('00c0000000')).toBe('6985')
  })
})

describe('the driver', () => {
  test('signs a DigestInfo with either key', async () => {
    const card = await opened('user-authentication', 'signature')
    for (const [index, key] of (['user-authentication', 'signature'] as const).entries()) {
      const signature = await signDigest(card, key, DIGEST_INFO)
      expect(verifyDigestSignature(publicKeys[index]!, DIGEST, signature)).toBe(true)
    }
  })
  test.each<[string, Uint8Array]>([
    ['bytes after it', concatBytes(DIGEST_INFO, Uint8Array.of(0))],
    ['another hash', DIGEST_INFO.map((octet, at) => (at === 14 ? 2 : octet))],
    ['no hash', DIGEST_INFO.slice(0, -32)],
    ['no wrapping', DIGEST],
    ['nothing', new Uint8Array(0)],
  ])('refuses a DigestInfo with %s before it reaches the card', async (_name, digestInfo) => {
    const channel = { extendedLength: true, transmit: () => Promise.reject(new Error('sent')) }
    await expect(signDigest(channel, 'user-authentication', digestInfo)).rejects.toMatchObject({
      code: 'digest-info-malformed',
    })
  })
  test('says that the PIN is required', async () => {
    await expect(signDigest(await opened(), 'user-authentication', DIGEST_INFO)).rejects.toMatchObject({
      code: 'pin-required',
      detail: { status: '6982' },
    })
  })
})
