import { describe, expect, test } from 'vitest'
import { commandName, realCardTime, wireTime } from './real-card.ts'

const exchange = (header: string, sent: number, received: number) => ({ command: header, sent, received })

describe('the computed time of a real card', () => {
  test.each([
    ['an empty answer', 5, 2, 1.2],
    ['a signature of 256 bytes, in two blocks', 57, 258, 9.5],
    ['a certificate in one extended READ', 7, 1538, 44],
    ['a CVC of P-256', 228, 2, 6.5],
    ['a CVC of RSA, in three blocks', 628, 2, 18],
  ])('on the air: %s', (_, up, down, expected) => {
    expect(wireTime(up, down)).toBeGreaterThan(expected * 0.96)
    expect(wireTime(up, down)).toBeLessThan(expected * 1.04)
  })

  test('of a whole tap is the 544 ms that the model comes to', () => {
    const tap = [
      exchange('00a4040c', 15, 2),
      exchange('00b00000', 7, 1538),
      exchange('002281b6', 21, 2),
      exchange('002a00be', 228, 2),
      exchange('002281b6', 21, 2),
      exchange('002a00be', 228, 2),
      exchange('002281a4', 83, 2),
      exchange('00840000', 5, 18),
      exchange('00820000', 69, 2),
      exchange('002a9e9a', 57, 258),
    ]
    const total = tap.reduce((sum, one) => sum + realCardTime(one), 0)
    expect(Math.abs(total - 544)).toBeLessThan(8)
  })
})

test.each([
  ['00a4040c', 'SELECT application'],
  ['00a4020c', 'SELECT file'],
  ['00b00000', 'READ BINARY'],
  ['002281b6', 'MSE SET DST'],
  ['002281a4', 'MSE SET AT'],
  ['002a00be', 'PSO VERIFY CERTIFICATE'],
  ['002a9e9a', 'PSO sign'],
  ['802a0097', 'PSO sign'],
  ['00840000', 'GET CHALLENGE'],
  ['00820000', 'EXTERNAL AUTHENTICATE'],
  ['00200080', 'VERIFY'],
  ['00c00000', 'GET RESPONSE'],
  ['00ff0000', 'INS ff'],
])('a command that begins %s is called %s', (command, name) => {
  expect(commandName({ command: `${command}00` })).toBe(name)
})
