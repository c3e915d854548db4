import { type Clock, SECOND, timeText } from '#clock'
import { codeOf } from '#failure'
import type { Channel } from '#http'
import type { ChannelEvent, ChannelRequest } from '#messages'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { NonceBudget } from './nonce-budget.ts'
import { issueNonces } from './nonces.ts'
import type { Database, TerminalState } from './tables.ts'
import { type IdentifiedTerminal, identifyTerminal } from './terminals.ts'

const HEARTBEAT = 15 * SECOND
/** How soon a channel of this process learns of an act in another one. */
const POLL = SECOND

interface OpenChannel {
  readonly channel: Channel
  readonly terminal: string
  readonly thumbprint: string
  state: TerminalState
}

/** The open channels of this process, one per connected terminal. */
export interface Channels {
  readonly size: number
  /** Takes charge of a channel until it closes; tells the terminal its state first. */
  add(channel: Channel, terminal: IdentifiedTerminal, thumbprint: string): void
  /** Tells every terminal whose state changed; never rejects. Call it after an act, so that the terminal knows at once. */
  refresh(): Promise<void>
  close(): void
}

export function createChannels(database: Database, clock: Clock, report: (error: unknown) => void): Channels {
  const open = new Set<OpenChannel>()

  let last = Promise.resolve()
  /** One after the other: an older answer of the database must not be told after a newer one. */
  function refresh(): Promise<void> {
    last = last.then(tellStates).catch(report)
    return last
  }

  async function tellStates(): Promise<void> {
    if (open.size === 0) return
    const states = await readStates(
      database,
      [...open].map(({ terminal }) => terminal),
    )
    for (const one of open) {
      const known = states.get(one.terminal)
      if (known?.thumbprint !== one.thumbprint) {
        one.channel.close() // enrolled afresh under other keys, elsewhere
      } else if (known.state !== one.state) {
        one.state = known.state
        push(one.channel, { v: 1, type: 'state', state: known.state })
      }
    }
  }

  const stops = [
    clock.every(POLL, () => void refresh()),
    clock.every(HEARTBEAT, () => {
      for (const { channel } of open) push(channel, { v: 1, type: 'heartbeat', at: timeText(clock.now()) })
    }),
  ]

  return {
    get size() {
      return open.size
    },
    add(channel, { id, state }, thumbprint) {
      const one: OpenChannel = { channel, terminal: id, thumbprint, state }
      open.add(one)
      void channel.closed.then(() => open.delete(one))
      push(channel, { v: 1, type: 'state', state })
    },
    refresh,
    close() {
      for (const stop of stops) stop()
      for (const { channel } of open) channel.close()
    },
  }
}

/** Answers one request for nonces; a refusal is an answer too. A channel has one request in flight: they come in order. */
export async function answerRequest(
  provider: Provider,
  channel: Channel,
  { request, count }: ChannelRequest,
  { thumbprint, budget }: { readonly thumbprint: string; readonly budget: NonceBudget },
  report: (error: unknown) => void,
): Promise<void> {
  try {
    if (!budget.spend(thumbprint, count)) throw new ProviderError('too-many-requests')
    const terminal = await identifyTerminal(provider.database, thumbprint)
    const rows = await issueNonces(provider, terminal, request, count)
    push(channel, { v: 1, type: 'nonces', rows: [...rows] })
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) report(error)
    push(channel, { v: 1, type: 'refused', request, code: code ?? 'internal' })
  }
}

/** A channel that has just closed needs no event: the terminal asks for its state when it comes again. */
function push(channel: Channel, event: ChannelEvent): void {
  try {
    channel.send(event)
  } catch (error) {
    if (codeOf(error) !== 'channel-closed') throw error
  }
}

async function readStates(
  database: Database,
  terminals: readonly string[],
): Promise<ReadonlyMap<string, { readonly thumbprint: string; readonly state: TerminalState }>> {
  const rows = await database
    .selectFrom('terminal')
    .innerJoin('institution', 'institution.id', 'terminal.institution')
    .select(['terminal.id', 'thumbprint', 'terminal.state', 'institution.state as institution_state'])
    .where('terminal.id', 'in', [...terminals])
    .execute()
  return new Map(
    rows.map(({ id, thumbprint, state, institution_state }) => [
      id,
      { thumbprint, state: institution_state === 'suspended' ? 'suspended' : state },
    ]),
  )
}
