import type { Clock } from '#clock'
import type { HttpClient } from '#http'
import { type Answer, answer, type TerminalView, terminalView } from '#messages'

/** The provider as a tap sees it. */
export interface ProviderLink {
  /** Message 5 → message 6. @throws HttpError `problem` with the refusal, `unreachable`, `timed-out` … */
  prove(body: Uint8Array): Promise<Answer>
  /** Where the provider says that this terminal's chain of statements ends. */
  standing(): Promise<Pick<TerminalView, 'head'>>
}

/** Over mutual TLS. `observe` is told how long the provider took to answer a proof, milliseconds. */
export function linkProvider(client: HttpClient, clock: Clock, observe: (ms: number) => void): ProviderLink {
  return {
    async prove(body) {
      const began = clock.monotonic()
      const answered = await client.postJson('/v1/proofs', answer, body)
      observe(clock.monotonic() - began)
      return answered
    },
    standing: () => client.getJson('/v1/terminals/self', terminalView),
  }
}
