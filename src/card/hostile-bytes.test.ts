import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { encodeHex } from '#bytes'
import {
  ascii,
  authorised,
  createTestPersonalisation,
  PIN,
  powerUp,
  type TestCard,
  TestInstitution,
} from './fixture.ts'
import type { Personalisation } from './personalisation.ts'
import { selectJpki } from './select.ts'
import { initialCardState } from './state.ts'
import { verifyPin } from './verify.ts'

const institution = new TestInstitution()
const D = new Uint8Array(32).fill(0xd1)
let personalisation: Personalisation
beforeAll(async () => {
  personalisation = (await createTestPersonalisation(await institution.root())).personalisation
})

async function selected(): Promise<TestCard> {
  const card = await powerUp(personalisation)
  await selectJpki(card)
  return card
}

describe('commands that are none, or not for this card', () => {
  test.each([
    ['no byte', '', '6700'],
    ['one byte', '00', '6700'],
    ['three bytes', '00a404', '6700'],
    ['Lc larger than the data', '00a4040c0ad392', '6700'],
    ['Lc smaller than the data, and no Le', '00a4040c01d392f0', '6700'],
    ['Lc 0 with data', '0020009800313233', '6700'],
    ['extended Lc truncated', '00a4040c0000', '6700'],
    ['extended Lc 0', '00a4040c000000d392', '6700'],
    ['extended Lc larger than the data', '00a4040c00ffff00', '6700'],
    ['Le larger than any file', '00b08600000000', undefined],
    ['the class FF', 'ffa4040c', '6e00'],
    ['a reserved class', '20a4040c', '6e00'],
    ['a proprietary class', 'a0a40000', '6e00'],
    ['logical channel 1', '01a4040c0ad392f000260100000001', '6881'],
    ['logical channel 4', '40b08a0000', '6881'],
    ['secure messaging', '0cb08a0000', '6882'],
    ['proprietary secure messaging', '04b08a0000', '6882'],
    ['secure messaging of 80', '882a0097', '6882'],
    ['an unknown instruction', '00fe0000', '6d00'],
    ['an instruction of the transport', '0060000000', '6d00'],
    ['INTERNAL AUTHENTICATE', '008800991000000000000000000000000000000000', '6d00'],
    ['GET DATA, as probes ask', '00ca006e00', '6d00'],
    ['GET DATA with a tag list', '00cb3fff00', '6d00'],
    ['80 A4', '80a4040c', '6d00'],
    ['00 2A with other parameters', '002a000000', '6a86'],
    ['MSE with other parameters', '002241b6', '6a86'],
    ['EXTERNAL AUTHENTICATE with other parameters', '0082000100', '6a86'],
    ['GET CHALLENGE without Le', '00840000', '6700'],
    ['GET CHALLENGE with data', '0084000001aa10', '6700'],
    ['GET CHALLENGE of 257', '00840000000101', '6700'],
    ['GET CHALLENGE with P1', '0084010010', '6a86'],
    ['GET RESPONSE with nothing to get', '00c0000000', '6985'],
  ])('%s', async (_name, command, sw) => {
    const card = await selected()
    const answer = await card.send(command)
    if (sw === undefined) expect(answer.slice(-4)).toBe('9000')
    else expect(answer).toBe(sw)
    expect(await card.state.read()).toEqual(initialCardState(personalisation))
    expect(await card.send('00b08a0004')).toBe('308205d89000')
  })
  test('outside an application nothing but SELECT and GET CHALLENGE works', async () => {
    const card = await powerUp(personalisation)
    for (const command of ['00b08a0000', '00200098', '802a009700', '002281b603830141', '002a9e9a00', '0082000000']) {
      expect(await card.send(command)).toBe('6985')
    }
    expect(await card.send('0084000010')).toMatch(/^[0-9a-f]{32}9000$/)
  })
})

describe('chaining', () => {
  test('another command in between is refused, drops the chain, and is not carried out', async () => {
    const card = await selected()
    await verifyPin(card, 'user-authentication', ascii(PIN))
    expect(await card.send('902a029710aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')).toBe('9000')
    expect(await card.send('00b08a0004')).toBe('6883')
    expect(await card.send('802a029710aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00')).toBe('6985')
  })
  test('a chain that is never closed is forgotten at the next power-up', async () => {
    const card = await selected()
    await card.send('902a029710aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')
    await card.device.reset()
    expect(await card.send('00a4040c0ad392f000260100000001')).toBe('9000')
  })
  test('a chain of more than 64 kB is refused and dropped', async () => {
    const card = await selected()
    const part = `902a0397ff${'aa'.repeat(255)}`
    for (let sent = 255; sent <= 65535; sent += 255) expect(await card.send(part)).toBe('9000')
    expect(await card.send(part)).toBe('6700')
    expect(await card.send('00b08a0004')).toBe('308205d89000')
  })
  test('commands that never carry much cannot be chained', async () => {
    const card = await selected()
    expect(await card.send(`1020009804${encodeHex(ascii(PIN))}`)).toBe('6884')
    expect(await card.send('10b08a0000')).toBe('6884')
  })
  test('a part changes nothing yet, its refusal drops what is under way', async () => {
    const chain = await institution.chain()
    const card = await powerUp(personalisation)
    await authorised(card, chain, D, institution.terminalKey)
    expect(await card.send('102a9e9a01aa')).toBe('9000')
    expect(await card.send('002a9e9a00')).toBe('6a80')
    expect(await card.send('002a9e9a00')).toBe('6985')
  })
})

describe('any bytes', () => {
  const header = fc.constantFrom(
    ...['00a4040c', '00a4020c', '00b08a00', '00b00000', '00200098', '0020009b', '802a0097', '802a0580', '00840000'],
    ...['002281b6', '002281a4', '002a00be', '002a9e9a', '00820000', '00c00000', '102a00be', '10820000'],
  )
  const almostCommand = fc
    .tuple(header, fc.uint8Array({ maxLength: 300 }))
    .map(([start, rest]) => Uint8Array.from([...Buffer.from(start, 'hex'), ...rest]))

  test('are answered with two bytes or more, whatever came before, and never cost more tries than PINs were sent', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 64 }), almostCommand), { maxLength: 12 }),
        async (commands) => {
          const card = await selected()
          for (const command of commands) {
            const before = (await card.state.read()).tries
            const answer = await card.transmit(command)
            expect(answer.length).toBeGreaterThanOrEqual(2)
            const after = (await card.state.read()).tries
            const spent =
              before['user-authentication'] + before.signature - after['user-authentication'] - after.signature
            const isPin = command[1] === 0x20 && command.length > 5
            expect(spent).toBeLessThanOrEqual(isPin ? 1 : 0)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('never sign: no guessed command gets a signature out of a card without PIN or authentication', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(almostCommand, { maxLength: 10 }), async (commands) => {
        const card = await selected()
        for (const command of commands) {
          const answer = await card.transmit(command)
          if (command[1] === 0x2a && command[2] !== 0x00) expect(answer).toHaveLength(2)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('commands sent all at once are carried out one after the other', async () => {
    const card = await selected()
    const wrong = `0020009804${encodeHex(ascii('0000'))}`
    const answers = await Promise.all(Array.from({ length: 5 }, () => card.send(wrong)))
    expect(answers).toEqual(['63c2', '63c1', '63c0', '6984', '6984'])
  })
})
