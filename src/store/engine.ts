import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'
import { SECOND } from '#clock'
import { StoreError } from './failures.ts'

/** Where SQL runs. `pool` gives connections bound to a role's SQL role and schema; without a role, the owner's. */
export interface Engine {
  pool(role: string | undefined): pg.Pool
  /**
   * Statements kept parsed and planned on each connection; 0 where tables may change under a connection, as another
   * process's migration does on a server: a plan of `select *` then fails ("must not change result type").
   */
  readonly statementsKept: number
  /** After all pools have ended. */
  close(): Promise<void>
}

/** Milliseconds after which nobody waits any longer. */
export interface WaitingLimits {
  /** For a connection: a free one of the pool, or a new one. */
  readonly connecting: number
  /** For a lock, or for the turn on the embedded database. */
  readonly waiting: number
  /** For one statement (PostgreSQL only: the embedded database cannot be interrupted). */
  readonly statement: number
  /** Between two statements of one transaction. */
  readonly idleInTransaction: number
  /** For one statement of a migration. */
  readonly migration: number
}

export const waitingLimits: WaitingLimits = {
  connecting: 10 * SECOND,
  waiting: 10 * SECOND,
  statement: 15 * SECOND,
  idleInTransaction: 30 * SECOND,
  migration: 600 * SECOND,
}

/** `pool` for kysely, with errors made fit for logs and told apart: what SQL refuses, and a database that is away. */
export function guardPool(pool: pg.Pool, statementsKept: number): PostgresPool {
  // pg emits what happens to a connection outside a query; unheard it would end the process. The pool drops it itself.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect().catch((error) => {
        throw connectionError(error)
      })
      const kept = statements.get(client) ?? { connection: ++connections, names: new Map() }
      statements.set(client, kept)
      const query = (text: string, values: unknown[]) => {
        const name = values.length > 0 ? nameOf(text, kept, statementsKept) : undefined
        return client.query({ text, values, ...(name !== undefined && { name }) }).catch((error) => {
          throw isConnectionLoss(error)
            ? new StoreError('store-unreachable', {}, { cause: error })
            : withoutValues(error)
        })
      }
      return {
        query: query as unknown as PostgresPoolClient['query'], // without cursors, which we do not use
        release: (discard) => client.release(discard),
      }
    },
    end: () => pool.end(),
  }
}

/** Names of the statements kept on a connection, by their text. No two connections share one: PGlite's share a session. */
interface KeptStatements {
  readonly connection: number
  readonly names: Map<string, string>
}
const statements = new WeakMap<object, KeptStatements>()
let connections = 0

/** The name under which a connection keeps `text` parsed; none for utility statements, and when there are too many. */
function nameOf(text: string, { connection, names }: KeptStatements, limit: number): string | undefined {
  if (!names.has(text) && names.size < limit) names.set(text, `${connection}.${names.size}`)
  return names.get(text)
}

function connectionError(error: pg.DatabaseError): Error {
  if (error instanceof StoreError) return error
  if (error.message.startsWith('timeout exceeded')) return new StoreError('store-busy', {}, { cause: error })
  // Appendix A: class 28 authentication, 42501 no right to connect or to the role, 3D000 no such database,
  // 22023 no such role in the start-up options; 53300 too many connections.
  if (/^(28|42|3D|22)/.test(error.code ?? '')) {
    return new StoreError('store-refused', { sqlState: error.code }, { cause: error })
  }
  if (error.code === '53300') return new StoreError('store-busy', {}, { cause: error })
  return new StoreError('store-unreachable', {}, { cause: error })
}

/** Classes 08 and 57P (shutdown, crash), errors of the socket, and pg's own words for a connection that ended or says nothing. */
function isConnectionLoss(error: Error & { code?: string }): boolean {
  return (
    /^(08|57P|25P03|E[A-Z]+$)/.test(error.code ?? '') ||
    /^(Connection terminated|Query read timeout|Client has encountered a connection error)/.test(error.message)
  )
}

/** DETAIL, WHERE and the messages of class 22 (data exception) quote values of rows: they must reach no log. */
function withoutValues<E extends Error>(error: E): E {
  const failure: Partial<pg.DatabaseError> = error as Partial<pg.DatabaseError>
  if (typeof failure.code !== 'string') return error
  delete failure.detail
  delete failure.where
  delete failure.internalQuery
  if (failure.code.startsWith('22')) {
    error.message = `data exception ${failure.code}`
    error.stack = `${error.name}: ${error.message}\n${(error.stack ?? '')
      .split('\n')
      .filter((line) => line.startsWith('    at '))
      .join('\n')}`
  }
  return error
}

/** Whether `error` says that a row like this exists already (SQLSTATE 23505), by `constraint` if named. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const failure = error as Partial<pg.DatabaseError> | null
  return failure?.code === '23505' && (constraint === undefined || failure.constraint === constraint)
}
