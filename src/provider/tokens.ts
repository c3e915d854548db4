import { CompactEncrypt, importJWK } from 'jose'
import { type Answer, PRESENCE_TOKEN, type PresenceClaims, signJws } from '#messages'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { keyIdOf } from './key-set.ts'
import type { SealingJwk } from './tables.ts'

/** Compact JWS of presence claims. */
export function signPresence(provider: Provider, claims: PresenceClaims): Promise<string> {
  return signJws({ typ: PRESENCE_TOKEN, kid: keyIdOf(provider.keys.token.publicKey) }, claims, provider.keys.token)
}

/** A service's token: JWE (ECDH-ES, A256GCM) of the signed claims, to the service's registered key. */
async function sealPresence(provider: Provider, claims: PresenceClaims, key: SealingJwk): Promise<string> {
  const inner = new TextEncoder().encode(await signPresence(provider, claims))
  return new CompactEncrypt(inner)
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'presence+jwe', cty: PRESENCE_TOKEN, kid: key.kid })
    .encrypt(await importJWK({ ...key }, 'ECDH-ES'))
}

/** The tokens of an accepted tap, from the claims that its transaction made durable. */
export async function signTokens(
  provider: Provider,
  institution: PresenceClaims,
  services: readonly PresenceClaims[],
): Promise<Pick<Answer, 'institutionToken' | 'serviceTokens'>> {
  const keys = await sealingKeys(
    provider,
    services.map(({ aud }) => aud),
  )
  const sealed = services.map(async (claims) => {
    const key = keys.get(claims.aud)
    if (!key) throw new ProviderError('not-found', { what: 'service' })
    return [claims.aud, await sealPresence(provider, claims, key)] as const
  })
  const [institutionToken, serviceTokens] = await Promise.all([
    signPresence(provider, institution),
    Promise.all(sealed),
  ])
  return { institutionToken, serviceTokens: Object.fromEntries(serviceTokens) }
}

async function sealingKeys({ database }: Provider, audiences: readonly string[]) {
  if (audiences.length === 0) return new Map<string, SealingJwk>()
  const rows = await database
    .selectFrom('service')
    .select(['audience', 'sealing_key'])
    .where('audience', 'in', [...audiences])
    .execute()
  return new Map(rows.map(({ audience, sealing_key }) => [audience, sealing_key]))
}
