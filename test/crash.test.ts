import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeBase64url } from '#bytes'
import type { Personalisation } from '#card'
import { systemClock } from '#clock'
import { verifyCheckpoint, verifyInclusion } from '#evidence'
import { CodedError } from '#failure'
import { HttpError } from '#http'
import { type Answer, parseMessage, answer as schema } from '#messages'
import type { Provider } from '../src/provider/context.ts'
import { evidenceReceipt, logOrigin } from '../src/provider/log.ts'
import { identifyTerminal } from '../src/provider/terminals.ts'
import { createOutbox, type Outbox } from '../src/terminal/outbox.ts'
import type { ProviderLink } from '../src/terminal/provider-link.ts'
import { forgeTap } from './forged-tap.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'
import { clockOf, handOver } from './provider-handover.ts'
import { readTables } from './reception-tables.ts'
import {
  asProblem,
  createProviderKeys,
  createTestAuthority,
  createTestCard,
  enrolTestTerminal,
  openTestProvider,
  type TestTerminal,
} from './tap-rig.ts'

const KILLS = process.env.KAZASU_LONG === '1' ? 50 : 20
const TERMINALS = 4
const epoch = systemClock.now()
const clock = clockOf(epoch)

let postgresql: PostgresqlRig
let parts: Awaited<ReturnType<typeof openTestProvider>>
let clinics: TestTerminal[]
let cards: Personalisation[]
let handover: string
let child: ChildProcess | undefined
let port: number | undefined

beforeAll(async () => {
  if (!hasPostgresql) return
  postgresql = await startPostgresql()
  const authority = await createTestAuthority()
  const material = await createProviderKeys(authority)
  parts = await openTestProvider(authority, { kind: 'postgresql', url: postgresql.url }, clock, material)
  handover = join(mkdtempSync(join(tmpdir(), 'kazasu-crash-')), 'provider.json')
  const shared = await handOver(authority, material, postgresql.url, epoch)
  writeFileSync(handover, JSON.stringify(shared), { mode: 0o600 })
  clinics = []
  for (let i = 1; i <= TERMINALS; i++) {
    const options = { institution: i % 2 ? 'clinic-sakura' : 'clinic-ume', id: `t${i}`, sequence: i }
    clinics.push(await enrolTestTerminal(parts, authority, clock, options))
  }
  cards = await Promise.all([1, 2].map(async () => (await createTestCard(authority)).personalisation))
}, 60_000)
afterAll(async () => {
  if (!hasPostgresql) return
  child?.kill('SIGKILL')
  await parts.store.close()
  await postgresql.stop()
  rmSync(join(handover, '..'), { recursive: true, force: true })
})

async function startProvider(): Promise<void> {
  const script = fileURLToPath(new URL('run-provider.ts', import.meta.url))
  const started = spawn(process.execPath, [script, handover], { stdio: ['pipe', 'pipe', 'inherit'] })
  child = started
  const said = createInterface({ input: started.stdout })
  const [line] = (await Promise.race([once(said, 'line'), once(started, 'exit')])) as [string]
  port = Number(line)
}

async function killProvider(): Promise<void> {
  if (!child) return
  port = undefined
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** To whatever process answers now. */
const linkTo = (provider: Provider, thumbprint: string): ProviderLink => ({
  async prove(body) {
    let text: string
    let status: number
    try {
      const headers = { 'x-thumbprint': thumbprint }
      if (port === undefined) throw new Error('no process')
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: Buffer.from(body) })
      status = response.status
      text = await response.text()
    } catch (cause) {
      throw new HttpError('unreachable', {}, { cause })
    }
    if (status !== 200) throw asProblem((JSON.parse(text) as { code: string }).code)
    return parseMessage(schema, JSON.parse(text))
  },
  async standing() {
    const { id, institution, state, head, counter } = await identifyTerminal(provider.database, thumbprint)
    return { terminal: id, institution, state, head, counter }
  },
})

interface Life {
  readonly answers: Answer[]
  readonly refusals: string[]
  unfinished: number
}

/** Tap after tap; what a crash interrupts is finished first, from the outbox alone, as after a restart of the terminal. */
async function live(clinic: TestTerminal, ending: { readonly now: boolean }): Promise<Life> {
  const life: Life = { answers: [], refusals: [], unfinished: 0 }
  const link = linkTo(parts.provider, clinic.thumbprint)
  const patient = { ...clock, sleep: () => clock.sleep(20) }
  let outbox: Outbox = createOutbox(clinic.memory, link, patient)
  for (let tap = 0; !ending.now || clinic.memory.state.pending; tap++) {
    const card = cards[tap % cards.length] as Personalisation
    try {
      const open = clinic.memory.state.pending !== null
      const delivered = open
        ? await outbox.flush()
        : await outbox.submit((place) => forgeTap(parts.provider, clinic, card, { place }))
      if (delivered?.accepted) life.answers.push(delivered.answer)
      else if (delivered) life.refusals.push(delivered.problem.code)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      life.unfinished++
      await clock.sleep(50)
      outbox = createOutbox(clinic.memory, link, patient)
    }
  }
  return life
}

describe.skipIf(!hasPostgresql)(`a provider that is killed ${KILLS} times while ${TERMINALS} terminals tap`, () => {
  test('loses no accepted tap, accepts none twice, suspends nobody, and every terminal goes on', async () => {
    const ending = { now: false }
    await startProvider()
    const lives = clinics.map((clinic) => live(clinic, ending))
    let unanswered = 0
    for (let kill = 0; kill < KILLS; kill++) {
      await clock.sleep(100 + Math.random() * 500)
      await killProvider()
      unanswered += await countUnanswered()
      await startProvider()
    }
    await clock.sleep(500)
    ending.now = true
    const told = await Promise.all(lives)
    const answers = told.flatMap((life) => life.answers)
    const refusals = told.flatMap((life) => life.refusals)
    const interrupted = told.reduce((sum, life) => sum + life.unfinished, 0)
    console.info(
      `${KILLS} kills: ${answers.length} taps accepted, ${refusals.length} refused [${[...new Set(refusals)]}], ` +
        `${interrupted} interruptions, ${unanswered} times committed and not yet answered`,
    )
    expect(answers.length).toBeGreaterThan(KILLS)
    for (const life of told) expect(life.answers.length).toBeGreaterThan(0)
    await expectWholeLog(answers)
    for (const clinic of clinics) {
      const { chain } = await readTables(parts.database, clinic.terminal.id)
      expect(chain).toMatchObject({ state: 'active', head: clinic.memory.state.head })
      expect(clinic.memory.state.pending).toBeNull()
    }
    const perClinic = answers.map(({ institutionToken }) => {
      const { aud, sub } = JSON.parse(Buffer.from(institutionToken.split('.')[1] ?? '', 'base64url').toString())
      return `${aud} ${sub}`
    })
    expect(new Set(perClinic).size).toBe(2 * cards.length)
  }, 900_000)
})

const countUnanswered = async (): Promise<number> =>
  (
    await parts.database
      .selectFrom('seen')
      .select('statement_hash')
      .where('verdict', '=', 'accepted')
      .where('answered_at', 'is', null)
      .execute()
  ).length

/** Every answer's leaf is in the final log; the log's accepted taps, the spent nonces and the answers are the same. */
async function expectWholeLog(answers: readonly Answer[]): Promise<void> {
  const { provider, database, openRecord } = parts
  const trusted = { origin: logOrigin(provider.id), publicKey: provider.keys.log.publicKey }
  const { size } = await database.selectFrom('log_head').select('size').executeTakeFirstOrThrow()
  for (const { evidence } of answers) {
    const now = await evidenceReceipt(provider, evidence.index, size)
    for (const { checkpoint, inclusion } of [evidence, now]) {
      const head = verifyCheckpoint(checkpoint, trusted)
      const leaf = decodeBase64url(evidence.leaf)
      verifyInclusion({ index: evidence.index, leaf, proof: inclusion.map(decodeBase64url) }, head)
    }
  }
  expect(new Set(answers.map(({ evidence }) => evidence.index)).size).toBe(answers.length)
  const leaves = await database.selectFrom('log_leaf').selectAll().orderBy('index').execute()
  expect(leaves.map(({ index }) => Number(index))).toEqual(leaves.map((_, i) => i))
  const records = (await Promise.all(leaves.map((leaf) => openRecord(leaf)))) as {
    verdict: string
    proof: { nonce: string }
  }[]
  const accepted = records.filter(({ verdict }) => verdict === 'accepted').map(({ proof }) => proof.nonce)
  const spent = await database.selectFrom('nonce').select('nonce').where('state', '=', 'accepted').execute()
  expect(new Set(accepted).size).toBe(accepted.length)
  expect(accepted.toSorted()).toEqual(spent.map(({ nonce }) => nonce).sort())
  expect(await countUnanswered()).toBe(0)
  expect(answers.length).toBe(accepted.length)
  const tables = await readTables(database, 't1')
  expect(tables).toMatchObject({
    legs: accepted.length,
    taps: accepted.length,
    persons: 2,
    links: 2,
    size: leaves.length,
  })
}
