import { expect, test } from 'vitest'
import { RESEARCH_POLICY, requireSoundPolicy } from './policy.ts'

test('the research profile is sound', () => {
  expect(requireSoundPolicy(RESEARCH_POLICY)).toBe(RESEARCH_POLICY)
})

test('grace where a CRL alone decides is refused: the token could not tell it', () => {
  const table = RESEARCH_POLICY.map((row) => (row.status === 'crl' ? { ...row, graceDays: 1 } : row))
  expect(() => requireSoundPolicy(table)).toThrow('policy-unsound')
})

test('two rows for one case are refused, whatever they say', () => {
  const [row] = RESEARCH_POLICY
  if (!row) throw new Error('empty')
  expect(() => requireSoundPolicy([...RESEARCH_POLICY, { ...row, quota: 1 }])).toThrow('policy-unsound')
})
