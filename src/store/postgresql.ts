import pg from 'pg'
import { SECOND } from '#clock'
import { columnTypes } from './column-values.ts'
import type { Engine, WaitingLimits } from './engine.ts'

/** A PostgreSQL server (15 or later); `connections` per role. */
export function openPostgresql(url: string, connections: number, limits: WaitingLimits): Engine {
  return {
    statementsKept: 0,
    pool: (role) =>
      new pg.Pool({
        connectionString: url,
        max: role === undefined ? 1 : connections,
        connectionTimeoutMillis: limits.connecting,
        // Longer than the server's own limit: it ends the wait when the network is gone without a word.
        query_timeout: (role === undefined ? limits.migration : limits.statement) + 5 * SECOND,
        keepAlive: true,
        types: columnTypes,
        application_name: `kazasu ${role ?? 'owner'}`,
        options: sessionSettings(role, limits),
      }),
    async close() {},
  }
}

/** Given at connecting, so that they are the session's defaults: RESET ROLE returns to the role, not to the login. */
function sessionSettings(role: string | undefined, limits: WaitingLimits): string {
  const settings = {
    ...(role === undefined ? {} : { role, search_path: role }),
    timezone: 'UTC',
    datestyle: 'ISO',
    synchronous_commit: 'on', // an answer that left must survive a power cut
    statement_timeout: role === undefined ? limits.migration : limits.statement,
    lock_timeout: limits.waiting,
    idle_in_transaction_session_timeout: limits.idleInTransaction,
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}
