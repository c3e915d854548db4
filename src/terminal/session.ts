import { type CardChannel, type CardConnection, type TracedExchange, traceChannel } from '#apdu'
import { TerminalError } from './failures.ts'
import type { TapRecord } from './outcome.ts'
import type { TapState, TapStep } from './steps.ts'
import type { Desk, Offer, StepTime, Terminal } from './terminal.ts'

/** The live side of one tap: the open card, the PIN, the stop watch. It ends with everything off and erased. */
export interface TapSession {
  readonly terminal: Terminal
  readonly desk: Desk
  readonly offer: Offer
  /** The open card. @throws TerminalError `sequence-broken` */
  card(): CardChannel
  holdCard(connection: CardConnection): void
  releaseCard(): Promise<void>
  /** Takes charge of a PIN's bytes, to erase them at the end. */
  holdPin(pin: Uint8Array): void
  pin(): Uint8Array
  /** Runs the steps of a lane in order; gives what they found. */
  run(lane: readonly TapStep[], before: TapState): Promise<TapState>
  record(): TapRecord
  end(): Promise<void>
}

export function createTapSession(terminal: Terminal, desk: Desk, offer: Offer): TapSession {
  const { clock } = terminal
  const steps: StepTime[] = []
  const trace: TracedExchange[] = []
  let connection: CardConnection | undefined
  let channel: CardChannel | undefined
  let digits: Uint8Array | undefined

  async function releaseCard(): Promise<void> {
    const open = connection
    connection = undefined
    channel = undefined
    await open?.disconnect()
  }

  const session: TapSession = {
    terminal,
    desk,
    offer,
    card() {
      if (!channel) throw new TerminalError('sequence-broken', { missing: 'card' })
      return channel
    },
    holdCard(opened) {
      connection = opened
      channel = traceChannel(opened, clock, (exchange) => trace.push(exchange))
    },
    releaseCard,
    holdPin(pin) {
      digits = pin
    },
    pin() {
      if (!digits) throw new TerminalError('sequence-broken', { missing: 'pin' })
      return digits
    },
    async run(lane, before) {
      let gained: TapState = {}
      for (const step of lane) {
        const began = clock.monotonic()
        gained = { ...gained, ...(await step.run(session, { ...before, ...gained })) }
        const time = { name: step.name, ms: clock.monotonic() - began }
        steps.push(time)
        if (before.consent) desk.report(time) // nothing about a card is shown before consent
        if (gained.ended) break
      }
      return gained
    },
    record: () => ({ steps: [...steps], trace: [...trace] }),
    async end() {
      digits?.fill(0)
      await releaseCard()
    },
  }
  return session
}
