import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'
import { SECOND } from '#clock'
import { StoreError } from './failures.ts'

/** Where SQL runs. `pool` gives connections bound to a role's SQL role and schema; without a role, the owner's. */
export interface Engine {
  pool(role: string | undefined): pg.Pool
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
export function guardPool(pool: pg.Pool): PostgresPool {
  // pg emits what happens to a connection outside a query; unheard it would end the process. The pool drops it itself.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect().catch((error) => {
        throw connectionError(error)
      })
      const query = (text: string, values: unknown[]) =>
        client.query(text, values).catch((error) => {
          throw isConnectionLoss(error)
            ? new StoreError('store-unreachable', {}, { cause: error })
            : withoutValues(error)
        })
      return {
        query: query as unknown as PostgresPoolClient['query'], // without cursors, which we do not use
        release: (discard) => client.release(discard),
      }
    },
    end: () => pool.end(),
  }
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
