import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openStore, type Store } from '#store'
import { SEQUENCES } from '#terminal'
import { authorityMigrations } from '../src/authority/migrations.ts'
import { run } from '../src/bin/commands.ts'
import { eligibilityMigrations } from '../src/eligibility/migrations.ts'
import { providerMigrations } from '../src/provider/migrations.ts'

// Documents that name what does not exist are worse than none: what they say of the code is compared with it here.

const root = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root })
const sources = globSync('src/**/*.ts', { cwd: root }).filter((path) => !path.endsWith('.test.ts'))

const fences = (text: string): string[] => [...text.matchAll(/^```.*\n([\s\S]*?)^```/gm)].map(([, body]) => body ?? '')
const spans = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? '')
const code = (text: string): string[] => [...fences(text).flatMap((body) => body.split('\n')), ...spans(text)]
const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(1, line.lastIndexOf('|')).split('|'))
    .map((cells) => cells.map((cell) => cell.trim()))
const links = (text: string): string[] => [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
const holdsWord = (path: string, word: string): boolean =>
  existsSync(join(root, path)) && new RegExp(`\\b${word}\\b`).test(read(path))

describe('every document', () => {
  test.each(documents)('%s names only files that exist', (document) => {
    const named = code(read(document)).flatMap((text) =>
      [...text.matchAll(/(?<![\w/.-])((?:src|test|docs|scripts|examples|\.ci)\/[\w./-]*[\w/]|[\w-]+\.md)(?![\w/])/g)]
        .map(([, path]) => path ?? '')
        .filter((path) => !path.includes('...')),
    )
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  test.each(documents)('%s says of a name where it stands, and it stands there', (document) => {
    const placed = [...read(document).matchAll(/`(\w+)` \(`(src\/[\w./-]+\.ts)`\)/g)]
    expect(placed.filter(([, name, path]) => !holdsWord(path ?? '', name ?? '')).map(([whole]) => whole)).toEqual([])
  })

  const words = new Set(
    [...sources, ...globSync(['src/**/*.test.ts', 'test/*.ts', 'scripts/*', 'package.json'], { cwd: root })].flatMap(
      (path) => read(path).match(/\w+/g) ?? [],
    ),
  )
  test.each(documents)('%s names only identifiers that exist', (document) => {
    const printed = /^```text\n[\s\S]*?^```/gm // what a program printed, with IDs and hashes
    const named = code(read(document).replaceAll(printed, '')).flatMap(
      (text) => text.match(/\b(?:[a-z]+[A-Z]\w*|[A-Z][A-Z_]{3,}|[A-Z][a-z]+[A-Z]\w+)\b/g) ?? [],
    )
    expect([...new Set(named)].filter((name) => !words.has(name))).toEqual([])
  })

  test.each(documents)('%s has links that lead somewhere', (document) => {
    const dead = links(read(document)).filter((target) => {
      if (/^https:/.test(target)) return false
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(dirname(document), path)
      if (!existsSync(join(root, file))) return true
      return anchor !== undefined && !headingAnchors(read(file)).includes(anchor)
    })
    expect(dead).toEqual([])
  })

  test.each(documents)('%s names no place on somebody’s machine', (document) => {
    expect(read(document)).not.toMatch(/\/(?:work|home|tmp|root)\//)
  })
})

const headingAnchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  )

describe('commands', () => {
  const scripts = JSON.parse(read('package.json')).scripts as Record<string, string>
  const everywhere = documents.flatMap((document) => code(read(document)))
  const catalogues = sources.filter((path) => path.endsWith('failures.ts')).flatMap((path) => spans(read(path)))

  test('every npm script that a document names is in package.json', () => {
    const named = everywhere.flatMap((text) =>
      [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:]+)|(start|test)\b(?!:))/g)].map(([, script, own]) => script ?? own),
    )
    expect(named).toContain('start')
    expect([...new Set(named)].filter((name) => name === undefined || scripts[name] === undefined)).toEqual([])
  })

  test('every file that a script runs exists', () => {
    const named = Object.values(scripts).flatMap((line) => line.match(/\b(?:scripts|src)\/[\w./-]+/g) ?? [])
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  const lines = [...everywhere, ...catalogues].flatMap((text) =>
    [...text.matchAll(/(?:^|\s|-- )kazasu (?:-- )?([a-z-][^#|…]*)/g)].map(([, rest]) => (rest ?? '').trim()),
  )
  test.each([...new Set(lines)])('kazasu %s is what the command line offers', async (line) => {
    const words = line.split(/\s+/)
    const path = words.filter((_word, i) => words.slice(0, i + 1).every((one) => /^[a-z]+$/.test(one)))
    const { help, found } = await helpOf(path)
    expect(found.length).toBeGreaterThan(0)
    expect(path.slice(0, found.length)).toEqual(found)
    if (help.includes('[command]')) expect(path).toEqual(found)
    for (const option of words.filter((word) => /^--[a-z]/.test(word))) expect(help).toContain(option)
  })
})

/** Help for a command, and the command that it is really for. */
async function helpOf(path: readonly string[]): Promise<{ help: string; found: string[] }> {
  let help = ''
  const output = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    help += String(text)
    return true
  })
  await run(['node', 'kazasu', ...path, '--help']).finally(() => output.mockRestore())
  const words = (/^Usage: kazasu (.*)$/m.exec(help)?.[1] ?? '').split(' ')
  return {
    help,
    found: words.slice(
      0,
      words.findIndex((word) => !/^[a-z]+$/.test(word)),
    ),
  }
}

describe('README', () => {
  const [english, japanese] = [read('README.md'), read('README.ja.md')]

  test('says in Japanese what it says in English: headings, tables, commands, links', () => {
    const shape = (text: string) => ({
      headings: [...text.matchAll(/^(#+) /gm)].map(([, level]) => level),
      rows: rows(text).map((cells) => cells.length),
      fences: fences(text).map((body) => body.replaceAll(/ *#.*$/gm, '')),
      links: links(text)
        .filter((target) => !/^README/.test(target))
        .sort(),
    })
    expect(shape(japanese)).toEqual(shape(english))
    expect(japanese).toMatch(/\p{sc=Hiragana}/u)
  })

  test('says what does not work with a real card, and whose authority this is not', () => {
    expect(english.slice(0, 4000)).toMatch(/virtual card only/)
    expect(english.slice(0, 4000)).toMatch(/test authority/)
    expect(japanese.slice(0, 4000)).toMatch(/仮想カード/)
  })
})

describe('ARCHITECTURE.md', () => {
  test('has every folder of src on the floor that src/floors.test.ts gives it', () => {
    const floors = [...read('src/floors.test.ts').matchAll(/\b([a-z]+): (-?\d)\b/g)].map(
      ([, folder, floor]) => `${folder} ${floor}`,
    )
    const drawn = rows(read('ARCHITECTURE.md'))
      .filter(([, folder]) => /^`src\/\w+\/`$/.test(folder ?? ''))
      .map(([floor, folder = '']) => `${folder.slice(5, -2)} ${floor}`)
    const there = new Set(sources.map((path) => path.split('/')[1]))
    expect(drawn.length).toBe(there.size)
    expect(floors.filter((line) => there.has(line.split(' ')[0])).toSorted()).toEqual(drawn.toSorted())
  })
})

describe('docs/decisions', () => {
  const records = documents.filter((path) => /\/\d{4}-/.test(path)).sort()

  test('are numbered without a gap, and all listed under their titles', () => {
    const listed = rows(read('docs/decisions/README.md')).slice(1)
    const titles = records.map((path) => /^# (\d{4}) – (.+)$/m.exec(read(path))?.slice(1) ?? [path])
    expect(titles.map(([number]) => Number(number))).toEqual(titles.map((_title, i) => i + 1))
    expect(listed.map(([link]) => links(link ?? '')[0])).toEqual(records.map((path) => path.split('/').at(-1)))
    expect(listed.map(([, title]) => title)).toEqual(titles.map(([, title]) => title))
  })

  test.each(records)('%s says context, decision and consequences in thirty lines', (path) => {
    const text = read(path)
    expect(text.match(/^\*\*\w+\.\*\*/gm)).toEqual(['**Context.**', '**Decision.**', '**Consequences.**'])
    expect(text.split('\n').length).toBeLessThanOrEqual(30)
  })
})

describe('GLOSSARY.md', () => {
  const terms = rows(read('GLOSSARY.md')).filter((cells) => cells[3]?.startsWith('`'))

  test('has fifty terms and more, each once', () => {
    const names = terms.map(([term]) => term)
    expect(names.length).toBeGreaterThanOrEqual(50)
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
  })

  test.each(terms)('%s – %s – is %s in %s', (_japanese, _english, identifiers = '', place = '') => {
    for (const identifier of spans(identifiers)) expect(holdsWord(spans(place)[0] ?? '', identifier)).toBe(true)
    expect(spans(identifiers).length).toBeGreaterThan(0)
  })
})

describe('docs/assumptions.md', () => {
  const cited = new Set(sources.flatMap((path) => read(path).match(/(?<=ASSUMPTION\()A-\d\d(?=\))/g) ?? []))
  const listed = rows(read('docs/assumptions.md')).filter(([id]) => /^A-\d\d$/.test(id ?? ''))

  test('lists what the code assumes, and nothing else', () => {
    expect(listed.map(([id]) => id).toSorted()).toEqual([...cited].toSorted())
  })

  test.each(listed)('%s stands in the file named, and says how to check it on a real card', (...cells) => {
    const [id = '', , place = '', consequence = '', check = ''] = cells
    expect(cells.length).toBe(5)
    expect(read(spans(place)[0] ?? '')).toContain(`ASSUMPTION(${id})`)
    expect(Math.min(consequence.length, check.length)).toBeGreaterThan(10)
  })
})

describe('docs/walk.md', () => {
  const walk = read('docs/walk.md')
  const explained = new Set(spans(walk).flatMap((text) => text.split('.')))
  const bodyOf = (path: string, name: string): string =>
    new RegExp(`^export async function ${name}\\([\\s\\S]*?^}`, 'm').exec(read(path))?.[0] ?? ''
  const LANGUAGE = ['all', 'assign', 'catch', 'for', 'if', 'map']

  test.each([
    ['src/terminal/tap.ts', 'tap'],
    ['src/provider/reception.ts', 'receive'],
  ])('%s › %s is short, and every name it calls is explained', (path, name) => {
    const body = bodyOf(path, name)
    const called = [...body.matchAll(/(\w+)(?:\?\.)?\(/g)].map(([, call]) => call ?? '')
    expect(called.length).toBeGreaterThan(5)
    expect(body.split('\n').length).toBeLessThanOrEqual(60)
    expect([...new Set(called)].filter((call) => !LANGUAGE.includes(call) && !explained.has(call))).toEqual([])
  })

  test('explains nothing in the table of the checks that receive does not call', () => {
    const table = rows(walk.slice(walk.indexOf('## 3.'))).filter(([, name]) => name?.startsWith('`'))
    const body = bodyOf('src/provider/reception.ts', 'receive')
    expect(table.length).toBeGreaterThan(8)
    expect(table.map(([, name = '']) => spans(name)[0] ?? '').filter((name) => !body.includes(`${name}(`))).toEqual([])
  })

  test('explains every step of every sequence', () => {
    const steps = Object.values(SEQUENCES).flat(2).flat()
    expect(steps.length).toBeGreaterThan(20)
    expect(steps.map(({ name }) => name).filter((name) => !explained.has(name))).toEqual([])
    const imported = /import \{([^}]+)\} from '\.\/steps\.ts'/.exec(read('src/terminal/tap.ts'))?.[1] ?? ''
    const functions = imported.split(/[\s,]+/).filter((word) => /^[a-z]\w+$/.test(word) && word !== 'type')
    expect(functions.length).toBeGreaterThan(15)
    expect(functions.filter((name) => !explained.has(name))).toEqual([])
  })
})

describe('docs/privacy.md', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-privacy-'))
  let store: Store
  beforeAll(async () => {
    store = await openStore({ kind: 'embedded', directory })
  })
  afterAll(async () => {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const sections = read('docs/privacy.md').split(/^## /m)
  test.each([
    ['provider', providerMigrations],
    ['authority', authorityMigrations],
    ['eligibility', eligibilityMigrations],
  ])('lists every field of every table of schema %s, why and how long', async (role, migrations) => {
    const database: Kysely<unknown> = await store.role(role, migrations)
    const { rows: columns } = await sql<{ table_name: string; column_name: string }>`
      select table_name, column_name from information_schema.columns where table_schema = ${role}`.execute(database)
    const kept = Object.groupBy(columns, ({ table_name }) => table_name)
    const section = sections.find((text) => text.includes(`Schema \`${role}\``)) ?? ''
    const listed = rows(section).filter(([table]) => table?.startsWith('`'))
    expect(
      Object.fromEntries(listed.map(([table = '', fields = '']) => [spans(table)[0], spans(fields).sort()])),
    ).toEqual(
      Object.fromEntries(
        Object.entries(kept).map(([table, list]) => [table, list?.map(({ column_name }) => column_name).sort()]),
      ),
    )
    for (const [, , why, howLong] of listed) expect(Math.min(why?.length ?? 0, howLong?.length ?? 0)).toBeGreaterThan(3)
  })
})
