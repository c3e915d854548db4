import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

/** A PostgreSQL cluster of its own: loopback only, durable as in service (fsync on), thrown away by `stop`. */
export interface PostgresqlRig {
  /** `postgresql://…` of the superuser; the password is random. */
  readonly url: string
  /** Ends all server processes at once, as a power cut would, without losing the files. */
  kill9(): Promise<void>
  /** Starts the cluster again on the same port. */
  start(): Promise<void>
  /** Stops it and removes its files. */
  stop(): Promise<void>
}

const [bin = ''] = globSync('/usr/lib/postgresql/*/bin').sort().reverse()

/** Whether PostgreSQL's server programs are here (Debian's places). */
export const hasPostgresql = existsSync(`${bin}/initdb`)

/**
 * PostgreSQL refuses root: then its programs run as the user `postgres`. `setpriv` replaces itself by the program, so
 * that the pid is the server's, and has it shut down should the test's process die.
 */
function asServerUser(command: string, args: readonly string[]): string[] {
  const user = userInfo().uid === 0 ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : []
  return ['setpriv', ...user, '--pdeathsig=INT', command, ...args]
}

/** Runs `initdb` in a temporary directory and starts the server; about two seconds. */
export async function startPostgresql(): Promise<PostgresqlRig> {
  const run = (command: string, ...args: string[]): string => {
    const [file = '', ...all] = asServerUser(command, args)
    return execFileSync(file, all, { encoding: 'utf8', cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  }
  const directory = run('mktemp', '-d', '-t', 'kazasu-postgresql-XXXXXX')
  const password = crypto.randomUUID()
  run('sh', '-c', `umask 077; printf %s ${password} > ${directory}/password`)
  run(
    `${bin}/initdb`,
    ...['-D', `${directory}/data`, '-U', 'owner', '--pwfile', `${directory}/password`],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C.UTF-8'],
  )
  const port = await freePort()
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const [file = '', ...all] = asServerUser(`${bin}/postgres`, [
      ...['-D', `${directory}/data`, '-p', String(port), '-k', directory, '-c', 'listen_addresses=127.0.0.1'],
      ...['-c', 'fsync=on', '-c', 'full_page_writes=on', '-c', 'log_min_messages=fatal'],
    ])
    server = spawn(file, all, { cwd: '/', stdio: 'ignore' })
    for (let tries = 0; !isReady(); tries++) {
      if (tries === 200 || server.exitCode !== null) throw new Error(`PostgreSQL does not start in ${directory}`)
      await delay(50)
    }
  }

  function isReady(): boolean {
    try {
      run(`${bin}/pg_isready`, '-q', '-h', '127.0.0.1', '-p', String(port))
      return true
    } catch {
      return false
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGINT'): Promise<void> {
    const pid = server?.pid
    if (!server || !pid || server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    process.kill(pid, signal)
    if (signal === 'SIGKILL') for (const child of children) killIfThere(child)
    await gone
  }

  await start()
  return {
    url: `postgresql://owner:${password}@127.0.0.1:${port}/postgres`,
    start,
    kill9: () => end('SIGKILL'),
    async stop() {
      await end('SIGINT') // "fast shutdown": does not wait for clients
      run('rm', '-rf', directory)
    },
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it had ended by itself
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
