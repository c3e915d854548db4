import { decodeBase64url, encodeBase64url } from '#bytes'
import type { Time } from '#clock'
import { legHash, type PresenceStatement, type Proof, statementHash, type VerifiedDeviceStatement } from '#messages'
import { type VerifiedPath, verifyDigestSignature } from '#pki'
import { verifyConsent } from './consent.ts'
import type { IssuedNonce, ReceptionPolicy, RegisteredTerminal, Trust } from './context.ts'
import { verifyDeviceMembers } from './device.ts'
import { ProofError } from './failures.ts'
import { verifyInstitutionAuthentication } from './institution-authentication.ts'
import { verifyUserCertificate } from './user-certificate.ts'

declare const verified: unique symbol

/** A proof that passed every check that needs no database and no network: (e) to (i) of protocol.md section 3. */
export interface VerifiedProof {
  readonly statement: PresenceStatement
  /** C, 32 bytes. */
  readonly consentHash: Uint8Array
  /** D, 32 bytes. */
  readonly statementHash: Uint8Array
  readonly legHash: Uint8Array
  readonly path: VerifiedPath
  readonly [verified]: 'proof'
}

/** Everything that a proof is checked against. */
export interface ProofContext {
  readonly device: VerifiedDeviceStatement
  readonly nonce: IssuedNonce
  readonly terminal: RegisteredTerminal
  readonly policy: ReceptionPolicy
  readonly trust: Trust
  readonly receivedAt: Time
}

/** The statement that the provider rebuilds from its own rows; nothing of it comes over the wire but the consent's hash. */
export function rebuildStatement(nonce: IssuedNonce, consentHash: Uint8Array): PresenceStatement {
  const { provider, institution, terminal, role, mechanism, basis, purpose, prior } = nonce
  const consent = encodeBase64url(consentHash)
  const statement = { v: 1 as const, provider, institution, terminal, role, mechanism, basis, purpose, consent }
  return { ...statement, nonce: nonce.nonce, ...(prior === undefined ? {} : { prior }) }
}

/**
 * The checks (e) to (i), in this order; the first that fails is the one named.
 * @throws ProofError; MessagesError `certificate-unsealable`
 */
export async function verifyProof(unverified: Proof, context: ProofContext): Promise<VerifiedProof> {
  const { device, nonce, terminal, policy, trust, receivedAt } = context
  const c = verifyConsent(unverified.consentRecord, device.claims, nonce, policy, receivedAt) // (e)
  const statement = rebuildStatement(nonce, c) // (f)
  const d = statementHash(statement)
  const sealed = decodeBase64url(unverified.sealedCertificate)
  const certificate = await trust.unseal(sealed, decodeBase64url(nonce.nonce)) // (g)
  const path = verifyUserCertificate(certificate, trust, policy, receivedAt)
  const signed = verifyMechanism(unverified, d, context) // (h)
  const cardSignature = decodeBase64url(unverified.cardSignature)
  if (!verifyDigestSignature(path.leaf.publicKey, signed, cardSignature)) throw new ProofError('card-signature')
  verifyDeviceMembers(device.claims, unverified, d, nonce, terminal, receivedAt) // (i)
  const leg = legHash({ d, certificate, cardSignature, transcript: unverified.transcript })
  return { statement, consentHash: c, statementHash: d, legHash: leg, path } as VerifiedProof
}

/** What the card must have signed: T and only T after institution authentication, D and only D after the PIN. */
function verifyMechanism({ transcript }: Proof, d: Uint8Array, context: ProofContext): Uint8Array {
  const { mechanism } = context.nonce
  switch (mechanism) {
    case 'institution':
      if (!transcript) throw new ProofError('transcript-missing')
      return verifyInstitutionAuthentication(transcript, d, context.terminal, context.trust, context.receivedAt)
    case 'pin':
      if (transcript) throw new ProofError('transcript-unexpected')
      return d
    default:
      throw new ProofError('mechanism-unsupported', { mechanism })
  }
}
