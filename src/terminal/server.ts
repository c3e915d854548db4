import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { Histogram } from 'prom-client'
import { z } from 'zod'
import type { CardReader } from '#apdu'
import { encodeBase64url } from '#bytes'
import { type Clock, type Random, SECOND } from '#clock'
import { readFileIfPresent, replaceFile } from '#files'
import { createHttpServer, type HttpClient, type HttpServerOptions, httpFailures } from '#http'
import { importSealingKey, type TerminalView, terminalView } from '#messages'
import { createFileMemory } from './device-memory.ts'
import { connectProvider, loadTerminalKeys } from './enrolment.ts'
import { TerminalError, terminalFailures, terminalStatuses } from './failures.ts'
import { createFront, type Front } from './front.ts'
import { serveLocally } from './local-interface.ts'
import { createNoncePool } from './nonce-pool.ts'
import { createOutbox } from './outbox.ts'
import { linkProvider } from './provider-link.ts'
import type { ProviderVerificationKeys } from './receipt.ts'
import { keepChainRenewed } from './renewal.ts'
import type { Offer, Terminal } from './terminal.ts'

export interface TerminalOptions {
  /** The terminal's folder: keys, provider, device state, local key. */
  readonly directory: string
  readonly reader: CardReader
  readonly clock: Clock
  readonly random: Random
  readonly log: HttpServerOptions['log']
  readonly http: { readonly port: number; readonly origins?: readonly string[] }
}

/** A terminal at work. */
export interface RunningTerminal {
  readonly url: string
  /** For the local interface; also in the file `local-key`. */
  readonly localKey: string
  readonly front: Front
  close(): Promise<void>
}

const publicJwk = z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string() })
const keySet = z.object({ keys: z.array(publicJwk.extend({ 'kazasu:use': z.string().optional() })) })

/** How long a card is waited for. */
const CARD_PATIENCE = 60 * SECOND

/**
 * Starts an enrolled terminal: provider connection, nonce pool, local interface.
 * @throws TerminalError `not-enrolled`, `key-set-malformed`; HttpError if the provider cannot be reached at the start
 */
export async function startTerminal(options: TerminalOptions): Promise<RunningTerminal> {
  const { directory, reader, clock, random, log } = options
  const keys = await loadTerminalKeys(directory, clock, random)
  const client = await connectProvider(directory, keys, clock)
  const roundTrips = new Histogram({
    ...{ name: 'kazasu_proof_round_trip_seconds', help: 'Time from proof to answer, as seen here.', registers: [] },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  })
  const link = linkProvider(client, clock, (ms) => roundTrips.observe(ms / SECOND))
  const view = await client.getJson('/v1/terminals/self', terminalView)
  const chain = await keepChainRenewed({ client, keys, clock, log })
  const published = await fetchKeys(client, view.provider)
  const offers = offersOf(view)
  const nonces = createNoncePool(client, offers, clock)
  const terminal: Terminal = {
    provider: view.provider,
    institution: view.institution,
    id: view.terminal,
    get chain() {
      return chain.current()
    },
    institutionKey: keys.institution,
    deviceKey: keys.device,
    sealingKey: published.sealing,
    reader,
    nonces,
    outbox: createOutbox(createFileMemory(join(directory, 'device.json')), link, clock),
    clock,
    random,
    cardPatience: CARD_PATIENCE,
  }
  const front = createFront(terminal, offers, published.verification)
  const localKey = await obtainLocalKey(directory, random)
  const server = await createHttpServer({
    name: 'Kazasu terminal',
    version: '1',
    description: 'Local interface of a terminal: taps, for screens and software on this machine.',
    clock,
    random,
    log,
    port: options.http.port,
    origins: options.http.origins ?? [],
    statuses: terminalStatuses,
    catalogues: [terminalFailures, httpFailures],
    readiness: {
      provider: async () => nonces.state() === 'active' || Promise.reject(new TerminalError('nonce-unavailable')),
    },
  })
  server.metrics.registerMetric(roundTrips)
  const { provider, institution, id } = terminal
  const shown = offers.map(({ client: _, ...rest }) => ({ ...rest, audiences: [...rest.audiences] }))
  await serveLocally(server.app, {
    front,
    clock,
    key: localKey,
    attended: view.attended,
    describe: () => ({
      terminal: id,
      institution,
      provider,
      state: nonces.state() ?? 'offline',
      reader: reader.name,
      offers: shown,
    }),
  })
  const url = await server.listen()
  return {
    url,
    localKey,
    front,
    async close() {
      chain.stop()
      await front.close()
      await server.close()
      await nonces.close()
      await client.close()
    },
  }
}

/** One offer for each thing that the policy table allows and a client of the institution may ask for. */
function offersOf({ clients, offers }: TerminalView): readonly Offer[] {
  return clients.flatMap(({ id, audiences }) =>
    offers.flatMap(({ purpose, mechanism, basis, texts }) => {
      const [text] = texts
      return text
        ? [{ client: id, purpose, mechanism, basis, audiences: [...audiences].sort(), textId: text.textId }]
        : []
    }),
  )
}

async function fetchKeys(client: HttpClient, provider: string) {
  const { keys } = await client.getJson('/.well-known/jwks.json', keySet)
  const find = (use: string) => {
    const key = keys.find((one) => one['kazasu:use'] === use)
    if (!key) throw new TerminalError('key-set-malformed', { use })
    return { kty: key.kty, crv: key.crv, x: key.x, y: key.y }
  }
  const spki = (use: string) =>
    Uint8Array.from(createPublicKey({ key: find(use), format: 'jwk' }).export({ format: 'der', type: 'spki' }))
  const verification: ProviderVerificationKeys = {
    token: spki('token'),
    log: spki('log'),
    logOrigin: `kazasu-log/${provider}`,
  }
  return { sealing: await importSealingKey(find('certificate')), verification }
}

/** The key of the local interface: made once, in a file that only this user can read. */
async function obtainLocalKey(directory: string, random: Random): Promise<string> {
  const path = join(directory, 'local-key')
  const kept = await readFileIfPresent(path)
  if (kept) return Buffer.from(kept).toString().trim()
  const key = encodeBase64url(random.bytes(32))
  await replaceFile(path, Buffer.from(key))
  return key
}
