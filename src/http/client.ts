import { setImmediate } from 'node:timers/promises'
import { type Dispatcher, Pool } from 'undici'
import type { z } from 'zod'
import { SECOND } from '#clock'
import { type Answer, acceptAnswer, expectType, mediaType, readAnswerJson, readLimited } from './answer.ts'
import { type Channel, type OnMessage, openClientChannel } from './channel.ts'
import { type ConnectionOptions, connectionFailure, createConnector } from './connection.ts'
import { HttpError } from './failures.ts'
import { PROBLEM_TYPE } from './problem.ts'
import { wrongPath } from './validation.ts'

export interface HttpClientOptions extends ConnectionOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly bearer?: string
  /** Connections at most; 16 unless given. */
  readonly connections?: number
}

/** What one call may add. */
export interface CallOptions {
  readonly idempotencyKey?: string
  readonly requestId?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes of the answer at most; 1 MiB unless given. */
  readonly limit?: number
  /** Gives up early; the call rejects with `timed-out`. */
  readonly signal?: AbortSignal
}

/**
 * Calls one server. Every call rejects with HttpError: `unreachable`, `timed-out`, `tls-mismatch`, `problem` (with the
 * document), `answer-malformed`, `answer-too-large`. Redirects are never followed, nothing is sent twice.
 */
export interface HttpClient {
  getJson<Schema extends z.ZodType>(path: string, schema: Schema, call?: CallOptions): Promise<z.output<Schema>>
  /** `body` is sent as JSON; a `Uint8Array` is sent as it is, for whoever must resend the very same bytes. */
  postJson<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    body: unknown,
    call?: CallOptions,
  ): Promise<z.output<Schema>>
  /** PUT, PATCH or DELETE; an answer without content is `undefined` to the schema. */
  sendJson<Schema extends z.ZodType>(
    method: 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    schema: Schema,
    body?: unknown,
    call?: CallOptions,
  ): Promise<z.output<Schema>>
  /** The bytes of an answer that must have the media type `accept`: a CRL, a certificate. */
  getBytes(path: string, accept: string, call?: CallOptions): Promise<Uint8Array>
  /** The same by POST: an OCSP request and its response (RFC 6960 appendix A). */
  postBytes(
    path: string,
    contentType: string,
    body: Uint8Array,
    accept: string,
    call?: CallOptions,
  ): Promise<Uint8Array>
  /** Opens a WebSocket under the same TLS settings; messages are strict JSON, checked by `schema`. */
  openChannel<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    onMessage: OnMessage<z.output<Schema>>,
  ): Promise<Channel>
  /** Makes sure that a connection is open, so that the next call pays for no handshake. */
  warm(): Promise<void>
  close(): Promise<void>
}

/**
 * A client with kept connections and TLS session reuse.
 * @throws HttpError `tls-required`
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { clock, timeoutMs } = options
  const base = new URL(options.baseUrl)
  const prefix = base.pathname.replace(/\/$/, '')
  const connect = createConnector(options)
  const authorization = options.bearer === undefined ? {} : { authorization: `Bearer ${options.bearer}` }
  const pool = new Pool(base.origin, {
    connect,
    connections: options.connections ?? 16,
    // One limit for the whole exchange, kept by the clock.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 60 * SECOND,
    keepAliveMaxTimeout: 600 * SECOND,
  })

  async function within<T>(run: (signal: AbortSignal) => Promise<T>, outer?: AbortSignal): Promise<T> {
    const over = new AbortController()
    const done = new AbortController()
    const late = new HttpError('timed-out', { timeoutMs })
    clock.sleep(timeoutMs, done.signal).then(
      () => over.abort(late),
      () => undefined,
    )
    const signal = outer ? AbortSignal.any([over.signal, outer]) : over.signal
    try {
      return await run(signal)
    } catch (error) {
      throw signal.aborted ? late : connectionFailure(error)
    } finally {
      done.abort()
    }
  }

  function exchange(
    method: Dispatcher.HttpMethod,
    path: string,
    accept: string,
    content: { readonly type: string; readonly body: Uint8Array } | undefined,
    call: CallOptions,
  ): Promise<Answer> {
    return within(async (signal) => {
      const answer = await pool.request({
        method,
        path: prefix + path,
        signal,
        body: content?.body ?? null,
        headers: {
          ...call.headers,
          ...authorization,
          accept: `${accept}, ${PROBLEM_TYPE}`,
          ...(content && { 'content-type': content.type }),
          ...(call.idempotencyKey !== undefined && { 'idempotency-key': call.idempotencyKey }),
          ...(call.requestId !== undefined && { 'x-request-id': call.requestId }),
        },
      })
      const type = mediaType(answer.headers)
      const body = await readLimited(answer.body, call.limit)
      // undici frees a connection one turn of the event loop after its answer; a call made before opens another one.
      await setImmediate()
      return acceptAnswer({ status: answer.statusCode, type, body })
    }, call.signal)
  }

  async function json<Schema extends z.ZodType>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: Schema,
    body: unknown,
    call: CallOptions = {},
  ): Promise<z.output<Schema>> {
    const content = body === undefined ? undefined : { type: 'application/json', body: encodeBody(body) }
    const answer = await exchange(method, path, 'application/json', content, call)
    if (answer.body.length > 0) expectType(answer, 'application/json')
    const result = schema.safeParse(answer.body.length > 0 ? readAnswerJson(answer.body) : undefined)
    if (!result.success) throw new HttpError('answer-malformed', { path: wrongPath(result.error) })
    return result.data
  }

  return {
    getJson: (path, schema, call) => json('GET', path, schema, undefined, call),
    postJson: (path, schema, body, call) => json('POST', path, schema, body, call),
    sendJson: (method, path, schema, body, call) => json(method, path, schema, body, call),
    async getBytes(path, accept, call = {}) {
      return expectType(await exchange('GET', path, accept, undefined, call), accept).body
    },
    async postBytes(path, type, body, accept, call = {}) {
      return expectType(await exchange('POST', path, accept, { type, body }, call), accept).body
    },
    openChannel: (path, schema, onMessage) =>
      openClientChannel({
        connect,
        base,
        path: prefix + path,
        headers: authorization,
        clock,
        timeoutMs,
        schema,
        onMessage,
      }),
    async warm() {
      await exchange('GET', '/livez', 'application/json', undefined, {})
    },
    close: () => pool.destroy(),
  }
}

const encodeBody = (body: unknown): Uint8Array =>
  body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body))
