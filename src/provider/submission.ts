import { encodeBase64url } from '#bytes'
import type { Time } from '#clock'
import { CodedError } from '#failure'
import { type Answer, type Proof, sha256, type VerifiedDeviceStatement } from '#messages'
import { openAnswer } from './answers.ts'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { lookUpAgain } from './records.ts'
import { releaseAnswer } from './release.ts'
import type { IdentifiedTerminal } from './terminals.ts'

/** A proof with its device statement verified: what the checks from (c) on are about. */
export interface Submission {
  /** The request body's very bytes. */
  readonly bytes: Uint8Array
  readonly proof: Proof
  readonly device: VerifiedDeviceStatement
  readonly terminal: IdentifiedTerminal
  readonly receivedAt: Time
}

/** A refusal given before, given again: the same code, for the catalogue to explain. */
export class RecalledRefusal extends CodedError<string> {}

/** b64u of H(device statement): the key of `seen`. */
export const statementKey = ({ device }: Submission): string => encodeBase64url(device.hash)
/** b64u of proofHash = H(request body). */
export const proofKey = ({ bytes }: Submission): string => encodeBase64url(sha256(bytes))

/**
 * Check (c): a device statement that was answered before gets the same answer, and nothing moves. A row without an
 * answer belongs to a tap that was accepted just before a crash; it is finished now.
 * @throws ProviderError `proof-mismatch` if another body came with that statement, `answer-erased`; RecalledRefusal
 */
export async function recallAnswer(provider: Provider, submission: Submission): Promise<Answer | undefined> {
  const row = await provider.database
    .selectFrom('seen')
    .selectAll()
    .where('terminal', '=', submission.terminal.id)
    .where('statement_hash', '=', statementKey(submission))
    .executeTakeFirst()
  if (!row) return undefined
  if (row.proof_hash !== proofKey(submission)) throw new ProviderError('proof-mismatch')
  if (row.verdict === 'refused') throw new RecalledRefusal(row.code ?? 'refused')
  if (row.answer) return openAnswer(row.answer, submission.bytes)
  if (!row.claims) throw new ProviderError('answer-erased')
  const record = await lookUpAgain(provider, row.claims.eligibility)
  return releaseAnswer(provider, submission, { claims: row.claims, index: row.leaf_index }, record)
}
