import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHex, encodeHex } from '#bytes'
import { createVirtualClock } from '#clock'
import {
  ApduError,
  type CardChannel,
  command,
  decodeCommand,
  decodeResponse,
  encodeCommand,
  exchange,
  replayChannel,
  SW,
  statusText,
  type TracedExchange,
  traceChannel,
  triesLeft,
  triesLeftStatus,
} from './index.ts'

const bytes = (length: number, fill = 0xa5): Uint8Array => new Uint8Array(length).fill(fill)
const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof ApduError) return error.code
    throw error
  }
  return 'accepted'
}

describe('command APDU', () => {
  const lengths = [0, 1, 254, 255, 256, 257, 65535]
  const expected = [undefined, 1, 254, 255, 256, 257, 65535, 65536]
  test.each(lengths.flatMap((lc) => expected.map((le) => [lc, le] as const)))(
    'Lc %s, Le %s: encode and decode agree',
    (lc, le) => {
      const apdu = command('00B08A00', bytes(lc), le)
      const encoded = encodeCommand(apdu)
      // Le 256 and 65536 share their bytes (00, 0000) with the form that carries them.
      const wide = lc > 255 || (le ?? 0) > 256
      expect(encoded.length).toBe(
        4 + (lc > 0 ? (wide ? 3 : 1) + lc : 0) + (le === undefined ? 0 : wide ? (lc > 0 ? 2 : 3) : 1),
      )
      expect(decodeCommand(encoded)).toEqual(apdu)
    },
  )
  test.each([
    ['empty', ''],
    ['3 bytes', '00a404'],
    ['Lc larger than the data', '00a4040c0ad392'],
    ['Lc smaller than the data', '00a4040c01d3920000'],
    ['extended Lc cut short', '00a4040c0000'],
    ['extended Lc of 0 with data', '00a4040c000000d392'],
    ['extended data cut short', '00a4040c000102d392'],
  ])('%s is refused', (_name, hex) => expect(codeOf(() => decodeCommand(decodeHex(hex)))).toBe('command-malformed'))
  test('any bytes are a command or are refused with our own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        expect(['accepted', 'command-malformed']).toContain(codeOf(() => decodeCommand(input)))
      }),
    )
  })
})

test('tries left are in the last nibble of 63Cx and nowhere else', () => {
  for (const left of [0, 1, 3, 15]) expect(triesLeft(triesLeftStatus(left))).toBe(left)
  expect([0x9000, 0x6300, 0x6984].map(triesLeft)).toEqual([undefined, undefined, undefined])
  expect(statusText(0x63c2)).toBe('63c2')
})

describe('an exchange', () => {
  /** Answers from a list and keeps what was sent. */
  const scripted = (answers: readonly string[], extendedLength = true) => {
    const sent: string[] = []
    const channel: CardChannel = {
      extendedLength,
      async transmit(apdu) {
        sent.push(encodeHex(apdu))
        return decodeHex(answers[sent.length - 1] ?? '6f00')
      },
    }
    return { channel, sent }
  }

  test('fetches what 61xx says is left', async () => {
    const { channel, sent } = scripted(['01026102', '03049000'])
    expect(await exchange(channel, command('00B00000', undefined, 256))).toEqual({
      data: decodeHex('01020304'),
      sw: SW.ok,
    })
    expect(sent).toEqual(['00b0000000', '00c0000002'])
  })
  test('asks again with the Le that 6Cxx names, once', async () => {
    const { channel, sent } = scripted(['6c10', `${'00'.repeat(16)}9000`])
    expect((await exchange(channel, command('00B00000', undefined, 256))).data.length).toBe(16)
    expect(sent).toEqual(['00b0000000', '00b0000010'])
    await expect(exchange(scripted(['6c10', '6c20']).channel, command('00B00000', undefined, 1))).rejects.toMatchObject(
      {
        code: 'response-endless',
      },
    )
  })
  test('gives up on a card that says 61xx for ever', async () => {
    const endless: CardChannel = { extendedLength: true, transmit: async () => decodeHex('6101') }
    await expect(exchange(endless, command('00B00000', undefined, 256))).rejects.toMatchObject({
      code: 'response-endless',
    })
    const flood: CardChannel = {
      extendedLength: true,
      transmit: async () => new Uint8Array([...bytes(30_000), 0x61, 0]),
    }
    await expect(exchange(flood, command('00B00000', undefined, 256))).rejects.toMatchObject({
      code: 'response-too-large',
    })
  })
  test('refuses an answer without a status word', async () => {
    await expect(exchange(scripted(['90']).channel, command('00B00000'))).rejects.toMatchObject({
      code: 'response-malformed',
    })
    expect(() => decodeResponse(new Uint8Array(0))).toThrow(ApduError)
  })
  test('chains long data where the reader has no extended length, and stops at the first refusal', async () => {
    const { channel, sent } = scripted(['9000', '9000'], false)
    await exchange(channel, command('00820000', bytes(256)))
    expect(sent.map((apdu) => apdu.slice(0, 10))).toEqual(['10820000ff', '0082000001'])
    const refused = scripted(['6884'], false)
    expect((await exchange(refused.channel, command('00820000', bytes(600)))).sw).toBe(0x6884)
    expect(refused.sent.length).toBe(1)
  })
})

describe('a trace', () => {
  const record = async (apdu: string, answer: string): Promise<TracedExchange> => {
    const made: TracedExchange[] = []
    const card: CardChannel = { extendedLength: true, transmit: async () => decodeHex(answer) }
    await traceChannel(card, createVirtualClock(0), (one) => made.push(one)).transmit(decodeHex(apdu))
    return made[0]!
  }
  test.each([
    ['VERIFY', '0020009804', '31323334', '63c2'],
    ['VERIFY of a password', '0020009b08', '5041535357303031', '9000'],
    ['CHANGE REFERENCE DATA', '0024018004', '31323334', '9000'],
    ['RESET RETRY COUNTER', '002c009804', '31323334', '9000'],
    ['CHANGE KEY', '8032008004', '31323334', '9000'],
  ])('of %s never holds the secret, nor how long it is', async (_name, header, secret, sw) => {
    const traced = await record(header + secret, sw)
    expect(JSON.stringify(traced)).not.toContain(secret)
    const longer = await record(`${header.slice(0, 8)}0a${'39'.repeat(10)}`, sw)
    expect({ ...longer, command: '' }).toEqual({ ...traced, command: '' })
    expect(longer.command).toBe(traced.command)
    expect(traced.response).toBe(sw)
  })
  test.each([
    ['READ BINARY', '00b08a00000000', '3082010203'],
    ['the holder’s signature', '802a00970a00010203040506070809', 'aabbccdd'],
    ['the PIN-less signature', '002a9e9a00', 'aabbccdd'],
  ])('of %s holds no answer but its length', async (_name, apdu, answer) => {
    const traced = await record(apdu, `${answer}9000`)
    expect(traced.response).toBe(`··(${answer.length / 2})9000`)
  })
  test('of a command without secrets is whole', async () => {
    expect(await record('00a4040c0ad392f000260100000001', '9000')).toMatchObject({
      command: '00a4040c0ad392f000260100000001',
      response: '9000',
      sent: 15,
      received: 2,
    })
  })
})

test('a replay answers what was recorded, in order, and nothing else', async () => {
  const recording = [{ command: '00840000', response: 'aa9000' }]
  const channel = replayChannel(recording)
  expect(encodeHex(await channel.transmit(decodeHex('00840000')))).toBe('aa9000')
  await expect(channel.transmit(decodeHex('00840000'))).rejects.toMatchObject({ code: 'replay-mismatch' })
  await expect(replayChannel(recording).transmit(decodeHex('00840001'))).rejects.toMatchObject({
    code: 'replay-mismatch',
  })
})
