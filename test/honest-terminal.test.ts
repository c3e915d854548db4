import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeBase64url } from '#bytes'
import type { Personalisation } from '#card'
import { MINUTE, SECOND } from '#clock'
import { CodedError } from '#failure'
import { HttpError } from '#http'
import type { Answer } from '#messages'
import { StoreError } from '#store'
import type { Provider } from '../src/provider/context.ts'
import { receive } from '../src/provider/reception.ts'
import type { DeviceMemory } from '../src/terminal/device-memory.ts'
import { createOutbox, type Outbox } from '../src/terminal/outbox.ts'
import { type Departure, forgeTap } from './forged-tap.ts'
import { readTables } from './reception-tables.ts'
import { createTapRig, createTestLink, enrolTestTerminal, type TapRig, type TestTerminal } from './tap-rig.ts'

/** What can go wrong with one attempt to send a proof. */
const ACCIDENTS = [
  'none',
  'lost on the way there',
  'lost on the way back',
  'sent twice at once',
  'an old proof arrives late',
  'database away before the commit',
  'provider dies after the commit',
  'terminal dies before it sends',
  'terminal dies before it hears',
  'status unavailable',
  'a minute passes',
] as const
type Accident = (typeof ACCIDENTS)[number]

/** What the terminal asks: some of it is refused. */
const TAPS: Readonly<Record<string, Departure>> = {
  sound: {},
  'audience refused': { offer: { audiences: ['insurer-9'] } },
  'card signature refused': { cardSignature: (signature) => signature.map((byte) => byte ^ 1) },
  'clock refused': { device: (claims) => ({ ...claims, at: '2027-01-01T00:00:00.000Z' }) },
  'malformed, so never read': { proof: (proof) => ({ ...proof, cardSignature: '' }) },
}
const TAP_KINDS = Object.keys(TAPS)

/** The terminal's power goes: nothing after this line happened. */
class PowerCut extends Error {}

let rig: TapRig
let card: Personalisation
beforeAll(async () => {
  rig = await createTapRig()
  card = rig.card.personalisation
})
afterAll(() => rig.close())

/** A terminal whose link has the accidents in `plan`, one for each attempt; its memory may fail at the write counted here. */
function createAccidentalTerminal(clinic: TestTerminal, plan: Accident[], failingWrite: { left: number }) {
  const link = createTestLink(accidentalProvider(plan), clinic.thumbprint)
  const heard: Answer[] = []
  link.before = async (body) => {
    const accident = plan[0]
    if (accident === 'terminal dies before it sends') throw take(plan, new PowerCut())
    if (accident === 'lost on the way there') throw take(plan, new HttpError('unreachable'))
    if (accident === 'a minute passes') {
      plan.shift()
      await rig.clock.advance(61 * SECOND)
    }
    if (accident === 'an old proof arrives late' && link.sent[0]) {
      plan.shift()
      await receive(rig.provider, link.sent[0], clinic.thumbprint).catch(() => {})
    }
    if (accident === 'sent twice at once') {
      plan.shift()
      await Promise.allSettled([receive(rig.provider, body, clinic.thumbprint)])
    }
    if (accident === 'none') plan.shift()
    return body
  }
  link.after = async (answer) => {
    if (plan[0] === 'lost on the way back') throw take(plan, new HttpError('timed-out'))
    if (plan[0] === 'terminal dies before it hears') throw take(plan, new PowerCut())
    heard.push(answer)
    return answer
  }
  const memory: DeviceMemory = {
    read: () => clinic.memory.read(),
    async write(state) {
      if (failingWrite.left-- === 0) throw new PowerCut()
      await clinic.memory.write(state)
    },
  }
  const start = (): Outbox => createOutbox(memory, link, { ...rig.clock, sleep: async () => {} })
  return { start, heard, link }
}

function take(plan: Accident[], error: Error): Error {
  plan.shift()
  return error
}

function accidentalProvider(plan: Accident[]): Provider {
  const { keys } = rig.provider
  return {
    ...rig.provider,
    revocation: {
      async status() {
        if (plan[0] === 'database away before the commit') throw take(plan, new StoreError('store-unreachable'))
        if (plan[0] !== 'status unavailable') return { state: 'good', by: 'ocsp', producedAt: rig.clock.now() }
        plan.shift()
        return { state: 'unavailable' }
      },
    },
    keys: {
      ...keys,
      token: {
        ...keys.token,
        async sign(data) {
          if (plan[0] === 'provider dies after the commit') throw take(plan, new StoreError('store-unreachable'))
          return keys.token.sign(data)
        },
      },
    },
  }
}

let terminals = 0
const schedule = fc.array(
  fc.record({
    tap: fc.constantFrom('sound', 'sound', 'sound', ...TAP_KINDS),
    accidents: fc.array(fc.constantFrom(...ACCIDENTS), { maxLength: 7 }),
    failingWrite: fc.option(fc.nat(3), { nil: 99, freq: 4 }),
  }),
  { minLength: 1, maxLength: 5 },
)

type Schedule = typeof schedule extends fc.Arbitrary<infer Taps> ? Taps : never

/** Taps through every accident; what the terminal could not finish it finishes after its next start. */
async function live(clinic: TestTerminal, taps: Schedule): Promise<readonly Answer[]> {
  const heard: Answer[] = []
  for (const { tap, accidents, failingWrite } of taps) {
    const plan = [...accidents]
    const { start, ...ears } = createAccidentalTerminal(clinic, plan, { left: failingWrite })
    for (let starts = 0; starts < 2; starts++) {
      const outbox = start()
      try {
        await outbox.flush()
        if (starts === 0) {
          await outbox.submit((place) => forgeTap(rig.provider, clinic, card, { ...TAPS[tap], place }))
        }
      } catch (error) {
        if (!(error instanceof PowerCut || error instanceof CodedError)) throw error
      }
    }
    heard.push(...ears.heard)
    await rig.clock.advance(SECOND)
  }
  return heard
}

/** M15 (protocol.md section 8). */
test('no loss, delay, duplicate, refusal or crash ever suspends an honest terminal, or stops it', async () => {
  const tally = { schedules: 0, taps: 0, heard: 0 }
  const property = fc.asyncProperty(schedule, async (taps) => {
    await rig.clock.advance(MINUTE)
    const sequence = 100 + terminals++
    const clinic = await enrolTestTerminal(rig, rig.authority, rig.clock, {
      ...{ institution: 'clinic-sakura', id: `honest-${sequence}`, sequence },
    })
    const { id } = clinic.terminal
    const heard = await live(clinic, taps)
    expect((await readTables(rig.database, id)).chain.state).toBe('active')
    await clinic.terminal.outbox.flush()
    const last = await clinic.terminal.outbox.submit((place) => forgeTap(rig.provider, clinic, card, { place }))
    expect(last.accepted).toBe(true)
    const { chain } = await readTables(rig.database, id)
    expect(chain).toMatchObject({ state: 'active', head: clinic.memory.state.head })
    expect(clinic.memory.state.pending).toBeNull()
    for (const { evidence } of heard) {
      const row = rig.database.selectFrom('log_leaf').select('leaf').where('index', '=', evidence.index)
      expect([...((await row.executeTakeFirst())?.leaf ?? [])]).toEqual([...decodeBase64url(evidence.leaf)])
    }
    tally.schedules++
    tally.taps += taps.length
    tally.heard += heard.length
  })
  await fc.assert(property, { numRuns: process.env.KAZASU_LONG === '1' ? 1000 : 60, endOnFailure: true })
  console.info(`${tally.schedules} schedules, ${tally.taps} taps, ${tally.heard} answers heard, 0 suspended`)
})
