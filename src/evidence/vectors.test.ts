import { createPublicKey, verify } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  appendLeaf,
  type CompactRange,
  consistencyProof,
  decodeCheckpoint,
  decodeNote,
  EMPTY_RANGE,
  hashEntry,
  inclusionProof,
  type NodeId,
  verifyConsistency,
  verifyInclusion,
} from './index.ts'

const folder = join(process.env.KAZASU_VECTORS ?? join(import.meta.dirname, '../../../shared/vectors'), 'tlog')
const present = existsSync(folder)
if (!present) console.warn(`SKIPPED: no vectors in ${folder}`)
const file = (name: string) => readFileSync(join(folder, 'log', name))

/** C2SP tlog-tiles: an entry bundle is entries of a 16-bit length each. */
function readEntries(bundle: Buffer): Uint8Array[] {
  const entries: Uint8Array[] = []
  for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
    entries.push(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at)))
  }
  return entries
}

describe.skipIf(!present && process.env.CI !== 'true')('logs of size 0 to 15 written by Tessera', () => {
  const sizes = present
    ? readdirSync(join(folder, 'log', 'tile/0/000.p'))
        .map(Number)
        .sort((a, b) => a - b)
    : []
  const checkpoint = (size: number) => decodeCheckpoint(file(`checkpoint.${size}`).toString())
  const entries = present ? readEntries(file('tile/entries/000.p/15')) : []
  /** The lowest tile holds leaf hashes only; a perfect subtree above is computed from them. */
  const tileReader = (size: number) => {
    const tile = file(`tile/0/000.p/${size}`)
    const nodes = new Map<string, Uint8Array>()
    let range: CompactRange = EMPTY_RANGE
    for (let at = 0; at < size; at++) {
      const step = appendLeaf(range, Uint8Array.from(tile.subarray(at * 32, at * 32 + 32)))
      range = step.range
      for (const node of step.nodes) nodes.set(`${node.level}/${node.index}`, node.hash)
    }
    return {
      readNodes: async (ids: readonly NodeId[]) => ids.map(({ level, index }) => nodes.get(`${level}/${index}`)),
    }
  }

  test('the vectors are there: 16 checkpoints, 15 tiles', () => {
    expect(sizes).toEqual(Array.from({ length: 15 }, (_, at) => at + 1))
    expect(Array.from({ length: 16 }, (_, size) => checkpoint(size).size)).toEqual([0, ...sizes])
  })
  test('every checkpoint is signed by the key of the log, over exactly the text that we take', () => {
    const [, origin, keyData = ''] =
      /^([^+]+)\+[0-9a-f]{8}\+(.+)$/.exec(readFileSync(join(folder, 'verifier-key.txt'), 'utf8').trim()) ?? []
    const x = Buffer.from(keyData, 'base64').subarray(1).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    for (const size of [0, ...sizes]) {
      const { text, signatures } = decodeNote(file(`checkpoint.${size}`).toString())
      expect(signatures.map(({ name }) => name)).toEqual([origin])
      expect(verify(null, Buffer.from(text), key, signatures[0]!.signature)).toBe(true)
    }
  })
  test('every inclusion proof', async () => {
    let proofs = 0
    for (const size of sizes) {
      for (let index = 0; index < size; index++, proofs++) {
        const proof = await inclusionProof(index, size, tileReader(size))
        verifyInclusion({ leaf: hashEntry(entries[index]!), index, proof }, checkpoint(size))
      }
    }
    expect(proofs).toBe(120)
  })
  test('every consistency proof', async () => {
    let proofs = 0
    for (const newer of [0, ...sizes]) {
      const reader = newer > 0 ? tileReader(newer) : { readNodes: async () => [] }
      for (let older = 0; older <= newer; older++, proofs++) {
        verifyConsistency(checkpoint(older), checkpoint(newer), await consistencyProof(older, newer, reader))
      }
    }
    expect(proofs).toBe(136)
  })
})
