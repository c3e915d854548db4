import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemRandom } from '#clock'
import { importAuditPrivateKey, importAuditPublicKey, leafHash, openSealedRecord, sealRecord } from './index.ts'

async function newAuditKey() {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' })
  const pkcs8 = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
  return { publicKey: await importAuditPublicKey(spki), privateKey: await importAuditPrivateKey(pkcs8), spki }
}
const audit = await newAuditKey()
const record = Buffer.from('{"v":1,"verdict":"accepted"}')
const sealed = await sealRecord(record, audit.publicKey, systemRandom)

describe('sealed record', () => {
  test('the auditor reads it, and it is what the leaf commits to', async () => {
    const opened = await openSealedRecord(sealed, audit.privateKey)
    expect(Buffer.from(opened.record)).toEqual(record)
    expect(leafHash(opened.salt, opened.record)).toEqual(sealed.leaf)
  })
  test.each([0, 1, 64 * 1024])('a record of %i bytes makes the round trip', async (length) => {
    const bytes = new Uint8Array(length).fill(7)
    const opened = await openSealedRecord(await sealRecord(bytes, audit.publicKey, systemRandom), audit.privateKey)
    expect(opened.record).toEqual(bytes)
  })
  test('64 KiB and one byte is refused', async () =>
    expect(sealRecord(new Uint8Array(64 * 1024 + 1), audit.publicKey, systemRandom)).rejects.toMatchObject({
      code: 'record-too-large',
    }))
  test('the same record twice has two leaves and no byte of itself in clear', async () => {
    const again = await sealRecord(record, audit.publicKey, systemRandom)
    expect(again.leaf).not.toEqual(sealed.leaf)
    expect(Buffer.from(again.body).includes('accepted')).toBe(false)
  })
  test('another audit key opens nothing', async () => {
    const other = await newAuditKey()
    await expect(openSealedRecord(sealed, other.privateKey)).rejects.toMatchObject({ code: 'record-unreadable' })
  })
  test('without its wrapped key it is gone', async () =>
    expect(openSealedRecord({ ...sealed, wrappedKey: new Uint8Array() }, audit.privateKey)).rejects.toMatchObject({
      code: 'record-unreadable',
    }))
  test('any flipped bit of leaf, body or wrapped key is detected', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('leaf', 'body', 'wrappedKey'), fc.nat(), async (member, bit) => {
        const bytes = Uint8Array.from(sealed[member])
        bytes[(bit >> 3) % bytes.length]! ^= 1 << (bit & 7)
        await expect(openSealedRecord({ ...sealed, [member]: bytes }, audit.privateKey)).rejects.toMatchObject({
          name: 'EvidenceError',
        })
      }),
    )
  })
  test('the body of one record under the leaf of another is refused', async () => {
    const other = await sealRecord(record, audit.publicKey, systemRandom)
    await expect(openSealedRecord({ ...sealed, leaf: other.leaf }, audit.privateKey)).rejects.toMatchObject({
      code: 'record-unreadable',
    })
  })
  test('a key that is not P-256 is refused', async () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const code = 'record-key-invalid'
    const spki = p384.publicKey.export({ format: 'der', type: 'spki' })
    await expect(importAuditPublicKey(spki)).rejects.toMatchObject({ code })
    await expect(importAuditPublicKey(new Uint8Array())).rejects.toMatchObject({ code })
    await expect(importAuditPrivateKey(audit.spki)).rejects.toMatchObject({ code })
  })
})
