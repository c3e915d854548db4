export { authenticateBearer, holdsKey } from './bearer.ts'
export { bodyBytes } from './body.ts'
export { type Channel, type ChannelEnd, createChannel, type OnMessage } from './channel.ts'
export { type CallOptions, createHttpClient, type HttpClient, type HttpClientOptions } from './client.ts'
export { HttpError, type HttpErrorCode, httpFailures, httpStatuses } from './failures.ts'
export type { Readiness } from './health.ts'
export { isLoopback } from './host.ts'
export {
  createMemoryIdempotencyStore,
  type IdempotencyStore,
  type KeptAnswer,
  type KeptRequest,
  repeatWrites,
} from './idempotency.ts'
export { decodeJson } from './json.ts'
export { createLog, describeError } from './log.ts'
export { PROBLEM_TYPE, type Problem, problemSchema } from './problem.ts'
export { createHttpServer, type HttpApp, type HttpServer, type HttpServerOptions } from './server.ts'
export { certificateThumbprint, clientThumbprint, type TlsCredential } from './tls.ts'
