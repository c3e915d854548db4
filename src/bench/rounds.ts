import type { Clock } from '#clock'
import { seededNumbers, shuffle } from './statistics.ts'

/** Named parts of one measurement, milliseconds unless the name says otherwise. */
export type Parts = Readonly<Record<string, number>>

/** Something that is measured: a case, the floor it cannot get under, or a peer that does the same otherwise. */
export interface BenchCase {
  readonly name: string
  /** Runs once. Parts, if it gives any, are kept beside the whole; `total` among them replaces the measured whole. */
  run(round: number): Promise<Parts | undefined>
}

/** What the rounds of one case measured, in order of the rounds. */
export interface Series {
  readonly name: string
  /** The whole, milliseconds. */
  readonly total: readonly number[]
  /** A part that was absent from a round counts 0 there. */
  readonly parts: ReadonlyMap<string, readonly number[]>
}

export interface Rounds {
  readonly rounds: number
  readonly warmUp: number
  readonly seed: number
}

/**
 * Measures cases interleaved: every round runs each case once, in an order that the seed decides, so that whatever
 * slows the machine for a while slows all of them. The warm-up's rounds are run and forgotten.
 */
export async function measureRounds(
  cases: readonly BenchCase[],
  { rounds, warmUp, seed }: Rounds,
  clock: Clock,
): Promise<readonly Series[]> {
  const next = seededNumbers(seed)
  const measured = cases.map(({ name }) => ({ name, total: [] as number[], parts: new Map<string, number[]>() }))
  for (let round = -warmUp; round < rounds; round++) {
    for (const index of shuffle([...cases.keys()], next)) {
      const [one, series] = [cases[index], measured[index]]
      if (!one || !series) continue
      const began = clock.monotonic()
      const parts = (await one.run(round)) ?? {}
      const took = clock.monotonic() - began
      if (round < 0) continue
      const { total = took, ...rest } = parts
      series.total.push(total)
      for (const [name, value] of Object.entries(rest)) {
        const values = series.parts.get(name) ?? []
        while (values.length < round) values.push(0)
        series.parts.set(name, [...values, value])
      }
    }
  }
  for (const { parts } of measured) {
    for (const values of parts.values()) while (values.length < rounds) values.push(0)
  }
  return measured
}
