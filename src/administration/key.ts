import { createHash } from 'node:crypto'
import { decodeBase64url, encodeBase64url, encodeHex, equalBytes } from '#bytes'
import type { Random } from '#clock'

/** Bytes of the secret half of a key. */
const SECRET_LENGTH = 32
/** `<id>.<secret>`, the secret in base64url. */
const KEY = /^([a-z0-9-]{1,64})\.([A-Za-z0-9_-]{43})$/

const hashOf = (secret: Uint8Array): Uint8Array => Uint8Array.from(createHash('sha256').update(secret).digest())

/** A new key: `text` is shown once to its holder, `hash` is stored. A 256-bit secret needs no slow hash. */
export function makeKey(id: string, random: Random): { readonly text: string; readonly hash: Uint8Array } {
  const secret = random.bytes(SECRET_LENGTH)
  return { text: `${id}.${encodeBase64url(secret)}`, hash: hashOf(secret) }
}

/** `key-` and 16 hexadecimal digits. */
export const newId = (prefix: string, random: Random): string => `${prefix}-${encodeHex(random.bytes(8))}`

/** The id that a presented key names, and the comparison with the hash stored for it; `undefined` if it is no key. */
export function readKey(
  unverifiedKey: string,
): { readonly id: string; readonly matches: (hash: Uint8Array) => boolean } | undefined {
  const [, id, secret] = KEY.exec(unverifiedKey) ?? []
  if (id === undefined || secret === undefined) return undefined
  try {
    const hash = hashOf(decodeBase64url(secret))
    return { id, matches: (stored) => equalBytes(hash, stored) }
  } catch {
    return undefined
  }
}
