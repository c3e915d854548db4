import { describe, expect, test } from 'vitest'
import { createVirtualClock, japanDate, parseTime, systemClock, timeText } from './index.ts'

describe('sleep', () => {
  test.each([
    ['the system clock', systemClock],
    ['a virtual clock', createVirtualClock(0)],
  ])('on %s rejects with the signal’s own reason', async (_name, clock) => {
    const giveUp = new AbortController()
    const sleeping = clock.sleep(60_000, giveUp.signal)
    const reason = new Error('enough')
    giveUp.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
    await expect(clock.sleep(1, giveUp.signal)).rejects.toBe(reason)
  })

  test('virtual sleeps and repetitions end in order of time, and only when it is told to move', async () => {
    const clock = createVirtualClock(1_000)
    const happened: string[] = []
    void clock.sleep(20).then(() => happened.push(`slept ${clock.now()}`))
    const stop = clock.every(15, () => happened.push(`tick ${clock.now()}`))
    await clock.advance(14)
    expect(happened).toEqual([])
    await clock.advance(20)
    stop()
    await clock.advance(100)
    expect(happened).toEqual(['tick 1015', 'slept 1020', 'tick 1030'])
  })

  test('setting the wall clock moves no sleep', async () => {
    const clock = createVirtualClock(0)
    clock.setWallClock(1_000_000)
    expect([clock.now(), clock.monotonic()]).toEqual([1_000_000, 0])
  })
})

describe('times', () => {
  test.each(['2026-11-22T01:02:03.004Z', '2028-02-29T23:59:59.999Z'])('%s is read and written alike', (text) => {
    expect(timeText(parseTime(text) ?? 0)).toBe(text)
  })
  test.each([
    '2026-11-22T01:02:03Z',
    '2026-11-22T01:02:03.004+09:00',
    '2026-02-30T01:02:03.004Z',
    '2026-13-01T01:02:03.004Z',
    '2026-11-22t01:02:03.004z',
    '+002026-11-22T01:02:03.004Z',
  ])('%s is not a time of a message', (text) => expect(parseTime(text)).toBeUndefined())
  test('the day in Japan begins at 15:00 UTC', () => {
    expect(japanDate(Date.parse('2026-11-22T14:59:59.999Z'))).toBe('2026-11-22')
    expect(japanDate(Date.parse('2026-11-22T15:00:00.000Z'))).toBe('2026-11-23')
  })
})
