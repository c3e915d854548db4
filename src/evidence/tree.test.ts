import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  appendLeaf,
  type CompactRange,
  consistencyProof,
  EMPTY_RANGE,
  EMPTY_ROOT,
  hashEntry,
  hashNode,
  inclusionProof,
  type NodeId,
  readRange,
  treeHead,
  verifyConsistency,
  verifyInclusion,
} from './index.ts'

const LARGEST = 64
const leaves = Array.from({ length: LARGEST }, (_, index) => hashEntry(Buffer.from(`entry ${index}`)))

/** RFC 9162 §2.1.1 word for word: the oracle. */
function rootOf(part: readonly Uint8Array[]): Uint8Array {
  const [only] = part
  if (part.length < 2) return only ?? EMPTY_ROOT
  let split = 1
  while (split * 2 < part.length) split *= 2
  return hashNode(rootOf(part.slice(0, split)), rootOf(part.slice(split)))
}

function memoryLog(entries: readonly Uint8Array[]) {
  const stored = new Map<string, Uint8Array>()
  const name = ({ level, index }: NodeId) => `${level}/${index}`
  let range: CompactRange = EMPTY_RANGE
  let most = 0
  for (const leaf of entries) {
    const step = appendLeaf(range, leaf)
    range = step.range
    most = Math.max(most, step.nodes.length)
    for (const node of step.nodes) stored.set(name(node), node.hash)
  }
  return { range, most, stored, readNodes: async (ids: readonly NodeId[]) => ids.map((id) => stored.get(name(id))) }
}

const log = memoryLog(leaves)
const heads = Array.from({ length: LARGEST + 1 }, (_, size) => ({ size, root: rootOf(leaves.slice(0, size)) }))
const head = (size: number) => heads[size]!
const flipped = (bytes: Uint8Array, bit: number) =>
  bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
const refused = (run: () => unknown, code: string) => expect(run).toThrow(expect.objectContaining({ code }))

describe('appending', () => {
  test('gives the root of RFC 9162 for every size, whether appended or read back', async () => {
    for (let size = 0; size <= LARGEST; size++) {
      expect(treeHead(memoryLog(leaves.slice(0, size)).range)).toEqual(head(size))
      expect(treeHead(await readRange(size, log))).toEqual(head(size))
    }
  })
  test('stores at most log2(n) + 1 nodes per leaf and no node twice', () => {
    expect(log.most).toBe(7)
    expect(log.stored.size).toBe(2 * LARGEST - 1)
  })
  test('a missing node is an error, not a wrong root', async () => {
    const gap = { readNodes: async (ids: readonly NodeId[]) => ids.map(() => undefined) }
    await expect(readRange(3, gap)).rejects.toMatchObject({ code: 'tree-node-missing' })
    await expect(inclusionProof(0, 3, gap)).rejects.toMatchObject({ code: 'tree-node-missing' })
  })
  test('a right edge that does not fit its size is refused', () =>
    refused(() => appendLeaf({ size: 1, hashes: [] }, leaves[0]!), 'tree-range-invalid'))
})

describe('inclusion', () => {
  test(`every leaf of every log of 1 to ${LARGEST} is shown, and at no other place`, async () => {
    for (let size = 1; size <= LARGEST; size++) {
      for (let index = 0; index < size; index++) {
        const proof = await inclusionProof(index, size, log)
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)))
        const leaf = leaves[index]!
        expect(verifyInclusion({ leaf, index, proof }, head(size)).index).toBe(index)
        if (size > 1)
          refused(() => verifyInclusion({ leaf, index: (index + 1) % size, proof }, head(size)), 'inclusion-invalid')
        refused(() => verifyInclusion({ leaf, index, proof }, head(size - 1)), 'inclusion-invalid')
        refused(() => verifyInclusion({ leaf, index, proof: [...proof, leaf] }, head(size)), 'inclusion-invalid')
        if (proof.length > 0)
          refused(() => verifyInclusion({ leaf, index, proof: proof.slice(1) }, head(size)), 'inclusion-invalid')
      }
    }
  })
  test('any flipped bit of leaf, proof or root is detected', async () => {
    const place = fc.integer({ min: 1, max: LARGEST }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)))
    await fc.assert(
      fc.asyncProperty(place, fc.nat(), fc.nat(255), async ([size, index], which, bit) => {
        const hashes = [leaves[index]!, head(size).root, ...(await inclusionProof(index, size, log))]
        const damaged = hashes.map((hash, at) => (at === which % hashes.length ? flipped(hash, bit) : hash))
        const [leaf, root, ...proof] = damaged
        refused(() => verifyInclusion({ leaf: leaf!, index, proof }, { size, root: root! }), 'inclusion-invalid')
      }),
    )
  })
  test.each([
    ['index beyond the log', 5, 5],
    ['negative index', -1, 5],
    ['fraction', 0.5, 5],
    ['empty log', 0, 0],
    ['size beyond 2^53', 0, 2 ** 53],
  ])('%s is refused on both sides', async (_name, index, size) => {
    await expect(inclusionProof(index, size, log)).rejects.toMatchObject({ code: 'tree-range-invalid' })
    refused(
      () => verifyInclusion({ leaf: leaves[0]!, index, proof: [] }, { size, root: leaves[0]! }),
      'inclusion-invalid',
    )
  })
  test('a hash of another length is refused', () =>
    refused(
      () => verifyInclusion({ leaf: Uint8Array.of(1), index: 0, proof: [] }, { size: 1, root: Uint8Array.of(1) }),
      'inclusion-invalid',
    ))
})

describe('consistency', () => {
  test(`every pair of logs of 0 to ${LARGEST} is shown, and no other pair by the same proof`, async () => {
    for (let newer = 0; newer <= LARGEST; newer++) {
      for (let older = 0; older <= newer; older++) {
        const proof = await consistencyProof(older, newer, log)
        expect(verifyConsistency(head(older), head(newer), proof)).toBeUndefined()
        refused(() => verifyConsistency(head(older), head(newer), [...proof, leaves[0]!]), 'consistency-invalid')
        if (older > 0 && older < newer) {
          refused(() => verifyConsistency(head(older), head(newer), proof.slice(1)), 'consistency-invalid')
          refused(
            () => verifyConsistency({ ...head(older), root: head(older - 1).root }, head(newer), proof),
            'consistency-invalid',
          )
        }
      }
    }
  })
  test('any flipped bit of the roots or the proof is detected', async () => {
    const pair = fc
      .integer({ min: 1, max: LARGEST })
      .chain((newer) => fc.tuple(fc.integer({ min: 1, max: newer }), fc.constant(newer)))
    await fc.assert(
      fc.asyncProperty(pair, fc.nat(), fc.nat(255), async ([older, newer], which, bit) => {
        const hashes = [head(older).root, head(newer).root, ...(await consistencyProof(older, newer, log))]
        const damaged = hashes.map((hash, at) => (at === which % hashes.length ? flipped(hash, bit) : hash))
        const [old, young, ...proof] = damaged
        const check = () => verifyConsistency({ size: older, root: old! }, { size: newer, root: young! }, proof)
        refused(check, 'consistency-invalid')
      }),
    )
  })
  test('a log that changed its past cannot be shown consistent', async () => {
    const forked = memoryLog(leaves.map((leaf, index) => (index === 10 ? hashEntry(Buffer.from('other')) : leaf)))
    const proof = await consistencyProof(20, 40, forked)
    refused(() => verifyConsistency(head(20), treeHead(forked.range), proof), 'consistency-invalid')
  })
  test('a shrinking log is refused on both sides', async () => {
    await expect(consistencyProof(6, 5, log)).rejects.toMatchObject({ code: 'tree-range-invalid' })
    refused(() => verifyConsistency(head(6), head(5), []), 'consistency-invalid')
  })
  test('an empty log with another root is refused', () =>
    refused(() => verifyConsistency({ size: 0, root: leaves[0]! }, head(5), []), 'consistency-invalid'))
})
