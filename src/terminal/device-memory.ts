import { z } from 'zod'
import { readFileIfPresent, replaceFile } from '#files'
import { canonicalJson, decodeCanonical, version } from '#messages'
import { TerminalError } from './failures.ts'

/** What a terminal must remember to make its next device statement. No certificate stands in it in clear. */
export const deviceState = z.strictObject({
  v: version,
  /** b64u hash of the last statement that the provider has. */
  head: z.string().length(43),
  counter: z.int().min(0),
  /** A proof that was written and not yet settled. */
  pending: z.strictObject({ body: z.string(), statementHash: z.string().length(43), counter: z.int() }).nullable(),
})
export type DeviceState = z.infer<typeof deviceState>

/** A terminal that has not stated anything yet: `head` is 32 zero bytes. */
export const FIRST_STATE: DeviceState = { v: 1, head: 'A'.repeat(43), counter: 0, pending: null }

/** Where the device state is kept; a write has reached the disk when it resolves. */
export interface DeviceMemory {
  read(): Promise<DeviceState>
  write(state: DeviceState): Promise<void>
}

/** In a file, replaced as a whole. */
export function createFileMemory(path: string): DeviceMemory {
  return {
    async read() {
      const bytes = await readFileIfPresent(path)
      if (!bytes) return FIRST_STATE
      try {
        return decodeCanonical(deviceState, bytes)
      } catch (cause) {
        throw new TerminalError('state-malformed', {}, { cause })
      }
    },
    write: (state) => replaceFile(path, canonicalJson(state)),
  }
}
