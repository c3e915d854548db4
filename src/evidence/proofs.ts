import { equalBytes } from '#bytes'
import { EvidenceError } from './failures.ts'
import { HASH_LENGTH, hashNode } from './hashes.ts'
import {
  foldHashes,
  type NodeId,
  type NodeReader,
  readHashes,
  requireSize,
  splitPoint,
  subtrees,
  type TreeHead,
} from './tree.ts'

/** A hash of a proof as the perfect subtrees it is folded from: one, but at the ragged right edge. */
type ProofStep = readonly NodeId[]

/** RFC 9162 §2.1.3.1: the siblings on the way from leaf `index` to the root of [`begin`, `end`), lowest first. */
function inclusionSteps(index: number, begin: number, end: number): readonly ProofStep[] {
  if (end - begin === 1) return []
  const split = begin + splitPoint(end - begin)
  return index < split
    ? [...inclusionSteps(index, begin, split), subtrees(split, end)]
    : [...inclusionSteps(index, split, end), subtrees(begin, split)]
}

/** RFC 9162 §2.1.4.1: SUBPROOF(`older` − `begin`, [`begin`, `end`), `whole`). */
function consistencySteps(older: number, begin: number, end: number, whole: boolean): readonly ProofStep[] {
  if (older === end) return whole ? [] : [subtrees(begin, end)]
  const split = begin + splitPoint(end - begin)
  return older <= split
    ? [...consistencySteps(older, begin, split, whole), subtrees(split, end)]
    : [...consistencySteps(older, split, end, false), subtrees(begin, split)]
}

async function readSteps(steps: readonly ProofStep[], reader: NodeReader): Promise<readonly Uint8Array[]> {
  const hashes = [...(await readHashes(steps.flat(), reader))]
  return steps.map((step) => foldHashes(hashes.splice(0, step.length)))
}

/**
 * Proof that leaf `index` is in the log of `size` leaves: at most ⌈log2 size⌉ hashes (RFC 9162 §2.1.3.1), one read.
 * @throws EvidenceError `tree-range-invalid`, `tree-node-missing`
 */
export async function inclusionProof(index: number, size: number, reader: NodeReader): Promise<readonly Uint8Array[]> {
  requireSize(size)
  requireSize(index)
  if (index >= size) throw new EvidenceError('tree-range-invalid', { index, size })
  return readSteps(inclusionSteps(index, 0, size), reader)
}

/**
 * Proof that the log of `older` leaves is the beginning of the one of `newer` (RFC 9162 §2.1.4.1); empty when
 * `older` is 0 or `newer`, where nothing needs proof.
 * @throws EvidenceError `tree-range-invalid`, `tree-node-missing`
 */
export async function consistencyProof(
  older: number,
  newer: number,
  reader: NodeReader,
): Promise<readonly Uint8Array[]> {
  requireSize(older)
  requireSize(newer)
  if (older > newer) throw new EvidenceError('tree-range-invalid', { older, newer })
  return older === 0 ? [] : readSteps(consistencySteps(older, 0, newer, true), reader)
}

declare const verified: unique symbol
/** A leaf shown to stand at `index` in the log with this head; only {@link verifyInclusion} makes one. */
export interface VerifiedInclusion {
  readonly leaf: Uint8Array
  readonly index: number
  readonly head: TreeHead
  readonly [verified]: 'inclusion'
}

/**
 * Shows that `leaf` stands at `index` under `head`, which the caller trusts (RFC 9162 §2.1.3.2).
 * @throws EvidenceError `inclusion-invalid`
 */
export function verifyInclusion(
  unverified: { readonly leaf: Uint8Array; readonly index: number; readonly proof: readonly Uint8Array[] },
  head: TreeHead,
): VerifiedInclusion {
  const { leaf, index, proof } = unverified
  const fail = (): never => {
    throw new EvidenceError('inclusion-invalid', { index, size: head.size })
  }
  const sizes = Number.isSafeInteger(index) && Number.isSafeInteger(head.size)
  if (!sizes || index < 0 || index >= head.size || !allHashes([leaf, ...proof])) fail()
  let node = index
  let last = head.size - 1
  let root = leaf
  for (const sibling of proof) {
    if (last === 0) fail()
    if (node % 2 === 1 || node === last) {
      root = hashNode(sibling, root)
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)]
    } else {
      root = hashNode(root, sibling)
    }
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  if (last !== 0 || !equalBytes(root, head.root)) fail()
  return { leaf, index, head } as VerifiedInclusion
}

/**
 * Shows that the log of `older` is the beginning of the log of `newer` (RFC 9162 §2.1.4.2). An empty older log is
 * the beginning of every log; equal sizes need equal roots.
 * @throws EvidenceError `consistency-invalid`
 */
export function verifyConsistency(older: TreeHead, newer: TreeHead, unverifiedProof: readonly Uint8Array[]): void {
  const fail = (): never => {
    throw new EvidenceError('consistency-invalid', { older: older.size, newer: newer.size })
  }
  requireSize(older.size)
  requireSize(newer.size)
  if (older.size > newer.size || !allHashes([older.root, newer.root, ...unverifiedProof])) fail()
  if (older.size === 0 || older.size === newer.size) {
    const sound = older.size === 0 ? equalBytes(older.root, foldHashes([])) : equalBytes(older.root, newer.root)
    if (unverifiedProof.length > 0 || !sound) fail()
    return
  }
  let node = older.size - 1
  let last = newer.size - 1
  while (node % 2 === 1) [node, last] = [(node - 1) / 2, Math.floor(last / 2)]
  // An older log that is one perfect subtree is itself the start and is left out of the proof (step 2).
  const path = node === 0 ? [older.root, ...unverifiedProof] : unverifiedProof
  const [start = fail(), ...siblings] = path
  let olderRoot = start
  let newerRoot = start
  for (const sibling of siblings) {
    if (last === 0) fail()
    if (node % 2 === 1 || node === last) {
      olderRoot = hashNode(sibling, olderRoot)
      newerRoot = hashNode(sibling, newerRoot)
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)]
    } else {
      newerRoot = hashNode(newerRoot, sibling)
    }
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  if (last !== 0 || !equalBytes(olderRoot, older.root) || !equalBytes(newerRoot, newer.root)) fail()
}

const allHashes = (hashes: readonly Uint8Array[]): boolean => hashes.every((hash) => hash.length === HASH_LENGTH)
