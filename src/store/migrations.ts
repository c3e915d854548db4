import { type Kysely, sql, type Transaction } from 'kysely'
import { StoreError } from './failures.ts'

/**
 * One step forward: SQL text (several statements), or a function for what SQL text cannot say. Both run as the owner,
 * with the role's schema as search path; `role` is for `grant` and `revoke`.
 */
// biome-ignore lint/suspicious/noExplicitAny: the tables are those of the moment, which no type describes
export type Migration = string | ((transaction: Transaction<any>, role: string) => Promise<void>)

/** In order, by names `0001-what-it-does`. A step that was ever released is never changed. */
export type Migrations = Readonly<Record<string, Migration>>

/** One for all roles: whoever starts first migrates, others wait. Any fixed number will do. */
const MIGRATION_LOCK = 0x6b617a61

/**
 * Creates SQL role and schema `role` if absent and applies what is missing, all in one transaction. The owner keeps the
 * tables; the role may read and write rows, but not change tables, triggers or rights.
 * @throws StoreError `migrations-unordered`, `migration-failed` (nothing changed), `schema-newer`, `store-refused`
 */
export async function migrate(owner: Kysely<never>, role: string, migrations: Migrations): Promise<void> {
  const names = Object.keys(migrations)
  const unordered = names.find((name, i) => !/^\d{4}-[a-z0-9-]+$/.test(name) || name <= (names[i - 1] ?? ''))
  if (unordered !== undefined) throw new StoreError('migrations-unordered', { role, migration: unordered })

  await owner.transaction().execute(async (transaction) => {
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(transaction)
    await prepare(transaction, role).catch((cause) => {
      throw cause.code === '42501' ? new StoreError('store-refused', { role, sqlState: '42501' }, { cause }) : cause
    })
    const { rows } = await sql<{ name: string }>`
      select name from store.migration where role = ${role} order by name`.execute(transaction)
    const unknown = rows.find(({ name }, i) => name !== names[i])
    if (unknown) throw new StoreError('schema-newer', { role, migration: unknown.name })
    for (const name of names.slice(rows.length)) {
      await apply(transaction, role, name, migrations[name] as Migration)
    }
  })
}

/** Everything here may already be there, made by an earlier start or by the administrator of the server. */
async function prepare(transaction: Transaction<never>, role: string): Promise<void> {
  const name = sql.id(role)
  const { rows } = await sql`select 1 from pg_roles where rolname = ${role}`.execute(transaction)
  if (rows.length === 0) {
    await sql`create role ${name} nologin`.execute(transaction)
    await sql`grant ${name} to current_user`.execute(transaction)
  }
  await sql`create schema if not exists store`.execute(transaction)
  await sql`
    create table if not exists store.migration (
      role text not null, name text not null, applied_at timestamptz not null default now(), primary key (role, name)
    )`.execute(transaction)
  await sql`create schema if not exists ${name}`.execute(transaction)
  await sql`grant usage on schema ${name} to ${name}`.execute(transaction)
  await sql`
    alter default privileges in schema ${name} grant select, insert, update, delete on tables to ${name}`.execute(
    transaction,
  )
  await sql`alter default privileges in schema ${name} grant usage, select on sequences to ${name}`.execute(transaction)
}

async function apply(transaction: Transaction<never>, role: string, name: string, step: Migration): Promise<void> {
  try {
    await sql`set local search_path to ${sql.id(role)}`.execute(transaction)
    if (typeof step === 'string') await sql.raw(step).execute(transaction)
    else await step(transaction, role)
    await sql`insert into store.migration (role, name) values (${role}, ${name})`.execute(transaction)
  } catch (cause) {
    throw new StoreError('migration-failed', { role, migration: name }, { cause })
  }
}
