import { z } from 'zod'
import { consentRecord } from './consent.ts'
import { bytesText, bytesTextUpTo, parseJson, parseMessage } from './forms.ts'
import { version } from './identifiers.ts'
import { transcript } from './transcript.ts'

/** Largest proof accepted, in bytes: about four times an honest one. */
export const PROOF_LIMIT = 32 * 1024

/** Message 5, terminal → provider. */
export const proof = z.strictObject({
  v: version,
  nonce: bytesText(32),
  consentRecord,
  /** enc ‖ ct, see {@link sealCertificate}. */
  sealedCertificate: bytesTextUpTo(8 * 1024),
  cardSignature: bytesTextUpTo(512),
  transcript: transcript.optional(),
  /** Compact JWS of a device statement. */
  deviceStatement: z.string().max(4096),
})
export type Proof = z.infer<typeof proof>

/** @throws MessagesError `malformed` */
export function decodeProof(unverified: Uint8Array): Proof {
  return parseMessage(proof, parseJson(unverified))
}

/** Message 3, terminal → provider: the sealed certificate ahead of the proof. */
export const earlyCertificate = z.strictObject({
  v: version,
  nonce: bytesText(32),
  sealedCertificate: bytesTextUpTo(8 * 1024),
})
export type EarlyCertificate = z.infer<typeof earlyCertificate>
