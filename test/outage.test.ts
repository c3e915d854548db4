import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { decodeBase64url } from '#bytes'
import { createFileCardState, createVirtualCard, decodePersonalisation } from '#card'
import { type Clock, systemRandom as random, SECOND, systemClock } from '#clock'
import { createHttpClient, createLog } from '#http'
import { decodeCertificate } from '#pki'
import { createInProcessReader } from '#reader'
import { enrolTerminal, type RunningTerminal, startTerminal, type TapResult } from '#terminal'
import { CLINIC } from '../src/bin/founding.ts'
import { openHome } from '../src/bin/home.ts'
import { type RunningTownHandle, startTown } from '../src/bin/town.ts'
import { createFileMemory } from '../src/terminal/device-memory.ts'
import { bytesCanary, digitsCanary, search, serialCanary } from './canaries.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'

/*
 * A town on PostgreSQL, and a second terminal that reaches the provider through a wire of ours. The database is killed,
 * the wire cut, answers lost, at chosen steps of a tap: each is told with a remedy, nothing is half done, the next tap works.
 */

const TERMINAL = 'sakura-desk-2'
const directory = mkdtempSync(join(tmpdir(), 'kazasu-outage-'))
const home = openHome(join(directory, 'home'))
const reader = createInProcessReader('desk')
const memory = createFileMemory(join(directory, 'terminal', 'device.json'))

const lines: string[] = []

/** The terminal's clock may be ahead: then the nonces at hand look as old as if nobody had renewed them. */
let ahead = 0
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + ahead,
  sleep: (milliseconds, signal) =>
    systemClock.sleep(milliseconds > 5 * SECOND ? milliseconds : milliseconds / 5, signal),
}

type Wire = 'whole' | 'cut' | 'losing answers'
let wire: Wire = 'whole'
const sockets = new Set<Socket>()
function setWire(state: Wire): void {
  wire = state
  if (state === 'cut') for (const socket of sockets) socket.destroy()
}

/** Passes bytes on to `target` as the state of the wire allows. */
async function startWire(target: number) {
  const server = createServer((near) => {
    if (wire === 'cut') return near.destroy()
    const far = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    let handshaken = 0
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => {
      handshaken += bytes.length
      // The first few thousand bytes are the server's handshake: an answer comes after it.
      if (wire === 'losing answers' && handshaken > 4096) near.destroy()
      else near.write(bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

const skip = !hasPostgresql
if (skip) process.stderr.write('SKIPPED: suite "outage" – missing: postgresql (npm test as root)\n')
if (skip && process.env.CI === 'true') throw new Error('CI has PostgreSQL')

describe.skipIf(skip)('an outage', () => {
  let postgresql: PostgresqlRig
  let town: RunningTownHandle
  let terminal: RunningTerminal
  let line: Awaited<ReturnType<typeof startWire>>

  beforeAll(async () => {
    postgresql = await startPostgresql()
    const say = () => {}
    town = await startTown({ home, clock: systemClock, random, port: 0, say, databaseUrl: postgresql.url })
    line = await startWire(Number(new URL(town.provider).port))
    await enrol()
    terminal = await startTerminal({
      ...{ directory: join(directory, 'terminal'), reader, clock, random, http: { port: 0 } },
      log: createLog({
        name: 'terminal',
        clock,
        level: 'debug',
        destination: { write: (written) => lines.push(written) },
      }),
    })
    reader.insert(await cardOf('hanako'))
    expect((await visit()).result).toBe('recognised')
  }, 240_000)
  afterAll(async () => {
    await terminal?.close()
    line?.close()
    await town?.close()
    await postgresql?.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  beforeEach(async () => {
    await expect.poll(() => readiness(), { timeout: 20_000 }).toBe(200)
  })

  const readiness = () =>
    fetch(`${terminal.url}/readyz`).then(
      ({ status }) => status,
      () => 0,
    )

  async function enrol(): Promise<void> {
    const providerCertificate = readFileSync(home.path('provider', 'tls-certificate.pem'), 'utf8')
    const operator = createHttpClient({
      ...{ baseUrl: town.provider, serverCertificate: providerCertificate, clock, timeoutMs: 10_000 },
      bearer: readFileSync(home.path('provider', 'operator.key'), 'utf8').trim(),
    })
    const order = { v: 1, terminal: TERMINAL, institution: CLINIC.id, attended: false, minutes: 15 }
    const { code } = await operator.postJson('/v1/enrolment-codes', z.looseObject({ code: z.string() }), order)
    const providerUrl = `https://127.0.0.1:${line.port}`
    await enrolTerminal(
      { directory: join(directory, 'terminal'), code, providerUrl, providerCertificate },
      clock,
      random,
    )
    await operator.postJson(`/v1/terminals/${TERMINAL}/activation`, z.unknown(), { v: 1 })
    await operator.close()
  }

  async function cardOf(name: string) {
    const personalisation = decodePersonalisation(await readFile(home.path('cards', `${name}.json`), 'utf8'))
    return createVirtualCard({
      personalisation,
      state: createFileCardState(home.path('cards', `${name}.state.json`)),
      random,
    })
  }

  /** One tap; `during` runs as soon as a step is done. Gives also what came late of an earlier tap. */
  function visit(mechanism: 'institution' | 'pin' = 'institution', during: (step: string) => void = () => {}) {
    const { front } = terminal
    const late: TapResult[] = []
    return new Promise<TapResult & { late: readonly TapResult[] }>((resolve) => {
      let own: string | undefined
      const stop = front.watch((view) => {
        if (view.stage === 'ended' && view.id !== own) late.push(view.outcome)
        if (view.id !== own) return
        if (view.stage === 'consent') front.consent(view.id, { kind: 'ok-button', lang: 'ja', input: 'touch' })
        if (view.stage === 'pin') front.pin(view.id, new TextEncoder().encode('1234'))
        if (view.stage === 'working') during(view.steps.at(-1)?.name ?? '')
        if (view.stage !== 'ended') return
        stop()
        resolve({ ...view.outcome, late })
      })
      own = front.begin({ purpose: 'eligibility', mechanism }).id
    })
  }

  /** What the provider's tables and the terminal's memory say of this terminal. */
  async function standing() {
    const client = new pg.Client({ connectionString: postgresql.url })
    await client.connect()
    try {
      const { rows } = await client.query(
        `select head, counter::int, state, (select count(*)::int from provider.leg where terminal = id) as legs,
           (select size::int from provider.log_head) as leaves
         from provider.terminal where id = $1`,
        [TERMINAL],
      )
      const { head, counter, pending } = await memory.read()
      return { provider: rows[0], device: { head, counter }, pending: pending !== null }
    } finally {
      await client.end()
    }
  }

  /** The tap failed with one of `codes`, told in both languages. */
  function expectTold(outcome: TapResult, ...codes: readonly string[]): void {
    if (outcome.result !== 'failed') throw new Error(`${outcome.result} instead of a failure`)
    const { code, cause, remedy } = outcome.problem
    expect(codes).toContain(code)
    expect([cause.ja, remedy.ja].join()).toMatch(/[ぁ-ん]/)
    for (const text of [cause.en, remedy.en]) expect(text).toMatch(/^[A-Z].+\.$/)
  }

  /** After the outage: the next tap works, every proof counts once, terminal and provider agree. */
  async function expectMended(before: Awaited<ReturnType<typeof standing>>, late: number): Promise<void> {
    const outcome = await visit()
    expect(outcome.result).toBe('recognised')
    expect(outcome.late.map(({ result }) => result)).toEqual(Array(late).fill('recognised'))
    const after = await standing()
    expect(after.pending).toBe(false)
    const { head, counter } = after.provider
    expect({ head, counter }).toEqual(after.device)
    expect(after.provider).toMatchObject({
      ...{ state: 'active', legs: before.provider.legs + late + 1, leaves: before.provider.leaves + late + 1 },
      counter: before.provider.counter + late + 1,
    })
  }

  const down = ['store-unreachable', 'provider-unreachable', 'proof-pending']

  test('of the wire before a nonce was had: nothing leaves the terminal', async () => {
    const before = await standing()
    ahead = 50 * SECOND
    setWire('cut')
    const outcome = await visit()
    setWire('whole')
    ahead = 0
    expectTold(outcome, 'nonce-unavailable')
    expect(await standing()).toEqual(before)
    await expectMended(before, 0)
  })

  test.each(['institution', 'pin'] as const)(
    'of the wire before the proof (%s): it is kept, and counts when it is back',
    async (mechanism) => {
      const before = await standing()
      const outcome = await visit(mechanism, (step) => step === 'power-off' && setWire('cut'))
      expectTold(outcome, 'provider-unreachable')
      expectTold(await visit(mechanism), 'provider-unreachable')
      setWire('whole')
      expect(await standing()).toEqual({ ...before, pending: true })
      await expectMended(before, 1)
    },
  )

  test('of the wire after the proof, its answer lost: the tap counts once', async () => {
    const before = await standing()
    const outcome = await visit('institution', (step) => step === 'power-off' && setWire('losing answers'))
    setWire('whole')
    expectTold(outcome, 'provider-unreachable')
    const between = await standing()
    expect(between.provider).toMatchObject({ legs: before.provider.legs + 1, leaves: before.provider.leaves + 1 })
    expect(between).toMatchObject({ device: before.device, pending: true })
    await expectMended(before, 1)
  })

  test('of the wire for a moment is not noticed', async () => {
    const before = await standing()
    const outcome = await visit('institution', (step) => {
      if (step !== 'power-off') return
      setWire('cut')
      void systemClock.sleep(100).then(() => setWire('whole'))
    })
    expect(outcome.result).toBe('recognised')
    const after = await standing()
    expect(after.provider).toMatchObject({ legs: before.provider.legs + 1, leaves: before.provider.leaves + 1 })
    await expectMended(after, 0)
  })

  test.each(['institution', 'pin'] as const)(
    'of the database before the proof (%s): told, kept, and counted once it is back',
    async (mechanism) => {
      const before = await standing()
      let killed: Promise<void> | undefined
      const outcome = await visit(mechanism, (step) => {
        if (step === 'power-off') killed = postgresql.kill9()
      })
      await killed
      const again = await visit(mechanism)
      console.info(
        'database killed:',
        [outcome, again].map((one) => ('problem' in one ? one.problem.code : one.result)),
      )
      for (const one of [outcome, again]) expectTold(one, ...down)
      await postgresql.start()
      const between = await standing()
      expect(between).toMatchObject({ provider: before.provider, device: before.device })
      expect(between.pending).toBe(true)
      await expectMended(before, 1)
    },
  )

  test('of the database before a nonce was had: nothing is done', async () => {
    const before = await standing()
    await postgresql.kill9()
    ahead = 50 * SECOND
    const outcome = await visit()
    ahead = 0
    await postgresql.start()
    expectTold(outcome, 'nonce-unavailable')
    expect(await standing()).toEqual(before)
    await expectMended(before, 0)
  })

  test('leaves nothing of the card in any log, though errors were logged', async () => {
    const { certificate } = decodePersonalisation(
      readFileSync(home.path('cards', 'hanako.json'), 'utf8'),
    ).userAuthentication
    const { raw, serial, publicKey } = decodeCertificate(decodeBase64url(certificate))
    const canaries = [
      serialCanary('hanako', 'serial', serial),
      bytesCanary('hanako', 'certificate', raw.slice(-32)),
      bytesCanary('hanako', 'public key', publicKey.slice(40, 72)),
      digitsCanary('hanako', 'PIN', '1234'),
    ]
    const logs = readdirSync(home.path('logs')).map((name) => ({
      place: name,
      bytes: readFileSync(home.path('logs', name)),
    }))
    logs.push({ place: 'terminal', bytes: Buffer.from(lines.join('')) })
    expect(Buffer.concat(logs.map(({ bytes }) => bytes)).toString()).toContain('store-unreachable')
    expect(search(logs, canaries)).toEqual([])
  })
})
