import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RawServerDefault,
} from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Registry } from 'prom-client'
import { encodeBase64url } from '#bytes'
import { type Clock, type Random, SECOND } from '#clock'
import { readBodies } from './body.ts'
import { HttpError } from './failures.ts'
import { guardRequests } from './guard.ts'
import { type Readiness, serveHealth } from './health.ts'
import { isLoopback, originOf } from './host.ts'
import { describeError } from './log.ts'
import { measure } from './metrics.ts'
import { type ApiTitle, describeApi } from './openapi.ts'
import { createExplain, PROBLEM_TYPE, type ProblemSources, preferredLanguage } from './problem.ts'
import { type TlsCredential, tlsMaterial } from './tls.ts'
import { validatorCompiler } from './validation.ts'

/** Fastify with zod schemas as types. Routes are added to it before `listen`. */
export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface HttpServerOptions extends ApiTitle, ProblemSources {
  readonly clock: Clock
  readonly random: Random
  /** From `createLog`. One line per request: id, method, route pattern, status, milliseconds. */
  readonly log: FastifyBaseLogger
  /** `127.0.0.1` unless given; an address beyond loopback needs `tls`. */
  readonly host?: string
  /** 0 takes a free one. */
  readonly port: number
  /** TLS 1.3. `request` asks every client for a certificate: see `clientThumbprint`. */
  readonly tls?: TlsCredential & { readonly clientCertificates: 'request' | 'none' }
  /** Bytes of a request body; 64 KiB unless given. A route may have its own `bodyLimit`. */
  readonly bodyLimit?: number
  /** Addresses of TLS-terminating proxies, whose `X-Forwarded-…` is believed; name the public origin in `origins`. */
  readonly trustedProxies?: readonly string[]
  /** Other origins than `listen` gives, by which this server is reached or whose pages may call it: `https://host:port`. */
  readonly origins?: readonly string[]
  /** Media types read as `Uint8Array`, beside strict JSON. */
  readonly byteTypes?: readonly string[]
  readonly readiness?: Readiness
  /** Milliseconds in which headers, and then the whole request, must have come; 10 s unless given. */
  readonly patience?: number
}

/** A running or still silent server of one role. */
export interface HttpServer {
  readonly app: HttpApp
  /** The role's own counters go here and appear at `/metrics`. */
  readonly metrics: Registry
  /** Starts to accept and gives the origin, `https://host:port`. */
  listen(): Promise<string>
  /**
   * Stops accepting, lets requests under way finish within `limit` milliseconds (10 s), then cuts what is left.
   * Calling it again gives the same promise.
   */
  close(limit?: number): Promise<void>
}

const BODY_LIMIT = 64 * 1024
const PATIENCE = 10 * SECOND
const STOP_LIMIT = 10 * SECOND
/** Longer than any client of ours keeps an idle connection, so that the client closes first. */
const KEEP_ALIVE = 75 * SECOND

/**
 * A server with everything that roles have in common: problem documents, strict JSON, request ids, OpenAPI, metrics,
 * health, limits. Add routes to `app`, then `listen`.
 * @throws HttpError `tls-required` for a host beyond loopback without TLS; `catalogue-incomplete`
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { clock, random, log, tls, host = '127.0.0.1' } = options
  if (!tls && !isLoopback(host)) throw new HttpError('tls-required', { host })
  const explain = createExplain(options)
  const newRequestId = (): string => encodeBase64url(random.bytes(12))
  let stopping: Promise<void> | undefined

  function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const language = preferredLanguage(request.headers['accept-language'])
    const { problem, expected } = explain(error, language, request.id)
    // Expected or not: what the server itself could not do – database away … – is for its operator to see.
    if (problem.status >= 500) {
      request.log[expected ? 'warn' : 'error']({ failure: describeError(error) }, 'request failed')
    }
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
    if (problem.status === 503) reply.header('retry-after', '1')
    return reply
      .code(problem.status)
      .headers({ 'content-language': language, vary: 'accept-language' })
      .type(PROBLEM_TYPE)
      .send(JSON.stringify(problem))
  }

  /** What Node's parser refuses never becomes a request: the answer is written to the bare socket. */
  function answerBroken(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    const code =
      error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request-too-slow'
        : error.code === 'HPE_HEADER_OVERFLOW'
          ? 'headers-too-large'
          : 'malformed-request'
    const { problem } = explain(new HttpError(code), 'ja', newRequestId())
    const body = JSON.stringify(problem)
    log.info({ requestId: problem.requestId, status: problem.status }, 'unreadable request')
    socket.end(
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }

  const patience = options.patience ?? PATIENCE
  const timeouts = { headersTimeout: patience, connectionsCheckingInterval: Math.ceil(patience / 4) }
  const secure = tls && {
    ...tlsMaterial(tls),
    minVersion: 'TLSv1.3' as const,
    requestCert: tls.clientCertificates === 'request',
    rejectUnauthorized: false,
    handshakeTimeout: patience,
    ...timeouts,
  }
  const app = Fastify({
    ...(secure ? { https: secure } : { http: timeouts }),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    requestIdHeader: false,
    genReqId: ({ headers }: IncomingMessage) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(given) ? given : newRequestId()
    },
    bodyLimit: options.bodyLimit ?? BODY_LIMIT,
    trustProxy: options.trustedProxies ? [...options.trustedProxies] : false,
    requestTimeout: patience,
    keepAliveTimeout: KEEP_ALIVE,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerBroken,
    frameworkErrors: answerProblem,
  } as object) as unknown as HttpApp

  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(answerProblem)
  app.setNotFoundHandler((request, reply) => answerProblem(new HttpError('not-found'), request, reply))
  readBodies(app, options.byteTypes)
  const metrics = measure(app, clock)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    if (stopping) throw new HttpError('stopping')
  })
  guardRequests(app, { secure: tls !== undefined, origins: options.origins ?? [] })
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('x-content-type-options', 'nosniff')
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    if (stopping) reply.header('connection', 'close')
    return payload
  })
  await app.register(websocket, { options: { maxPayload: options.bodyLimit ?? BODY_LIMIT } })
  await describeApi(app as unknown as FastifyInstance, options)
  serveHealth(app as unknown as FastifyInstance, {
    clock,
    readiness: options.readiness ?? {},
    registry: metrics,
    stopping: () => stopping !== undefined,
  })

  async function stop(limit: number): Promise<void> {
    const done = new AbortController()
    const cut = async (): Promise<void> => {
      await clock.sleep(limit, done.signal)
      log.warn({ limit }, 'requests were cut at the end of the time to stop')
      for (const client of app.websocketServer.clients) client.terminate()
      app.server.closeAllConnections()
    }
    const cutting = cut().catch(() => undefined)
    await app.close()
    done.abort()
    await cutting
  }

  return {
    app,
    metrics,
    async listen() {
      await app.listen({ host, port: options.port })
      return originOf(tls !== undefined, host, (app.server.address() as AddressInfo).port)
    },
    close(limit = STOP_LIMIT) {
      stopping ??= stop(limit)
      return stopping
    },
  }
}
