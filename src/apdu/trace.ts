import { encodeHex } from '#bytes'
import type { Clock } from '#clock'
import type { CardChannel } from './channel.ts'
import { ApduError } from './failures.ts'

/** One exchange as it may be stored and shown: payloads that carry or come from a secret are masked when it is made. */
export interface TracedExchange {
  /** Command in hexadecimal; masked data reads `··(4)`, the number being its length in bytes. */
  readonly command: string
  /** Response in hexadecimal, masked likewise, status word always in clear. */
  readonly response: string
  /** Start, milliseconds of monotonic time since the trace began. */
  readonly at: number
  readonly milliseconds: number
  /** True lengths on the wire, in bytes. */
  readonly sent: number
  readonly received: number
}

/** What happens to the payloads of a command and of its response. */
interface Masking {
  readonly command: boolean
  readonly response: boolean
}

/**
 * Masked by instruction, never by position: VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER and their proprietary
 * kin carry PINs (never stored); READ BINARY and READ RECORD answer personal data and certificates; signatures of the
 * holder's key are linkable to the holder.
 */
function maskingOf(cla: number, ins: number): Masking {
  const proprietary = (cla & 0x80) !== 0
  if (ins === 0x20 || ins === 0x24 || ins === 0x2c || (proprietary && ins === 0x32))
    return { command: true, response: true }
  if (ins === 0xb0 || ins === 0xb1 || ins === 0xb2 || ins === 0xca || ins === 0xc0)
    return { command: false, response: true }
  if (ins === 0x2a && proprietary) return { command: false, response: true }
  if (ins === 0x2a && !proprietary) return { command: false, response: true }
  return { command: false, response: false }
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
        record({
          command: maskCommand(command, masking.command),
          response: maskResponse(received, masking.response),
          at: began - start,
          milliseconds: clock.monotonic() - began,
          sent: command.length,
          received: received.length,
        })
      }
    },
  }
}

const masked = (length: number): string => `··(${length})`

function maskCommand(bytes: Uint8Array, secret: boolean): string {
  if (!secret || bytes.length <= 5) return encodeHex(bytes)
  return `${encodeHex(bytes.subarray(0, 4))}${masked(bytes.length - 4)}`
}

function maskResponse(bytes: Uint8Array, secret: boolean): string {
  if (!secret || bytes.length <= 2) return encodeHex(bytes)
  return `${masked(bytes.length - 2)}${encodeHex(bytes.subarray(bytes.length - 2))}`
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
