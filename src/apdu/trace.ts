import { encodeHex } from '#bytes'
import type { Clock } from '#clock'
import type { CardChannel } from './channel.ts'
import { ApduError } from './failures.ts'

/** One exchange as it may be stored and shown: payloads that carry or come from a secret are masked when it is made. */
export interface TracedExchange {
  /** Command in hexadecimal; after the header of one that carries a PIN stands `··` and nothing more. */
  readonly command: string
  /** Response in hexadecimal; a masked payload reads `··(256)`, its length. The status word is always in clear. */
  readonly response: string
  /** Start, milliseconds of monotonic time since the trace began. */
  readonly at: number
  readonly milliseconds: number
  /** Lengths on the wire, in bytes; of a command that carries a PIN only the header is counted. */
  readonly sent: number
  readonly received: number
}

/** What happens to the payloads of a command and of its response. */
type Masking = 'secret' | 'answer' | 'none'

/** READ BINARY, READ RECORD, GET DATA, GET RESPONSE: personal data and certificates. */
const READING: readonly number[] = [0xb0, 0xb1, 0xb2, 0xca, 0xcb, 0xc0]
/** VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER: PINs, of which not even the length is kept. */
const CREDENTIALS: readonly number[] = [0x20, 0x21, 0x24, 0x2c]
const SIGNING = 0x2a
/** CHANGE KEY of the 共通 and 住基 applications. */
const CHANGE_KEY = 0x32

/** Masked by instruction, never by position. Signatures of the holder's keys are linkable to the holder. */
function maskingOf(cla: number, ins: number): Masking {
  if (CREDENTIALS.includes(ins) || ((cla & 0x80) !== 0 && ins === CHANGE_KEY)) return 'secret'
  return READING.includes(ins) || ins === SIGNING ? 'answer' : 'none'
}

/** Wraps a channel so that every exchange is given to `record`, masked. The bytes themselves pass unchanged. */
export function traceChannel(
  channel: CardChannel,
  clock: Clock,
  record: (exchange: TracedExchange) => void,
): CardChannel {
  const start = clock.monotonic()
  return {
    extendedLength: channel.extendedLength,
    async transmit(command) {
      const began = clock.monotonic()
      const masking = maskingOf(command[0] ?? 0, command[1] ?? 0)
      let received: Uint8Array = new Uint8Array(0)
      try {
        received = await channel.transmit(command)
        return received
      } finally {
        const hidden = masking === 'secret' && command.length > 4
        record({
          command: hidden ? `${encodeHex(command.subarray(0, 4))}··` : encodeHex(command),
          response: masking === 'none' ? encodeHex(received) : maskAnswer(received),
          at: began - start,
          milliseconds: clock.monotonic() - began,
          sent: hidden ? 4 : command.length,
          received: received.length,
        })
      }
    },
  }
}

function maskAnswer(bytes: Uint8Array): string {
  if (bytes.length <= 2) return encodeHex(bytes)
  return `··(${bytes.length - 2})${encodeHex(bytes.subarray(-2))}`
}

/** A raw recording for tests with virtual cards only: unmasked command and response, in hexadecimal. */
export interface RecordedExchange {
  readonly command: string
  readonly response: string
}

/**
 * A channel that answers from a recording, in order. A command that the recording does not hold next is an error.
 * @throws ApduError `replay-mismatch` (from `transmit`)
 */
export function replayChannel(recording: readonly RecordedExchange[], extendedLength = true): CardChannel {
  let next = 0
  return {
    extendedLength,
    async transmit(command) {
      const exchange = recording[next++]
      if (exchange?.command !== encodeHex(command)) throw new ApduError('replay-mismatch', { exchange: next - 1 })
      return Uint8Array.from(Buffer.from(exchange.response, 'hex'))
    },
  }
}
