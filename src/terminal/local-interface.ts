import { z } from 'zod'
import type { Clock } from '#clock'
import { authenticateBearer, bodyBytes, createChannel, type HttpApp, holdsKey } from '#http'
import { identifier, MECHANISMS } from '#messages'
import { TerminalError } from './failures.ts'
import type { Front } from './front.ts'
import { offerView, tapView } from './tap-view.ts'

const tapPath = z.object({ id: z.string().max(32) })

export const frontView = z.object({
  terminal: identifier,
  institution: identifier,
  provider: identifier,
  /** The provider's word; `offline` while its channel is down. */
  state: z.enum(['enrolled', 'active', 'suspended', 'offline']),
  reader: z.string(),
  offers: z.array(offerView),
})
export type FrontView = z.infer<typeof frontView>

/** What a screen or an institution's own software may do with a terminal: on this machine only, with its local key. */
export interface LocalInterface {
  readonly front: Front
  readonly clock: Clock
  /** Content of the file `local-key`. */
  readonly key: string
  /** Whether staff stand beside it, who may enter a holder's consent. */
  readonly attended: boolean
  describe(): FrontView
}

/** Adds the local routes to `app`. */
export async function serveLocally(
  app: HttpApp,
  { front, clock, key, attended, describe }: LocalInterface,
): Promise<void> {
  await app.register(async (scope: HttpApp) => {
    authenticateBearer(scope as never, holdsKey(key))

    scope.get(
      '/v1/terminal',
      { schema: { summary: 'What this terminal is and offers', response: { 200: frontView } } },
      async () => describe(),
    )
    scope.post(
      '/v1/taps',
      {
        schema: {
          summary: 'Begin a tap; it then waits for consent, card and, where the mechanism needs it, PIN',
          body: z.strictObject({ purpose: identifier, mechanism: z.enum(MECHANISMS) }),
          response: { 201: tapView },
        },
      },
      async (request, reply) => reply.code(201).send(front.begin(request.body)),
    )
    scope.get(
      '/v1/taps/:id',
      { schema: { summary: 'Where a tap stands', params: tapPath, response: { 200: tapView } } },
      async (request) => front.view(request.params.id),
    )
    scope.post(
      '/v1/taps/:id/consent',
      {
        schema: {
          summary: 'The holder agrees or declines',
          params: tapPath,
          body: z.discriminatedUnion('given', [
            z.strictObject({
              given: z.literal(true),
              kind: z.enum(['ok-button', 'attended']),
              lang: z.enum(['ja', 'en']),
              input: z.enum(['touch', 'key', 'pointer', 'staff']),
            }),
            z.strictObject({ given: z.literal(false) }),
          ]),
          response: { 200: tapView },
        },
      },
      async (request) => {
        const { body, params } = request
        const byStaff = body.given && (body.kind === 'attended' || body.input === 'staff')
        if (byStaff && !attended) throw new TerminalError('unattended')
        front.consent(params.id, body.given ? { kind: body.kind, lang: body.lang, input: body.input } : undefined)
        return front.view(params.id)
      },
    )
    scope.post(
      '/v1/taps/:id/pin',
      {
        onSend: async (request) => void bodyBytes(request).fill(0),
        schema: {
          summary: 'The PIN’s digits, or null to give up',
          params: tapPath,
          body: z.strictObject({
            pin: z
              .string()
              .regex(/^\d{4}$/)
              .nullable(),
          }),
          response: { 200: tapView },
        },
      },
      async (request) => {
        const { id } = request.params
        const { pin } = request.body
        const digits = pin === null ? undefined : new TextEncoder().encode(pin)
        try {
          front.pin(id, digits) // from here on the tap erases them
        } catch (error) {
          digits?.fill(0)
          throw error
        }
        return front.view(id)
      },
    )
    scope.delete(
      '/v1/taps/:id',
      { schema: { summary: 'Cancel', params: tapPath, response: { 200: tapView } } },
      async (request) => {
        front.cancel(request.params.id)
        return front.view(request.params.id)
      },
    )
    scope.get('/v1/events', { websocket: true }, (socket) => {
      const stop: { now?: () => void } = {}
      const channel = createChannel(socket, { clock, schema: z.never(), onMessage: () => undefined })
      stop.now = front.watch((view) => {
        try {
          channel.send(view)
        } catch {
          stop.now?.()
        }
      })
      void channel.closed.then(() => stop.now?.())
    })
  })
}
