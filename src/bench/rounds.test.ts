import { describe, expect, test } from 'vitest'
import { createVirtualClock } from '#clock'
import { type BenchCase, measureRounds } from './rounds.ts'
import { percentile, ratioOf, seededNumbers, shuffle, summarise } from './statistics.ts'

describe('percentiles', () => {
  test.each([
    [[5], 50, 5],
    [[5], 99, 5],
    [[1, 2], 50, 1],
    [[3, 1, 2], 50, 2],
    [[4, 1, 3, 2], 50, 2],
    [[4, 1, 3, 2], 51, 3],
    [Array.from({ length: 100 }, (_, i) => 100 - i), 99, 99],
    [Array.from({ length: 100 }, (_, i) => 100 - i), 100, 100],
    [[7, 9], 0, 7],
  ])('%j at %d is %d', (values, p, expected) => {
    expect(percentile(values, p)).toBe(expected)
  })

  test('a summary counts, and takes the mean of all', () => {
    expect(summarise([1, 2, 6])).toEqual({ n: 3, mean: 3, p50: 2, p99: 6 })
  })

  test('a ratio is taken round by round, so that a slow minute of the machine cancels out', () => {
    const ratio = ratioOf([20, 200, 2000], [10, 100, 1000])
    expect(ratio).toEqual({ p50: 2, low: 2, high: 2 })
  })
})

describe('rounds', () => {
  const clock = createVirtualClock(0)
  const taking = (name: string, ms: number, log: string[] = []): BenchCase => ({
    name,
    async run() {
      log.push(name)
      await clock.advance(ms)
      return undefined
    },
  })

  test('run every case once each, in an order that the seed decides', async () => {
    const orders = await Promise.all(
      [1, 1, 2].map(async (seed) => {
        const log: string[] = []
        const cases = ['a', 'b', 'c', 'd'].map((name) => taking(name, 0, log))
        await measureRounds(cases, { rounds: 5, warmUp: 1, seed }, createVirtualClock(0))
        for (let round = 0; round < 6; round++) {
          expect(log.slice(4 * round, 4 * round + 4).sort()).toEqual(['a', 'b', 'c', 'd'])
        }
        return log.join('')
      }),
    )
    expect(orders[0]).toBe(orders[1])
    expect(orders[0]).not.toBe(orders[2])
  })

  test('measure the whole, and forget the warm-up', async () => {
    const [slow, fast] = await measureRounds(
      [taking('slow', 7), taking('fast', 2)],
      { rounds: 3, warmUp: 2, seed: 1 },
      clock,
    )
    expect(slow?.total).toEqual([7, 7, 7])
    expect(fast?.total).toEqual([2, 2, 2])
  })

  test('keep parts in step with the rounds; a total of its own counts instead of the measured one', async () => {
    const odd: BenchCase = { name: 'odd', run: async (round) => (round % 2 ? { part: round, total: 9 } : { total: 8 }) }
    const [series] = await measureRounds([odd], { rounds: 5, warmUp: 3, seed: 1 }, clock)
    expect(series?.total).toEqual([8, 9, 8, 9, 8])
    expect(series?.parts.get('part')).toEqual([0, 1, 0, 3, 0])
  })
})

test('a shuffle loses nothing, and the seeded numbers fill their range', () => {
  const next = seededNumbers(42)
  const drawn = Array.from({ length: 4000 }, next)
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...drawn)).toBeLessThan(1)
  expect(drawn.reduce((sum, value) => sum + value, 0) / 4000).toBeCloseTo(0.5, 1)
  expect([...shuffle([1, 2, 3, 4, 5], next)].sort()).toEqual([1, 2, 3, 4, 5])
})
