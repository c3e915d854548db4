import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { skipLoudly } from './pcscd-rig.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'
import { awaitTown, createHomes, type Ended, kazasu, launch } from './town-process.ts'

/* The first start, cut short anywhere; and towns whose data lie on a database server. */

const homes = createHomes()
afterAll(() => homes.clear())
const KILLS = process.env.KAZASU_LONG === '1' ? 50 : 5
const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await delay(2)
}
const tapped = ({ out, err }: Ended) => {
  expect(out, err).toMatch(/^\{/)
  return JSON.parse(out)
}

describe('a first start that is killed', () => {
  test('as soon as a key exists is known to have been cut short', async () => {
    const home = await homes.empty()
    const { child, ended } = launch(['tap'], { home })
    await until(() => existsSync(join(home, 'authority', 'keys')))
    child.kill('SIGKILL')
    await ended
    const next = await kazasu(home, 'tap', '--json')
    expect(tapped(next)).toMatchObject({ result: 'recognised', evidence: { index: 0 } })
    expect(next.err).toMatch(/made anew/)
  })

  test(`at ${KILLS} points, again and again, leaves nothing that the next start cannot get over`, async () => {
    const home = await homes.empty()
    for (let kill = 0; kill < KILLS; kill++) {
      const { child, ended, written } = launch(['tap', '--json'], { home })
      await until(() => written() !== '' || child.exitCode !== null)
      await delay(Math.random() * 3000)
      child.kill('SIGKILL')
      const { signal, err } = await ended
      expect(signal, err).toBe('SIGKILL')
      expect(err).not.toMatch(/✗/)
      if (existsSync(join(home, 'founded'))) expect((await kazasu(home, 'town', 'reset')).code).toBe(0)
    }
    expect(tapped(await kazasu(home, 'tap', '--json'))).toMatchObject({ result: 'recognised' })
  })
})

describe.skipIf(skipLoudly('towns on PostgreSQL', hasPostgresql ? [] : ['postgresql']))('a town on a server', () => {
  let server: PostgresqlRig
  let database: readonly string[]
  beforeAll(async () => {
    server = await startPostgresql()
    database = ['--database', server.url]
  })
  afterAll(() => server.stop())
  let home: string
  const start = (at = home, args = database) => launch(['start', '--port', '0', '--no-tap', ...args], { home: at })
  const reset = (args = database) => kazasu(home, 'town', 'reset', ...args)
  afterEach(async () => void (await reset()))

  test('that was killed while it was founded is made anew, and no other home may have its database', async () => {
    home = await homes.empty()
    const founding = start()
    await until(() => founding.written().includes('residents get their cards'))
    founding.child.kill('SIGKILL')
    await founding.ended
    const other = await start(await homes.empty()).ended
    expect([other.code, other.err]).toEqual([1, expect.stringContaining('database-occupied')])
    expect(other.err).not.toContain(new URL(server.url).password)
    const again = await awaitTown(home, start())
    expect(again.written()).toMatch(/made anew/)
    expect(tapped(await kazasu(home, 'tap', '--json'))).toMatchObject({ result: 'recognised', returning: false })
    expect((await again.stop()).code).toBe(0)
  })

  test('is opened and reset with its own database only, and reset leaves nothing of it there', async () => {
    home = await homes.empty()
    await (await awaitTown(home, start())).stop()
    for (const wrong of [start(home, []).ended, reset([])]) {
      const { code, err } = await wrong
      expect([code, err]).toEqual([1, expect.stringContaining('database-elsewhere')])
      expect(err).toContain(new URL(server.url).port)
      expect(err).not.toContain(new URL(server.url).password)
    }
    expect((await reset()).code).toBe(0)
    home = await homes.empty()
    const next = await awaitTown(home, start())
    expect(tapped(await kazasu(home, 'tap', '--json'))).toMatchObject({ returning: false, evidence: { index: 0 } })
    await next.stop()
  })
})
