import { type Answer, decodeProof, verifyDeviceStatement } from '#messages'
import { type ProofContext, verifyProof } from '#proof'
import { commitTap } from './commitment.ts'
import type { Provider } from './context.ts'
import { linkOfKey } from './identities.ts'
import { findNonce } from './nonces.ts'
import { lookUpEligibility } from './records.ts'
import { refuse } from './refusal.ts'
import { releaseAnswer } from './release.ts'
import { checkStatus } from './status.ts'
import { recallAnswer, type Submission } from './submission.ts'
import { identifyTerminal, requireActive } from './terminals.ts'

/**
 * Message 5 in, message 6 out: the provider's checks (a) to (l) of protocol.md section 3, in that order.
 * Until the device statement is verified a refusal moves nothing; after it, a refusal is a transaction and a leaf too.
 * @param unverified the request body's very bytes
 * @param thumbprint of the TLS certificate that the terminal presented
 * @throws ProviderError, ProofError, MessagesError – each with a remedy in the failure catalogue
 */
export async function receive(
  provider: Provider,
  unverified: Uint8Array,
  thumbprint: string | undefined,
): Promise<Answer> {
  const { clock, time } = provider
  const receivedAt = clock.now()
  const terminal = await time('terminal', () => identifyTerminal(provider.database, thumbprint)) // (a)
  const proof = decodeProof(unverified)
  const device = await time('statement', () => verifyDeviceStatement(proof.deviceStatement, terminal.deviceKey)) // (b)
  const submission: Submission = { bytes: unverified, proof, device, terminal, receivedAt }
  const recalled = await time('recall', () => recallAnswer(provider, submission)) // (c)
  if (recalled) return recalled
  requireActive(terminal) // of a card at a suspended terminal nothing is looked up; (k) compares again
  try {
    const { nonce, policy } = await time('nonce', () => findNonce(provider, proof.nonce, terminal, receivedAt)) // (d)
    const trust = provider.trust()
    const context: ProofContext = { device, nonce, terminal, policy, trust, receivedAt }
    const verified = await time('proof', () => verifyProof(proof, context)) // (e)–(i)
    const link = await linkOfKey(provider, verified.path.leaf.publicKey)
    const [status, record] = await Promise.all([
      time('status', () => checkStatus(provider, verified.path, policy, receivedAt)), // (j)
      time('record', () => lookUpEligibility(provider, link, proof.consentRecord.audiences)),
    ])
    const checked = { nonce, policy, verified, status, link, trustEpoch: trust.epoch }
    const committed = await time('commit', () => commitTap(provider, submission, checked)) // (k)
    return await time('release', () => releaseAnswer(provider, submission, committed, record)) // (l)
  } catch (error) {
    return await refuse(provider, submission, error)
  }
}
