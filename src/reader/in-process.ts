import type { CardConnection, CardDevice, CardReader } from '#apdu'
import { unlessAborted } from './abort.ts'
import { ReaderError } from './failures.ts'

/** A reader without hardware: cards are devices in this process, put on and taken off by program. */
export interface InProcessReader extends CardReader {
  /** Puts a card on the reader. @throws ReaderError `sharing-violation` if one lies there already */
  insert(device: CardDevice): void
  /** Takes the card off, which cuts its power; a command under way rejects with `card-removed`. */
  remove(): Promise<void>
}

/** A card as long as it lies on the reader. The same card put on again is another stay. */
interface Stay {
  readonly device: CardDevice
  /** Never resolves; rejects when the card is taken off. */
  readonly removal: Promise<never>
  end(): void
  over: boolean
  inUse: boolean
}

/** @param options.extendedLength whether the reader passes extended-length APDUs, as most do; true unless said */
export function createInProcessReader(name: string, options: { extendedLength?: boolean } = {}): InProcessReader {
  let stay: Stay | undefined
  let changed = Promise.withResolvers<void>()

  function change(next: Stay | undefined): void {
    stay = next
    changed.resolve()
    changed = Promise.withResolvers()
  }
  async function until(present: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    while ((stay !== undefined) !== present) await unlessAborted(changed.promise, signal)
  }

  return {
    name,
    insert(device) {
      if (stay) throw new ReaderError('sharing-violation', { reader: name })
      change(beginStay(device))
    },
    async remove() {
      const gone = stay
      if (!gone) return
      change(undefined)
      gone.end()
      await gone.device.powerDown()
    },
    waitForCard: (signal) => until(true, signal),
    waitForRemoval: (signal) => until(false, signal),
    async connect() {
      if (!stay) throw new ReaderError('no-card', { reader: name })
      return openConnection(stay, options.extendedLength ?? true)
    },
  }
}

function beginStay(device: CardDevice): Stay {
  const { promise: removal, reject } = Promise.withResolvers<never>()
  removal.catch(() => {}) // nobody need be listening when the card is taken off
  return {
    device,
    removal,
    end() {
      this.over = true
      reject(new ReaderError('card-removed'))
    },
    over: false,
    inUse: false,
  }
}

async function openConnection(stay: Stay, extendedLength: boolean): Promise<CardConnection> {
  if (stay.inUse) throw new ReaderError('sharing-violation')
  stay.inUse = true
  let open = true
  async function disconnect(): Promise<void> {
    if (!open) return
    open = false
    if (!stay.over) await stay.device.powerDown()
    stay.inUse = false
  }
  try {
    const atr = await Promise.race([stay.removal, stay.device.powerUp()])
    return {
      atr,
      extendedLength,
      disconnect,
      async transmit(command) {
        if (!open) throw new ReaderError('connection-closed')
        if (stay.over) throw new ReaderError('card-removed')
        return Promise.race([stay.removal, stay.device.process(command)])
      },
    }
  } catch (error) {
    await disconnect()
    throw error
  }
}
