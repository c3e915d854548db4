import type { FastifyInstance, FastifyRequest } from 'fastify'
import { HttpError } from './failures.ts'
import { isLoopback } from './host.ts'

/** Headers of which Node silently keeps the first when there are two, and readers behind us might take the other. */
const SINGLE = new Set(['authorization', 'content-type', 'host', 'origin', 'idempotency-key', 'x-request-id', 'dpop'])

function repeatedHeader(request: FastifyRequest): string | undefined {
  const seen = new Set<string>()
  for (let index = 0; index < request.raw.rawHeaders.length; index += 2) {
    const name = request.raw.rawHeaders[index]?.toLowerCase() ?? ''
    if (seen.has(name)) return name
    if (SINGLE.has(name)) seen.add(name)
  }
  return undefined
}

/**
 * Refuses, before anything is read: repeated headers that must be single; a foreign `Origin`, so that a web page of
 * another site can neither post nor open a WebSocket here (cross-site WebSocket hijacking); and on plain loopback a
 * `Host` that is no loopback name, so that a page cannot come in by DNS rebinding. The names in `origins` are welcome.
 */
export function guardRequests(
  app: FastifyInstance,
  { secure, origins }: { readonly secure: boolean; readonly origins: readonly string[] },
): void {
  const hosts = new Set(origins.map((origin) => new URL(origin).host))
  app.addHook('onRequest', async (request) => {
    const header = repeatedHeader(request)
    if (header !== undefined) throw new HttpError('malformed-request', { reason: 'repeated header', header })
    if (!secure && !isLoopback(request.hostname) && !hosts.has(request.host)) throw new HttpError('host-refused')
    const { origin } = request.headers
    if (origin === undefined || origins.includes(origin)) return
    if (origin !== `${request.protocol}://${request.host}`) throw new HttpError('origin-refused')
  })
}
