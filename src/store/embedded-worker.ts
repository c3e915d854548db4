import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { SECOND, systemClock } from '#clock'
import { encodeFailure, encodeReady, transactionStatus } from './wire.ts'

/**
 * The thread of the embedded database. PGlite is one single session, so connections take turns: one keeps the turn
 * from its first byte until the database says "ready, no transaction", and each turn starts under the connection's
 * own SQL role and schema. PGlite cannot interrupt itself, so the limits on waiting are kept here.
 */
interface Connection {
  readonly port: MessagePort
  /** `undefined`: the owner. */
  readonly role: string | undefined
  /** Bytes to forward; `end` when the client hung up, `expire` when it left a transaction open too long. */
  readonly pending: (Uint8Array | 'end' | 'expire')[]
  /** When it last did something, or began to wait; monotonic milliseconds. */
  since: number
}

const limits = workerData.limits as { readonly waiting: number; readonly idleInTransaction: number }
const database = await PGlite.create({ dataDir: workerData.directory, relaxedDurability: false })
const waiting: Connection[] = []
let holder: Connection | undefined
let sessionRole: string | undefined | null = null
let inTransaction = false
let serving = false

function connect({ port, role }: { port: MessagePort; role: string | undefined }): void {
  const connection: Connection = { port, role, pending: [], since: systemClock.monotonic() }
  let started = false
  port.on('message', (bytes: Uint8Array | null) => {
    if (bytes !== null && !started) {
      started = true
      return port.postMessage(encodeReady('welcome')) // the start-up packet; PGlite's session is long open
    }
    connection.pending.push(bytes ?? 'end')
    connection.since = systemClock.monotonic()
    if (connection !== holder && !waiting.includes(connection)) waiting.push(connection)
    void serve()
  })
}

async function serve(): Promise<void> {
  if (serving) return
  serving = true
  for (;;) {
    holder ??= waiting.shift()
    const next = holder?.pending.shift()
    if (!holder || next === undefined) break // nobody waits, or the holder's transaction does
    if (next instanceof Uint8Array) await forward(holder, next)
    else await hangUp(holder, next)
    holder.since = systemClock.monotonic()
    if (!inTransaction) {
      if (holder.pending.length > 0) waiting.push(holder)
      holder = undefined
    }
  }
  serving = false
}

async function forward(connection: Connection, bytes: Uint8Array): Promise<void> {
  if (!inTransaction && sessionRole !== connection.role) {
    sessionRole = null // whatever happens in between: not known
    const name = connection.role && `"${connection.role}"`
    await database.exec(`set role ${name ?? 'none'}; set search_path to ${name ?? 'public'}`)
    sessionRole = connection.role
  }
  const answer = await database.execProtocolRaw(bytes)
  inTransaction = transactionStatus(answer) !== 'idle'
  connection.port.postMessage(answer.slice())
}

async function hangUp(connection: Connection, reason: 'end' | 'expire'): Promise<void> {
  if (inTransaction) await database.exec('rollback')
  inTransaction = false
  if (reason === 'expire') {
    // SQLSTATE as PostgreSQL's idle_in_transaction_session_timeout (Appendix A, class 25)
    connection.port.postMessage(encodeFailure('FATAL', '25P03', 'the transaction was left open too long'))
  }
  connection.pending.length = 0
  connection.port.close()
}

function enforceLimits(): void {
  const now = systemClock.monotonic()
  for (const connection of waiting.filter(({ since }) => now - since > limits.waiting)) {
    if (connection.pending.includes('end')) continue
    waiting.splice(waiting.indexOf(connection), 1)
    connection.pending.length = 0
    connection.port.postMessage(encodeFailure('ERROR', '55P03', 'another transaction holds the embedded database'))
    connection.port.postMessage(encodeReady())
  }
  if (holder && inTransaction && !serving && now - holder.since > limits.idleInTransaction) {
    holder.pending.push('expire')
    void serve()
  }
}

const stopLimits = systemClock.every(SECOND, enforceLimits)
parentPort?.on('message', async (message: { port: MessagePort; role: string | undefined } | 'close') => {
  if (message !== 'close') return connect(message)
  stopLimits()
  await database.close()
  parentPort?.close()
})
parentPort?.postMessage('ready')
