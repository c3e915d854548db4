import { concatBytes, encodeBase64url } from '#bytes'
import type { Mac } from '#pki'
import { MessagesError } from './failures.ts'
import { canonicalJson, sha256 } from './forms.ts'

/** What a pairwise ID is for; two uses of one person at one audience are unrelated. */
export type PairwiseUse = 'institution' | 'asp' | 'operator' | 'proxy' | 'index'

/** Everything that goes into a pairwise ID beside the provider's key. */
export interface PairwiseInput {
  readonly use: PairwiseUse
  readonly provider: string
  /** b64u of 256 random bits that the database holds for the person. */
  readonly personKey: string
  /** Stable id of who sees it; the 10-digit code is only an attribute of it. */
  readonly audienceId: string
  /** From 0; raised when an audience must forget its old IDs. */
  readonly epoch: number
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyz'

function encodeBase32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((group) => BASE32[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')
}

/** ISO/IEC 7064 MOD 37,36: catches every single wrong character and nearly every transposition. */
function checkCharacter(text: string): string {
  let product = 36
  for (const character of text) {
    const sum = (product + ALPHANUMERIC.indexOf(character)) % 36 || 36
    product = (sum * 2) % 37
  }
  return ALPHANUMERIC[(37 - product) % 36] ?? ''
}

/** 個別ID – version ‖ base32(HMAC-SHA-256(K_v, JCS(input))) ‖ check character; 54 characters, lower case. */
export async function derivePairwiseId(input: PairwiseInput, key: Mac, keyVersion: number): Promise<string> {
  const body = `${keyVersion}${encodeBase32(await key.compute(canonicalJson({ ...input })))}`
  return body + checkCharacter(body)
}

/** @throws MessagesError `pairwise-id-malformed` */
export function checkPairwiseId(unverified: string): string {
  const body = unverified.slice(0, -1)
  if (!/^[0-9][a-z2-7]{52}$/.test(body) || checkCharacter(body) !== unverified.at(-1)) {
    throw new MessagesError('pairwise-id-malformed')
  }
  return unverified
}

/** Link from a certificate to a person: HMAC(K_link, H(SubjectPublicKeyInfo)) – never the serial, which can be walked. */
export function linkOf(publicKeyHash: Uint8Array, key: Mac): Promise<Uint8Array> {
  return key.compute(publicKeyHash)
}

/** Witness that the same card came again: HMAC(K_w, link ‖ audienceId ‖ epoch). */
export async function witnessOf(
  link: Uint8Array,
  audience: { readonly audienceId: string; readonly epoch: number },
  key: Mac,
): Promise<string> {
  const name = new TextEncoder().encode(`${audience.audienceId}/${audience.epoch}`)
  return encodeBase64url(await key.compute(concatBytes(link, name)))
}

/** H(SubjectPublicKeyInfo): how a key is named without its certificate. */
export const publicKeyHash = (spki: Uint8Array): Uint8Array => sha256(spki)
