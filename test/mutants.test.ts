import { expect, test } from 'vitest'
import { applies, findFailing, line, MUTANTS, tryMutants } from './mutation.ts'

const long = process.env.KAZASU_LONG === '1'

test('every mutant is still a change of the source as it stands', () => {
  expect(MUTANTS.filter((mutant) => !applies(mutant)).map(({ name }) => name)).toEqual([])
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
})

test(`${long ? 'all' : 'the worst'} mutants of the protocol are caught by the tests named for them`, async () => {
  const mutants = MUTANTS.filter(({ always }) => long || always)
  if (long) expect(await findFailing(mutants)).toEqual([])
  const verdicts = await tryMutants(mutants, () => {})
  console.info(verdicts.map(line).join('\n'))
  expect(verdicts.filter(({ verdict }) => verdict !== 'caught').map(line)).toEqual([])
}, 3_600_000)
