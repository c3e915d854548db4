import { Kysely, PostgresDialect } from 'kysely'
import { openEmbedded } from './embedded.ts'
import { type Engine, guardPool, type WaitingLimits, waitingLimits } from './engine.ts'
import { StoreError } from './failures.ts'
import { type Migrations, migrate } from './migrations.ts'
import { openPostgresql } from './postgresql.ts'

/** `directory` of the embedded database, or the `postgresql://` URL of a server and the connections for each role. */
export type StoreLocation =
  | { readonly kind: 'embedded'; readonly directory: string }
  | { readonly kind: 'postgresql'; readonly url: string; readonly connections?: number }

/** One database; each role of the system has a schema and an SQL role of its own in it. */
export interface Store {
  readonly kind: StoreLocation['kind']
  /**
   * The tables of `role` (`[a-z][a-z0-9_]*`), migrated to the last of `migrations`. No connection of one role can
   * read or write another's schema. On the embedded database one transaction runs at a time, all roles together:
   * ask nothing of another role inside one. Values: see {@link storedTime} and the table in column-values.ts.
   * @throws StoreError `role-malformed`, `migrations-unordered`, `migration-failed`, `schema-newer`, `store-…`
   */
  role<Tables>(role: string, migrations: Migrations): Promise<Kysely<Tables>>
  /** Lets running transactions end, then closes. Later use throws. */
  close(): Promise<void>
}

/**
 * Opens the database; connects to a server only when a role is asked for.
 * @throws StoreError `store-in-use`, `store-unopenable`
 */
export async function openStore(location: StoreLocation, limits: Partial<WaitingLimits> = {}): Promise<Store> {
  const all = { ...waitingLimits, ...limits }
  const engine: Engine =
    location.kind === 'embedded'
      ? await openEmbedded(location.directory, all)
      : openPostgresql(location.url, location.connections ?? 8, all)
  const databases: Kysely<never>[] = []
  const connect = (role?: string): Kysely<never> =>
    new Kysely<never>({ dialect: new PostgresDialect({ pool: guardPool(engine.pool(role), engine.statementsKept) }) })

  return {
    kind: location.kind,
    async role<Tables>(role: string, migrations: Migrations) {
      if (!/^(?!pg_|(store|public|postgres|none)$)[a-z][a-z0-9_]{0,40}$/.test(role)) {
        throw new StoreError('role-malformed', { role })
      }
      const owner = connect()
      try {
        await migrate(owner, role, migrations)
      } finally {
        await owner.destroy()
      }
      const database = connect(role)
      databases.push(database)
      return database as unknown as Kysely<Tables>
    },
    async close() {
      await Promise.all(databases.map((database) => database.destroy()))
      await engine.close()
    },
  }
}
