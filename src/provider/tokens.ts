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
  const keys = await provider.database.selectFrom('service').select(['audience', 'sealing_key']).execute()
  const sealed = services.map(async (claims) => {
    const service = keys.find(({ audience }) => audience === claims.aud)
    if (!service) throw new ProviderError('not-found', { what: 'service' })
    return [claims.aud, await sealPresence(provider, claims, service.sealing_key)] as const
  })
  return {
    institutionToken: await signPresence(provider, institution),
    serviceTokens: Object.fromEntries(await Promise.all(sealed)),
  }
}
