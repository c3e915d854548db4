import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVirtualClock, MINUTE } from '#clock'
import { readRange, treeHead } from '#evidence'
import type { Provider } from '../src/provider/context.ts'
import { appendEvidence, logSize, nodeReader, sealEvidence } from '../src/provider/log.ts'
import { receive } from '../src/provider/reception.ts'
import { setInstitutionState } from '../src/provider/registration.ts'
import { suspendTerminal } from '../src/provider/terminals.ts'
import { forgeTap } from './forged-tap.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'
import { createProviderKeys } from './provider-rig.ts'
import {
  createTestAuthority,
  createTestCard,
  enrolTestTerminal,
  NOON,
  openTestProvider,
  type TestTerminal,
} from './tap-rig.ts'

if (!hasPostgresql && process.env.CI === 'true') throw new Error('PostgreSQL is not installed')
if (!hasPostgresql) process.stderr.write('SKIPPED: two providers on one database (postgresql is not installed)\n')

describe.skipIf(!hasPostgresql)('two providers on one database', () => {
  const clock = createVirtualClock(NOON)
  let server: PostgresqlRig
  let owner: pg.Client
  let one: Awaited<ReturnType<typeof openTestProvider>>
  let two: Awaited<ReturnType<typeof openTestProvider>>
  let clinic: TestTerminal
  let card: Awaited<ReturnType<typeof createTestCard>>['personalisation']

  beforeAll(async () => {
    server = await startPostgresql()
    const authority = await createTestAuthority()
    const keys = await createProviderKeys(authority)
    const location = { kind: 'postgresql', url: server.url } as const
    one = await openTestProvider(authority, location, clock, keys)
    two = await openTestProvider(authority, location, clock, keys)
    owner = new pg.Client(server.url)
    await owner.connect()
    clinic = await enrolTestTerminal(one, authority, clock, { institution: 'clinic-sakura', id: 't1', sequence: 1 })
    card = (await createTestCard(authority)).personalisation
  })
  afterAll(async () => {
    await owner.end()
    await one.store.close()
    await two.store.close()
    await server.stop()
  })

  /** The first provider while the other does something between its checks and its transaction. */
  const meanwhile = (act: () => Promise<unknown>): Provider => ({
    ...one.provider,
    revocation: {
      async status() {
        await act()
        return { state: 'good', by: 'ocsp', producedAt: clock.now() }
      },
    },
  })
  const waiting = async (): Promise<number> => {
    const { rows } = await owner.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'")
    return rows.length
  }

  test('a nonce that the other accepted meanwhile is not accepted again', async () => {
    const forged = await forgeTap(one.provider, clinic, card)
    const spend = () =>
      two.database.updateTable('nonce').set({ state: 'accepted' }).where('nonce', '=', forged.nonce.nonce).execute()
    const answer = receive(meanwhile(spend), forged.body, clinic.thumbprint)
    await expect(answer).rejects.toMatchObject({ code: 'nonce-used' })
  })

  test('a suspension by the other counts though somebody started the terminal again without a trace', async () => {
    const { body } = await forgeTap(one.provider, clinic, card)
    const provider = meanwhile(async () => {
      await suspendTerminal(two.database, 't1')
      await two.database.updateTable('terminal').set({ state: 'active' }).where('id', '=', 't1').execute()
    })
    await expect(receive(provider, body, clinic.thumbprint)).rejects.toMatchObject({ code: 'terminal-changed' })
  })

  test('both append to the log at once: every leaf has a place of its own', async () => {
    const append = async ({ provider, database }: typeof one, leaf: number): Promise<number> => {
      const sealed = await sealEvidence({ v: 1, leaf }, provider)
      return database.transaction().execute((transaction) => appendEvidence(transaction, sealed))
    }
    const before = await logSize(one.database)
    const leaves = Array.from({ length: 40 }, (_, leaf) => append(leaf % 2 === 0 ? one : two, leaf))
    const indices = (await Promise.all(leaves)).sort((a, b) => a - b)
    expect(indices).toEqual(Array.from({ length: 40 }, (_, i) => before + i))
    const size = await logSize(two.database)
    expect(size).toBe(before + 40)
    expect(treeHead(await readRange(size, nodeReader(one.database))).size).toBe(size)
    await one.provider.witness.watch()
  })

  test.each<[string, () => Promise<unknown>]>([
    ['a suspension of the institution', () => setInstitutionState(two.database, 'clinic-sakura', 'suspended')],
    ['a withdrawal of trust', () => two.database.updateTable('trust_epoch').set({ epoch: 1 }).execute()],
  ])('%s waits for the tap that is being committed: none commits after it', async (_name, stop) => {
    await clock.advance(20 * MINUTE)
    const { body } = await forgeTap(one.provider, clinic, card)
    // The tap comes as far as the log, the last thing but one, and waits there.
    const release = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const holding = two.database.transaction().execute(async (transaction) => {
      await sql`select 1 from log_head for update`.execute(transaction)
      held.resolve()
      await release.promise
    })
    await held.promise
    const ended: string[] = []
    const tap = receive(one.provider, body, clinic.thumbprint).then(() => ended.push('tap'))
    await expect.poll(waiting, { timeout: 10_000 }).toBe(1)
    const stopped = stop().then(() => ended.push('stop'))
    await expect.poll(async () => ended.length + (await waiting()), { timeout: 10_000 }).toBe(2)
    const early = [...ended]
    release.resolve()
    await Promise.all([holding, tap, stopped])
    await setInstitutionState(one.database, 'clinic-sakura', 'active')
    await one.database.updateTable('trust_epoch').set({ epoch: 0 }).execute()
    expect(early).toEqual([])
  })
})
