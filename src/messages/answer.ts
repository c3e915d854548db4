import { z } from 'zod'
import { eligibility } from './eligibility.ts'
import { bytesText } from './forms.ts'
import { identifier, version } from './identifiers.ts'

/** Where the tap stands in the provider's log: leaf index, signed checkpoint, inclusion proof (leaf to root). */
export const evidenceReceipt = z.strictObject({
  index: z.int().min(0),
  /** Signed note, C2SP tlog-checkpoint. */
  checkpoint: z.string().max(4096),
  /** Inclusion proof, b64u hashes, nearest the leaf first (RFC 6962 §2.1.1). */
  inclusion: z.array(bytesText(32)).max(64),
  /** b64u of the leaf hash that the proof starts from. */
  leaf: bytesText(32),
})
export type EvidenceReceipt = z.infer<typeof evidenceReceipt>

/** Message 6, provider → terminal. */
export const answer = z.strictObject({
  v: version,
  /** Compact JWS for the institution. */
  institutionToken: z.string(),
  /** One JWE(JWS) per consented service; unreadable to whoever carries it. */
  serviceTokens: z.record(identifier, z.string()),
  /** What services answered in the same round trip. */
  records: z
    .strictObject({
      eligibility: eligibility.optional(),
      /** Whether the person came to this institution before, and the witness that it was with the same card. */
      visit: z.strictObject({ returning: z.boolean(), witness: z.string() }),
    })
    .optional(),
  evidence: evidenceReceipt,
})
export type Answer = z.infer<typeof answer>

/** Message 6 for the leg of a subject, whose tokens come with the proxy's leg only. */
export const legAnswer = z.strictObject({
  v: version,
  /** b64u of the accepted leg's {@link legHash}: `prior` of the proxy's nonce. */
  leg: bytesText(32),
  evidence: evidenceReceipt,
})
export type LegAnswer = z.infer<typeof legAnswer>
