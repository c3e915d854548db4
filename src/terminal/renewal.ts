import { decodeBase64url, encodeBase64url } from '#bytes'
import { type Clock, DAY, japanDate } from '#clock'
import { certificateThumbprint, describeError, type HttpClient, type HttpServerOptions } from '#http'
import { signEnrolment, type TerminalView, terminalView } from '#messages'
import { decodeCvc, isPastHalf, issueCvcRequest } from '#pki'
import type { TerminalKeys } from './enrolment.ts'
import { TerminalError } from './failures.ts'
import type { Terminal } from './terminal.ts'

type Chain = Terminal['chain']

/** What a terminal shows cards, kept in force as long as the terminal runs. */
export interface RenewedChain {
  /** The newest one; a tap takes it once. */
  current(): Chain
  stop(): void
}

export interface RenewalOptions {
  readonly client: HttpClient
  readonly keys: TerminalKeys
  readonly clock: Clock
  readonly log: HttpServerOptions['log']
}

/**
 * 端末証明書の更新 – now and daily: takes over the chain that the provider has for this terminal, and asks for a new
 * certificate for the same institution key once half of the old one's life is over. A renewal that fails is tried again
 * the next day; what is in force stays so.
 * @throws TerminalError `not-enrolled` if the provider has no chain for it and gives none; HttpError if it cannot be asked
 */
export async function keepChainRenewed({ client, keys, clock, log }: RenewalOptions): Promise<RenewedChain> {
  const fail = (error: unknown): void => log.error({ failure: describeError(error) }, 'certificate was not renewed')
  const ask = () => client.getJson('/v1/terminals/self', terminalView)
  let chain = chainOf(await ask())

  async function renew(): Promise<void> {
    if (chain && !isPastHalf(decodeCvc(chain[1]), japanDate(clock.now()))) return
    const certificateRequest = encodeBase64url(await issueCvcRequest('JPTERMINAL00001', keys.institution))
    const tlsThumbprint = certificateThumbprint(keys.tls.certificate)
    const statement = await signEnrolment({ code: null, tlsThumbprint, certificateRequest }, keys.device)
    const request = { v: 1, certificateRequest, statement }
    chain = chainOf(await client.postJson('/v1/terminals/self/certificates', terminalView, request))
  }

  function current(): Chain {
    if (!chain) throw new TerminalError('not-enrolled')
    return chain
  }

  await renew().catch(fail)
  current()
  const stop = clock.every(DAY, () => {
    const renewed = ask().then((view) => {
      chain = chainOf(view) ?? chain // the provider's own certificate may be newer
      return renew()
    })
    renewed.catch(fail)
  })
  return { current, stop }
}

/** The chain in force; none while the terminal's certificate is expired or withdrawn. */
function chainOf({ chain }: TerminalView): Chain | undefined {
  return chain ? [decodeBase64url(chain[0]), decodeBase64url(chain[1])] : undefined
}
