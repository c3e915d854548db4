import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Signer } from '#pki'
import {
  decodeCheckpoint,
  decodeNote,
  EMPTY_ROOT,
  encodeNote,
  hashEntry,
  signCheckpoint,
  verifyCheckpoint,
} from './index.ts'

function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    algorithm: 'ecdsa-p256-sha256',
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    sign: async (data) => sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  }
}
const signer = newSigner()
const origin = 'kazasu.test/provider-1'
const checkpoint = { origin, size: 5, root: hashEntry(Buffer.from('x')) }
const log = { origin, publicKey: signer.publicKey }
const note = await signCheckpoint(checkpoint, signer)
const refused = (run: () => unknown, code: string) => expect(run).toThrow(expect.objectContaining({ code }))

describe('signing and verifying', () => {
  test('a signed checkpoint verifies and says what was signed', () =>
    expect(verifyCheckpoint(note, log)).toEqual(checkpoint))
  test('a hundred signatures verify, whatever the lengths of their numbers', async () => {
    for (let size = 0; size < 100; size++) {
      const signed = await signCheckpoint({ ...checkpoint, size }, signer)
      expect(verifyCheckpoint(signed, log).size).toBe(size)
    }
  })
  test('a signature of a witness beside ours is ignored', async () => {
    const witness = await signCheckpoint(checkpoint, newSigner())
    const both = encodeNote({
      text: decodeNote(note).text,
      signatures: [...decodeNote(witness).signatures, ...decodeNote(note).signatures],
    })
    expect(verifyCheckpoint(both, log)).toEqual(checkpoint)
  })
  test('a wrong signature under our name and key id condemns the note, though a right one stands beside it', () => {
    const { text, signatures } = decodeNote(note)
    const wrong = {
      ...signatures[0]!,
      signature: signatures[0]!.signature.map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
    }
    refused(
      () => verifyCheckpoint(encodeNote({ text, signatures: [...signatures, wrong] }), log),
      'checkpoint-signature',
    )
  })
  test('another key, another origin, another algorithm: refused', async () => {
    refused(() => verifyCheckpoint(note, { origin, publicKey: newSigner().publicKey }), 'checkpoint-signature')
    refused(() => verifyCheckpoint(note, { ...log, origin: 'kazasu.test/provider-2' }), 'checkpoint-signature')
    const borrowed = decodeNote(await signCheckpoint({ ...checkpoint, origin: 'other' }, signer))
    const renamed = encodeNote({
      ...borrowed,
      signatures: borrowed.signatures.map((line) => ({ ...line, name: origin })),
    })
    refused(() => verifyCheckpoint(renamed, log), 'checkpoint-signature')
    await expect(signCheckpoint(checkpoint, { ...signer, algorithm: 'rsa-pkcs1-sha256' })).rejects.toMatchObject({
      code: 'checkpoint-signature',
    })
  })
  test('any changed character is detected', () => {
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        fc.pre(note[at] !== character)
        const changed = note.slice(0, at) + character + note.slice(at + 1)
        expect(() => verifyCheckpoint(changed, log)).toThrow(expect.objectContaining({ name: 'EvidenceError' }))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('strict form', () => {
  const root = Buffer.from(EMPTY_ROOT).toString('base64')
  const line = note.split('\n')[4]
  test.each([
    ['empty text', ''],
    ['no signature', `a\n5\n${root}\n\n`],
    ['no blank line', `a\n5\n${root}\n${line}\n`],
    ['size with a leading zero', `a\n05\n${root}\n\n${line}\n`],
    ['size in hexadecimal', `a\n0x5\n${root}\n\n${line}\n`],
    ['negative size', `a\n-5\n${root}\n\n${line}\n`],
    ['size beyond 2^53', `a\n9007199254740993\n${root}\n\n${line}\n`],
    ['root too short', `a\n5\nAAAA\n\n${line}\n`],
    ['root with stray bits', `a\n5\n${root.replace('=', '')}\n\n${line}\n`],
    ['extension line', `a\n5\n${root}\nmore\n\n${line}\n`],
    ['empty origin', `\n5\n${root}\n\n${line}\n`],
    ['carriage returns', `a\r\n5\r\n${root}\r\n\r\n${line}\r\n`],
    ['missing last newline', `a\n5\n${root}\n\n${line}`],
    ['signature line with a hyphen', `a\n5\n${root}\n\n- a AAAAAAAA\n`],
    ['signature of key id alone', `a\n5\n${root}\n\n\u2014 a AAAAAA==\n`],
    ['lone surrogate', `a\ud800\n5\n${root}\n\n${line}\n`],
    ['200 KiB', `a\n5\n${root}\n\n${`${line}\n`.repeat(2000)}`],
    ['65 signatures', `a\n5\n${root}\n\n${`${line}\n`.repeat(65)}`],
  ])('%s is refused', (_name, text) => refused(() => decodeCheckpoint(text), 'checkpoint-malformed'))
  test('sixteen signatures are accepted', () =>
    expect(decodeCheckpoint(`a\n0\n${root}\n\n${`${line}\n`.repeat(16)}`)).toEqual({
      origin: 'a',
      size: 0,
      root: EMPTY_ROOT,
    }))
  test('any text is read or refused with our own error', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('\n', 'a', '\u2014', ' ', '=', '0') }), (text) => {
        try {
          return encodeNote(decodeNote(text)) === text
        } catch (error) {
          return (error as { code?: string }).code === 'checkpoint-malformed'
        }
      }),
    )
  })
})
