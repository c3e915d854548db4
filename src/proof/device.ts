import { decodeBase64url, encodeBase64url } from '#bytes'
import { parseTime, type Time } from '#clock'
import { type DeviceStatement, hashText, type Proof, sha256 } from '#messages'
import { CLOCK_TOLERANCE } from './consent.ts'
import type { IssuedNonce, RegisteredTerminal } from './context.ts'
import { ProofError } from './failures.ts'

const hashOf = (text: string): string => encodeBase64url(sha256(decodeBase64url(text)))

/**
 * Check (i): every member of the device statement equals what the provider knows or computed, and its times are sound.
 * Counter and `prev` are compared in the transaction, where they move.
 * @throws ProofError `device-mismatch` naming the member, `clock-skew`
 */
export function verifyDeviceMembers(
  claims: DeviceStatement,
  proof: Proof,
  d: Uint8Array,
  nonce: IssuedNonce,
  terminal: RegisteredTerminal,
  receivedAt: Time,
): void {
  const expected: Partial<DeviceStatement> = {
    terminal: nonce.terminal,
    nonce: proof.nonce,
    statementHash: encodeBase64url(d),
    certificateHash: hashOf(proof.sealedCertificate),
    cardSignatureHash: hashOf(proof.cardSignature),
    transcriptHash: proof.transcript ? hashText(proof.transcript) : null,
    mechanism: nonce.mechanism,
    operator: terminal.operator,
    lease: terminal.lease,
  }
  for (const [member, value] of Object.entries(expected)) {
    if (claims[member as keyof DeviceStatement] !== value) throw new ProofError('device-mismatch', { member })
  }
  const [from, to, at] = [claims.presentFrom, claims.presentTo, claims.at].map((text) => parseTime(text) ?? 0)
  if (from === undefined || to === undefined || at === undefined || from > to || to > at) {
    throw new ProofError('device-mismatch', { member: 'presentFrom' })
  }
  if (Math.abs(receivedAt - at) > CLOCK_TOLERANCE) throw new ProofError('clock-skew')
}
