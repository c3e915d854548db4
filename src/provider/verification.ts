import { MINUTE } from '#clock'
import {
  MessagesError,
  PRESENCE_TOKEN,
  type PresenceClaims,
  parseJson,
  parseMessage,
  presenceClaims,
  TOKEN_LIFE,
  verifyJws,
} from '#messages'
import type { Provider } from './context.ts'

/**
 * What is asked of a token: for this audience, and – for a service that changes state – its only use. Who cannot name
 * the audience may not spend: the token of another could be made worthless.
 */
export interface TokenQuestion {
  readonly token: string
  readonly audience?: string | undefined
  readonly consume?: boolean | undefined
}

export type TokenVerdict =
  | { readonly active: true; readonly claims: PresenceClaims }
  | { readonly active: false; readonly code: 'token-invalid' | 'token-spent' }

const INVALID: TokenVerdict = { active: false, code: 'token-invalid' }
const SPENT: TokenVerdict = { active: false, code: 'token-spent' }

/**
 * Whether a presence token (JWS; a service opens its JWE first) is ours, in time, for `audience`, and not spent.
 * `consume` spends it: of two who ask at once one is told `token-spent`.
 */
export async function verifyToken(
  provider: Provider,
  { token, audience, consume = false }: TokenQuestion,
): Promise<TokenVerdict> {
  const claims = await readClaims(provider, token)
  const now = provider.clock.now()
  if (!claims || claims.iss !== provider.issuer || claims.exp * 1000 <= now) return INVALID
  if (audience === undefined ? consume : claims.aud !== audience) return INVALID
  const { jti } = claims
  if (consume) {
    const spent = await provider.database
      .insertInto('spent_token')
      .values({ jti, spent_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .returning('jti')
      .executeTakeFirst()
    return spent ? { active: true, claims } : SPENT
  }
  const spent = await provider.database
    .selectFrom('spent_token')
    .select('jti')
    .where('jti', '=', jti)
    .executeTakeFirst()
  return spent ? SPENT : { active: true, claims }
}

async function readClaims({ keys }: Provider, token: string): Promise<PresenceClaims | undefined> {
  try {
    return parseMessage(presenceClaims, parseJson(await verifyJws(token, PRESENCE_TOKEN, keys.token.publicKey)))
  } catch (error) {
    if (error instanceof MessagesError) return undefined
    throw error
  }
}

/** Forgets spent tokens that have expired anyway. */
export async function forgetSpentTokens({ database, clock }: Provider): Promise<void> {
  await database
    .deleteFrom('spent_token')
    .where('spent_at', '<', clock.now() - TOKEN_LIFE * 1000 - MINUTE)
    .execute()
}
