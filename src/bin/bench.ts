import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Command, InvalidArgumentError } from 'commander'
import { systemClock, systemRandom } from '#clock'
import { RESEARCH_POLICY } from '#provider'
import { openStore } from '#store'
import { clearTown } from './foundation.ts'
import { openHome } from './home.ts'
import { RESIDENTS } from './residents.ts'
import { type RunningTownHandle, startTown } from './town.ts'

/** What of `#bench` is called here. It lies in the checkout only, so it is imported when it is asked for. */
interface Benches {
  benchTap(bench: object): Promise<object>
  printReport(report: object): string
}
const BENCHES = '#bench'

interface BenchOptions {
  readonly taps: number
  readonly warmUp: number
  readonly seed: number
  readonly json?: boolean
  readonly database?: string
  readonly against?: string
}

/** Adds `bench` where its code is: in a checkout, not in the published package. */
export function addBenches(program: Command, out: (text: string) => void, note: (text: string) => void): void {
  if (!existsSync(join(import.meta.dirname, '..', 'bench'))) return
  const bench = program.command('bench').description('measure; nothing is asserted')
  bench
    .command('tap')
    .description('what a tap costs, layer by layer, next to the floors of this machine')
    .option('--taps <n>', 'rounds; each taps once by each mechanism', count, 50)
    .option('--warm-up <n>', 'rounds that are not counted', count, 10)
    .option('--seed <n>', 'decides the order within the rounds', count, 1)
    .option('--json', 'print as JSON')
    .option('--database <url>', 'postgresql://… instead of the embedded database')
    .option('--against <checkout>', 'measure the town of another checkout in the same rounds (embedded database)')
    .action(async (options: BenchOptions) => {
      const benches = (await import(BENCHES)) as Benches
      const report = await runTapBench(benches, options, note)
      out(options.json ? JSON.stringify(report, null, 2) : benches.printReport(report))
    })
}

/** A fresh town in a temporary home, its quota of taps in an hour lifted; another checkout's beside it if wanted. */
async function runTapBench(benches: Benches, options: BenchOptions, note: (text: string) => void): Promise<object> {
  const { taps, warmUp, seed, database, against } = options
  const directory = await mkdtemp(join(tmpdir(), 'kazasu-bench-'))
  const closing: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
  const [clock, random] = [systemClock, systemRandom]
  async function open(name: string, start: typeof startTown, databaseUrl?: string) {
    const home = openHome(join(directory, name))
    const town = await start({
      ...{ home, clock, random, port: 0, say: (line: string) => note(`  · ${name}: ${line}`) },
      policy: RESEARCH_POLICY.map((row) => ({ ...row, quota: Number.MAX_SAFE_INTEGER })),
      ...(databaseUrl === undefined ? {} : { databaseUrl }),
    })
    closing.push(
      () => clearTown(home, databaseUrl),
      () => town.close(),
    )
    return benchedTown(home.directory, town)
  }
  try {
    const town = await open('town', startTown, database)
    const peer = against && { name: against, town: await open('peer', await townOf(against)) }
    const store = await openStore(
      database ? { kind: 'postgresql', url: database } : { kind: 'embedded', directory: join(directory, 'floor') },
    )
    closing.push(() => store.close())
    note(`  · ${warmUp} + ${taps} rounds`)
    const [card] = RESIDENTS
    return await benches.benchTap({
      ...{ town, store, card, clock, random, rounds: taps, warmUp, seed },
      ...(peer ? { peer } : {}),
    })
  } finally {
    for (const end of closing.toReversed()) await end()
  }
}

const benchedTown = (home: string, { town, terminal, provider, authority }: RunningTownHandle) => ({
  ...{ home, page: town, terminal, provider, authority },
})

async function townOf(checkout: string): Promise<typeof startTown> {
  const { href } = pathToFileURL(join(resolve(checkout), 'src', 'bin', 'town.ts'))
  return ((await import(href)) as { startTown: typeof startTown }).startTown
}

function count(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number')
  return number
}
