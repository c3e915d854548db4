import { describe, expect, test } from 'vitest'
import type { CardDevice } from '#apdu'
import { createInProcessReader, ReaderError, readerFailures } from './index.ts'

const ATR = Uint8Array.of(0x3b, 0x80)
const OK = Uint8Array.of(0x90, 0)
const SELECT = Uint8Array.of(0, 0xa4, 4, 0)

/** A card that notes what happens to its power; `process` can be made to wait. */
function card(process: () => Promise<Uint8Array> = async () => OK) {
  const power: string[] = []
  const device: CardDevice = {
    async powerUp() {
      power.push('up')
      return ATR
    },
    async reset() {
      power.push('reset')
      return ATR
    },
    async powerDown() {
      power.push('down')
    },
    process,
  }
  return { device, power }
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ReaderError ? error.code : String(error)),
  )

describe('the in-process reader', () => {
  test('waits until a card is put on and until it is taken off', async () => {
    const reader = createInProcessReader('desk')
    const seen: string[] = []
    const put = reader.waitForCard().then(() => seen.push('put'))
    await Promise.resolve()
    expect(seen).toEqual([])
    reader.insert(card().device)
    await put
    const off = reader.waitForRemoval().then(() => seen.push('off'))
    await reader.waitForCard() // there already
    expect(seen).toEqual(['put'])
    await reader.remove()
    await off
    expect(seen).toEqual(['put', 'off'])
  })

  test('stops waiting with the reason of the signal', async () => {
    const reader = createInProcessReader('desk')
    const closing = new AbortController()
    const waiting = codeOf(reader.waitForCard(closing.signal))
    closing.abort('closing')
    expect(await waiting).toBe('closing')
    expect(await codeOf(reader.waitForCard(AbortSignal.abort('before')))).toBe('before')
  })

  test('powers the card on for a session and off after it, once', async () => {
    const reader = createInProcessReader('desk')
    const { device, power } = card()
    reader.insert(device)
    const connection = await reader.connect()
    expect(connection.atr).toEqual(ATR)
    expect(await connection.transmit(SELECT)).toEqual(OK)
    await connection.disconnect()
    await connection.disconnect()
    expect(power).toEqual(['up', 'down'])
    expect(await codeOf(connection.transmit(SELECT))).toBe('connection-closed')
  })

  test('gives one session at a time', async () => {
    const reader = createInProcessReader('desk')
    expect(await codeOf(reader.connect())).toBe('no-card')
    reader.insert(card().device)
    expect(() => reader.insert(card().device)).toThrow('sharing-violation')
    const first = await reader.connect()
    expect(await codeOf(reader.connect())).toBe('sharing-violation')
    await first.disconnect()
    expect(await codeOf(reader.connect())).toBe('done')
  })

  test('a card taken off in the middle of a command ends it with card-removed and loses its power', async () => {
    const reader = createInProcessReader('desk')
    const { device, power } = card(() => new Promise(() => {}))
    reader.insert(device)
    const connection = await reader.connect()
    const answer = codeOf(connection.transmit(SELECT))
    await reader.remove()
    expect(await answer).toBe('card-removed')
    expect(await codeOf(connection.transmit(SELECT))).toBe('card-removed')
    expect(power).toEqual(['up', 'down'])
  })

  test('a card taken off while it is powered on never opens a session', async () => {
    const reader = createInProcessReader('desk')
    reader.insert({ ...card().device, powerUp: () => new Promise(() => {}) })
    const opening = codeOf(reader.connect())
    await reader.remove()
    expect(await opening).toBe('card-removed')
  })

  test('a session of before does not touch the card that was put on again', async () => {
    const reader = createInProcessReader('desk')
    const { device, power } = card()
    reader.insert(device)
    const before = await reader.connect()
    await reader.remove()
    reader.insert(device)
    const after = await reader.connect()
    await before.disconnect()
    expect(await codeOf(before.transmit(SELECT))).toBe('connection-closed')
    expect(await after.transmit(SELECT)).toEqual(OK)
    expect(power).toEqual(['up', 'down', 'up'])
  })

  test('a card that fails to start leaves the reader free', async () => {
    const reader = createInProcessReader('desk')
    let starts = 0
    const { device } = card()
    reader.insert({ ...device, powerUp: async () => (starts++ === 0 ? Promise.reject(new Error('mute')) : ATR) })
    await expect(reader.connect()).rejects.toThrow('mute')
    expect(await codeOf(reader.connect())).toBe('done')
  })

  test.each([
    [undefined, true],
    [true, true],
    [false, false],
  ])('extendedLength %s is %s for the session', async (given, expected) => {
    const reader = createInProcessReader('desk', given === undefined ? {} : { extendedLength: given })
    reader.insert(card().device)
    expect((await reader.connect()).extendedLength).toBe(expected)
  })
})

test('every failure says in both languages what happened and what to do', () => {
  for (const { cause, remedy } of Object.values(readerFailures))
    for (const text of [cause.ja, cause.en, remedy.ja, remedy.en]) expect(text.length).toBeGreaterThan(5)
})
