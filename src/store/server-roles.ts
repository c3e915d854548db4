import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import { guardPool, waitingLimits } from './engine.ts'
import { openPostgresql } from './postgresql.ts'

/** Whether a PostgreSQL server's database holds a schema of any of `roles`. @throws StoreError `store-unreachable`, … */
export const holdsRoles = (url: string, roles: readonly string[]): Promise<boolean> =>
  asOwner(url, async (owner) => {
    const schemas = sql`select 1 from pg_namespace where nspname = any(${[...roles]}) limit 1`
    return (await schemas.execute(owner)).rows.length > 0
  })

/**
 * Drops the schemas of `roles` with all that is in them, all or none; the SQL roles stay, as other databases of the
 * server may use them. @throws StoreError `store-unreachable`, …
 */
export const dropRoles = (url: string, roles: readonly string[]): Promise<void> =>
  asOwner(url, async (owner) => {
    for (const role of roles) await sql`drop schema if exists ${sql.id(role)} cascade`.execute(owner)
    const { rows } = await sql`select 1 where to_regclass('store.migration') is not null`.execute(owner)
    if (rows.length > 0) await sql`delete from store.migration where role = any(${[...roles]})`.execute(owner)
  })

async function asOwner<T>(url: string, act: (owner: Transaction<never>) => Promise<T>): Promise<T> {
  const { pool } = openPostgresql(url, 1, waitingLimits)
  const owner = new Kysely<never>({ dialect: new PostgresDialect({ pool: guardPool(pool(undefined), 0) }) })
  try {
    return await owner.transaction().execute(act)
  } finally {
    await owner.destroy()
  }
}
