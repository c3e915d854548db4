import { type Answer, MessagesError } from '#messages'
import { ProofError } from '#proof'
import { isUniqueViolation } from '#store'
import { advanceTerminal } from './commitment.ts'
import type { Provider } from './context.ts'
import { refusedEvidence } from './evidence-record.ts'
import { ProviderError, type ProviderErrorCode } from './failures.ts'
import { appendEvidence, sealEvidence } from './log.ts'
import { proofKey, recallAnswer, type Submission, statementKey } from './submission.ts'

/** Refusals that move nothing: for a suspended terminal, and where the statement has no place in the chain. */
const UNRECORDED: readonly ProviderErrorCode[] = [
  'terminal-suspended',
  'terminal-not-active',
  'terminal-changed',
  'lease-expired',
  'proof-mismatch',
  'answer-erased',
  'not-found',
  'trust-missing',
  'trust-changed',
  'log-rolled-back',
]

/**
 * A refusal after check (b): one transaction too – the statement takes its place in the terminal's chain, the refusal
 * its leaf in the log, and the same bytes get the same refusal again. The nonce stays as it is. An error that says
 * nothing of the proof (database away …) moves nothing; the terminal sends the same bytes again.
 * @returns the answer after all, if the same bytes were accepted meanwhile
 * @throws the refusal
 */
export async function refuse(provider: Provider, submission: Submission, error: unknown): Promise<Answer> {
  if (!isRefusal(error)) throw error
  const recalled = await recallAnswer(provider, submission)
  if (recalled) return recalled
  if (error instanceof ProviderError && error.code === 'counter-gap') throw await judgeGap(provider, submission, error)
  if (error instanceof ProviderError && UNRECORDED.includes(error.code)) throw error
  const sealed = await sealEvidence(refusedEvidence(submission, error.code), provider)
  try {
    await provider.database.transaction().execute(async (transaction) => {
      await advanceTerminal(provider, transaction, submission)
      const index = await appendEvidence(transaction, sealed)
      await transaction
        .insertInto('seen')
        .values({
          terminal: submission.terminal.id,
          statement_hash: statementKey(submission),
          prev: submission.device.claims.prev,
          proof_hash: proofKey(submission),
          verdict: 'refused',
          code: error.code,
          leaf_index: index,
          claims: null,
          answer: null,
          answered_at: provider.clock.now(),
        })
        .execute()
    })
  } catch (later) {
    if (later instanceof ProviderError && later.code === 'counter-gap') {
      const twin = await recallAnswer(provider, submission)
      if (twin) return twin
      throw await judgeGap(provider, submission, later)
    }
    if (isUniqueViolation(later)) throw error
    throw later
  }
  throw error
}

type Refusal = ProviderError | ProofError | MessagesError

function isRefusal(error: unknown): error is Refusal {
  return error instanceof ProviderError || error instanceof ProofError || error instanceof MessagesError
}

/**
 * A statement that does not continue the chain. If it leaves the chain at a place where another statement was seen, two
 * devices hold one key: the terminal is suspended – as it was found, so that one enrolled afresh meanwhile is not.
 * Anything else is a gap that an operator mends; nothing moves.
 */
async function judgeGap(provider: Provider, submission: Submission, gap: ProviderError): Promise<ProviderError> {
  const { terminal, device } = submission
  const { prev } = device.claims
  const twin = await provider.database
    .selectFrom('seen')
    .select('statement_hash')
    .where('terminal', '=', terminal.id)
    .where('prev', '=', prev)
    .where('statement_hash', '<>', statementKey(submission))
    .executeTakeFirst()
  if (!twin) return gap
  const suspended = await provider.database
    .updateTable('terminal')
    .set(({ eb }) => ({ state: 'suspended', suspend_epoch: eb('suspend_epoch', '+', 1) }))
    .where('id', '=', terminal.id)
    .where('head', '<>', prev)
    .where('suspend_epoch', '=', terminal.suspendEpoch)
    .executeTakeFirst()
  return suspended.numUpdatedRows === 1n ? new ProviderError('device-fork') : gap
}
