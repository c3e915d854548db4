import { decodeBase64url, encodeBase64url } from '#bytes'
import { japanDate, type Time } from '#clock'
import { composeA, composeT, type Transcript } from '#messages'
import { certHash, decodeCvc, PkiError, type VerifiedCvc, verifyCvcChain, verifySignature } from '#pki'
import type { RegisteredTerminal, Trust } from './context.ts'
import { ProofError } from './failures.ts'

/**
 * Check (h) of mechanism `institution`: the chain leads from our anchor over a DV of our own to a certificate of this
 * very terminal, with the right in force, and its key authorised D with this r. Gives T, which the card must have signed.
 * @throws ProofError `institution-…`
 */
export function verifyInstitutionAuthentication(
  transcript: Transcript,
  d: Uint8Array,
  terminal: RegisteredTerminal,
  trust: Trust,
  at: Time,
): Uint8Array {
  const chain = verifyChain(transcript, trust, at)
  const { cvc: dv } = chain.dv
  const { cvc } = chain.terminal
  if (!trust.dvKeys.includes(encodeBase64url(dv.publicKey)) || dv.chr.slice(0, -5) !== trust.dvHolder) {
    throw new ProofError('institution-foreign')
  }
  const hash = certHash(cvc)
  if (!terminal.certHashes.includes(encodeBase64url(hash))) throw new ProofError('institution-unregistered')
  if (!chain.terminal.pinless) throw new ProofError('institution-right')
  const r = decodeBase64url(transcript.r)
  if (!verifySignature(cvc.publicKey, cvc.algorithm, composeA({ r, d }), decodeBase64url(transcript.seSig))) {
    throw new ProofError('institution-signature')
  }
  return composeT({ certHash: hash, r, d })
}

function verifyChain(transcript: Transcript, trust: Trust, at: Time): { dv: VerifiedCvc; terminal: VerifiedCvc } {
  try {
    const [dv, terminal] = transcript.chain.map((text) => decodeCvc(decodeBase64url(text)))
    if (!dv || !terminal) throw new ProofError('institution-chain')
    return verifyCvcChain({ dv, terminal }, trust.cvcAnchors, japanDate(at))
  } catch (cause) {
    if (cause instanceof PkiError) throw new ProofError('institution-chain', { reason: cause.code }, { cause })
    throw cause
  }
}
