import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import { z } from 'zod'
import type { Clock, Random } from '#clock'
import {
  bodyBytes,
  type Channel,
  createChannel,
  createHttpServer,
  type HttpApp,
  type HttpClient,
  HttpError,
  type HttpServerOptions,
  PROBLEM_TYPE,
} from '#http'
import { MECHANISMS } from '#messages'
import { frontView, type TapView, tapView } from '#terminal'
import { bilingual } from './bilingual.ts'
import { createDoor } from './door.ts'
import { TownError, townFailures, townStatuses } from './failures.ts'
import { type Tray, trayCard } from './tray.ts'

/** One tap as the clinic’s table keeps it: what it may keep, and nothing of the card. */
const visit = z.object({
  at: z.string(),
  pairwiseId: z.string(),
  returning: z.boolean(),
  eligibility: z.string(),
  evidence: z.int(),
})

export const townView = z.object({
  clinic: bilingual,
  transport: z.enum(['in-process', 'pcsc']),
  cards: z.array(trayCard),
  lying: z.string().nullable(),
  terminal: frontView,
  tap: tapView.nullable(),
  visits: z.array(visit),
})
export type TownView = z.infer<typeof townView>

export interface TownOptions {
  readonly clinic: { readonly ja: string; readonly en: string }
  readonly tray: Tray
  /** The terminal’s local interface. */
  readonly terminal: HttpClient
  readonly clock: Clock
  readonly random: Random
  readonly log: HttpServerOptions['log']
  readonly port: number
  /** Who has it may use the page: base64url. */
  readonly key: string
}

export interface RunningTown {
  readonly url: string
  close(): Promise<void>
}

const VISITS_SHOWN = 20
const tapPath = z.object({ id: z.string().max(32) })

/**
 * The town’s page and what it does: lays cards on the reader, and speaks to the terminal as any screen would.
 * @throws TownError `port-taken`
 */
export async function startTownPage(options: TownOptions): Promise<RunningTown> {
  const { clinic, tray, terminal, clock, random, log, port } = options
  const door = createDoor(options.key)
  let tap: TapView | null = null
  let visits: z.infer<typeof visit>[] = []
  const screens = new Set<Channel>()

  const view = async (): Promise<TownView> => ({
    clinic,
    transport: tray.transport,
    cards: [...tray.cards],
    lying: tray.lying() ?? null,
    terminal: await terminal.getJson('/v1/terminal', frontView),
    tap,
    visits,
  })
  async function tell(): Promise<void> {
    if (screens.size === 0) return
    const now = await view()
    for (const screen of screens) {
      try {
        screen.send(now)
      } catch {
        screens.delete(screen)
      }
    }
  }
  function follow(next: TapView): void {
    tap = next
    if (next.stage === 'ended' && next.outcome.result === 'recognised') {
      const { pairwiseId, returning, eligibility, evidence } = next.outcome
      const at = new Intl.DateTimeFormat('ja-JP', { timeStyle: 'medium', timeZone: 'Asia/Tokyo' }).format(clock.now())
      const status = eligibility?.status ?? 'not-asked'
      visits = [{ at, pairwiseId, returning, eligibility: status, evidence: evidence.index }, ...visits].slice(
        0,
        VISITS_SHOWN,
      )
    }
    void tell().catch(() => undefined)
  }
  const events = await terminal.openChannel('/v1/events', tapView, follow)

  const server = await createHttpServer({
    name: 'Kazasu town',
    version: '1',
    description: 'The test town: a clinic, its terminal, and the cards of invented residents.',
    clock,
    random,
    log,
    port,
    statuses: townStatuses,
    catalogues: [townFailures],
  })
  const { app } = server
  await app.register(async (scope: HttpApp) => {
    scope.addHook('onRequest', door.check)
    // What the terminal refuses, it refuses in words for people already: they pass as they are.
    scope.setErrorHandler(async (error, _request, reply) => {
      if (!(error instanceof HttpError) || !error.problem) throw error
      return reply.code(error.problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(error.problem)
    })
    addRoutes(scope)
  })
  app.get(
    '/',
    { schema: { hide: true, querystring: z.object({ key: z.string().max(128).optional() }) } },
    async (request, reply) => {
      const { key } = request.query
      if (key === undefined) return reply.sendFile('index.html')
      return reply.header('set-cookie', await door.admit(request, key)).redirect('/', 303)
    },
  )

  function addRoutes(scope: HttpApp): void {
    scope.get('/api/town', { schema: { summary: 'The town now', response: { 200: townView } } }, () => view())
    scope.put(
      '/api/reader',
      {
        schema: {
          summary: 'Lay a card on the reader, or take it off',
          body: z.strictObject({ card: z.string().max(64).nullable() }),
        },
      },
      async (request) => {
        const { card } = request.body
        if (card === null) await tray.take()
        else await tray.lay(card)
        await tell()
        return view()
      },
    )
    scope.post(
      '/api/taps',
      {
        schema: {
          body: z.strictObject({ purpose: z.string().max(64), mechanism: z.enum(MECHANISMS) }),
          response: { 201: tapView },
        },
      },
      async (request, reply) => reply.code(201).send(await terminal.postJson('/v1/taps', tapView, request.body)),
    )
    const answer = (id: string, input: 'consent' | 'pin', body: unknown) =>
      terminal.postJson(`/v1/taps/${encodeURIComponent(id)}/${input}`, tapView, body)
    scope.post('/api/taps/:id/consent', { schema: { params: tapPath } }, (request) =>
      answer(request.params.id, 'consent', request.body),
    )
    scope.post(
      '/api/taps/:id/pin',
      { schema: { params: tapPath }, onSend: async (request) => void bodyBytes(request).fill(0) },
      (request) => answer(request.params.id, 'pin', bodyBytes(request)), // as it came: every copy would have to be erased
    )
    scope.delete('/api/taps/:id', { schema: { params: tapPath } }, async (request) =>
      terminal.sendJson('DELETE', `/v1/taps/${encodeURIComponent(request.params.id)}`, tapView),
    )
    scope.get('/api/events', { websocket: true }, (socket) => {
      const screen = createChannel(socket, { clock, schema: z.never(), onMessage: () => undefined })
      screens.add(screen)
      void screen.closed.then(() => screens.delete(screen))
      void tell().catch(() => undefined)
    })
  }
  async function listen(): Promise<string> {
    try {
      return await server.listen()
    } catch (error) {
      events.close()
      await server.close()
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new TownError('port-taken', { port })
      throw error
    }
  }
  await app.register(fastifyStatic, {
    root: join(import.meta.dirname, 'page'),
    setHeaders: (response) => {
      response.header('content-security-policy', "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
      response.header('referrer-policy', 'no-referrer')
    },
  })

  return {
    url: await listen(),
    async close() {
      events.close()
      for (const screen of screens) screen.close()
      await server.close()
    },
  }
}
