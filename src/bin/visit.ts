import { z } from 'zod'
import type { Clock } from '#clock'
import { createHttpClient } from '#http'
import { type TapResult, type TapView, tapView } from '#terminal'
import { townView } from '#town'
import type { PageAccess } from './home.ts'

/** What a resident of the town does at the clinic. */
export interface Visit {
  /** Card to lay on the reader; the one that lies there if not given. */
  readonly card?: string
  readonly mechanism: 'institution' | 'pin'
  /** Typed when the terminal asks for it, or whom to ask then; `undefined` gives up. */
  readonly pin?: string | ((triesLeft: number) => Promise<string | undefined>)
  readonly lang: 'ja' | 'en'
}

/**
 * Walks a resident through one tap over the town's own interface: agrees, lays the card down, types the PIN if asked.
 * @throws HttpError if the town does not answer
 */
export async function payVisit(
  { town: baseUrl, key: bearer }: PageAccess,
  visit: Visit,
  clock: Clock,
): Promise<TapResult> {
  const town = createHttpClient({ baseUrl, bearer, clock, timeoutMs: 90_000 })
  const latest = Promise.withResolvers<TapResult>()
  let begun: string | undefined
  const answered = new Set<TapView['stage']>()

  /** Does what the terminal waits for, each thing once: views come over two ways, and an older one may come later. */
  async function answer(view: TapView): Promise<void> {
    if (view.id !== begun || answered.has(view.stage)) return
    answered.add(view.stage)
    const path = `/api/taps/${encodeURIComponent(view.id)}`
    switch (view.stage) {
      case 'consent':
        await town.postJson(`${path}/consent`, z.unknown(), {
          ...{ given: true, kind: 'ok-button', lang: visit.lang, input: 'key' },
        })
        break
      case 'pin':
        await town.postJson(`${path}/pin`, z.unknown(), {
          pin: (typeof visit.pin === 'function' ? await visit.pin(view.triesLeft) : visit.pin) ?? null,
        })
        break
      case 'ended':
        latest.resolve(view.outcome)
        break
      case 'card':
      case 'working':
        break
    }
  }

  const channel = await town.openChannel('/api/events', townView, ({ tap }) => {
    if (tap) void answer(tap).catch(latest.reject)
  })
  try {
    if (visit.card !== undefined) await town.sendJson('PUT', '/api/reader', z.unknown(), { card: visit.card })
    const view = await town.postJson('/api/taps', tapView, { purpose: 'eligibility', mechanism: visit.mechanism })
    begun = view.id
    const { tap } = await town.getJson('/api/town', townView)
    if (tap) await answer(tap)
    return await latest.promise
  } finally {
    channel.close()
    await town.close()
  }
}
