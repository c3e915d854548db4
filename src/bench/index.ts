export type { BenchedTown } from './clinic.ts'
export { printReport, type Report } from './report.ts'
export { type BenchCase, measureRounds, type Parts, type Rounds, type Series } from './rounds.ts'
export { benchTap, type TapBench } from './tap.ts'
