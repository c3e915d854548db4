import { constants, createHash, type KeyObject, privateEncrypt } from 'node:crypto'
import { type CardChannel, command, SW } from '#apdu'
import { equalBytes } from '#bytes'
import type { Random } from '#clock'
import { digestInfoSha256 } from '#pki'
import { CREDENTIALS, type HolderKey, shortReference } from './application.ts'
import { CardError } from './failures.ts'
import { referenced } from './files.ts'
import { encodePss } from './pss.ts'
import { answer, type Outcome, type Received, wrongLe } from './session.ts'
import { OK, perform } from './step.ts'

const DIGEST_LENGTH = 32
const DIGEST_INFO_LENGTH = digestInfoSha256(new Uint8Array(DIGEST_LENGTH)).length

/**
 * Signs a DigestInfo of SHA-256 with a key whose PIN was verified: PKCS#1 v1.5, as long as the modulus. Anything but
 * exactly such a DigestInfo is refused here, since the card would sign it (P1 = 00 pads whatever it is given).
 * @throws CardError `digest-info-malformed`, `pin-required`, `file-missing`, `unexpected-status`
 */
export async function signDigest(channel: CardChannel, key: HolderKey, digestInfo: Uint8Array): Promise<Uint8Array> {
  const digest = digestInfo.slice(-DIGEST_LENGTH)
  if (digestInfo.length !== DIGEST_INFO_LENGTH || !equalBytes(digestInfoSha256(digest), digestInfo)) {
    throw new CardError('digest-info-malformed')
  }
  const reference = shortReference(CREDENTIALS[key].key).toString(16)
  const { data } = await perform(channel, {
    name: 'sign with the PIN verified',
    command: command(`802A00${reference}`, digestInfo, 256),
    expect: OK,
    refusals: { [SW.securityStatus]: 'pin-required', [SW.referenceNotFound]: 'file-missing' },
  })
  if (data.length === 0) throw new CardError('answer-incomplete', { step: 'sign with the PIN verified' })
  return data
}

/** What a scheme gives to the private key: bytes to pad by PKCS#1 v1.5, or a whole PSS block. */
type Block =
  | { readonly padding: 'pkcs1'; readonly bytes: Uint8Array }
  | { readonly padding: 'pss'; readonly digest: Uint8Array; readonly salt: Uint8Array }

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest()
const isDigest = (data: Uint8Array): boolean => data.length === DIGEST_LENGTH

/** P1 of `80 2A` (measured on test cards); `undefined` = the data have the wrong length for the scheme. */
const SCHEMES: readonly ((data: Uint8Array, random: Random) => Block | undefined)[] = [
  (data) => (data.length <= 245 ? { padding: 'pkcs1', bytes: data } : undefined),
  (data) => ({ padding: 'pkcs1', bytes: sha256(data) }),
  (data) => (isDigest(data) ? { padding: 'pkcs1', bytes: digestInfoSha256(data) } : undefined),
  (data) => ({ padding: 'pkcs1', bytes: digestInfoSha256(sha256(data)) }),
  (data, random) => (isDigest(data) ? pss(data, random) : undefined),
  (data, random) => pss(sha256(data), random),
]

const pss = (digest: Uint8Array, random: Random): Block => ({
  padding: 'pss',
  digest,
  salt: random.bytes(DIGEST_LENGTH),
})

/**
 * The card's side of `80 2A P1 P2`. A key works after its own PIN was verified in this session of the application, and
 * in no other way: institution authentication opens a command of its own, never this one.
 */
export function answerComputeSignature(received: Received): Outcome {
  const { apdu, contents, session } = received
  const scheme = SCHEMES[apdu.p1]
  if (!scheme) return answer(SW.wrongP1P2)
  // ASSUMPTION(A-03): P2 = 00, the application's default key, is the user-authentication key here.
  const p2 = apdu.p2 === 0x00 ? shortReference(CREDENTIALS['user-authentication'].key) : apdu.p2
  const key = session.application === undefined ? SW.conditionsOfUse : referenced('key', p2, session, contents.files)
  if (typeof key === 'number') return answer(key)
  if (!session.verified.includes(key)) return answer(SW.securityStatus)
  if (apdu.data.length === 0) return answer(SW.wrongLength)
  const block = scheme(apdu.data, contents.random)
  if (!block) return answer(SW.conditionsOfUse)
  const privateKey = contents.keys[key]
  if (!privateKey) return answer(SW.referenceNotFound)
  const length = signatureLength(privateKey)
  if (apdu.le !== undefined && apdu.le < length) return wrongLe(length, received)
  return { response: { data: compute(privateKey, block), sw: SW.ok } }
}

/** Length of a signature by this key, in bytes. */
export const signatureLength = (key: KeyObject): number => (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8

/** PKCS#1 v1.5 signature over a SHA-256 digest that is not hashed again. */
export const signSha256Digest = (key: KeyObject, digest: Uint8Array): Uint8Array =>
  compute(key, { padding: 'pkcs1', bytes: digestInfoSha256(digest) })

function compute(key: KeyObject, block: Block): Uint8Array {
  const [padding, bytes] =
    block.padding === 'pkcs1'
      ? [constants.RSA_PKCS1_PADDING, block.bytes]
      : [constants.RSA_NO_PADDING, encodePss(block.digest, signatureLength(key) * 8, block.salt)]
  return Uint8Array.from(privateEncrypt({ key, padding }, bytes))
}
