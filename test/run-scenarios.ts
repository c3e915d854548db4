import { pathToFileURL } from 'node:url'
import type { Outcomes, Scenarios } from './pcscd-rig.ts'

/* Inside the rig: runs the scenarios of the module named, and tells how each one ended. */

const LIMIT = 60_000
const { scenarios }: { scenarios: Scenarios } = await import(pathToFileURL(process.argv[2] ?? '').href)
const outcomes: Record<string, Outcomes[string]> = {}
for (const [name, scenario] of Object.entries(scenarios)) {
  process.stderr.write(`scenario: ${name}\n`) // shown if the rig does not come to its end
  try {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new Error(`not done after ${LIMIT} ms`)), LIMIT)
    const figures = await Promise.race([scenario(), late.promise])
    clearTimeout(timer)
    outcomes[name] = figures ? { figures } : {}
  } catch (error) {
    outcomes[name] = { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
process.stdout.write(JSON.stringify(outcomes), () => process.exit())
