import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { encodeBase64url } from '#bytes'
import { type Clock, DAY, type Time } from '#clock'
import { bodyBytes } from './body.ts'
import { HttpError } from './failures.ts'

/** An answer as it was first given. */
export interface KeptAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** What is known of a key: another request with it is under way, or was answered. */
export interface KeptRequest {
  /** Of method, path and body, base64url SHA-256. */
  readonly fingerprint: string
  readonly answer?: KeptAnswer
}

/** Where keys of repeated writes are kept. An answer may hold a secret (a new key): keep it as such, and not for long. */
export interface IdempotencyStore {
  /** Takes `key` for this request and gives nothing; or gives what is known of it. One step, also between processes. */
  claim(key: string, fingerprint: string): Promise<KeptRequest | undefined>
  /** Keeps the answer to a key that was claimed. */
  keep(key: string, answer: KeptAnswer): Promise<void>
  /** Forgets a claim whose request failed without effect. */
  release(key: string): Promise<void>
}

/** Keys of one process: kept for a day, the oldest `capacity` at most. A restart forgets them. */
export function createMemoryIdempotencyStore(clock: Clock, capacity = 10_000): IdempotencyStore {
  const kept = new Map<string, { request: KeptRequest; until: Time }>()
  const clean = (): void => {
    for (const [key, { until }] of kept) {
      if (until > clock.now() && kept.size < capacity) break
      kept.delete(key)
    }
  }
  return {
    async claim(key, fingerprint) {
      clean()
      const known = kept.get(key)
      if (!known) kept.set(key, { request: { fingerprint }, until: clock.now() + DAY })
      return known?.request
    },
    async keep(key, answer) {
      const known = kept.get(key)
      if (known) kept.set(key, { ...known, request: { ...known.request, answer } })
    },
    async release(key) {
      kept.delete(key)
    },
  }
}

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

function fingerprintOf(request: FastifyRequest): string {
  const hash = createHash('sha256').update(`${request.method} ${request.url}\n`).update(bodyBytes(request))
  return encodeBase64url(hash.digest())
}

/**
 * Writes of `scope` that carry an `Idempotency-Key` (1–64 of `A-Za-z0-9_-`) happen once: the same key and request get
 * the same answer again, another request 422 `idempotency-mismatch`, one still under way 409 `idempotency-running`.
 * Keys count per `owner`, so that nobody is shown an answer of somebody else. Register it after authentication.
 * Source: draft-ietf-httpapi-idempotency-key-header.
 */
export function repeatWrites(
  scope: FastifyInstance,
  store: IdempotencyStore,
  owner: (request: FastifyRequest) => string,
): void {
  const claimed = new WeakMap<FastifyRequest, string>()

  scope.addHook('preValidation', async (request, reply) => {
    const given = request.headers['idempotency-key']
    if (given === undefined || !WRITES.has(request.method)) return
    if (typeof given !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(given)) {
      throw new HttpError('malformed-request', { in: 'headers', path: '/idempotency-key' })
    }
    const key = `${owner(request)} ${given}`
    const fingerprint = fingerprintOf(request)
    const known = await store.claim(key, fingerprint)
    if (!known) {
      claimed.set(request, key)
      return
    }
    if (known.fingerprint !== fingerprint) throw new HttpError('idempotency-mismatch')
    if (!known.answer) throw new HttpError('idempotency-running')
    const { status, contentType, body } = known.answer
    reply.code(status).header('idempotent-replayed', 'true')
    if (contentType !== '') reply.type(contentType)
    return reply.send(body)
  })

  scope.addHook('onSend', async (request, reply, payload) => {
    const key = claimed.get(request)
    if (key === undefined) return payload
    claimed.delete(request)
    const settled = reply.statusCode < 500 && (payload === null || payload === undefined || typeof payload === 'string')
    if (settled) {
      const contentType = String(reply.getHeader('content-type') ?? '')
      await store.keep(key, { status: reply.statusCode, contentType, body: payload ?? '' })
    } else {
      await store.release(key)
    }
    return payload
  })
}
