import { beforeAll, describe, expect, test } from 'vitest'
import { decodeBase64url, encodeHex } from '#bytes'
import { FILE } from './application.ts'
import { encodeTokenInfo } from './files.ts'
import { ascii, createTestPersonalisation, PASSWORD, PIN, powerUp, type TestCard, TestInstitution } from './fixture.ts'
import type { Personalisation } from './personalisation.ts'
import { readCertificate, readFile, readUserCertificate } from './read-binary.ts'
import { selectFile, selectJpki } from './select.ts'
import { readTriesLeft, verifyPin } from './verify.ts'

let personalisation: Personalisation
let child: Personalisation

beforeAll(async () => {
  const root = await new TestInstitution().root()
  personalisation = (await createTestPersonalisation(root)).personalisation
  child = (await createTestPersonalisation(root, '')).personalisation
})

async function selected(changes: Parameters<typeof powerUp>[1] = {}): Promise<TestCard> {
  const card = await powerUp(personalisation, changes)
  await selectJpki(card)
  return card
}

const JPKI = 'd392f000260100000001'
const right = `0020009804${encodeHex(ascii(PIN))}`
const wrong = '002000980430303030'

describe('SELECT', () => {
  test.each([
    ['the whole identifier', `00a4040c0a${JPKI}`, '9000'],
    ['with an FCI', `00a404000a${JPKI}00`, `6f0c840a${JPKI}9000`],
    ['with an FCI that waits for GET RESPONSE', `00a404000a${JPKI}`, '610e'],
    ['the issuer security domain', '00a4040c07a0000001510000', '9000'],
    ['one byte less', `00a4040c09${JPKI.slice(0, -2)}`, '6a82'],
    ['one byte more', `00a4040c0b${JPKI}00`, '6a82'],
    ['its first half', `00a4040c05${JPKI.slice(0, 10)}`, '6a82'],
    ['another identifier', '00a4040c05a000000003', '6a82'],
    ['no identifier', '00a4040c', '6a82'],
    ['the next occurrence', `00a4040e0a${JPKI}`, '6a86'],
    ['the master file after power-up', '00a40000', '6a86'],
    ['3F00 after power-up', '00a40000023f00', '6a86'],
    ['a file without an application', '00a4020c02000a', '6a82'],
  ])('%s', async (_name, command, answer) => {
    const card = await powerUp(personalisation)
    expect(await card.send(command)).toBe(answer)
  })
  test.each([
    ['a file', '00a4020c02000a', '9000'],
    ['a file with its FCI', '00a4020002000a00', '6f048302000a9000'],
    ['a key', '00a4020c020017', '9000'],
    ['a credential', '00a4020c020018', '9000'],
    ['a file that is not there', '00a4020c020003', '6a82'],
    ['an identifier of one byte', '00a4020c010a', '6700'],
    ['a child by P1 01', '00a4010c020006', '6a86'],
    ['3F00 in an application', '00a40000023f00', '6a82'],
  ])('in the application: %s', async (_name, command, answer) => {
    expect(await (await selected()).send(command)).toBe(answer)
  })
  test('00 A4 00 00 in the application says 9000 and does not leave it', async () => {
    const card = await selected()
    await verifyPin(card, 'user-authentication', ascii(PIN))
    expect(await card.send('00a40000')).toBe('9000')
    expect(await card.send('00b08a0004')).toBe('308205d89000')
    expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toMatch(/9000$/)
  })
  test('another application drops a verified PIN, a failed SELECT does not', async () => {
    const card = await selected()
    await verifyPin(card, 'user-authentication', ascii(PIN))
    await card.send('00a4040c05a000000003')
    expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toMatch(/9000$/)
    await card.send('00a4040c07a0000001510000')
    expect(await card.send('00b08a0004')).toBe('6985')
    await selectJpki(card)
    expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toBe('6982')
  })
  test.each(['reset', 'powerUp'] as const)('%s drops a verified PIN and gives the answer to reset', async (start) => {
    const card = await selected()
    await verifyPin(card, 'user-authentication', ascii(PIN))
    expect(encodeHex(await card.device[start]())).toBe('3be000ff8131fe4514')
    await selectJpki(card)
    expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toBe('6982')
  })
  test('without power there is no answer but a fault', async () => {
    const card = await selected()
    await card.device.powerDown()
    expect(await card.send('00b08a0004')).toBe('6f00')
  })
})

describe('READ BINARY', () => {
  const size = 1500
  test.each([
    ['the first four bytes, as OpenSC asks for the size', '00b0000004', '308205d8', '9000'],
    ['256 bytes', '00b0000000', undefined, '9000'],
    ['the last byte', '00b005db01', '01', '9000'],
    ['Le 00 at the end', '00b005da00', '0101', '9000'],
    ['more than is left, by an exact Le', '00b005da10', '0101', '6282'],
    ['at the end', '00b005dc00', '', '6b00'],
    ['far past the end', '00b07fff00', '', '6b00'],
    ['no Le', '00b00000', '', '6700'],
    ['with data', '00b000000411223344', '', '6700'],
    ['short identifier 0', '00b0800000', '', '6a86'],
    ['reserved bits of P1', '00b0aa0000', '', '6a86'],
    ['short identifier of nothing', '00b0830000', '', '6a82'],
    ['a key', '00b0970000', '', '6981'],
    ['a credential', '00b0980000', '', '6981'],
    ['the institution root', '00b0960000', '', '6981'],
    ['the signature certificate', '00b0810000', '', '6982'],
    ['extended Le, whole', '00b08a00000000', undefined, '9000'],
    ['extended Le of 16', '00b08a00000010', undefined, '9000'],
    ['extended Le past the end', '00b08a0000ffff', undefined, '6282'],
  ])('%s', async (_name, command, data, sw) => {
    const card = await selected()
    await selectFile(card, FILE.userCertificate)
    const answer = await card.send(command)
    expect(answer.slice(-4)).toBe(sw)
    if (data !== undefined) expect(answer.slice(0, -4)).toBe(data)
  })
  test('every length that is asked for is given', async () => {
    const card = await selected()
    for (const [le, length] of [
      ['01', 1],
      ['fe', 254],
      ['ff', 255],
      ['00', 256],
      ['000101', 257],
      ['000000', size],
    ] as const) {
      expect((await card.send(`00b08a00${le}`)).length).toBe(2 * (length + 2))
    }
  })
  test('without a current file there is nothing to read', async () => {
    expect(await (await selected()).send('00b0000004')).toBe('6986')
  })
  test('a short identifier makes the file current', async () => {
    const card = await selected()
    await card.send('00b0860001')
    expect((await card.send('00b0009f01')).slice(0, 2)).toBe('20')
    expect(await card.send('00b000a001')).toBe('6b00')
  })
  test.each([true, false])('the driver reads whole certificates, extended length %s', async (extendedLength) => {
    const card = await selected({ extendedLength })
    const { userAuthentication, signature } = personalisation
    expect(await readUserCertificate(card)).toEqual(decodeBase64url(userAuthentication.certificate))
    expect(await readCertificate(card, FILE.userAuthority)).toEqual(decodeBase64url(userAuthentication.caCertificate))
    expect(await readCertificate(card, FILE.signatureAuthority)).toEqual(decodeBase64url(signature!.caCertificate))
    await expect(readCertificate(card, FILE.signatureCertificate)).rejects.toMatchObject({ code: 'pin-required' })
    await verifyPin(card, 'signature', ascii(PASSWORD.toLowerCase()))
    expect(await readCertificate(card, FILE.signatureCertificate)).toEqual(decodeBase64url(signature!.certificate))
    expect(await readFile(card, FILE.presence)).toEqual(Uint8Array.of(0x8f, 0x8f, 0x00))
    expect(await readFile(card, FILE.tokenInfo)).toEqual(encodeTokenInfo('JPKIAPICCTOKEN2'))
  })
  test('token info is a CK_TOKEN_INFO of 160 bytes that names no card', async () => {
    const info = Buffer.from(encodeTokenInfo('JPKIAPICCTOKEN2'))
    expect(info).toHaveLength(160)
    expect(info.toString('latin1', 0, 32)).toBe('JPKIAPICCTOKEN2'.padEnd(32))
    expect(info.toString('latin1', 80, 96)).toBe(' '.repeat(16))
    expect(info.toString('latin1', 140, 144)).toBe('0301')
  })
  test('a card without a signature key has neither its files nor its credential', async () => {
    const card = await powerUp(child)
    await selectJpki(card)
    expect(await readFile(card, FILE.presence)).toEqual(Uint8Array.of(0x00, 0x8f, 0x00))
    await expect(readCertificate(card, FILE.signatureCertificate)).rejects.toMatchObject({ code: 'file-missing' })
    await expect(readTriesLeft(card, 'signature')).rejects.toMatchObject({ code: 'file-missing' })
    await expect(verifyPin(card, 'signature', ascii(PASSWORD))).rejects.toMatchObject({ code: 'file-missing' })
  })
})

describe('VERIFY', () => {
  test.each([
    ['a query', '00200098', '63c3'],
    ['a query for the password', '0020009b', '63c5'],
    ['a query with Le', '0020009800', '6700'],
    ['no current file', '00200080', '6986'],
    ['P1 01', '00200198', '6a86'],
    ['P2 00', '00200000', '6a86'],
    ['P2 with other bits', '002000b8', '6a86'],
    ['a file that is no credential', '0020008a', '6a88'],
    ['a key', '00200097', '6a88'],
    ['no such file', '00200083', '6a88'],
    ['no PIN at all (Lc 00)', '0020009800', '6700'],
    ['3 digits', '0020009803313233', '6700'],
    ['5 digits', '00200098053132333435', '6700'],
    ['64 bytes', `0020009840${'31'.repeat(64)}`, '6700'],
    ['letters', '002000980441424344', '6a80'],
    ['padding with FF', '0020009804313233ff', '6a80'],
    ['padding with 00', '002000980431323300', '6a80'],
    ['a password in lower case', '0020009b06616263313233', '6a80'],
    ['a password of 5', '0020009b054142433132', '6700'],
    ['a password of 17', `0020009b11${'41'.repeat(17)}`, '6700'],
    ['a wrong PIN', wrong, '63c2'],
    ['a wrong password', '0020009b06414243313234', '63c4'],
    ['the right PIN', right, '9000'],
    ['the right password', '0020009b06414243313233', '9000'],
  ])('%s', async (_name, command, sw) => {
    const card = await selected()
    expect(await card.send(command)).toBe(sw)
    const { tries } = await card.state.read()
    const spent = /^63c[24]$/.test(sw) ? 1 : 0
    expect(tries['user-authentication'] + tries.signature).toBe(8 - spent)
  })
  test('a query by the current file answers 63Cx as OpenSC demands: unverified, verified, blocked', async () => {
    const card = await selected()
    await card.send('00a4020c020018')
    expect(await card.send('00200080')).toBe('63c3')
    expect(await card.send('002000800431323334')).toBe('9000')
    expect(await card.send('00200080')).toBe('63c3')
    for (const sw of ['63c2', '63c1', '63c0', '6984', '6984']) expect(await card.send(wrong)).toBe(sw)
    expect(await card.send('00200080')).toBe('63c0')
    expect(await card.send(right)).toBe('6984')
    await card.send('00a4020c020017')
    expect(await card.send('00200080')).toBe('6981')
  })
  test('queries never cost a try', async () => {
    const card = await selected()
    for (let i = 0; i < 20; i++) expect(await readTriesLeft(card, 'user-authentication')).toBe(3)
  })
  test('a success restores the counter; a wrong PIN after it takes the right away', async () => {
    const card = await selected()
    await card.send(wrong)
    await card.send(wrong)
    expect(await card.send(right)).toBe('9000')
    expect(await readTriesLeft(card, 'user-authentication')).toBe(3)
    expect(await card.send(wrong)).toBe('63c2')
    expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toBe('6982')
  })
  test('the two credentials have counters of their own, which outlast power', async () => {
    const card = await selected()
    await card.send(wrong)
    await card.device.powerDown()
    await card.device.powerUp()
    await selectJpki(card)
    expect(await readTriesLeft(card, 'user-authentication')).toBe(2)
    expect(await readTriesLeft(card, 'signature')).toBe(5)
  })
  test('the password locks after five wrong tries and leaves the PIN alone', async () => {
    const card = await selected()
    const outcomes = []
    for (let i = 0; i < 6; i++) outcomes.push(await verifyPin(card, 'signature', ascii('WRONG1')))
    expect(outcomes).toEqual([
      ...[4, 3, 2, 1].map((triesLeft) => ({ outcome: 'wrong', triesLeft })),
      { outcome: 'blocked' },
      { outcome: 'blocked' },
    ])
    expect(await readTriesLeft(card, 'signature')).toBe(0)
    expect(await verifyPin(card, 'user-authentication', ascii(PIN))).toEqual({ outcome: 'verified' })
  })
  test.each(['', '123', '12345', '12a4', '１２３４'])('the driver does not send %j: no try is spent', async (pin) => {
    const card = await selected()
    const bytes = new TextEncoder().encode(pin)
    await expect(verifyPin(card, 'user-authentication', bytes)).rejects.toMatchObject({ code: 'pin-malformed' })
    expect(await readTriesLeft(card, 'user-authentication')).toBe(3)
  })
  test('the driver erases the command it sent and leaves the caller’s PIN to the caller', async () => {
    const card = await selected()
    let sent: Uint8Array = new Uint8Array(0)
    const channel = {
      extendedLength: true,
      transmit(command: Uint8Array) {
        sent = command
        return card.transmit(command)
      },
    }
    const pin = ascii(PIN)
    await verifyPin(channel, 'user-authentication', pin)
    expect(encodeHex(sent)).toBe('00'.repeat(9))
    expect(pin).toEqual(ascii(PIN))
  })
})
