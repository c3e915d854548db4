import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Clock, DAY, MINUTE, systemClock, systemRandom } from '#clock'
import type { TapResult } from '#terminal'
import { openHome } from '../src/bin/home.ts'
import { type RunningTownHandle, startTown } from '../src/bin/town.ts'
import { payVisit } from '../src/bin/visit.ts'

/* Certificates of the terminal last two weeks, of the provider three months; a town lives longer. */

let days = 0
/** What is done every minute or more seldom is done when the test says that its time has come. */
const due = new Map<() => void, number>()
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + days * DAY,
  every(milliseconds, task) {
    if (milliseconds < MINUTE) return systemClock.every(milliseconds, task)
    due.set(task, milliseconds)
    return () => due.delete(task)
  },
}

let directory: string
let town: RunningTownHandle | undefined
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kazasu-renewal-'))
})
afterAll(async () => {
  await town?.close()
  await rm(directory, { recursive: true, force: true })
})

async function restart(): Promise<void> {
  await town?.close()
  town = await startTown({ home: openHome(directory), clock, random: systemRandom, port: 0, say: () => undefined })
}
function tap(): Promise<TapResult> {
  if (!town) throw new Error('no town')
  return payVisit(town, { card: 'hanako', mechanism: 'institution', lang: 'ja' }, clock)
}
const recognised = { result: 'recognised', eligibility: { status: 'valid' } }

describe('a town that was founded on day 0', () => {
  test.each([0, 20, 100])('and is started on day %i recognises cards', async (day) => {
    days = day
    await restart()
    expect(await tap()).toMatchObject({ ...recognised, returning: day > 0 })
  })

  test('and runs on and on recognises cards, as every day what has passed half of its life is renewed', async () => {
    for (let week = 1; week <= 16; week++) {
      days += 7
      expect([...due.values()].filter((period) => period === DAY).length).toBe(2)
      for (const task of due.keys()) task()
      if (week % 4 === 0) await expect.poll(tap, { timeout: 20_000 }).toMatchObject(recognised)
      else await new Promise((resolve) => setTimeout(resolve, 300))
    }
  })
})
