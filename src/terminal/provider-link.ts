import { z } from 'zod'
import type { HttpClient } from '#http'
import { type Answer, answer } from '#messages'

/** What a provider says of the terminal that asks. */
export const terminalStanding = z.object({
  terminal: z.string(),
  institution: z.string(),
  state: z.enum(['enrolled', 'active', 'suspended']),
  head: z.string(),
  counter: z.int(),
})
export type TerminalStanding = z.infer<typeof terminalStanding>

/** The provider as a tap sees it. */
export interface ProviderLink {
  /** Message 5 → message 6. @throws HttpError `problem` with the refusal, `unreachable`, `timed-out` … */
  prove(body: Uint8Array): Promise<Answer>
  standing(): Promise<TerminalStanding>
}

/** Over mutual TLS. */
export function linkProvider(client: HttpClient): ProviderLink {
  return {
    prove: (body) => client.postJson('/v1/proofs', answer, body),
    standing: () => client.getJson('/v1/terminals/self', terminalStanding),
  }
}
