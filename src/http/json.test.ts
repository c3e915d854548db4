import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HttpError } from './failures.ts'
import { decodeJson, JSON_DEPTH } from './json.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const refusal = (input: Uint8Array): unknown => {
  try {
    decodeJson(input)
  } catch (error) {
    if (error instanceof HttpError) return error.detail.reason
    throw error
  }
  return 'accepted'
}
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('strict JSON', () => {
  test.each([
    ['nothing', '', 'not JSON in UTF-8'],
    ['a byte order mark', '\ufeff{}', 'not JSON in UTF-8'],
    ['something after the end', '{} {}', 'not JSON in UTF-8'],
    ['a raw NUL', '"\0"', 'not JSON in UTF-8'],
    ['an escaped NUL', '{"a":"\\u0000"}', 'NUL character'],
    ['a lone high surrogate', '{"a":"\\ud800"}', 'lone surrogate'],
    ['a lone low surrogate in a name', '{"\\udc00":1}', 'lone surrogate'],
    ['__proto__', '{"__proto__":{"x":1}}', 'forbidden member name'],
    ['__proto__ written with escapes', '{"a":{"\\u005f_proto__":1}}', 'forbidden member name'],
    ['constructor', '{"constructor":{"prototype":{}}}', 'forbidden member name'],
    ['a member twice', '{"a":1,"b":{"a":1},"a":2}', 'duplicate member'],
    ['a member twice, once escaped', '{"a":1,"\\u0061":2}', 'duplicate member'],
    ['a member twice in an object in an array', '[{"a":1},{"a":1,"a":1}]', 'duplicate member'],
    ['1e400', '{"a":1e400}', 'number out of range'],
    ['-1e400', '[-1e400]', 'number out of range'],
    ['2^53', '[9007199254740992]', 'integer beyond 2^53'],
    ['one level too many', nested(JSON_DEPTH + 1), 'nested too deeply'],
    ['10,000 levels', nested(10_000), 'nested too deeply'],
    ['10,000 objects in each other', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 'nested too deeply'],
    ['a bad number', '[01]', 'not JSON in UTF-8'],
    ['NaN', '[NaN]', 'not JSON in UTF-8'],
  ])('%s is refused', (_name, text, reason) => expect(refusal(bytes(text))).toBe(reason))

  test.each([
    ['Latin-1', Uint8Array.of(0x22, 0xe9, 0x22)],
    ['an overlong slash', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
    ['a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
    ['UTF-16', Uint8Array.from(Buffer.from('{}', 'utf16le'))],
  ])('%s is refused', (_name, input) => expect(refusal(input)).toBe('not JSON in UTF-8'))

  test.each([
    ['the deepest nesting', nested(JSON_DEPTH)],
    ['the same name in different objects', '{"a":{"a":[{"a":1},{"a":1}]}}'],
    ['brackets, quotes and colons inside strings', '{"[{\\"":"}]\\":\\\\","b":"\\\\"}'],
    ['2^53 - 1 and small fractions', '[9007199254740991,-9007199254740991,1.5e-7,0]'],
    ['kanji beyond the BMP, right-to-left and 外字', '["𠮷野家","\u202eabc","\ue000","\\ud842\\udfb7"]'],
  ])('%s is accepted as JSON.parse reads it', (_name, text) =>
    expect(decodeJson(bytes(text))).toEqual(JSON.parse(text)),
  )

  test('a string of 1 MiB is read', () => {
    const text = JSON.stringify({ a: 'x\\'.repeat(512 * 1024) })
    expect(decodeJson(bytes(text))).toEqual(JSON.parse(text))
  })

  test('what JSON.stringify writes of safe values comes back', () => {
    const names = fc.string({ unit: 'grapheme' }).filter((name) => !/__proto__|constructor|prototype|\0/.test(name))
    const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''))
    const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, min: -1e15, max: 1e15 }))
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 5 }, text, number, fc.boolean(), fc.constant(null), tie('list'), tie('object')),
      list: fc.array(tie('tree'), { maxLength: 4 }),
      object: fc.dictionary(names, tie('tree'), { maxKeys: 4 }),
    }))
    fc.assert(
      fc.property(tree, fc.boolean(), (value, spaced) => {
        const written = JSON.stringify(value, null, spaced ? 2 : 0)
        expect(decodeJson(bytes(written))).toEqual(JSON.parse(written))
      }),
    )
  })

  test('no refusal repeats any of the input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
        expect(['accepted', 'not JSON in UTF-8', 'integer beyond 2^53']).toContain(refusal(input))
      }),
    )
  })
})
