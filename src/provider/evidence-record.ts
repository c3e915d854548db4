import { encodeBase64url } from '#bytes'
import { timeText } from '#clock'
import type { CheckedTap } from './commitment.ts'
import type { Submission } from './submission.ts'

/**
 * What the log keeps of an accepted tap, sealed to the auditor: what was sent, what it was checked against, and what was
 * found. The certificate stays in the seal that the terminal put it in: checks (g) and (h) are made again together with
 * the provider, which alone opens that seal; of the revocation status the finding is kept, not the responder's answer.
 */
export function acceptedEvidence(submission: Submission, tap: CheckedTap, tokenIds: readonly string[]): object {
  const { nonce, verified, status } = tap
  return {
    v: 1,
    kind: 'tap',
    verdict: 'accepted',
    statement: verified.statement,
    nonce: { ...nonce, issuedAt: timeText(nonce.issuedAt), expiresAt: timeText(nonce.expiresAt) },
    proof: submission.proof,
    legHash: encodeBase64url(verified.legHash),
    receivedAt: timeText(submission.receivedAt),
    status: { certificate: status.certificate, by: status.by, producedAt: timeText(status.producedAt) },
    tokenIds: [...tokenIds],
  }
}

/** What the log keeps of a refused one. */
export function refusedEvidence(submission: Submission, code: string): object {
  return {
    v: 1,
    kind: 'tap',
    verdict: 'refused',
    code,
    proof: submission.proof,
    terminal: submission.terminal.id,
    receivedAt: timeText(submission.receivedAt),
  }
}
