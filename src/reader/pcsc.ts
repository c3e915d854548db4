import type { CardConnection, CardReader } from '#apdu'
import type { Clock } from '#clock'
import { ReaderError } from './failures.ts'
import { createPcscLink, type PcscLink } from './pcsc-link.ts'

export interface PcscOptions {
  readonly clock: Clock
  /** Between two looks at a reader, milliseconds; 50 unless said. */
  readonly pollEvery?: number
  /** How long a card may take for one command, milliseconds; 30 s unless said. */
  readonly answerWithin?: number
}

/** The card readers of this machine. */
export interface Pcsc {
  /** Names of the readers that are plugged in. @throws ReaderError `service-stopped` */
  list(): Promise<readonly string[]>
  /**
   * The one reader whose name is `name` or begins with it (the number at its end changes when readers are plugged in
   * again), the first of all without `name`. @throws ReaderError `no-reader`, `service-stopped`
   */
  reader(name?: string): Promise<CardReader>
  /** Powers off the cards that are connected and ends the process behind. */
  close(): Promise<void>
}

/** How long the service may take for anything but a command to a card, milliseconds. */
const SERVICE_LIMIT = 10_000

/**
 * Opens PC/SC, which runs in a process of its own (pcsc-process.ts). Connections are exclusive and end with the card
 * powered off. That the service is stopped shows on use, and is over when it runs again: readers stay valid.
 * @throws ReaderError `pcsc-missing` if the binding or its library is not installed
 */
export async function openPcsc({ clock, pollEvery = 50, answerWithin = 30_000 }: PcscOptions): Promise<Pcsc> {
  const link = createPcscLink(clock)
  const slots = () => link.call({ call: 'list' }, SERVICE_LIMIT)

  async function until(wanted: boolean, name: string, signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      const slot = (await slots()).find((each) => each.name === name)
      if (!slot) throw new ReaderError('reader-gone', { reader: name })
      if ((slot.card !== 'none') === wanted) return
      await clock.sleep(pollEvery, signal)
    }
  }

  await slots().catch(async (error: unknown) => {
    if (error instanceof ReaderError && error.code === 'service-stopped') return
    await link.close()
    throw error
  })
  return {
    list: async () => (await slots()).map(({ name }) => name),
    async reader(wanted = '') {
      const names = (await slots()).map(({ name }) => name)
      const fitting = names.filter((name) => name.startsWith(wanted))
      const name =
        names.find((each) => each === wanted) ?? (wanted === '' || fitting.length === 1 ? fitting[0] : undefined)
      if (name === undefined) throw new ReaderError('no-reader', { wanted, found: names.join('; ') })
      return {
        name,
        waitForCard: (signal) => until(true, name, signal),
        waitForRemoval: (signal) => until(false, name, signal),
        connect: () => openConnection(link, name, answerWithin),
      }
    },
    close: link.close,
  }
}

async function openConnection(link: PcscLink, reader: string, answerWithin: number): Promise<CardConnection> {
  const { session, atr, extendedLength } = await link.call({ call: 'connect', reader }, SERVICE_LIMIT)
  let open = true
  return {
    atr,
    extendedLength,
    async transmit(command) {
      if (!open) throw new ReaderError('connection-closed')
      try {
        const response = await link.call({ call: 'transmit', session, command }, answerWithin)
        // Some drivers (vpcd) say that a card was taken off in the middle of a command by an answer of no bytes.
        if (response.length < 2) throw new ReaderError('card-removed')
        return response
      } catch (error) {
        // A card that did not answer may still be at work: nothing more may follow in this session.
        if (error instanceof ReaderError && error.code === 'timeout') open = false
        // Whether the card left before the command or during it makes no difference to anybody.
        if (error instanceof ReaderError && error.code === 'no-card')
          throw new ReaderError('card-removed', error.detail)
        throw error
      }
    },
    async disconnect() {
      open = false
      // With the process, the session has ended too, and the card lost its power.
      await link.call({ call: 'disconnect', session }, SERVICE_LIMIT).catch(() => {})
    },
  }
}
