import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeBase64url, encodeHex, encodeTlv } from '#bytes'
import { auxiliaryData, composeA, composeT } from '#messages'
import { certHash, decodeCvc, verifyDigestSignature } from '#pki'
import { CardError } from './failures.ts'
import { announced, ascii, authorised, createTestPersonalisation, PIN, powerUp, TestInstitution } from './fixture.ts'
import { getChallenge } from './get-challenge.ts'
import { announce, signAuthorised } from './institution-authentication.ts'
import type { Personalisation } from './personalisation.ts'
import { readUserCertificate } from './read-binary.ts'
import { selectJpki } from './select.ts'
import { verifyPin } from './verify.ts'
import { presentCertificates } from './verify-certificate.ts'

const D = new Uint8Array(32).fill(0xd1)
const SIGN = '002a9e9a00'
const institution = new TestInstitution()
let personalisation: Personalisation
let userKey: Uint8Array
let chain: readonly Uint8Array[]

beforeAll(async () => {
  const made = await createTestPersonalisation(await institution.root())
  personalisation = made.personalisation
  userKey = made.publicKeys[0] ?? new Uint8Array(0)
  chain = await institution.chain()
})

const hashOfTerminal = (): Uint8Array => certHash(decodeCvc(chain[1] ?? new Uint8Array(0)))
const authenticateApdu = (signature: Uint8Array): string => `00820000${encodeHex(encodeTlv(0, signature)).slice(2)}`
const seSig = (r: Uint8Array, d = D): Promise<Uint8Array> => institution.terminalKey.sign(composeA({ r, d }))

async function challenged() {
  const card = await powerUp(personalisation)
  await announced(card, chain, D)
  return { card, r: await getChallenge(card) }
}

async function readyToSign() {
  const card = await powerUp(personalisation)
  return { card, r: await authorised(card, chain, D, institution.terminalKey) }
}

describe('a whole institution-authenticated signature', () => {
  test('the card signs T and nothing but T: the signature verifies over T, not over D', async () => {
    const { card, r } = await readyToSign()
    const signature = await signAuthorised(card)
    const t = composeT({ certHash: hashOfTerminal(), r, d: D })
    expect(verifyDigestSignature(userKey, t, signature)).toBe(true)
    expect(verifyDigestSignature(userKey, D, signature)).toBe(false)
  })

  test('T holds certHash: a second terminal with the same r and D gets another signature', async () => {
    const fixed = { bytes: (length: number) => new Uint8Array(length).fill(7) }
    const other = [chain[0] ?? D, (await institution.terminal({ chr: 'JPTERM00002' })).raw]
    const signatures = await Promise.all(
      [chain, other].map(async (presented) => {
        const card = await powerUp(personalisation, { random: fixed })
        await authorised(card, presented, D, institution.terminalKey)
        return encodeHex(await signAuthorised(card))
      }),
    )
    expect(signatures[0]).not.toBe(signatures[1])
  })

  test('T holds r: the same terminal and D at another power-up get another signature', async () => {
    const signatures = await Promise.all(
      [1, 2].map(async () => encodeHex(await signAuthorised((await readyToSign()).card))),
    )
    expect(signatures[0]).not.toBe(signatures[1])
  })

  test.each([true, false])('an RSA terminal authenticates with extended length %s', async (extendedLength) => {
    const rsa = new TestInstitution('rsa')
    const root = await rsa.root()
    const card = await powerUp(personalisation, { extendedLength, memory: { root: encodeBase64url(root.raw) } })
    const r = await authorised(card, await rsa.chain(), D, rsa.terminalKey)
    const terminal = await rsa.terminal()
    const t = composeT({ certHash: certHash(terminal), r, d: D })
    expect(verifyDigestSignature(userKey, t, await signAuthorised(card))).toBe(true)
  })
})

describe('announce: MSE:SET AT', () => {
  const OID = '04007f00070202020203'
  const parts = (oid: string, holder: string, auxiliary: Uint8Array): string =>
    encodeHex(concatBytes(encodeTlv(0x80, decodeHex(oid)), encodeTlv(0x83, ascii(holder)), auxiliary))
  const send = async (data: string): Promise<string> => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    await presentCertificates(card, chain)
    const length = (data.length / 2).toString(16).padStart(2, '0')
    return card.send(`002281a4${length}${data}`)
  }
  const aux = auxiliaryData(D)

  test('is accepted in exactly its form', async () => {
    expect(await send(parts(OID, 'JPTERM00001', aux))).toBe('9000')
  })
  test('the statement is not optional: without auxiliary data nothing is announced', async () => {
    expect(await send(parts(OID, 'JPTERM00001', new Uint8Array(0)))).toBe('6a80')
  })
  test.each([
    ['D of 31 bytes', () => auxiliaryData(D.slice(1)), '6a80'],
    ['D of 33 bytes', () => auxiliaryData(new Uint8Array(33)), '6a80'],
    ['no D', () => encodeTlv(0x67, encodeTlv(0x73)), '6a80'],
    ['two templates', () => concatBytes(aux, aux), '6a80'],
    ['another identifier', () => aux.map((octet, at) => (at === 8 ? octet ^ 1 : octet)), '6a80'],
    ['a byte after it', () => concatBytes(aux, Uint8Array.of(0)), '6a80'],
  ])('auxiliary data with %s are malformed', async (_name, auxiliary, sw) => {
    expect(await send(parts(OID, 'JPTERM00001', auxiliary()))).toBe(sw)
  })
  test('another algorithm than the key has is malformed', async () => {
    expect(await send(parts('04007f00070202020102', 'JPTERM00001', aux))).toBe('6a80')
  })
  test('a holder who is not the last verified one is not found', async () => {
    expect(await send(parts(OID, 'JPTERM00002', aux))).toBe('6a88')
    expect(await send(parts(OID, 'JPPROV00001', aux))).toBe('6a88')
  })
  test('a provider cannot announce with its DV certificate', async () => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    await presentCertificates(card, chain.slice(0, 1))
    const data = parts(OID, 'JPPROV00001', aux)
    expect(await card.send(`002281a4${(data.length / 2).toString(16)}${data}`)).toBe('6985')
  })
  test.each([
    ['terminal', {}, { pinless: false }],
    ['provider', { pinless: false }, {}],
  ])('rights are ANDed: a %s without the PIN-less right has none to announce', async (_who, dv, terminal) => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    const presented = [(await institution.dv(dv)).raw, (await institution.terminal(terminal)).raw]
    await presentCertificates(card, presented)
    await expect(announce(card, { terminalCertificate: presented[1] ?? D, d: D })).rejects.toMatchObject({
      code: 'institution-not-entitled',
      detail: { status: '6982' },
    })
  })
})

describe('challenge and authentication', () => {
  test('EXTERNAL AUTHENTICATE refuses a signature over another D, another r or by another key', async () => {
    for (const wrong of [
      async (r: Uint8Array) => seSig(r, new Uint8Array(32)),
      async () => seSig(new Uint8Array(16)),
      async (r: Uint8Array) => institution.dvKey.sign(composeA({ r, d: D })),
      async (r: Uint8Array) => institution.terminalKey.sign(r),
      async () => new Uint8Array(64),
    ]) {
      const { card, r } = await challenged()
      expect(await card.send(authenticateApdu(await wrong(r)))).toBe('6300')
      expect(await card.send(SIGN)).toBe('6985')
    }
  })
  test('an r is used once: after a refused signature the right one comes too late', async () => {
    const { card, r } = await challenged()
    expect(await card.send(authenticateApdu(new Uint8Array(64)))).toBe('6300')
    expect(await card.send(authenticateApdu(await seSig(r)))).toBe('6985')
  })
  test('a second GET CHALLENGE drops the announcement: neither the old r nor the new one authenticates', async () => {
    for (const which of ['old', 'new'] as const) {
      const { card, r } = await challenged()
      const later = await getChallenge(card)
      expect(await card.send(authenticateApdu(await seSig(which === 'old' ? r : later)))).toBe('6985')
    }
  })
  test('a challenge of another length, or outside the sequence, is random bytes and arms nothing', async () => {
    const card = await powerUp(personalisation)
    expect(await card.send('0084000008')).toMatch(/^[0-9a-f]{16}9000$/)
    await announced(card, chain, D)
    expect(await card.send('0084000000')).toMatch(/^[0-9a-f]{512}9000$/)
    expect(await card.send(authenticateApdu(new Uint8Array(64)))).toBe('6985')
    await selectJpki(card)
    const r = await getChallenge(card)
    expect(await card.send(authenticateApdu(await seSig(r)))).toBe('6985')
  })
  test('one success per power-up: a second authentication is refused, also after a warm reset', async () => {
    const { card } = await readyToSign()
    await signAuthorised(card)
    await expect(authorised(card, chain, D, institution.terminalKey)).rejects.toMatchObject({
      code: 'institution-out-of-order',
      detail: { status: '6985' },
    })
    await card.device.reset()
    await expect(authorised(card, chain, D, institution.terminalKey)).rejects.toMatchObject({
      code: 'institution-out-of-order',
    })
    await card.device.powerDown()
    await card.device.powerUp()
    await authorised(card, chain, D, institution.terminalKey)
    expect(await signAuthorised(card)).toHaveLength(256)
  })
  test('a success counts even if it never signed', async () => {
    const { card } = await readyToSign()
    await readUserCertificate(card)
    await expect(authorised(card, chain, D, institution.terminalKey)).rejects.toThrow(CardError)
  })
  test('a failed authentication does not use up the power-up', async () => {
    const { card } = await challenged()
    await card.send(authenticateApdu(new Uint8Array(64)))
    await authorised(card, chain, D, institution.terminalKey)
    expect(await signAuthorised(card)).toHaveLength(256)
  })
})

describe('the PIN-less signature', () => {
  test('comes once per authentication', async () => {
    const { card } = await readyToSign()
    await signAuthorised(card)
    expect(await card.send(SIGN)).toBe('6985')
  })
  test('takes no data: whoever sends some gets no signature and loses the authorisation', async () => {
    const { card } = await readyToSign()
    expect(await card.send(`002a9e9a20${encodeHex(D)}00`)).toBe('6a80')
    expect(await card.send(SIGN)).toBe('6985')
  })
  test('an authorised institution does not open 80 2A: it still answers 6982', async () => {
    for (const p2 of ['97', '9a', '00']) {
      const { card } = await readyToSign()
      expect(await card.send(`802a02${p2}20${encodeHex(D)}00`)).toBe('6982')
      expect(await card.send(SIGN)).toBe('6985')
    }
  })
  test('a PIN does not open it', async () => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    await verifyPin(card, 'user-authentication', ascii(PIN))
    expect(await card.send(SIGN)).toBe('6985')
  })
  test('state is cleared before computing: a failure while signing leaves no authorisation behind', async () => {
    // A key that RSA cannot compute with makes the computation fail after every check has passed.
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const broken = encodeBase64url(privateKey.export({ type: 'pkcs8', format: 'der' }))
    const userAuthentication = { ...personalisation.userAuthentication, privateKey: broken }
    const card = await powerUp({ ...personalisation, userAuthentication })
    await authorised(card, chain, D, institution.terminalKey)
    expect(await card.send(SIGN)).toBe('6f00')
    expect(await card.send(SIGN)).toBe('6985')
  })
  test('61xx is no error: without Le the signature waits for GET RESPONSE', async () => {
    const { card, r } = await readyToSign()
    expect(await card.send('002a9e9a')).toBe('6100')
    const signature = decodeHex(await card.send('00c0000000')).slice(0, -2)
    expect(verifyDigestSignature(userKey, composeT({ certHash: hashOfTerminal(), r, d: D }), signature)).toBe(true)
    expect(await card.send('00c0000000')).toBe('6985')
  })
  test('6Cxx is no error: a Le too small keeps the authorisation and says the right one', async () => {
    const { card } = await readyToSign()
    expect(await card.send('002a9e9a10')).toBe('6c00')
    expect(await card.send(SIGN)).toMatch(/^[0-9a-f]{512}9000$/)
  })
})
