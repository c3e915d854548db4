import type { Clock } from './clock.ts'
import type { Time } from './time.ts'

/** A clock that stands still until it is told to move; sleeps end when the time they wait for is reached. */
export interface VirtualClock extends Clock {
  /** Moves on by `milliseconds` and lets everything run that falls due, in order of time. */
  advance(milliseconds: number): Promise<void>
  /** Sets the wall clock only, as an operator or a time server would: forwards or back. */
  setWallClock(time: Time): void
}

/** A clock for tests and benches, starting at `start`. */
export function createVirtualClock(start: Time): VirtualClock {
  let elapsed = 0
  let offset = start
  interface Due {
    readonly at: number
    readonly run: () => void
  }
  const pending = new Set<Due>()

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 8; turn++) await Promise.resolve()
  }

  function schedule(milliseconds: number, run: () => void): Due {
    const due = { at: elapsed + Math.max(0, milliseconds), run }
    pending.add(due)
    return due
  }

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    sleep(milliseconds, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const due = schedule(milliseconds, resolve)
        signal?.addEventListener('abort', () => pending.delete(due) && reject(signal.reason), { once: true })
      })
    },
    every(milliseconds, task) {
      let due: Due
      const again = () => {
        due = schedule(milliseconds, () => {
          again()
          task()
        })
      }
      again()
      return () => pending.delete(due)
    },
    async advance(milliseconds) {
      const target = elapsed + milliseconds
      await settle()
      for (;;) {
        const next = [...pending].filter((due) => due.at <= target).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        pending.delete(next)
        elapsed = Math.max(elapsed, next.at)
        next.run()
        await settle()
      }
      elapsed = target
    },
    setWallClock(time) {
      offset = time - elapsed
    },
  }
}
