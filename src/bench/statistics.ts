/** What a series of measurements comes to; unit as measured, milliseconds unless said. */
export interface Summary {
  readonly n: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
}

/** A ratio and how far it strayed from round to round. */
export interface Ratio {
  readonly p50: number
  /** 10th and 90th percentile of the rounds' ratios. */
  readonly low: number
  readonly high: number
}

/** Percentile by nearest rank (the smallest value with at least `p` per cent at or below it); NaN of nothing. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN
}

export function summarise(values: readonly number[]): Summary {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { n: values.length, mean, p50: percentile(values, 50), p99: percentile(values, 99) }
}

/** `values` against `reference`, round by round: both of a round were measured within moments of each other. */
export function ratioOf(values: readonly number[], reference: readonly number[]): Ratio {
  const ratios = values.map((value, round) => value / (reference[round] ?? Number.NaN))
  return { p50: percentile(ratios, 50), low: percentile(ratios, 10), high: percentile(ratios, 90) }
}

/** Numbers in [0, 1) that a seed decides (mulberry32): the same seed, the same bench. */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The items in an order that `next` decides (Fisher–Yates). */
export function shuffle<T>(items: readonly T[], next: () => number): readonly T[] {
  const shuffled = [...items]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(next() * (last + 1))
    ;[shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T]
  }
  return shuffled
}
