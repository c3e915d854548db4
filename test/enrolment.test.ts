import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { encodeBase64url } from '#bytes'
import { systemClock, systemRandom } from '#clock'
import { createHttpClient } from '#http'
import { enrolTerminal, type TapResult } from '#terminal'
import { openHome } from '../src/bin/home.ts'
import { type RunningTownHandle, startTown } from '../src/bin/town.ts'
import { payVisit } from '../src/bin/visit.ts'

/* A terminal that is enrolled again under its own id: after a repair, a theft in doubt, a restored disk. */

const TERMINAL = 'sakura-desk-1'
const clock = systemClock
let directory: string
let town: RunningTownHandle
const start = () => startTown({ home: openHome(directory), clock, random: systemRandom, port: 0, say: () => undefined })
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kazasu-enrolment-'))
  town = await start()
})
afterAll(async () => {
  await town?.close()
  await rm(directory, { recursive: true, force: true })
})

const file = (...path: string[]): Promise<string> => readFile(join(directory, ...path), 'utf8')
const device = join('terminal', 'device.json')
const tap = (): Promise<TapResult> => payVisit(town, { card: 'hanako', mechanism: 'institution', lang: 'ja' }, clock)

async function asOperator(path: string, body: object): Promise<unknown> {
  const operator = createHttpClient({
    ...{ baseUrl: town.provider, bearer: (await file('provider', 'operator.key')).trim(), clock, timeoutMs: 10_000 },
    serverCertificate: await file('provider', 'tls-certificate.pem'),
  })
  try {
    return await operator.postJson(path, z.unknown(), { v: 1, ...body })
  } finally {
    await operator.close()
  }
}

async function newCode(): Promise<string> {
  const invitation = { terminal: TERMINAL, institution: 'clinic-sakura', attended: false }
  return z.looseObject({ code: z.string() }).parse(await asOperator('/v1/enrolment-codes', invitation)).code
}
async function enrol(code: string) {
  const providerCertificate = await file('provider', 'tls-certificate.pem')
  const wanted = { directory: join(directory, 'terminal'), code, providerUrl: town.provider, providerCertificate }
  return enrolTerminal(wanted, clock, systemRandom)
}
async function activateAndRestart(): Promise<void> {
  await asOperator(`/v1/terminals/${TERMINAL}/activation`, {})
  await town.close()
  town = await start()
}

describe('a terminal that is enrolled again', () => {
  test('begins a new chain of statements, and its taps count', async () => {
    for (const returning of [false, true]) expect(await tap()).toMatchObject({ result: 'recognised', returning })
    const code = await newCode()
    expect(await enrol(code)).toMatchObject({ terminal: { state: 'enrolled', counter: 0 }, openProof: 'none' })
    expect(JSON.parse(await file(device))).toMatchObject({ counter: 0, pending: null })
    await activateAndRestart()
    for (const counter of [1, 2]) {
      expect(await tap()).toMatchObject({ result: 'recognised', returning: true })
      expect(JSON.parse(await file(device))).toMatchObject({ counter, pending: null })
    }
    const before = await file(device)
    expect(await enrol(code)).toMatchObject({ terminal: { state: 'active', counter: 2 } })
    expect(await file(device)).toBe(before) // the same code again is the same enrolment: its chain goes on
    expect(await tap()).toMatchObject({ result: 'recognised' })
  })

  test('says that a proof was dropped which the provider could not be asked about any more', async () => {
    const state = JSON.parse(await file(device))
    const pending = { body: 'not base64url', statementHash: 'B'.repeat(43), counter: 9 }
    await writeFile(join(directory, device), JSON.stringify({ ...state, pending }))
    expect(await enrol(await newCode())).toMatchObject({ openProof: 'dropped' })
    await activateAndRestart()
    expect(await tap()).toMatchObject({ result: 'recognised' })
  })

  test('settles a proof first that the provider still answers', async () => {
    const state = JSON.parse(await file(device))
    const pending = { body: encodeBase64url(Buffer.from('{}')), counter: 9, statementHash: 'B'.repeat(43) }
    const { counter, head, v } = state
    await writeFile(join(directory, device), JSON.stringify({ counter, head, pending, v }))
    expect(await enrol(await newCode())).toMatchObject({ openProof: 'settled' })
    await activateAndRestart()
    expect(await tap()).toMatchObject({ result: 'recognised' })
  })
})
