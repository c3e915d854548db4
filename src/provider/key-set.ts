import { createPublicKey, subtle } from 'node:crypto'
import { keyId } from '#keys'
import type { Provider } from './context.ts'

interface PublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
}

function toJwk(spki: Uint8Array): PublicJwk {
  const { x = '', y = '' } = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({
    format: 'jwk',
  })
  return { kty: 'EC', crv: 'P-256', x, y }
}

/** `kid` of a P-256 key given as JWK. @throws an error of node:crypto for a point that is not on the curve */
export function keyIdOfJwk({ kty, crv, x, y }: PublicJwk): string {
  const key = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
  return keyId(Uint8Array.from(key.export({ format: 'der', type: 'spki' })))
}

const keyIds = new WeakMap<Uint8Array, string>()

/** `kid` of a key, by its SPKI. */
export function keyIdOf(spki: Uint8Array): string {
  const known = keyIds.get(spki) ?? keyId(spki)
  keyIds.set(spki, known)
  return known
}

/** `/.well-known/jwks.json`: token and log keys for signatures, sealing key for certificates. */
export async function keySet({ keys }: Provider): Promise<{ readonly keys: readonly object[] }> {
  const { x = '', y = '' } = await subtle.exportKey('jwk', keys.sealing.publicKey)
  const sealing: PublicJwk = { kty: 'EC', crv: 'P-256', x, y }
  const signing = [
    { key: keys.token.publicKey, use: 'token' },
    { key: keys.log.publicKey, use: 'log' },
  ].map(({ key, use }) => ({ ...toJwk(key), kid: keyIdOf(key), use: 'sig', alg: 'ES256', 'kazasu:use': use }))
  return {
    keys: [
      ...signing,
      { ...sealing, kid: keyIdOfJwk(sealing), use: 'enc', alg: 'HPKE-P256', 'kazasu:use': 'certificate' },
    ],
  }
}
