import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { type Generated, type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isUniqueViolation, openStore, type Store, type StoreLocation, storedTime, type TimeColumn } from '#store'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'

interface Tables {
  note: {
    id: Generated<number>
    text: string
    count: number | null
    bytes: Uint8Array | null
    at: TimeColumn | null
    day: string | null
  }
}

const first = {
  '0001-note': `
    create table note (
      id bigint generated always as identity primary key,
      text text not null constraint note_text_unique unique,
      count bigint, bytes bytea, at timestamptz, day date
    );
    create index note_at on note (at)`,
}

interface Engine {
  location: StoreLocation
  stop(): Promise<void>
}

async function startEmbedded(): Promise<Engine> {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-store-'))
  return {
    location: { kind: 'embedded', directory },
    stop: async () => rmSync(directory, { recursive: true }),
  }
}

async function startServer(): Promise<Engine & { rig: PostgresqlRig }> {
  const rig = await startPostgresql()
  return { rig, location: { kind: 'postgresql', url: rig.url }, stop: rig.stop }
}

const missing = !hasPostgresql
if (missing && process.env.CI === 'true') throw new Error('PostgreSQL is not installed')

describe.each([
  { name: 'the embedded database', start: startEmbedded, skipped: false },
  { name: 'a PostgreSQL server', start: startServer, skipped: missing },
])('the store on $name', ({ start, skipped }) => {
  if (skipped) return void test.skip('PostgreSQL is not installed: NOT RUN', () => {})

  let engine: Engine
  let store: Store
  let notes: Kysely<Tables>
  let others: Kysely<Tables>
  const started = performance.now()

  beforeAll(async () => {
    engine = await start()
    const opening = performance.now()
    store = await openStore(engine.location)
    notes = await store.role<Tables>('notes', first)
    others = await store.role<Tables>('others', first)
    console.log(
      `${engine.location.kind}: first open with two roles ${Math.round(performance.now() - opening)} ms, with start ${Math.round(performance.now() - started)} ms`,
    )
  })
  afterAll(async () => {
    await store?.close()
    await engine?.stop()
  })

  test('values come back as they were put in', async () => {
    const at = Date.UTC(2026, 10, 22, 15, 0, 0, 123)
    const row = { text: 'values', count: 2 ** 53 - 1, bytes: Uint8Array.of(0, 255, 92), day: '2026-11-23' }
    const back = await notes
      .insertInto('note')
      .values({ ...row, at: storedTime(at) })
      .returningAll()
      .executeTakeFirstOrThrow()
    expect(back).toStrictEqual({ ...row, id: back.id, at })
    expect(back.id).toBeTypeOf('number')
    const found = notes.selectFrom('note').select('text').where('at', '=', storedTime(at))
    expect(await found.execute()).toEqual([{ text: 'values' }])
    const { n } = await notes
      .selectFrom('note')
      .select((q) => q.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    expect(n).toBe(1)
  })

  test('now() of the database is a time like ours', async () => {
    const { rows } = await sql<{ now: number }>`select now()`.execute(notes)
    expect(Math.abs((rows[0]?.now ?? 0) - Date.now())).toBeLessThan(5000)
  })

  test.each([
    ['a number beyond 2^53', sql`select 9007199254740993::bigint as value`],
    ['an endless time', sql`select 'infinity'::timestamptz as value`],
  ])('%s is refused, never rounded', async (_name, query) => {
    await expect(query.execute(notes)).rejects.toMatchObject({ code: 'value-unreadable' })
    expect((await sql`select 1 as one`.execute(notes)).rows).toEqual([{ one: 1 }])
  })

  test('a bare number is refused where a time belongs, and errors quote no values', async () => {
    const error = await notes
      .selectFrom('note')
      .selectAll()
      .where('at', '>', 1763830000000)
      .execute()
      .catch((caught) => caught)
    expect(error).toMatchObject({ code: '22008' })
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('1763830000000')
  })

  test('a unique violation is told apart, by its constraint, and names no value', async () => {
    const insert = () => notes.insertInto('note').values({ text: 'canary-7f3a' }).execute()
    await insert()
    const error = await insert().catch((caught) => caught)
    expect(isUniqueViolation(error)).toBe(true)
    expect(isUniqueViolation(error, 'note_text_unique')).toBe(true)
    expect(isUniqueViolation(error, 'note_pkey')).toBe(false)
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('canary-7f3a')
  })

  test('a transaction that throws leaves nothing, and what others did meanwhile stays', async () => {
    const failing = notes.transaction().execute(async (transaction) => {
      await transaction.insertInto('note').values({ text: 'rolled back' }).execute()
      await delay(50)
      throw new Error('on purpose')
    })
    const meanwhile = Promise.all([
      others.insertInto('note').values({ text: 'beside' }).execute(),
      notes.insertInto('note').values({ text: 'beside' }).execute(),
    ])
    await expect(failing).rejects.toThrow('on purpose')
    await meanwhile
    expect(await texts(notes)).toContain('beside')
    expect(await texts(others)).toEqual(['beside'])
    expect(await texts(notes)).not.toContain('rolled back')
  })

  test('an SQL error inside a transaction undoes all of it, and the connection goes on', async () => {
    await expect(
      notes.transaction().execute(async (transaction) => {
        await transaction.insertInto('note').values({ text: 'half' }).execute()
        await transaction.insertInto('note').values({ text: 'half' }).execute()
      }),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await texts(notes)).not.toContain('half')
  })

  test('a statement first met in a broken transaction works after it, and means each role’s own table', async () => {
    const named = (database: Kysely<Tables>, text: string) =>
      database.selectFrom('note').select(['text', 'count']).where('text', '=', text).where('count', '>=', 0).execute()
    await notes.insertInto('note').values({ text: 'whose', count: 1 }).execute()
    await others.insertInto('note').values({ text: 'whose', count: 2 }).execute()
    const broken = notes.transaction().execute(async (transaction) => {
      await sql`select 1 / ${0}::int`.execute(transaction).catch(() => undefined)
      await named(transaction, 'whose')
    })
    await expect(broken).rejects.toMatchObject({ code: '25P02' })
    for (let turn = 0; turn < 3; turn++) {
      expect(await named(notes, 'whose')).toEqual([{ text: 'whose', count: 1 }])
      expect(await named(others, 'whose')).toEqual([{ text: 'whose', count: 2 }])
    }
  })

  test('600 interleaved inserts of two roles and transactions each land where they belong', async () => {
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        await notes
          .insertInto('note')
          .values({ text: `n${i}`, count: 600 })
          .execute()
        await others
          .insertInto('note')
          .values({ text: `o${i}`, count: 600 })
          .execute()
        await others.transaction().execute((transaction) =>
          transaction
            .insertInto('note')
            .values({ text: `t${i}`, count: 600 })
            .execute(),
        )
      }),
    )
    const of = async (database: Kysely<Tables>) => (await texts(database)).map((text) => text[0])
    expect((await of(notes)).filter((kind) => kind === 'n')).toHaveLength(200)
    expect((await of(others)).filter((kind) => kind === 'o' || kind === 't')).toHaveLength(400)
    expect((await of(notes)).filter((kind) => kind === 'o' || kind === 't')).toHaveLength(0)
  })

  test('of 20 that compare and swap one row at once, one wins', async () => {
    await notes.insertInto('note').values({ text: 'head', count: 0 }).execute()
    const swapped = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        notes.transaction().execute((transaction) =>
          transaction
            .updateTable('note')
            .set({ count: i + 1 })
            .where('text', '=', 'head')
            .where('count', '=', 0)
            .returning('id')
            .execute(),
        ),
      ),
    )
    expect(swapped.filter((rows) => rows.length === 1)).toHaveLength(1)
  })

  test.each([
    ['read', 'select * from others.note'],
    ['written', "insert into others.note (text) values ('x')"],
    ['seen in the list of migrations', 'select * from store.migration'],
    ['changed in shape, not even its own', 'alter table notes.note add column x int'],
    ['dropped, not even its own', 'drop table notes.note'],
    ['given tables', 'create table public.x (y int)'],
  ])("another role's schema cannot be %s", async (_name, query) => {
    await expect(sql.raw(query).execute(notes)).rejects.toMatchObject({ code: '42501' })
  })

  test('a migration can take rights away, so that a table is append-only for its role', async () => {
    const log = await store.role<{ leaf: { id: number } }>('log', {
      '0001-leaf': async (transaction, role) => {
        await sql`create table leaf (id int primary key)`.execute(transaction)
        await sql`revoke update, delete on leaf from ${sql.id(role)}`.execute(transaction)
      },
    })
    await log.insertInto('leaf').values({ id: 1 }).execute()
    await expect(log.deleteFrom('leaf').execute()).rejects.toMatchObject({ code: '42501' })
    await expect(log.updateTable('leaf').set({ id: 2 }).execute()).rejects.toMatchObject({ code: '42501' })
  })

  test('an old state is upgraded with its rows kept; the same again changes nothing', async () => {
    const old = await store.role<Tables>('upgraded', first)
    await old.insertInto('note').values({ text: 'kept' }).execute()
    const second = { ...first, '0002-mark': "alter table note add column mark text not null default 'new'" }
    for (let time = 0; time < 2; time++) {
      const upgraded = await store.role<{ note: { text: string; mark: string } }>('upgraded', second)
      expect(await upgraded.selectFrom('note').select(['text', 'mark']).execute()).toEqual([
        { text: 'kept', mark: 'new' },
      ])
    }
    await expect(store.role('upgraded', first)).rejects.toMatchObject({
      code: 'schema-newer',
      detail: { role: 'upgraded', migration: '0002-mark' },
    })
  })

  test('a migration that fails changes nothing, names itself and can be repeated once mended', async () => {
    const broken = { '0001-good': 'create table good (x int)', '0002-bad': 'create table bad (x nonsense)' }
    await expect(store.role('broken', broken)).rejects.toMatchObject({
      code: 'migration-failed',
      detail: { role: 'broken', migration: '0002-bad' },
      cause: { code: '42704' },
    })
    const mended = await store.role('broken', { ...broken, '0002-bad': 'create table bad (x int)' })
    expect((await sql`select * from good, bad`.execute(mended)).rows).toEqual([])
  })

  test('ten starts at once migrate a role once', async () => {
    const slow = { '0001-slow': 'create table slow (x int); select pg_sleep(0.1)' }
    const all = await Promise.all(Array.from({ length: 10 }, () => store.role('simultaneous', slow)))
    expect(all).toHaveLength(10)
  })

  test.each(['', 'Provider', 'store', 'public', 'pg_x', 'a"b', 'a b', 'x'.repeat(42)])(
    'a role cannot be named %j',
    (name) => expect(store.role(name, {})).rejects.toMatchObject({ code: 'role-malformed' }),
  )
  test.each([[['1-x']], [['0002-b', '0001-a']]])('migrations %j are refused', (names) =>
    expect(store.role('unordered', Object.fromEntries(names.map((name) => [name, 'select 1'])))).rejects.toMatchObject({
      code: 'migrations-unordered',
    }),
  )

  test('inserts per second, one by one (figure only)', async () => {
    const begin = performance.now()
    for (let i = 0; i < 1000; i++)
      await notes
        .insertInto('note')
        .values({ text: `speed ${i}` })
        .execute()
    const alone = 1000 / ((performance.now() - begin) / 1000)
    const again = performance.now()
    await Promise.all(
      Array.from({ length: 2000 }, (_, i) =>
        notes
          .insertInto('note')
          .values({ text: `speed together ${i}` })
          .execute(),
      ),
    )
    const together = 2000 / ((performance.now() - again) / 1000)
    console.log(`${engine.location.kind}: inserts/s alone ${Math.round(alone)}, together ${Math.round(together)}`)
    expect(alone).toBeGreaterThan(20)
  })

  test('what was stored is there after closing and opening again', async () => {
    await store.close()
    const opening = performance.now()
    store = await openStore(engine.location)
    notes = await store.role<Tables>('notes', first)
    console.log(`${engine.location.kind}: reopen ${Math.round(performance.now() - opening)} ms`)
    expect(await texts(notes)).toContain('values')
  })
})

describe('the embedded database', () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'kazasu-store-'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const limits = { connecting: 1500, waiting: 1000, idleInTransaction: 3000 }

  test('nothing waits for ever: turns, pools and forgotten transactions have limits; then it goes on', async () => {
    const store = await openStore({ kind: 'embedded', directory }, limits)
    const notes = await store.role<Tables>('notes', first)
    const others = await store.role<Tables>('others', first)

    await notes.transaction().execute(async (transaction) => {
      await transaction.insertInto('note').values({ text: 'kept although others wait' }).execute()
      await expect(others.insertInto('note').values({ text: 'gave up' }).execute()).rejects.toMatchObject({
        code: '55P03',
      })
    })
    // What was refused does not run later; asked twice, for a late answer would be taken for that of the first.
    for (let time = 0; time < 2; time++) expect(await texts(others)).toEqual([])

    const forgotten = notes.transaction().execute(async (transaction) => {
      await transaction.insertInto('note').values({ text: 'forgotten' }).execute()
      await delay(5000)
      await transaction.insertInto('note').values({ text: 'too late' }).execute()
    })
    await expect(forgotten).rejects.toMatchObject({ code: 'store-unreachable' })

    const within = notes.transaction().execute(() => notes.selectFrom('note').selectAll().execute())
    await expect(within).rejects.toMatchObject({ code: 'store-busy' })

    expect(await texts(notes)).toEqual(['kept although others wait'])
    await store.close()
    await expect(texts(notes)).rejects.toThrow('destroyed')
  })

  test('the end of its thread is an error for all who wait, hangs nobody, and frees the directory', async () => {
    let thread: Worker | undefined
    process.once('worker', (worker) => {
      thread = worker
    })
    const store = await openStore({ kind: 'embedded', directory })
    const notes = await store.role<Tables>('notes', first)
    const torn = notes.transaction().execute(async (transaction) => {
      await transaction.insertInto('note').values({ text: 'torn' }).execute()
      await thread?.terminate()
      await transaction.insertInto('note').values({ text: 'torn too' }).execute()
    })
    const waiting = [1, 2, 3].map(() => texts(notes))
    const codes = (await Promise.allSettled([torn, ...waiting])).map((each) =>
      each.status === 'rejected' ? each.reason.code : 'done',
    )
    expect(codes).toEqual(Array(4).fill('store-unreachable'))
    await expect(texts(notes)).rejects.toMatchObject({ code: 'store-unreachable' })
    await store.close()
    const reopened = await openStore({ kind: 'embedded', directory })
    expect(await texts(await reopened.role<Tables>('notes', first))).not.toContain('torn')
    await reopened.close()
  })

  test('a second process is told the pid; kill -9 loses no acknowledged row and leaves no lock', async () => {
    const { child, acknowledged } = writer(directory)
    while (acknowledged().length < 300 && child.exitCode === null) await delay(20)
    await expect(openStore({ kind: 'embedded', directory })).rejects.toMatchObject({
      code: 'store-in-use',
      detail: { pid: child.pid },
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const store = await openStore({ kind: 'embedded', directory })
    const stored = new Set(await texts(await store.role<Tables>('notes', first)))
    expect(acknowledged().filter((text) => !stored.has(text))).toEqual([])
    await store.close()
  })
})

/** A process of its own that inserts one row after the other and prints each that was acknowledged. */
function writer(directory: string): { child: ChildProcess; acknowledged(): string[] } {
  const program = `
    import { openStore } from '#store'
    const store = await openStore({ kind: 'embedded', directory: process.argv[1] })
    const notes = await store.role('notes', ${JSON.stringify(first)})
    for (let i = 0; ; i++) {
      await notes.insertInto('note').values({ text: 'w' + i }).execute()
      process.stdout.write('w' + i + '\\n')
    }`
  const args = ['--input-type=module', '--eval', program, directory]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(import.meta.dirname, '..'),
  })
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return { child, acknowledged: () => output.split('\n').slice(0, -1) }
}

describe.skipIf(missing)('a PostgreSQL server', () => {
  let rig: PostgresqlRig
  beforeAll(async () => {
    rig = await startPostgresql()
  })
  afterAll(() => rig?.stop())

  test('its sudden end is an error with a remedy, keeps what was committed, and is got over without a restart', async () => {
    const store = await openStore({ kind: 'postgresql', url: rig.url })
    const notes = await store.role<Tables>('notes', first)
    await notes.insertInto('note').values({ text: 'committed' }).execute()
    const torn = notes.transaction().execute(async (transaction) => {
      await transaction.insertInto('note').values({ text: 'not committed' }).execute()
      await rig.kill9()
      await delay(100)
      await transaction.insertInto('note').values({ text: 'nor this' }).execute()
    })
    await expect(torn).rejects.toMatchObject({ code: 'store-unreachable' })
    await expect(texts(notes)).rejects.toMatchObject({ code: 'store-unreachable' })
    await expect(store.role('later', {})).rejects.toMatchObject({ code: 'store-unreachable' })
    await rig.start()
    expect(await texts(notes)).toEqual(['committed'])
    await store.close()
  })

  test('a wrong password is told from an absent server, and is not in the error', async () => {
    const url = new URL(rig.url)
    url.password = 'wrong-canary'
    const store = await openStore({ kind: 'postgresql', url: url.href })
    const error = await store.role('notes', first).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'store-refused', detail: { sqlState: '28P01' } })
    expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('wrong-canary')
    await store.close()
  })

  test('a login that owns its database and may create roles is enough; one without rights is refused', async () => {
    const client = new pg.Client(rig.url)
    await client.connect()
    await client.query("create role ordinary login createrole password 'ordinary'")
    await client.query("create role stranger login password 'stranger'")
    await client.query('create database town owner ordinary')
    await client.end()
    const as = (username: string): Promise<Store> => {
      const url = Object.assign(new URL(rig.url), { username, password: username, pathname: '/town' })
      return openStore({ kind: 'postgresql', url: url.href })
    }
    const store = await as('ordinary')
    const mine = await store.role<Tables>('mine', first)
    const yours = await store.role<Tables>('yours', first)
    await mine.insertInto('note').values({ text: 'mine' }).execute()
    expect(await texts(yours)).toEqual([])
    await expect(sql`select * from mine.note`.execute(yours)).rejects.toMatchObject({ code: '42501' })
    await store.close()
    const other = await as('stranger')
    await expect(other.role<Tables>('mine', first)).rejects.toMatchObject({ code: 'store-refused' })
    await other.close()
  })

  test('locks and statements have limits', async () => {
    const store = await openStore({ kind: 'postgresql', url: rig.url }, { waiting: 200, statement: 500 })
    const notes = await store.role<Tables>('notes', first)
    await notes.insertInto('note').values({ text: 'locked' }).execute()
    const touch = (database: Kysely<Tables>) =>
      database.updateTable('note').set({ count: 1 }).where('text', '=', 'locked').execute()
    await notes.transaction().execute(async (transaction) => {
      await touch(transaction)
      await expect(touch(notes)).rejects.toMatchObject({ code: '55P03' })
    })
    await expect(sql`select pg_sleep(5)`.execute(notes)).rejects.toMatchObject({ code: '57014' })
    await store.close()
  })
})

async function texts(database: Kysely<Tables>): Promise<string[]> {
  return (await database.selectFrom('note').select('text').orderBy('id').execute()).map(({ text }) => text)
}
