import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { type Clock, SECOND } from '#clock'

/** What must work before requests are welcome: each check resolves, or rejects when its thing is away. */
export type Readiness = Readonly<Record<string, () => Promise<unknown>>>

/** A check that hangs counts as failed after this long. */
const CHECK_LIMIT = 2 * SECOND

async function passes(check: () => Promise<unknown>, clock: Clock): Promise<boolean> {
  const stop = new AbortController()
  const late = clock.sleep(CHECK_LIMIT, stop.signal).then(
    () => false,
    () => false,
  )
  const done = (async () => check())().then(
    () => true,
    () => false,
  )
  return Promise.race([done, late]).finally(() => stop.abort())
}

/** `/livez` (the process answers), `/readyz` (every check passes and no stop is under way), `/metrics` (Prometheus text). */
export function serveHealth(
  app: FastifyInstance,
  options: { clock: Clock; readiness: Readiness; registry: Registry; stopping: () => boolean },
): void {
  const schema = { hide: true }
  app.get('/livez', { schema }, async () => ({ status: 'ok' }))
  app.get('/readyz', { schema }, async (_request, reply) => {
    const names = Object.entries(options.readiness)
    const results = await Promise.all(names.map(async ([name, check]) => [name, await passes(check, options.clock)]))
    const ready = !options.stopping() && results.every(([, passed]) => passed)
    const checks = Object.fromEntries(results.map(([name, passed]) => [name, passed ? 'ok' : 'failed']))
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ok' : options.stopping() ? 'stopping' : 'failed', checks })
  })
  app.get('/metrics', { schema }, async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  )
}
