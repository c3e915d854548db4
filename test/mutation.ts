import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTANTS, type Mutant } from './mutants.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** `caught` is what a mutant should be; `survived` is a hole in the tests; `broken` proves nothing. */
export interface Verdict {
  readonly mutant: Mutant
  readonly verdict: 'caught' | 'survived' | 'broken'
  readonly reason: string
  readonly seconds: number
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

/** Whether each edit's text stands exactly once in its file, as it must for the edit to be what it says. */
export function applies({ edits }: Mutant): boolean {
  return edits.every(({ file, find }) => readFileSync(join(root, file), 'utf8').split(find).length === 2)
}

async function run(edits: Mutant['edits'], file: string, titles: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-mutant-'))
  try {
    const report = join(directory, 'report.json')
    const pattern = `(${titles.map((title) => title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})$`
    const child = spawn(
      process.execPath,
      [
        ...[join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'test/mutant.config.ts', file],
        ...['-t', pattern, '--reporter', 'json', '--outputFile', report],
      ],
      { cwd: root, env: { ...process.env, KAZASU_MUTANT: JSON.stringify(edits) }, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    await once(child, 'close')
    const mutated = new Set([...errors.matchAll(/^mutated (.*)$/gm)].map(([, name]) => name))
    const { testResults }: Report = JSON.parse(readFileSync(report, 'utf8'))
    const results = testResults.flatMap(({ assertionResults }) => assertionResults)
    return { mutated, results: results.filter(({ title }) => titles.includes(title)) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Runs the mutant's own test under it: that test, and nothing before it, must fail. */
export async function tryMutant(mutant: Mutant): Promise<Verdict> {
  const began = process.hrtime.bigint()
  const done = (verdict: Verdict['verdict'], reason: string): Verdict => ({
    ...{ mutant, verdict, reason },
    seconds: Number(process.hrtime.bigint() - began) / 1e9,
  })
  if (!applies(mutant)) return done('broken', 'its text is not exactly once in the source')
  const { edits, test } = mutant
  const { mutated, results } = await run(edits, test.file, [test.title])
  if (edits.some(({ file }) => !mutated.has(file))) return done('broken', 'the test does not read what it changes')
  const [result] = results
  if (results.length !== 1 || !result) return done('broken', `${results.length} tests of that title`)
  if (result.status === 'failed') return done('caught', '')
  return result.status === 'passed' ? done('survived', '') : done('broken', `the test was ${result.status}`)
}

/** Two at a time, in the given order. */
export async function tryMutants(mutants: readonly Mutant[], report: (verdict: Verdict) => void): Promise<Verdict[]> {
  const waiting = [...mutants]
  const verdicts: Verdict[] = []
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const verdict = await tryMutant(next)
      verdicts.push(verdict)
      report(verdict)
    }
  }
  await Promise.all([work(), work()])
  return verdicts
}

/** Without any mutant every test that is to catch one passes; gives those that do not. */
export async function findFailing(mutants: readonly Mutant[]): Promise<readonly string[]> {
  const failing: string[] = []
  for (const file of new Set(mutants.map(({ test }) => test.file))) {
    const titles = [...new Set(mutants.filter(({ test }) => test.file === file).map(({ test }) => test.title))]
    const { results } = await run([], file, titles)
    failing.push(...titles.filter((title) => results.filter((one) => one.title === title).length !== 1))
    failing.push(...results.filter(({ status }) => status !== 'passed').map(({ title }) => title))
  }
  return failing
}

export const line = ({ mutant, verdict, reason, seconds }: Verdict): string =>
  `${verdict.padEnd(9)}${seconds.toFixed(1).padStart(6)} s  ${mutant.name}${reason && ` – ${reason}`}`

export { MUTANTS }
