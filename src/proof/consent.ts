import { encodeBase64url } from '#bytes'
import { MINUTE, parseTime, SECOND, type Time } from '#clock'
import { type ConsentRecord, consentHash, type DeviceStatement } from '#messages'
import type { IssuedNonce, ReceptionPolicy } from './context.ts'
import { ProofError } from './failures.ts'

/** Age up to which consent counts, and how far a terminal's clock may be off (protocol.md section 3 (e), (i)). */
const CONSENT_AGE = 120 * SECOND
export const CLOCK_TOLERANCE = MINUTE

/**
 * Check (e): the consent record fits the nonce it is spent on, and is the one that the device stated. Gives C.
 * @throws ProofError `consent-…`
 */
export function verifyConsent(
  record: ConsentRecord,
  claims: DeviceStatement,
  nonce: IssuedNonce,
  policy: ReceptionPolicy,
  receivedAt: Time,
): Uint8Array {
  if (record.purpose !== nonce.purpose) throw new ProofError('consent-purpose')
  if (!policy.texts.some((text) => text.textId === record.textId && text.lang === record.lang)) {
    throw new ProofError('consent-text')
  }
  // What the institution itself learns, the holder must have agreed to, too.
  if (!record.audiences.includes(nonce.institution)) throw new ProofError('consent-audience')
  if (!record.audiences.every((audience) => policy.audiences.includes(audience)))
    throw new ProofError('consent-audience')
  const age = receivedAt - (parseTime(record.at) ?? Number.NEGATIVE_INFINITY)
  if (age > CONSENT_AGE || age < -CLOCK_TOLERANCE) throw new ProofError('consent-stale')
  const byHolder = record.kind === 'ok-button' && record.input !== 'staff'
  if (!policy.attended && !byHolder) throw new ProofError('consent-kind')
  if (record.covers !== undefined && nonce.role !== 'proxy') throw new ProofError('consent-covers')
  const c = consentHash(record)
  if (encodeBase64url(c) !== claims.consentHash) throw new ProofError('consent-mismatch')
  return c
}
