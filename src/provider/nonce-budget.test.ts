import { expect, test } from 'vitest'
import { createVirtualClock, SECOND } from '#clock'
import { createNonceBudget } from './nonce-budget.ts'

test('32 at once, then ten a second, each terminal for itself', async () => {
  const clock = createVirtualClock(0)
  const budget = createNonceBudget(clock)
  const spend = (terminal: string, times: number) =>
    Array.from({ length: times }, () => budget.spend(terminal, 1)).filter(Boolean).length
  expect(spend('a', 50)).toBe(32)
  expect(spend('b', 50)).toBe(32)
  await clock.advance(SECOND)
  expect(spend('a', 50)).toBe(10)
  await clock.advance(3600 * SECOND)
  expect(spend('a', 50)).toBe(32)
})

test('what is too much at once is refused and costs nothing', () => {
  const budget = createNonceBudget(createVirtualClock(0))
  expect([budget.spend('a', 30), budget.spend('a', 3), budget.spend('a', 2), budget.spend('a', 1)]).toEqual([
    ...[true, false, true, false],
  ])
})
