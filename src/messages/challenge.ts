import { z } from 'zod'
import { consentRecord } from './consent.ts'
import { bytesText, bytesTextUpTo } from './forms.ts'
import { version } from './identifiers.ts'

/** Message 4, terminal → provider, where the terminal's institution key is kept by the provider. */
export const challengeRequest = z.strictObject({
  v: version,
  nonce: bytesText(32),
  /** From the card's GET CHALLENGE; taken once, together with the consent. */
  r: bytesText(16),
  consentRecord,
})
export type ChallengeRequest = z.infer<typeof challengeRequest>

/** Its answer: the institution key's signature over A, which the provider composed itself. */
export const challengeAnswer = z.strictObject({ v: version, seSig: bytesTextUpTo(512) })
export type ChallengeAnswer = z.infer<typeof challengeAnswer>
