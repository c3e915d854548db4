import { expect, test } from 'vitest'
import { encodeFailure, encodeReady, isTerminate, transactionStatus } from './wire.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

test('messages have the form of protocol 3.0', () => {
  expect(encodeReady()).toEqual(Uint8Array.from(bytes('Z\0\0\0\x05I')))
  expect(encodeReady('welcome')).toEqual(Uint8Array.from(bytes('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I')))
  const failure = Buffer.from(encodeFailure('ERROR', '55P03', 'busy'))
  expect(failure.toString('latin1', 5)).toBe('SERROR\0VERROR\0C55P03\0Mbusy\0\0')
  expect(failure.readUInt32BE(1)).toBe(failure.length - 1)
})

test.each([
  ['Z\0\0\0\x05I', 'idle'],
  ['C\0\0\0\x0bSELECT\0Z\0\0\0\x05I', 'idle'],
  ['Z\0\0\0\x05T', 'transaction'],
  ['Z\0\0\0\x05E', 'transaction'],
  ['1\0\0\0\x04', 'unfinished'],
  ['', 'unfinished'],
])('the status of %j is %s', (answer, status) => expect(transactionStatus(bytes(answer))).toBe(status))

test('Terminate is five bytes and nothing longer', () => {
  expect(isTerminate(bytes('X\0\0\0\x04'))).toBe(true)
  expect(isTerminate(bytes('X\0\0\0\x04S'))).toBe(false)
  expect(isTerminate(bytes('S\0\0\0\x04'))).toBe(false)
})
