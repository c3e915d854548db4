export {
  type Checkpoint,
  decodeCheckpoint,
  noteKeyId,
  signCheckpoint,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint.ts'
export { EvidenceError, type EvidenceErrorCode, evidenceFailures } from './failures.ts'
export { EMPTY_ROOT, HASH_LENGTH, hashEntry, hashNode, leafHash } from './hashes.ts'
export { decodeNote, encodeNote, type NoteSignature, type SignedNote } from './note.ts'
export {
  consistencyProof,
  inclusionProof,
  type VerifiedInclusion,
  verifyConsistency,
  verifyInclusion,
} from './proofs.ts'
export {
  type AuditPrivateKey,
  type AuditPublicKey,
  importAuditPrivateKey,
  importAuditPublicKey,
  type OpenedRecord,
  openSealedRecord,
  type SealedRecord,
  sealRecord,
} from './sealed-record.ts'
export {
  appendLeaf,
  type CompactRange,
  EMPTY_RANGE,
  type NodeId,
  type NodeReader,
  readRange,
  type TreeHead,
  type TreeNode,
  treeHead,
} from './tree.ts'
