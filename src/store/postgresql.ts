import pg from 'pg'
import { SECOND } from '#clock'
import { columnTypes } from './column-values.ts'
import { type Engine, LIMITS } from './engine.ts'

/** A PostgreSQL server (15 or later); `connections` per role. */
export function openPostgresql(url: string, connections: number): Engine {
  return {
    pool: (role) =>
      new pg.Pool({
        connectionString: url,
        max: role === undefined ? 1 : connections,
        connectionTimeoutMillis: LIMITS.connecting,
        // Longer than the server's own limit: it ends the wait when the network is gone without a word.
        query_timeout: (role === undefined ? LIMITS.migration : LIMITS.statement) + 5 * SECOND,
        keepAlive: true,
        types: columnTypes,
        application_name: `kazasu ${role ?? 'owner'}`,
        options: sessionSettings(role),
      }),
    async close() {},
  }
}

/** Given at connecting, so that they are the session's defaults: RESET ROLE returns to the role, not to the login. */
function sessionSettings(role: string | undefined): string {
  const settings = {
    ...(role === undefined ? {} : { role, search_path: role }),
    timezone: 'UTC',
    datestyle: 'ISO',
    synchronous_commit: 'on', // an answer that left must survive a power cut
    statement_timeout: role === undefined ? LIMITS.migration : LIMITS.statement,
    lock_timeout: LIMITS.waiting,
    idle_in_transaction_session_timeout: LIMITS.idleInTransaction,
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}
