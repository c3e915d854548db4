import { setTimeout as delay } from 'node:timers/promises'
import type { Time } from './time.ts'

/** Where time comes from. Passed in everywhere; the real one is chosen in `bin/` only. */
export interface Clock {
  /** Wall-clock time: milliseconds since 1970-01-01T00:00:00Z. */
  now(): Time
  /** Milliseconds since some fixed moment; never goes back. For durations only. */
  monotonic(): number
  /** Resolves after `milliseconds`; rejects with the signal's reason if it is aborted before. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
  /** Calls `task` every `milliseconds` until the returned function is called. */
  every(milliseconds: number, task: () => void): () => void
}

/** The machine's own clock. A repetition does not keep the process alive by itself. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, signal ? { signal } : {})
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
  every(milliseconds, task) {
    const timer = setInterval(task, milliseconds)
    timer.unref()
    return () => clearInterval(timer)
  },
}
