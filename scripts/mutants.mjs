// Breaks the protocol in every way that test/mutants.ts lists, and sees that a test notices each.
// npx node scripts/mutants.mjs [part of a name …]
import { findFailing, line, MUTANTS, tryMutants } from '../test/mutation.ts'

const wanted = process.argv.slice(2)
const mutants = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
const failing = await findFailing(mutants)
for (const title of failing) console.error(`fails or is missing without any mutant: ${title}`)
const verdicts = await tryMutants(mutants, (verdict) => console.info(line(verdict)))
const caught = verdicts.filter(({ verdict }) => verdict === 'caught').length
console.info(`${caught} of ${mutants.length} mutants caught`)
process.exitCode = caught === mutants.length && failing.length === 0 ? 0 : 1
