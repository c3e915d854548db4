import { type Answer, type Eligibility, TOKEN_LIFE } from '#messages'
import { openAnswer, sealAnswer } from './answers.ts'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { evidenceReceipt } from './log.ts'
import { type Submission, statementKey } from './submission.ts'
import type { TokenClaims } from './tables.ts'
import { signTokens } from './tokens.ts'

/** A tap that is durable: its place in the log, and what its tokens are to say. */
export interface CommittedTap {
  readonly index: number
  readonly claims: TokenClaims
}

/**
 * (l): signs tokens and checkpoint from what the transaction made durable, and stores the answer. Whoever comes second
 * – a resend while the first is still being signed – sends the stored one.
 */
export async function releaseAnswer(
  provider: Provider,
  submission: Submission,
  { claims, index }: CommittedTap,
  record: Eligibility | undefined,
): Promise<Answer> {
  if (claims.institution.exp * 1000 + TOKEN_LIFE * 1000 < provider.clock.now()) throw new ProviderError('answer-erased')
  const [tokens, evidence] = await Promise.all([
    signTokens(provider, claims.institution, claims.services),
    evidenceReceipt(provider, index, index + 1), // the leaf's own transaction committed all before it
  ])
  const records = { visit: claims.visit, ...(record ? { eligibility: record } : {}) }
  const answer: Answer = { v: 1, ...tokens, records, evidence }
  const stored = await provider.database
    .updateTable('seen')
    .set({ answer: sealAnswer(answer, submission.bytes), answered_at: provider.clock.now() })
    .where('terminal', '=', submission.terminal.id)
    .where('statement_hash', '=', statementKey(submission))
    .where('answered_at', 'is', null)
    .executeTakeFirst()
  return stored.numUpdatedRows === 1n ? answer : storedAnswer(provider, submission)
}

async function storedAnswer(provider: Provider, submission: Submission): Promise<Answer> {
  const row = await provider.database
    .selectFrom('seen')
    .select('answer')
    .where('terminal', '=', submission.terminal.id)
    .where('statement_hash', '=', statementKey(submission))
    .executeTakeFirst()
  if (!row?.answer) throw new ProviderError('answer-erased')
  return openAnswer(row.answer, submission.bytes)
}
