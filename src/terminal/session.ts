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
  /** Aborted when the tap is over, also for the lanes that had not come to their end. */
  readonly over: AbortSignal
  /** Opens the card that lies on the reader, for this tap alone. @throws ReaderError */
  openCard(): Promise<void>
  /** The open card. @throws TerminalError `sequence-broken` */
  card(): CardChannel
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
  const over = new AbortController()
  let opening: Promise<CardConnection> | undefined
  let channel: CardChannel | undefined
  let digits: Uint8Array | undefined

  async function releaseCard(): Promise<void> {
    // One lane may fail while another is still opening the card: it is waited for, or it would stay open for good.
    const opened = await opening?.catch(() => undefined)
    opening = undefined
    channel = undefined
    await opened?.disconnect()
  }

  const session: TapSession = {
    terminal,
    desk,
    offer,
    over: over.signal,
    async openCard() {
      opening = terminal.reader.connect()
      channel = traceChannel(await opening, clock, (exchange) => trace.push(exchange))
    },
    card() {
      if (!channel) throw new TerminalError('sequence-broken', { missing: 'card' })
      return channel
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
        over.signal.throwIfAborted()
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
      over.abort()
      digits?.fill(0)
      await releaseCard()
    },
  }
  return session
}
