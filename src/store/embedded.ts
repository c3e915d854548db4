import { once } from 'node:events'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { MessageChannel, Worker } from 'node:worker_threads'
import pg from 'pg'
import { columnTypes } from './column-values.ts'
import { lockDirectory } from './directory-lock.ts'
import type { Engine, WaitingLimits } from './engine.ts'
import { StoreError } from './failures.ts'
import { isTerminate } from './wire.ts'

/**
 * PGlite in a thread of its own, spoken to in PostgreSQL's wire protocol. Safe against the death of the process, not
 * against power loss (it runs with fsync off): for trying and development.
 * @throws StoreError `store-in-use`, `store-unopenable`
 */
export async function openEmbedded(directory: string, limits: WaitingLimits): Promise<Engine> {
  const lock = await lockDirectory(directory)
  const worker = new Worker(
    // The built package holds .js; Node runs .ts from a checkout.
    new URL(`./embedded-worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
    // Flags of the process, such as --input-type, are not for a file.
    { workerData: { directory: join(directory, 'data'), limits }, execArgv: [] },
  )
  try {
    await once(worker, 'message')
  } catch (cause) {
    await lock.release()
    throw new StoreError('store-unopenable', { directory }, { cause })
  }
  let running = true
  let failure: unknown
  const stopped = once(worker, 'exit').finally(() => {
    running = false
  })
  worker.on('error', (error) => {
    failure = error // open connections hear of it by the end of their port
  })

  return {
    statementsKept: 500, // parsing and planning is two thirds of a statement's time here
    pool: (role) =>
      new pg.Pool({
        // One connection per pool: the session is single anyway, and order within a role stays that of its calls.
        max: 1,
        idleTimeoutMillis: 0,
        connectionTimeoutMillis: limits.connecting,
        types: columnTypes,
        ssl: false,
        user: 'postgres',
        database: 'postgres',
        stream: () =>
          new PortStream(running ? worker : new StoreError('store-unreachable', {}, { cause: failure }), role),
      }),
    async close() {
      if (running) worker.postMessage('close')
      await stopped
      await lock.release()
    },
  }
}

/** What pg expects of a socket, over a message port. */
class PortStream extends Duplex {
  readonly connect: () => void

  constructor(worker: Worker | StoreError, role: string | undefined) {
    const { port1: near, port2: far } = new MessageChannel()
    super({
      allowHalfOpen: false,
      read() {},
      // pg corks the messages of one query: one round trip instead of five.
      writev(chunks, done) {
        const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk).filter((chunk) => !isTerminate(chunk)))
        if (bytes.length > 0) near.postMessage(Uint8Array.from(bytes))
        done()
      },
      final(done) {
        near.postMessage(null)
        done()
      },
      destroy(error, done) {
        near.postMessage(null)
        done(error)
      },
    })
    near.on('message', (bytes: Uint8Array) => this.push(Buffer.from(bytes.buffer)))
    near.on('close', () => this.push(null))
    this.connect = () => {
      if (worker instanceof StoreError) return void this.destroy(worker)
      worker.postMessage({ port: far, role }, [far])
      queueMicrotask(() => this.emit('connect'))
    }
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}
}
