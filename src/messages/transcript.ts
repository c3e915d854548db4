import { z } from 'zod'
import { bytesText, bytesTextUpTo } from './forms.ts'
import { version } from './identifiers.ts'

/** Largest CVC accepted, in bytes: an RSA-4096 key and signature with room to spare. */
const CVC_LIMIT = 2048

/** What the card was shown and what the institution key signed: chain of DV and terminal certificate, r, seSig. */
export const transcript = z.strictObject({
  v: version,
  /** b64u of 7F21…, DV first. */
  chain: z.tuple([bytesTextUpTo(CVC_LIMIT), bytesTextUpTo(CVC_LIMIT)]),
  r: bytesText(16),
  seSig: bytesTextUpTo(512),
})
export type Transcript = z.infer<typeof transcript>
