import { beforeAll, describe, expect, test } from 'vitest'
import { decodeHex, encodeHex } from '#bytes'
import { CREDENTIALS, FILE, formFault } from './application.ts'
import { CardError, cardFailures } from './failures.ts'
import { announced, ascii, authorised, createTestPersonalisation, PIN, powerUp, TestInstitution } from './fixture.ts'
import { getChallenge } from './get-challenge.ts'
import { signAuthorised } from './institution-authentication.ts'
import {
  createPersonalisation,
  decodePersonalisation,
  encodePersonalisation,
  type Personalisation,
} from './personalisation.ts'
import { readFile, readUserCertificate } from './read-binary.ts'
import { selectFile, selectJpki } from './select.ts'
import { readTriesLeft, verifyPin } from './verify.ts'

const institution = new TestInstitution()
const D = new Uint8Array(32).fill(0xd1)
let personalisation: Personalisation
beforeAll(async () => {
  personalisation = (await createTestPersonalisation(await institution.root())).personalisation
})

/** A card that answers each command with the next of `answers`, the last one for ever. */
function hostile(extendedLength: boolean, ...answers: readonly string[]) {
  const sent: string[] = []
  return {
    extendedLength,
    sent,
    async transmit(command: Uint8Array) {
      sent.push(encodeHex(command))
      return decodeHex(answers[Math.min(sent.length, answers.length) - 1] ?? '')
    },
  }
}

describe('a card that is something else', () => {
  test.each(['6a82', '6a81', '6a86', '6a80', '6d00', '6e00', '6999'])('%s to SELECT: no My Number Card', async (sw) => {
    await expect(selectJpki(hostile(true, sw))).rejects.toMatchObject({
      code: 'not-a-my-number-card',
      detail: { step: 'select the JPKI application', status: sw },
    })
  })
  test.each(['6f00', '6982', '6300', '6283'])('%s to SELECT is an answer that nobody expects', async (sw) => {
    await expect(selectJpki(hostile(true, sw))).rejects.toMatchObject({ code: 'unexpected-status' })
  })
  test.each(['', '90'])('an answer of %j, shorter than a status word, is refused by the transport', async (answer) => {
    await expect(selectJpki(hostile(true, answer))).rejects.toMatchObject({ code: 'response-malformed' })
  })
  test('61xx without end and 6Cxx without end come to an end', async () => {
    await expect(readUserCertificate(hostile(true, '6110'))).rejects.toMatchObject({ code: 'response-endless' })
    await expect(readUserCertificate(hostile(true, '6c10', '6c20'))).rejects.toMatchObject({ code: 'response-endless' })
  })
})

describe('reading', () => {
  test('falls back to 256 bytes where extended length is refused', async () => {
    const content = `3082012c${'aa'.repeat(300)}`
    const card = hostile(true, '6700', `${content.slice(0, 512)}9000`, `${content.slice(512)}9000`)
    expect(encodeHex(await readUserCertificate(card))).toBe(content)
    expect(card.sent).toEqual(['00b08a00000000', '00b08a0000', '00b0010000'])
  })
  test('one APDU is enough where extended length is to be had', async () => {
    const card = hostile(true, `3082012c${'aa'.repeat(300)}ffff9000`)
    expect(await readUserCertificate(card)).toHaveLength(304)
    expect(card.sent).toHaveLength(1)
  })
  test('a certificate with a short length form is read as well', async () => {
    expect(encodeHex(await readUserCertificate(hostile(true, '3003020101ff9000')))).toBe('3003020101')
    expect(encodeHex(await readUserCertificate(hostile(true, '308103020101ff9000')))).toBe('308103020101')
  })
  test.each([
    ['no certificate', ['0401ff9000'], 'file-malformed'],
    ['a length of 4 octets', [`3084000000ff${'00'.repeat(255)}9000`], 'file-malformed'],
    ['a length of 16 MB', [`3083ffffff${'00'.repeat(255)}9000`], 'file-malformed'],
    ['a certificate cut short', ['3082012c00009000'], 'answer-incomplete'],
    ['9000 and nothing else', ['9000'], 'answer-incomplete'],
    ['no file', ['6a82'], 'file-missing'],
    ['a PIN first', ['6982'], 'pin-required'],
    ['a fault', ['6f00'], 'unexpected-status'],
  ] as const)('%s', async (_name, answers, code) => {
    for (const extendedLength of [true, false]) {
      await expect(readUserCertificate(hostile(extendedLength, ...answers))).rejects.toMatchObject({ code })
    }
  })
  test('a card that answers 256 bytes for ever is read no further than 15 bits of offset', async () => {
    const card = hostile(false, `${'30'.repeat(256)}9000`)
    expect(await readFile(card, FILE.tokenInfo)).toHaveLength(32768)
    expect(card.sent).toHaveLength(128)
  })
  test('a file of exactly 256 bytes ends with 6B00', async () => {
    expect(await readFile(hostile(false, `${'aa'.repeat(256)}9000`, '6b00'), FILE.tokenInfo)).toHaveLength(256)
  })
  test('selecting a file that is not there', async () => {
    await expect(selectFile(hostile(true, '6a82'), 3)).rejects.toMatchObject({ code: 'file-missing' })
    await expect(selectFile(hostile(true, '6f00'), 3)).rejects.toMatchObject({ code: 'unexpected-status' })
  })
})

describe('the PIN', () => {
  test.each([
    ['9000', { outcome: 'verified' }],
    ['63c2', { outcome: 'wrong', triesLeft: 2 }],
    ['63c0', { outcome: 'blocked' }],
    ['6984', { outcome: 'blocked' }],
    ['6983', { outcome: 'blocked' }],
  ])('%s', async (sw, outcome) => {
    expect(await verifyPin(hostile(true, sw), 'user-authentication', ascii(PIN))).toEqual(outcome)
  })
  test('any other answer is an error, and the PIN is sent once only', async () => {
    for (const sw of ['6300', '6700', '6100', '6c00', '6f00']) {
      const card = hostile(true, sw)
      const error: Error = await verifyPin(card, 'user-authentication', ascii(PIN)).then(
        () => new Error('accepted'),
        (reason) => reason,
      )
      expect(error).toMatchObject({ code: 'unexpected-status', detail: { status: sw } })
      expect(error.message).not.toContain(PIN)
      expect(card.sent).toHaveLength(1)
    }
  })
  test('tries left are asked for without sending anything that could cost one', async () => {
    for (const [sw, left] of [
      ['63c2', 2],
      ['63c0', 0],
      ['6984', 0],
      ['6983', 0],
      ['9000', 3],
    ] as const) {
      const card = hostile(true, sw)
      expect(await readTriesLeft(card, 'user-authentication')).toBe(left)
      expect(card.sent).toEqual(['00200098'])
    }
    await expect(readTriesLeft(hostile(true, '6f00'), 'signature')).rejects.toMatchObject({ code: 'unexpected-status' })
  })
  test('nothing but verifyPin spends a try: a whole tap leaves the counters full', async () => {
    const card = await powerUp(personalisation)
    const sent: string[] = []
    const watched = {
      extendedLength: true,
      transmit(command: Uint8Array) {
        sent.push(encodeHex(command.subarray(0, 2)))
        return card.transmit(command)
      },
    }
    await authorised(watched, await institution.chain(), D, institution.terminalKey)
    await readUserCertificate(watched)
    expect(sent).not.toContain('0020')
    expect((await card.state.read()).tries).toEqual({ 'user-authentication': 3, signature: 5 })
  })
})

describe('a card that is taken away', () => {
  test('at every single APDU: the error of the channel passes through, unchanged', async () => {
    const gone = new Error('card removed')
    for (let at = 0; at < 9; at++) {
      const card = await powerUp(personalisation)
      let left = at
      const channel = {
        extendedLength: true,
        transmit: (command: Uint8Array) => (left-- > 0 ? card.transmit(command) : Promise.reject(gone)),
      }
      const tap = async () => {
        await authorised(channel, await institution.chain(), D, institution.terminalKey)
        await signAuthorised(channel)
      }
      await expect(tap()).rejects.toBe(gone)
      // Put back, the card starts from nothing.
      await card.device.powerDown()
      await card.device.powerUp()
      await authorised(card, await institution.chain(), D, institution.terminalKey)
      expect(await signAuthorised(card)).toHaveLength(256)
    }
  })
})

describe('answers that lack something', () => {
  test('a challenge of another length', async () => {
    await expect(getChallenge(hostile(true, '00112233445566779000'))).rejects.toMatchObject({
      code: 'answer-incomplete',
    })
  })
  test('a signature of no bytes', async () => {
    await expect(signAuthorised(hostile(true, '9000'))).rejects.toMatchObject({ code: 'answer-incomplete' })
  })
  test('a status word that no step knows names the step', async () => {
    await expect(announced(hostile(true, '9000', '6985'), await institution.chain(), D)).rejects.toMatchObject({
      code: 'unexpected-status',
      detail: { step: 'name the issuer of a certificate', status: '6985' },
    })
  })
})

describe('personalisation', () => {
  test('survives its file', () => {
    expect(decodePersonalisation(encodePersonalisation(personalisation))).toEqual(personalisation)
  })
  test.each([
    ['no JSON', () => 'PIN 1234', '(whole)'],
    ['a PIN of 5', () => JSON.stringify({ ...personalisation, pin: '12345' }), 'pin'],
    ['a password in lower case', () => JSON.stringify({ ...personalisation, password: 'abc123' }), 'password'],
    [
      'a signature key without a password',
      () => JSON.stringify({ ...personalisation, password: undefined }),
      '(whole)',
    ],
    ['an unknown member', () => JSON.stringify({ ...personalisation, myNumber: '1' }), '(whole)'],
    ['a date that is none', () => JSON.stringify({ ...personalisation, date: '2026-02-30' }), 'date'],
    [
      'a certificate that is no base64url',
      () =>
        JSON.stringify({
          ...personalisation,
          userAuthentication: { ...personalisation.userAuthentication, certificate: 'a+b=' },
        }),
      'userAuthentication.certificate',
    ],
  ])('%s is refused by the name of the member, never its value', (_name, text, member) => {
    const refused = (): unknown => {
      try {
        return decodePersonalisation(text())
      } catch (error) {
        return error
      }
    }
    expect(refused()).toMatchObject({ code: 'personalisation-malformed', detail: { member } })
    expect(String(refused())).not.toMatch(/1234|abc123/)
  })
  test('a refused order of a card passes on what the issuer says', async () => {
    const issue = () => Promise.reject(new Error('authority is away'))
    await expect(
      createPersonalisation({
        ...{ holder: 'test', pin: PIN, date: '2026-11-01', issue },
        institutionRoots: personalisation.institutionRoots,
      }),
    ).rejects.toThrow('authority is away')
  })
  test('the form of a credential: boundaries', () => {
    expect(CREDENTIALS['user-authentication'].tries).toBe(3)
    expect(formFault('user-authentication', ascii('0999'))).toBeUndefined()
    expect(formFault('user-authentication', ascii('12:4'))).toBe('characters')
    expect(formFault('user-authentication', ascii('12/4'))).toBe('characters')
    expect(formFault('signature', ascii('AZ09AZ'))).toBeUndefined()
    expect(formFault('signature', ascii('A'.repeat(16)))).toBeUndefined()
    for (const bad of ['AZ09A@', 'AZ09A[', 'AZ09Aa', 'AZ09A '])
      expect(formFault('signature', ascii(bad))).toBe('characters')
    for (const bad of ['AAAAA', 'A'.repeat(17)]) expect(formFault('signature', ascii(bad))).toBe('length')
  })
})

test('every code of failure has a cause and a remedy in both languages', () => {
  for (const { cause, remedy } of Object.values(cardFailures)) {
    for (const text of [cause.ja, cause.en, remedy.ja, remedy.en]) expect(text).not.toBe('')
  }
  expect(new CardError('pin-required').message).toBe('pin-required')
})
