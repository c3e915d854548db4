import { expect, test } from 'vitest'
import { hasInsurerCheckDigit } from './register.ts'

test.each([
  ['01130012', true], // 協会けんぽ東京支部, a true number
  ['06123456', false], // an official FHIR example, whose check digit should be 9
  ['06123459', true],
  ['00012345', false],
  ['   12344', true],
])('insurer number %s: check digit right is %s', (insurer, right) => expect(hasInsurerCheckDigit(insurer)).toBe(right))
