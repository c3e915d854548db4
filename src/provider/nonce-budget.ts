import { type Clock, SECOND, type Time } from '#clock'

/** Nonces that a terminal may ask for at once: every offer afresh, several times over. */
const BURST = 32
/** Nonces a second in the long run: far more than hands can hold up cards, and no way to fill the database. */
const REFILL = 10

/** What terminals may still ask for, each by the thumbprint of its certificate, over all its channels to this process. */
export interface NonceBudget {
  /** Whether `count` more are within the budget; they are spent then. */
  spend(thumbprint: string, count: number): boolean
}

export function createNonceBudget(clock: Clock): NonceBudget {
  const accounts = new Map<string, { readonly left: number; readonly at: Time }>()
  const full = BURST / REFILL

  return {
    spend(thumbprint, count) {
      const now = clock.monotonic()
      for (const [one, { at }] of accounts) {
        if (now - at < full * SECOND) break // in the order of their last use: the rest is younger
        accounts.delete(one)
      }
      const account = accounts.get(thumbprint) ?? { left: BURST, at: now }
      const left = Math.min(BURST, account.left + ((now - account.at) / SECOND) * REFILL)
      accounts.delete(thumbprint)
      accounts.set(thumbprint, { left: left < count ? left : left - count, at: now })
      return left >= count
    },
  }
}
