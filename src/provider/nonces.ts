import { sql } from 'kysely'
import { encodeBase64url } from '#bytes'
import { MINUTE, SECOND, type Time, timeText } from '#clock'
import type { NonceRequest, NonceRow } from '#messages'
import type { IssuedNonce, ReceptionPolicy } from '#proof'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { findPolicy, type PolicyRow } from './policy.ts'
import { type IdentifiedTerminal, requireActive } from './terminals.ts'

/** Life of a nonce of class `tap`. */
const NONCE_LIFE = 60 * SECOND
/** How long a spent or expired nonce is kept, so that its second use is named rather than unknown. */
const NONCE_MEMORY = 60 * MINUTE

/**
 * Message 1: nonces for one occasion, if the policy table allows the terminal to ask.
 * @throws ProviderError `terminal-suspended`, `terminal-not-active`, `policy-refused`, `client-unknown`
 */
export async function issueNonces(
  provider: Provider,
  terminal: IdentifiedTerminal,
  request: NonceRequest,
  count: number,
): Promise<readonly NonceRow[]> {
  requireActive(terminal)
  if (request.role !== 'holder') throw new ProviderError('policy-refused', { member: 'role' })
  if (!findPolicy(provider.policy, { ...request, attended: terminal.attended })) {
    throw new ProviderError('policy-refused', { purpose: request.purpose, mechanism: request.mechanism })
  }
  const client = await provider.database
    .selectFrom('client')
    .select('institution')
    .where('id', '=', request.client)
    .executeTakeFirst()
  if (client?.institution !== terminal.institution) throw new ProviderError('client-unknown')
  const issuedAt = provider.clock.now()
  const expiresAt = issuedAt + NONCE_LIFE
  const { client: clientId, purpose, mechanism, basis, role } = request
  const occasion = { client: clientId, purpose, mechanism, basis, role, class: 'tap' as const }
  const nonces = Array.from({ length: count }, () => encodeBase64url(provider.random.bytes(32)))
  await provider.database
    .insertInto('nonce')
    .values(
      nonces.map((nonce) => ({
        nonce,
        ...occasion,
        provider: provider.id,
        institution: terminal.institution,
        terminal: terminal.id,
        bundle: null,
        prior: null,
        issued_at: issuedAt,
        expires_at: expiresAt,
      })),
    )
    .execute()
  return nonces.map((nonce) => ({ v: 1, nonce, ...occasion, expiresAt: timeText(expiresAt) }))
}

/** Audiences that the nonce's client may ask the holder's consent for. */
const audiencesOf = sql<string[]>`array_to_json(array(
  select audience from client_audience where client_audience.client = nonce.client))`.as('audiences')

/**
 * Check (d): the row of a nonce that this terminal may still spend on a tap, with the policy row it was issued under.
 * @throws ProviderError `nonce-unknown`, `nonce-used`, `nonce-expired`, `policy-refused`
 */
export async function findNonce(
  provider: Provider,
  nonce: string,
  terminal: IdentifiedTerminal,
  at: Time,
): Promise<{ readonly nonce: IssuedNonce; readonly policy: PolicyRow & ReceptionPolicy }> {
  const row = await provider.database
    .selectFrom('nonce')
    .selectAll()
    .select(audiencesOf)
    .where('nonce', '=', nonce)
    .executeTakeFirst()
  if (!row || row.terminal !== terminal.id || row.class !== 'tap') throw new ProviderError('nonce-unknown')
  if (row.state !== 'issued') throw new ProviderError('nonce-used')
  if (row.expires_at <= at) throw new ProviderError('nonce-expired')
  const policy = findPolicy(provider.policy, { ...row, attended: terminal.attended })
  if (!policy) throw new ProviderError('policy-refused')
  const { issued_at: issuedAt, expires_at: expiresAt, bundle, prior, state: _, audiences, ...occasion } = row
  return {
    policy: { ...policy, audiences },
    nonce: {
      ...occasion,
      issuedAt,
      expiresAt,
      ...(bundle === null ? {} : { bundle }),
      ...(prior === null ? {} : { prior }),
    },
  }
}

/** Forgets nonces that expired long ago and were never accepted. */
export async function forgetNonces(provider: Provider): Promise<void> {
  await provider.database
    .deleteFrom('nonce')
    .where('state', '=', 'issued')
    .where('expires_at', '<', provider.clock.now() - NONCE_MEMORY)
    .execute()
}
