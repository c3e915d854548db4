import { decodeBase64url, encodeBase64url } from '#bytes'
import { verifyCheckpoint, verifyInclusion } from '#evidence'
import { type Answer, type PresenceClaims, parseJson, parseMessage, presenceClaims, verifyJws } from '#messages'
import { TerminalError } from './failures.ts'

/** The provider's public keys as its key set lists them, SPKI. */
export interface ProviderVerificationKeys {
  readonly token: Uint8Array
  readonly log: Uint8Array
  readonly logOrigin: string
}

/** What an answer must be about. */
export type ExpectedAnswer = Pick<PresenceClaims, 'institution' | 'terminal'> &
  Partial<Pick<PresenceClaims, 'purpose' | 'mechanism'>>

/** What a verified answer says. */
export interface VerifiedAnswer {
  readonly claims: PresenceClaims
  /** b64u root of the log in which the tap stands. */
  readonly root: string
}

/**
 * Checks an answer before the desk believes it: the token is the provider's and about this tap, and the tap stands in
 * the log that the checkpoint commits to.
 * @throws MessagesError `signature-invalid`; EvidenceError; TerminalError `answer-foreign` naming the member
 */
export async function verifyAnswer(
  unverified: Answer,
  expected: ExpectedAnswer,
  keys: ProviderVerificationKeys,
): Promise<VerifiedAnswer> {
  const payload = await verifyJws(unverified.institutionToken, 'presence+jwt', keys.token)
  const { index, checkpoint, inclusion, leaf } = unverified.evidence
  const head = verifyCheckpoint(checkpoint, { origin: keys.logOrigin, publicKey: keys.log })
  verifyInclusion({ index, leaf: decodeBase64url(leaf), proof: inclusion.map(decodeBase64url) }, head)
  const claims = parseMessage(presenceClaims, parseJson(payload))
  for (const [member, value] of Object.entries({ ...expected, aud: expected.institution })) {
    if (claims[member as keyof PresenceClaims] !== value) throw new TerminalError('answer-foreign', { member })
  }
  return { claims, root: encodeBase64url(head.root) }
}
