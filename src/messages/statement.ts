import { z } from 'zod'
import { concatBytes, encodeObjectIdentifier, encodeTlv } from '#bytes'
import { bytesText, canonicalJson, sha256 } from './forms.ts'
import { BASES, identifier, MECHANISMS, PRESENCE_STATEMENT, ROLES, version } from './identifiers.ts'
import type { Transcript } from './transcript.ts'

/** Presence statement S: never on the wire; terminal and provider each build it from what they know. */
export const presenceStatement = z.strictObject({
  v: version,
  provider: identifier,
  institution: identifier,
  terminal: identifier,
  role: z.enum(ROLES),
  mechanism: z.enum(MECHANISMS),
  basis: z.enum(BASES),
  purpose: identifier,
  nonce: bytesText(32),
  consent: bytesText(32),
  /** b64u of the subject leg's {@link legHash}, in a proxy's statement. */
  prior: bytesText(32).optional(),
})
export type PresenceStatement = z.infer<typeof presenceStatement>

/** D = H(JCS(S)), 32 bytes. */
export function statementHash(statement: PresenceStatement): Uint8Array {
  return sha256(canonicalJson(statement))
}

/** Auxiliary data `67 { 73 { 06 K.1, 53 D } }` of MSE:SET AT (shape: BSI TR-03110-3 §A.6.5). */
export function auxiliaryData(d: Uint8Array): Uint8Array {
  return encodeTlv(0x67, encodeTlv(0x73, encodeObjectIdentifier(PRESENCE_STATEMENT), encodeTlv(0x53, d)))
}

/** A = r ‖ auxiliary data: what the terminal's institution key signs, and nothing else. */
export function composeA({ r, d }: { readonly r: Uint8Array; readonly d: Uint8Array }): Uint8Array {
  return concatBytes(r, auxiliaryData(d))
}

const TAG = new TextEncoder().encode('KAZASU-IA-1')

/** T = H("KAZASU-IA-1" ‖ 00 ‖ certHash ‖ r ‖ D): what the card signs in mechanism `institution`, composed by itself. */
export function composeT(parts: {
  readonly certHash: Uint8Array
  readonly r: Uint8Array
  readonly d: Uint8Array
}): Uint8Array {
  return sha256(concatBytes(TAG, Uint8Array.of(0), parts.certHash, parts.r, parts.d))
}

/** legHash = H(D ‖ H(certificate) ‖ H(card signature) ‖ H(JCS(transcript)) or 32 zero bytes). */
export function legHash(leg: {
  readonly d: Uint8Array
  readonly certificate: Uint8Array
  readonly cardSignature: Uint8Array
  readonly transcript?: Transcript | undefined
}): Uint8Array {
  const transcript = leg.transcript ? sha256(canonicalJson(leg.transcript)) : new Uint8Array(32)
  return sha256(concatBytes(leg.d, sha256(leg.certificate), sha256(leg.cardSignature), transcript))
}
