import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

/** ARCHITECTURE.md: a folder imports from lower floors only. */
const FLOORS: Readonly<Record<string, number>> = {
  failure: -1,
  ...{ bytes: 0, clock: 0, files: 0 },
  ...{ apdu: 1, pki: 1 },
  ...{ messages: 2, evidence: 2 },
  ...{ proof: 3, keys: 3, card: 3, reader: 3, store: 3, http: 3, administration: 3 },
  ...{ authority: 4, provider: 4, terminal: 4, eligibility: 4 },
  ...{ town: 5, bench: 6, bin: 7 },
}
const root = join(import.meta.dirname)
const files = globSync('*/**/*.ts', { cwd: root })
const production = files.filter((file) => !file.endsWith('.test.ts'))
const folderOf = (file: string): string => file.split('/')[0] ?? ''
const imports = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  )

describe('floors', () => {
  test('every folder has a floor', () => {
    expect([...new Set(files.map(folderOf))].filter((folder) => FLOORS[folder] === undefined)).toEqual([])
  })

  test.each(production)('%s imports from lower floors only', (file) => {
    const floor = FLOORS[folderOf(file)] ?? 0
    const crossings = imports(file).filter((name) => name.startsWith('#'))
    expect(crossings.filter((name) => (FLOORS[name.slice(1).split('/')[0] ?? ''] ?? Infinity) >= floor)).toEqual([])
  })

  test.each(files)('%s crosses folders by their front door only', (file) => {
    const depth = file.split('/').length - 1
    const outside = imports(file).filter((name) => (name.match(/\.\.\//g)?.length ?? 0) >= depth && depth > 0)
    expect(outside).toEqual([])
  })

  test('nothing but clock/ and bin/ reads the time or sets a timer', () => {
    const forbidden = /\bsetTimeout\(|\bsetInterval\(|\bperformance\.now\(|\bDate\.now\(|\bnew Date\(\)/
    const offenders = production.filter((file) => {
      const source = readFileSync(join(root, file), 'utf8')
      return !['clock', 'bin', 'bench'].includes(folderOf(file)) && forbidden.test(source)
    })
    expect(offenders).toEqual([])
  })
})
