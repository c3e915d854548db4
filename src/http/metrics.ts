import type { FastifyInstance } from 'fastify'
import { Counter, Histogram, Registry } from 'prom-client'
import type { Clock } from '#clock'

/** Seconds; from a cached answer on loopback to the longest request that is waited for. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Counts and logs every answered request of `app` by method, route and status, and how long it took. The label is the route's
 * pattern, never the path that was asked for: paths hold identifiers.
 */
export function measure(app: FastifyInstance, clock: Clock): Registry {
  const registry = new Registry()
  const labelNames = ['method', 'route', 'status'] as const
  const registers = [registry]
  const total = new Counter({ name: 'http_requests_total', help: 'Requests answered.', labelNames, registers })
  const seconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the end of the headers to the end of the answer.',
    labelNames,
    registers,
    buckets: BUCKETS,
  })
  const started = new WeakMap<object, number>()
  app.addHook('onRequest', async (request) => {
    started.set(request, clock.monotonic())
  })
  app.addHook('onResponse', async (request, reply) => {
    const method = request.routeOptions.url === undefined ? 'any' : request.method
    const labels = { method, route: request.routeOptions.url ?? 'none', status: String(reply.statusCode) }
    total.inc(labels)
    const now = clock.monotonic()
    const ms = now - (started.get(request) ?? now)
    seconds.observe(labels, ms / 1000)
    request.log.info({ ...labels, ms: Math.round(ms * 10) / 10 }, 'answered')
  })
  return registry
}
