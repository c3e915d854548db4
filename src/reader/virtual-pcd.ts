import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { CardDevice } from '#apdu'
import { concatBytes } from '#bytes'
import type { Clock } from '#clock'
import { ReaderError } from './failures.ts'

/** Between two attempts to reach vpcd, milliseconds. */
const REDIAL = 200

/** Control bytes of vpcd (vsmartcard, vpcd.h). All but `atr` go without an answer. */
const CONTROL = { off: 0, on: 1, reset: 2, atr: 4 } as const

const TOO_LONG = Uint8Array.of(0x67, 0x00)

/** A virtual card lying in a reader slot of pcscd, until it is stopped. */
export interface VirtualCardService {
  /** Takes the card out of the slot. */
  stop(): Promise<void>
}

/**
 * Lays a virtual card in a slot of pcscd: dials in to the vpcd driver that listens on `host:port` (vpcd is the server,
 * the card the client). pcscd sees a card when it next looks, within 400 ms. Dials again when pcscd is restarted.
 */
export function servePcd(place: { host: string; port: number; device: CardDevice; clock: Clock }): VirtualCardService {
  const stopping = new AbortController()
  const done = dialForEver(place, stopping.signal)
  return {
    stop() {
      stopping.abort()
      return done
    },
  }
}

async function dialForEver(
  { host, port, device, clock }: Parameters<typeof servePcd>[0],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const socket = connect({ host, port, noDelay: true })
    socket.on('error', () => {}) // told by `once` and by the reading loop
    const hangUp = () => socket.destroy()
    signal.addEventListener('abort', hangUp, { once: true })
    try {
      await once(socket, 'connect', { signal })
      await answer(socket, device)
    } catch {
      // Nobody listens, or the other end is gone: both mean that pcscd is not there now.
    } finally {
      signal.removeEventListener('abort', hangUp)
      socket.destroy()
      await device.powerDown()
    }
    if (!signal.aborted) await clock.sleep(REDIAL, signal).catch(() => {})
  }
}

/** Plays the card's part until the connection ends. One frame at a time, as a card works. */
async function answer(socket: Socket, device: CardDevice): Promise<void> {
  const { promise: gone, reject } = Promise.withResolvers<never>()
  gone.catch(() => {})
  socket.once('close', () => reject(new ReaderError('card-removed')))
  /** What the card does, or an end to the waiting for it when the card is taken out. */
  const unlessGone = <T>(work: Promise<T>): Promise<T> => Promise.race([gone, work])

  // pcscd asks for the ATR to see whether a card is there, before it ever powers it.
  let atr = await unlessGone(device.powerUp())
  await unlessGone(device.powerDown())
  for await (const frame of readFrames(socket)) {
    if (frame.length !== 1) writeFrame(socket, await unlessGone(device.process(frame)))
    else if (frame[0] === CONTROL.on) atr = await unlessGone(device.powerUp())
    else if (frame[0] === CONTROL.reset) atr = await unlessGone(device.reset())
    else if (frame[0] === CONTROL.off) await unlessGone(device.powerDown())
    else if (frame[0] === CONTROL.atr) writeFrame(socket, atr)
  }
}

/** Frames of vpcd: two bytes of length, big-endian, then so many bytes. An empty frame says nothing and is passed over. */
async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : concatBytes(rest, chunk)
    for (;;) {
      const length = ((rest[0] ?? 0) << 8) | (rest[1] ?? 0)
      if (rest.length < 2 || rest.length < 2 + length) break
      if (length > 0) yield Uint8Array.from(rest.subarray(2, 2 + length))
      rest = rest.subarray(2 + length)
    }
  }
}

/** One write for length and content: two would wait for each other's acknowledgement (Nagle), 44 ms per command. */
function writeFrame(socket: Socket, content: Uint8Array): void {
  const bytes = content.length > 0xffff ? TOO_LONG : content
  socket.write(concatBytes(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes))
}
