import { EvidenceError } from './failures.ts'
import { EMPTY_ROOT, hashNode } from './hashes.ts'

/** A perfect subtree: it covers the leaves `index`·2^`level` … (`index`+1)·2^`level` − 1. Level 0 is the leaves. */
export interface NodeId {
  readonly level: number
  readonly index: number
}

/** A perfect subtree with its hash; never changes once it exists. */
export interface TreeNode extends NodeId {
  readonly hash: Uint8Array
}

/** How many leaves, and their root: what a checkpoint states. */
export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

/** All that appending needs: the number of leaves and the roots of the perfect subtrees they make up, widest first. */
export interface CompactRange {
  readonly size: number
  readonly hashes: readonly Uint8Array[]
}

export const EMPTY_RANGE: CompactRange = { size: 0, hashes: [] }

/** Throws unless 0 ≤ `size` ≤ 2^53 − 1. @throws EvidenceError `tree-range-invalid` */
export function requireSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new EvidenceError('tree-range-invalid', { size })
}

/** Largest power of two below `size` (≥ 2): where RFC 9162 §2.1.1 splits a tree. */
export function splitPoint(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

/**
 * The perfect subtrees that make up the leaves `begin` … `end` − 1, widest first.
 * `begin` must be a multiple of the widest one, as it is for every subtree of a log.
 */
export function subtrees(begin: number, end: number): readonly NodeId[] {
  const nodes: NodeId[] = []
  for (let at = begin; at < end; ) {
    let level = 0
    while (at + 2 ** (level + 1) <= end) level++
    nodes.push({ level, index: at / 2 ** level })
    at += 2 ** level
  }
  return nodes
}

/** Root over neighbouring perfect subtrees, widest first. */
export function foldHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.length === 0 ? EMPTY_ROOT : hashes.reduceRight((right, left) => hashNode(left, right))
}

/**
 * The range with one more leaf, and the nodes this completes (the leaf first): O(log n) hashes, no other node is read.
 * Whoever stores them does so in one transaction with the leaf.
 */
export function appendLeaf(range: CompactRange, leaf: Uint8Array): { range: CompactRange; nodes: readonly TreeNode[] } {
  requireSize(range.size + 1)
  const hashes = [...range.hashes]
  const nodes: TreeNode[] = [{ level: 0, index: range.size, hash: leaf }]
  let { hash, index, level }: TreeNode = { level: 0, index: range.size, hash: leaf }
  for (; index % 2 === 1; index = (index - 1) / 2) {
    const left = hashes.pop()
    if (!left) throw new EvidenceError('tree-range-invalid', { size: range.size })
    hash = hashNode(left, hash)
    nodes.push({ level: ++level, index: (index - 1) / 2, hash })
  }
  return { range: { size: range.size + 1, hashes: [...hashes, hash] }, nodes }
}

/** Size and root of the log whose right edge is `range`. */
export const treeHead = (range: CompactRange): TreeHead => ({ size: range.size, root: foldHashes(range.hashes) })

/** Where the hashes of perfect subtrees are kept. */
export interface NodeReader {
  /** Hashes in the order asked for; `undefined` in the place of a node that is not there. */
  readNodes(ids: readonly NodeId[]): Promise<readonly (Uint8Array | undefined)[]>
}

/**
 * The right edge of a log of `size` leaves, read back from storage: what a sequencer starts from.
 * @throws EvidenceError `tree-node-missing`, `tree-range-invalid`
 */
export async function readRange(size: number, reader: NodeReader): Promise<CompactRange> {
  requireSize(size)
  return { size, hashes: await readHashes(subtrees(0, size), reader) }
}

/** The hashes of `ids`, all of them. @throws EvidenceError `tree-node-missing` */
export async function readHashes(ids: readonly NodeId[], reader: NodeReader): Promise<readonly Uint8Array[]> {
  const hashes = await reader.readNodes(ids)
  return ids.map(({ level, index }, position) => {
    const hash = hashes[position]
    if (!hash) throw new EvidenceError('tree-node-missing', { level, index })
    return hash
  })
}
