import { type Clock, parseTime, SECOND } from '#clock'
import type { Channel, HttpClient } from '#http'
import { type ChannelEvent, channelEvent, type NonceRow } from '#messages'
import { TerminalError } from './failures.ts'
import type { NonceSource, Offer } from './terminal.ts'

/** A nonce must still live this long when it is taken: a tap takes a few seconds. */
const REST_OF_LIFE = 15 * SECOND
/** How often the pool is slid forward, and how long a taker waits for a fresh one. */
const SLIDE = 20 * SECOND
const PATIENCE = 5 * SECOND
/** Between two attempts to open the channel. */
const REDIAL = SECOND

/** The open channel to the provider and the nonces that came over it; redials by itself. */
export interface NoncePool extends NonceSource {
  /** The provider's last word on the terminal: `undefined` while the channel is down. */
  state(): 'enrolled' | 'active' | 'suspended' | undefined
  close(): Promise<void>
}

/** Keeps one fresh nonce at hand for every offer, so that a tap need not wait for one. */
export function createNoncePool(client: HttpClient, offers: readonly Offer[], clock: Clock): NoncePool {
  const pools = new Map<string, NonceRow[]>()
  const refusals = new Map<string, string>()
  const stopping = new AbortController()
  let channel: Channel | undefined
  let standing: 'enrolled' | 'active' | 'suspended' | undefined
  let arrived = Promise.withResolvers<void>()

  const nameOf = ({
    client: name,
    purpose,
    mechanism,
    basis,
  }: Pick<Offer, 'client' | 'purpose' | 'mechanism' | 'basis'>) => [name, purpose, mechanism, basis].join(' ')

  function ask({ client: name, purpose, mechanism, basis }: Offer): void {
    const request = { client: name, purpose, mechanism, basis, role: 'holder' as const }
    channel?.send({ v: 1, type: 'nonces', request, count: 1 })
  }
  function askAll(): void {
    for (const offer of offers) ask(offer)
  }
  function notify(): void {
    arrived.resolve()
    arrived = Promise.withResolvers()
  }

  function receive(event: ChannelEvent): void {
    switch (event.type) {
      case 'nonces':
        for (const row of event.rows) {
          const name = nameOf(row)
          pools.set(name, [...(pools.get(name) ?? []).slice(-3), row])
          refusals.delete(name)
        }
        break
      case 'refused':
        refusals.set(nameOf(event.request), event.code)
        break
      case 'state':
        standing = event.state
        if (event.state === 'active') askAll()
        else pools.clear()
        break
      case 'heartbeat':
        break
    }
    notify()
  }

  async function keepOpen(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        channel = await client.openChannel('/v1/terminals/self/channel', channelEvent, receive)
        askAll()
        await channel.closed
      } catch {
        // unreachable: tried again below; whoever needs a nonce meanwhile is told so
      }
      channel = undefined
      standing = undefined
      await clock.sleep(REDIAL, stopping.signal).catch(() => undefined)
    }
  }
  const running = keepOpen()
  const stopSliding = clock.every(SLIDE, () => {
    if (channel && standing !== 'suspended') askAll()
  })

  /** The newest one that lives long enough; older ones are left to expire. */
  function newest(name: string): NonceRow | undefined {
    const row = pools.get(name)?.pop()
    pools.delete(name)
    return row && (parseTime(row.expiresAt) ?? 0) - clock.now() > REST_OF_LIFE ? row : undefined
  }

  return {
    state: () => standing,
    async take(offer) {
      const name = nameOf(offer)
      const ready = newest(name)
      if (ready) {
        if (channel) ask(offer)
        return ready
      }
      refusals.delete(name)
      const patience = new AbortController()
      const late = clock.sleep(PATIENCE, patience.signal).then(
        () => 'late' as const,
        () => 'late' as const,
      )
      try {
        let asked = false
        for (;;) {
          if (channel && !asked) {
            ask(offer)
            asked = true
          }
          if ((await Promise.race([arrived.promise, late])) === 'late') throw new TerminalError('nonce-unavailable')
          const row = newest(name)
          if (row) return row
          const code = refusals.get(name)
          if (code !== undefined) throw unavailable(code)
          if (standing === 'suspended') throw unavailable('terminal-suspended')
        }
      } finally {
        patience.abort()
      }
    },
    async close() {
      stopping.abort()
      stopSliding()
      channel?.close()
      await running
    },
  }
}

/** Why there is no nonce: what the provider said of the terminal itself, or the bare fact with the provider's code. */
function unavailable(code: string): TerminalError {
  return code === 'terminal-suspended' || code === 'terminal-not-active'
    ? new TerminalError(code)
    : new TerminalError('nonce-unavailable', { code })
}
