import { encodeBase64url } from '#bytes'
import { HOUR, timeText } from '#clock'
import { type PresenceClaims, TOKEN_LIFE } from '#messages'
import type { IssuedNonce, VerifiedProof } from '#proof'
import { isUniqueViolation } from '#store'
import type { Provider } from './context.ts'
import { acceptedEvidence } from './evidence-record.ts'
import { ProviderError } from './failures.ts'
import { type Audience, cardWitness, issuePairwiseIds, obtainPerson, type Person } from './identities.ts'
import { appendEvidence, sealEvidence } from './log.ts'
import type { PolicyRow } from './policy.ts'
import type { CommittedTap } from './release.ts'
import { type CheckedStatus, requireFresh } from './status.ts'
import { proofKey, type Submission, statementKey } from './submission.ts'
import type { ProviderTransaction, TokenClaims } from './tables.ts'

/** What the checks (d) to (j) found. */
export interface CheckedTap {
  readonly nonce: IssuedNonce
  readonly policy: PolicyRow
  readonly verified: VerifiedProof
  readonly status: CheckedStatus
  readonly link: Uint8Array
  /** Of the trust that the checks were made under. */
  readonly trustEpoch: number
}

/**
 * (k): all or nothing, and everything that could have changed since it was checked is compared again under a lock.
 * @throws ProviderError naming what changed; nothing has moved then
 */
export async function commitTap(provider: Provider, submission: Submission, tap: CheckedTap): Promise<CommittedTap> {
  const jti = () => encodeBase64url(provider.random.bytes(16))
  const services = submission.proof.consentRecord.audiences.filter((audience) => audience !== tap.nonce.institution)
  const tokenIds = new Map(['', ...services].map((audience) => [audience, jti()]))
  const sealed = await sealEvidence(acceptedEvidence(submission, tap, [...tokenIds.values()]), provider)
  return provider.database.transaction().execute(async (transaction) => {
    await spendNonce(provider, transaction, tap.nonce.nonce)
    await advanceTerminal(provider, transaction, submission)
    const institution = await confirmInstitution(transaction, submission, tap.trustEpoch)
    await recordLeg(provider, transaction, submission, tap)
    const person = await obtainPerson(provider, transaction, tap.link)
    await countTap(provider, transaction, person, submission.terminal.id, tap.policy.quota)
    requireFresh(tap.status, provider.clock.now())
    const claims = await composeClaims(provider, transaction, submission, tap, { institution, person, tokenIds })
    const index = await appendEvidence(transaction, sealed)
    await transaction
      .insertInto('seen')
      .values({
        terminal: submission.terminal.id,
        statement_hash: statementKey(submission),
        prev: submission.device.claims.prev,
        proof_hash: proofKey(submission),
        verdict: 'accepted',
        code: null,
        leaf_index: index,
        claims: JSON.stringify(claims),
        answer: null,
        answered_at: null,
      })
      .execute()
    return { claims, index }
  })
}

async function spendNonce(provider: Provider, transaction: ProviderTransaction, nonce: string): Promise<void> {
  const spent = await transaction
    .updateTable('nonce')
    .set({ state: 'accepted' })
    .where('nonce', '=', nonce)
    .where('state', '=', 'issued')
    .where('expires_at', '>', provider.clock.now())
    .returning('nonce')
    .executeTakeFirst()
  if (!spent) throw new ProviderError('nonce-used')
}

/** The statement's place in the terminal's chain, and the terminal still being what check (a) found. */
export async function advanceTerminal(
  provider: Provider,
  transaction: ProviderTransaction,
  submission: Submission,
  states: readonly ('active' | 'enrolled')[] = ['active'],
): Promise<void> {
  const { terminal, device } = submission
  const now = provider.clock.now()
  const advanced = await transaction
    .updateTable('terminal')
    .set({ head: statementKey(submission), counter: device.claims.counter, last_seen_at: now })
    .where('id', '=', terminal.id)
    .where('state', 'in', [...states])
    .where('suspend_epoch', '=', terminal.suspendEpoch)
    .where('head', '=', device.claims.prev)
    .where('counter', '<', device.claims.counter)
    .where((row) => row.or([row('lease', 'is', null), row('lease_until', '>', now)]))
    .returning('id')
    .executeTakeFirst()
  if (advanced) return
  const current = await transaction
    .selectFrom('terminal')
    .select(['state', 'suspend_epoch', 'lease', 'lease_until'])
    .where('id', '=', terminal.id)
    .executeTakeFirst()
  if (current?.state === 'suspended') throw new ProviderError('terminal-suspended')
  if (!current || !states.some((state) => state === current.state)) throw new ProviderError('terminal-not-active')
  if (current.suspend_epoch !== terminal.suspendEpoch) throw new ProviderError('terminal-changed')
  if (current.lease !== null && (current.lease_until ?? 0) <= now) throw new ProviderError('lease-expired')
  throw new ProviderError('counter-gap')
}

/** Institution and trust as they were found, under a lock that lets no suspension or withdrawal pass before the commit; gives who sees its pairwise IDs. */
async function confirmInstitution(
  transaction: ProviderTransaction,
  { terminal }: Submission,
  trustEpoch: number,
): Promise<Audience> {
  const row = await transaction
    .selectFrom('institution')
    .innerJoin('trust_epoch', (join) => join.onTrue())
    .select(['audience_id', 'id_epoch', 'trust_epoch.epoch as trust_epoch'])
    .where('id', '=', terminal.institution)
    .where('state', '=', 'active')
    .where('institution.epoch', '=', terminal.institutionEpoch)
    .forShare()
    .executeTakeFirst()
  if (!row) throw new ProviderError('institution-suspended')
  if (row.trust_epoch !== trustEpoch) throw new ProviderError('trust-changed')
  return { use: 'institution', audienceId: row.audience_id, epoch: row.id_epoch }
}

async function recordLeg(
  provider: Provider,
  transaction: ProviderTransaction,
  { terminal, proof }: Submission,
  { verified }: CheckedTap,
): Promise<void> {
  try {
    await transaction
      .insertInto('leg')
      .values({
        consent_hash: encodeBase64url(verified.consentHash),
        nonce: proof.nonce,
        terminal: terminal.id,
        leg_hash: encodeBase64url(verified.legHash),
        accepted_at: provider.clock.now(),
      })
      .execute()
  } catch (error) {
    if (isUniqueViolation(error)) throw new ProviderError('consent-used', {}, { cause: error })
    throw error
  }
}

async function countTap(
  provider: Provider,
  transaction: ProviderTransaction,
  person: Person,
  terminal: string,
  quota: number,
): Promise<void> {
  const hour = Math.floor(provider.clock.now() / HOUR)
  const { taps } = await transaction
    .insertInto('quota')
    .values({ person: person.id, terminal, hour, taps: 1 })
    .onConflict((conflict) =>
      conflict.columns(['person', 'terminal', 'hour']).doUpdateSet(({ eb }) => ({ taps: eb('quota.taps', '+', 1) })),
    )
    .returning('taps')
    .executeTakeFirstOrThrow()
  if (taps > quota) throw new ProviderError('quota-exceeded')
}

/** Who is told something, about whom, in tokens of which IDs. */
interface Recipients {
  readonly institution: Audience
  readonly person: Person
  readonly tokenIds: ReadonlyMap<string, string>
}

async function composeClaims(
  provider: Provider,
  transaction: ProviderTransaction,
  { proof, receivedAt }: Submission,
  { nonce, status, link }: CheckedTap,
  { institution, person, tokenIds }: Recipients,
): Promise<TokenClaims> {
  const { confirmation, services } = await findRecipients(transaction, nonce.client, proof.consentRecord.audiences)
  const iat = Math.floor(provider.clock.now() / 1000)
  const shared: Omit<PresenceClaims, 'aud' | 'sub' | 'jti'> = {
    v: 1,
    iss: provider.issuer,
    iat,
    exp: iat + TOKEN_LIFE,
    presented: [timeText(nonce.issuedAt), timeText(receivedAt)],
    institution: nonce.institution,
    terminal: nonce.terminal,
    mechanism: nonce.mechanism,
    basis: nonce.basis,
    role: nonce.role,
    purpose: nonce.purpose,
    certificate: status.certificate,
    cnf: confirmation,
  }
  const [here, ...there] = await issuePairwiseIds(provider, transaction, person, [institution, ...services])
  const tokens = there.map(({ id, audience: { audienceId: aud } }): PresenceClaims => {
    return { ...shared, aud, sub: id, jti: tokenIds.get(aud) ?? '' }
  })
  return {
    institution: { ...shared, aud: nonce.institution, sub: here.id, jti: tokenIds.get('') ?? '' },
    services: tokens,
    visit: { returning: here.returning, witness: await cardWitness(provider, link, institution) },
    eligibility: tokens.find(({ aud }) => aud === provider.registerAudience)?.sub ?? null,
  }
}

/** Who will present the tokens, and the services among the audiences, in one order everywhere. */
async function findRecipients(
  transaction: ProviderTransaction,
  client: string,
  audiences: readonly string[],
): Promise<{ readonly confirmation: PresenceClaims['cnf']; readonly services: readonly Audience[] }> {
  const rows = await transaction
    .selectFrom('client')
    .leftJoin('service', (join) => join.on('service.audience', 'in', [...audiences]))
    .select(['confirmation', 'audience', 'id_epoch'])
    .where('client.id', '=', client)
    .orderBy('audience')
    .execute()
  const [row] = rows
  if (!row) throw new ProviderError('client-unknown')
  const services = rows.flatMap(({ audience, id_epoch: epoch }): Audience[] =>
    audience === null || epoch === null ? [] : [{ use: 'asp', audienceId: audience, epoch }],
  )
  return { confirmation: row.confirmation, services }
}
