import { z } from 'zod'
import { bytesText, canonicalJson, sha256, timeString } from './forms.ts'
import { identifier, version } from './identifiers.ts'

/** 同意の記録 – what the holder was shown and did before anything about the card left the terminal. */
export const consentRecord = z.strictObject({
  v: version,
  /** `ok-button`: the holder pressed OK. `attended`: a member of staff recorded the holder's word. */
  kind: z.enum(['ok-button', 'attended']),
  /** Which text was shown; the provider knows every text it accepts. */
  textId: identifier,
  lang: z.enum(['ja', 'en']),
  /** Who will learn something, sorted and unique. */
  audiences: z
    .array(identifier)
    .min(1)
    .max(16)
    .refine((list) => list.every((name, i) => i === 0 || (list[i - 1] ?? '') < name), 'not sorted and unique'),
  purpose: identifier,
  at: timeString,
  /** The input event that expressed it. */
  input: z.enum(['touch', 'key', 'pointer', 'staff']),
  /** b64u of the subject's consent hash, in a proxy's record. */
  covers: bytesText(32).optional(),
  salt: bytesText(16),
})
export type ConsentRecord = z.infer<typeof consentRecord>

/** C = H(JCS(consent record)), 32 bytes. */
export function consentHash(record: ConsentRecord): Uint8Array {
  return sha256(canonicalJson(record))
}
