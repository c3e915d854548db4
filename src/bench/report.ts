import { arch, cpus, release, totalmem, type } from 'node:os'
import type { Rounds, Series } from './rounds.ts'
import { type Ratio, ratioOf, type Summary, summarise } from './statistics.ts'

/** One line: what it is, its figures. `unit` is `ms` unless given. */
export interface Row {
  readonly name: string
  readonly figures: Summary
  readonly unit?: string
  readonly note?: string
}

/** One series against another of the same run. */
export interface Comparison {
  readonly name: string
  readonly against: string
  readonly ratio: Ratio
}

export interface Section {
  readonly title: string
  readonly rows: readonly Row[]
}

/** What a bench found, for people ({@link printReport}) and as JSON. */
export interface Report extends Rounds {
  readonly bench: string
  readonly machine: Machine
  readonly sections: readonly Section[]
  readonly comparisons: readonly Comparison[]
  /** What the reader must know to judge the figures. */
  readonly notes: readonly string[]
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly openssl: string
}

export function describeMachine(): Machine {
  const cores = cpus()
  return {
    processor: cores[0]?.model.trim() || 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
  }
}

export const row = (name: string, values: readonly number[], more: Omit<Row, 'name' | 'figures'> = {}): Row => ({
  ...{ name, figures: summarise(values) },
  ...more,
})

/** `series` against `reference`, with the spread over the rounds. */
export const compare = (series: Series, reference: Series): Comparison => ({
  ...{ name: series.name, against: reference.name },
  ratio: ratioOf(series.total, reference.total),
})

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2))

/** A plain table. */
export function printReport(report: Report): string {
  const { machine, sections, comparisons, notes } = report
  const rows = sections.flatMap((section) => section.rows)
  const width = Math.max(24, ...rows.map(({ name }) => name.length + 2))
  const cell = (text: string): string => text.padStart(9)
  const head = `${''.padEnd(width)}${['p50', 'p99', 'mean'].map(cell).join('')}`
  const line = ({ name, figures, unit = 'ms', note }: Row): string =>
    `  ${name.padEnd(width - 2)}${[figures.p50, figures.p99, figures.mean].map((value) => cell(number(value))).join('')} ${unit}${note ? `  ${note}` : ''}`
  return [
    `bench ${report.bench}: ${report.rounds} rounds after ${report.warmUp} of warm-up, seed ${report.seed}`,
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.system}; Node ${machine.node}, OpenSSL ${machine.openssl}`,
    ...sections.flatMap((section) => ['', section.title, head, ...section.rows.map(line)]),
    ...(comparisons.length > 0 ? ['', 'ratios, round by round: p50 (p10 … p90)'] : []),
    ...comparisons.map(
      ({ name, against, ratio }) =>
        `  ${name} / ${against}: ${number(ratio.p50)} (${number(ratio.low)} … ${number(ratio.high)})`,
    ),
    ...(notes.length > 0 ? [''] : []),
    ...notes.map((note) => `  ${note}`),
  ].join('\n')
}
