import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '#clock'
import { readFileIfPresent } from '#files'
import { createHttpClient, type HttpClient } from '#http'
import { type TapResult, type TapView, tapView } from '#terminal'

/** A town that was started for a bench: every role behind its own interface. */
export interface BenchedTown {
  /** Folder that holds the roles' folders. */
  readonly home: string
  /** The town's page: lays cards on the reader. */
  readonly page: string
  readonly terminal: string
  readonly provider: string
  readonly authority: string
}

export type Recognised = Extract<TapResult, { result: 'recognised' }>

/** One tap as the desk saw it. */
export interface MeasuredTap {
  readonly outcome: Recognised
  /** From the OK of the last human step to the answer on the desk, milliseconds. */
  readonly total: number
}

/** The desk of the town's clinic, in the place of people: agrees and types at once. */
export interface Clinic {
  /** Gives what the desk saw. @throws Error if the card is not recognised */
  holdUp(card: string, mechanism: 'institution' | 'pin', pin?: string): Promise<MeasuredTap>
  /** A client of the provider as the terminal has one, without a certificate of its own. */
  readonly provider: HttpClient
  readonly terminal: HttpClient
  readonly authority: HttpClient
  close(): Promise<void>
}

const PURPOSE = 'eligibility'

export async function openClinic(town: BenchedTown, clock: Clock): Promise<Clinic> {
  const text = async (...path: string[]): Promise<string> =>
    Buffer.from((await readFileIfPresent(join(town.home, ...path))) ?? []).toString()
  const timeoutMs = 30_000
  const page = createHttpClient({ baseUrl: town.page, bearer: (await text('page-key')).trim(), clock, timeoutMs })
  const authority = createHttpClient({ baseUrl: town.authority, clock, timeoutMs })
  const serverCertificate = await text('provider', 'tls-certificate.pem')
  const provider = createHttpClient({ baseUrl: town.provider, serverCertificate, clock, timeoutMs })
  const bearer = (await text('terminal', 'local-key')).trim()
  const terminal = createHttpClient({ baseUrl: town.terminal, bearer, clock, timeoutMs })
  let follow: (view: TapView) => void = () => undefined
  const events = await terminal.openChannel('/v1/events', tapView, (view) => follow(view))
  let lying: string | undefined

  return {
    provider,
    terminal,
    authority,
    async holdUp(card, mechanism, pin) {
      if (lying !== card) await page.sendJson('PUT', '/api/reader', z.unknown(), { card })
      lying = card
      const ended = Promise.withResolvers<{ outcome: TapResult; at: number }>()
      const awaited = Promise.withResolvers<void>()
      let typed = 0
      follow = (view) => {
        if (view.stage === 'consent') awaited.resolve()
        if (view.stage === 'pin' && typed === 0) {
          typed = clock.monotonic()
          terminal.postJson(`/v1/taps/${view.id}/pin`, z.unknown(), { pin: pin ?? null }).catch(ended.reject)
        }
        if (view.stage === 'ended') ended.resolve({ outcome: view.outcome, at: clock.monotonic() })
      }
      const { id } = await terminal.postJson('/v1/taps', tapView, { purpose: PURPOSE, mechanism })
      await awaited.promise
      const agreed = clock.monotonic()
      const consent = { given: true, kind: 'ok-button', lang: 'ja', input: 'touch' }
      await terminal.postJson(`/v1/taps/${id}/consent`, z.unknown(), consent)
      const { outcome, at } = await ended.promise
      if (outcome.result !== 'recognised') throw new Error(`not recognised: ${JSON.stringify(outcome)}`)
      return { outcome, total: at - (typed || agreed) }
    },
    async close() {
      events.close()
      await Promise.all([page, provider, terminal, authority].map((client) => client.close()))
    },
  }
}
