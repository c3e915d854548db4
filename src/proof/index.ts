export type { IssuedNonce, ReceptionPolicy, RegisteredTerminal, Trust } from './context.ts'
export { ProofError, type ProofErrorCode, proofFailures } from './failures.ts'
export { type ProofContext, rebuildStatement, type VerifiedProof, verifyProof } from './verify-proof.ts'
