import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Failure, FailureCatalogue } from '#failure'

// That each folder's catalogue has every code of its union and no other is a matter of types (FailureCatalogue).

const root = join(import.meta.dirname, '..')
const files = globSync('src/*/failures.ts', { cwd: root }).sort()
const catalogues = new Map<string, FailureCatalogue<string>>()
for (const file of files) {
  const exported: Record<string, unknown> = await import(join(root, file))
  for (const [name, value] of Object.entries(exported)) {
    if (name.endsWith('Failures')) catalogues.set(file.split('/')[1] ?? '', value as FailureCatalogue<string>)
  }
}
const entries = [...catalogues].flatMap(([folder, catalogue]) =>
  Object.entries(catalogue).map(([code, failure]) => [folder, code, failure] as const),
)

/** Codes that two folders use: a card and an authority for institutions unknown to each, others for one fact that both see. */
const TWICE = ['certificate-expired', 'institution-unknown', 'not-found', 'terminal-not-active', 'terminal-suspended']

describe('the failure catalogue', () => {
  test('has a part of every folder that has errors of its own', () => {
    const withErrors = globSync('src/*/*.ts', { cwd: root })
      .filter((path) => /extends CodedError<\w+ErrorCode>/.test(readFileSync(join(root, path), 'utf8')))
      .map((path) => path.split('/')[1] ?? '')
    expect([...catalogues.keys()].sort()).toEqual([...new Set(withErrors)].sort())
    expect(entries.length).toBeGreaterThan(200)
  })

  test.each(entries)('%s › %s: cause and remedy in Japanese and English', (_folder, code, failure: Failure) => {
    expect(code).toMatch(/^[a-z][a-z0-9-]*$/)
    for (const { ja, en } of [failure.cause, failure.remedy]) {
      expect(ja).toMatch(/[\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Han}]/u)
      expect(ja.trim()).toMatch(/[。）]$/)
      expect(en).not.toMatch(/[\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Han}]/u)
      expect(en).toMatch(/^\S.{8,}[.)]$/s)
    }
  })

  test('uses one code for one thing, but for a frozen few', () => {
    const codes = entries.map(([, code]) => code)
    expect([...new Set(codes.filter((code, i) => codes.indexOf(code) !== i))].sort()).toEqual(TWICE)
  })

  test('never says that a person was identified', () => {
    expect(entries.filter(([, , { cause, remedy }]) => /本人確認済/.test(`${cause.ja}${remedy.ja}`))).toEqual([])
  })
})
