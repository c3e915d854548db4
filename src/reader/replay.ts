import { type CardReader, type RecordedExchange, replayChannel } from '#apdu'

/** What a recording holds of one session: answer to reset and exchanges in order. */
export interface Recording {
  readonly atr: Uint8Array
  readonly exchanges: readonly RecordedExchange[]
  readonly extendedLength?: boolean
}

/**
 * A reader on which the card of a recording always lies; each session plays it from the start.
 * `transmit` throws ApduError `replay-mismatch` for a command that the recording does not hold next.
 */
export function createReplayReader(name: string, recording: Recording): CardReader {
  return {
    name,
    waitForCard: async () => {},
    waitForRemoval: async () => {},
    connect: async () => ({
      ...replayChannel(recording.exchanges, recording.extendedLength),
      atr: recording.atr,
      disconnect: async () => {},
    }),
  }
}
