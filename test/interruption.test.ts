import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CardDevice } from '#apdu'
import { decodeHex, encodeHex } from '#bytes'
import { createMemoryCardState, createVirtualCard, getChallenge, initialCardState, signAuthorised } from '#card'
import { HOUR, MINUTE, SECOND, systemRandom } from '#clock'
import { HttpError } from '#http'
import { createInProcessReader } from '#reader'
import { explain } from '../src/terminal/front.ts'
import type { Delivered } from '../src/terminal/outbox.ts'
import type { TapOutcome } from '../src/terminal/outcome.ts'
import { askConsent, meetCard, type Sequence, selectApplication, takeNonce } from '../src/terminal/steps.ts'
import { tap } from '../src/terminal/tap.ts'
import type { Desk, Terminal } from '../src/terminal/terminal.ts'
import { readTables } from './reception-tables.ts'
import { createTapRig, createTestCard, powerCard, type TapRig, willingHolder } from './tap-rig.ts'

/*
 * Whatever happens between card, terminal, provider and database: whoever stands there is told what it was and what to
 * do, in both languages; nothing is half done; and the next tap works.
 */

const MECHANISMS = ['institution', 'pin'] as const
type Mechanism = (typeof MECHANISMS)[number]

let rig: TapRig
beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(() => rig.close())
beforeEach(async () => {
  await rig.clinic.reader.remove()
  await rig.clock.advance(HOUR + MINUTE) // quotas are per hour
})

const tables = () => readTables(rig.database, 't1')

/** A holder whose typed digits can be looked at afterwards. */
function holder(): Desk & { readonly typed: Uint8Array[]; readonly late: Delivered[] } {
  const typed: Uint8Array[] = []
  const late: Delivered[] = []
  return {
    ...willingHolder(),
    ...{ typed, late },
    async askPin() {
      typed.push(new TextEncoder().encode('1234'))
      return typed.at(-1)
    },
    async reportLate(delivered) {
      late.push(delivered)
    },
  }
}

/** What whoever stands there is told: code, with cause and remedy in both languages. */
async function failureOf(tapping: Promise<unknown>): Promise<string> {
  const error = await tapping.then(
    (outcome) => new Error(`no failure: ${JSON.stringify(outcome)}`),
    (reason: unknown) => reason,
  )
  const { code, cause, remedy } = explain(error)
  if (code === 'internal') throw error
  expect([cause.ja, remedy.ja].join()).toMatch(/[ぁ-ん].*[ぁ-ん]/s)
  for (const text of [cause.en, remedy.en]) expect(text).toMatch(/^[A-Z][ -~’–]{10,}\.$/)
  return code
}

const run = (
  mechanism: Mechanism,
  desk: Desk = holder(),
  terminal: Terminal = rig.clinic.terminal,
  sequence?: Sequence,
) => tap(terminal, desk, rig.clinic.offer(mechanism), sequence)

/** The next tap, with whatever lies on the reader, goes through. */
async function expectNextTap(mechanism: Mechanism, terminal?: Terminal): Promise<TapOutcome> {
  const outcome = await run(mechanism, holder(), terminal)
  expect(outcome.result).toBe('recognised')
  return outcome
}

/** Nothing of a tap that `work` begins is left anywhere: tables, device memory, wire, the digits typed. */
async function expectNothingDone(mechanism: Mechanism, terminal?: Terminal, sequence?: Sequence): Promise<string> {
  const { memory, link } = rig.clinic
  const before = { tables: await tables(), memory: memory.state, sent: link.sent.length }
  const desk = holder()
  const code = await failureOf(run(mechanism, desk, terminal, sequence))
  expect({ tables: await tables(), memory: memory.state, sent: link.sent.length }).toEqual(before)
  expect(memory.state.pending).toBeNull()
  for (const digits of desk.typed) expect([...digits]).toEqual([0, 0, 0, 0])
  return code
}

type Moment = 'before it is carried out' | 'while its answer is on its way' | 'after its answer'
const MOMENTS: readonly Moment[] = ['before it is carried out', 'while its answer is on its way', 'after its answer']

/** A card to which something happens at the command of number `at`, from 0. */
function happening(device: CardDevice, at: number, moment: Moment, what: () => Promise<unknown>): CardDevice {
  let count = 0
  return {
    powerUp: () => device.powerUp(),
    reset: () => device.reset(),
    powerDown: () => device.powerDown(),
    async process(command) {
      const here = count++ === at
      if (here && moment === 'before it is carried out') await what()
      const response = await device.process(command)
      if (here && moment === 'while its answer is on its way') void what()
      if (here && moment === 'after its answer') queueMicrotask(() => void what())
      return response
    },
  }
}

/** Commands of an undisturbed tap, as headers. */
async function commandsOf(mechanism: Mechanism): Promise<readonly string[]> {
  const headers: string[] = []
  const device = powerCard(rig.card.personalisation)
  const process = (command: Uint8Array) => {
    headers.push(encodeHex(command.subarray(0, 4)))
    return device.process(command)
  }
  rig.clinic.reader.insert({
    ...device,
    powerUp: () => device.powerUp(),
    process,
    reset: () => device.reset(),
    powerDown: () => device.powerDown(),
  })
  await expectNextTap(mechanism)
  return headers
}

describe.each(MECHANISMS)('mechanism %s, the card', (mechanism) => {
  test.each(MOMENTS)('pulled off at every single command, %s', async (moment) => {
    const commands = await commandsOf(mechanism)
    expect(commands.length).toBeGreaterThanOrEqual(mechanism === 'institution' ? 10 : 5)
    for (const [at, header] of commands.entries()) {
      await rig.clinic.reader.remove()
      await rig.clock.advance(HOUR)
      const { reader } = rig.clinic
      const device = powerCard(rig.card.personalisation)
      reader.insert(happening(device, at, moment, () => reader.remove()))
      if (at === commands.length - 1 && moment === 'after its answer') {
        await expectNextTap(mechanism) // the card has done its part
        continue
      }
      expect(await expectNothingDone(mechanism), header).toBe('card-removed')
      reader.insert(device)
      await expectNextTap(mechanism)
    }
    console.info(`${mechanism}: ${commands.length} commands, ${moment}: ${commands.join(' ')}`)
  })

  test('pulled off while it is powered', async () => {
    const { reader } = rig.clinic
    const device = powerCard(rig.card.personalisation)
    const powerUp = async () => {
      await reader.remove()
      return device.powerUp()
    }
    reader.insert({
      powerUp,
      reset: () => device.reset(),
      powerDown: () => device.powerDown(),
      process: (command) => device.process(command),
    })
    expect(await expectNothingDone(mechanism)).toBe('card-removed')
    reader.insert(device)
    await expectNextTap(mechanism)
  })

  test('swapped for another card at every single command: neither is recognised, then the other one is', async () => {
    const commands = await commandsOf(mechanism)
    const { reader } = rig.clinic
    const other = await createTestCard(rig.authority)
    for (const at of commands.keys()) {
      await reader.remove()
      await rig.clock.advance(HOUR)
      const swap = async () => {
        await reader.remove()
        reader.insert(other.device)
      }
      reader.insert(happening(powerCard(rig.card.personalisation), at, 'before it is carried out', swap))
      expect(await expectNothingDone(mechanism)).toBe('card-removed')
      await expectNextTap(mechanism)
    }
  })

  test('put back at every single command must start again', async () => {
    const commands = await commandsOf(mechanism)
    const { reader } = rig.clinic
    for (const at of commands.keys()) {
      await reader.remove()
      await rig.clock.advance(HOUR)
      const device = powerCard(rig.card.personalisation)
      const putBack = async () => {
        await reader.remove()
        reader.insert(device)
      }
      reader.insert(happening(device, at, 'while its answer is on its way', putBack))
      expect(await expectNothingDone(mechanism)).toBe('card-removed')
      const connection = await reader.connect() // where the tap was, nobody can go on
      expect(await failureOf(signAuthorised(connection))).toBe('institution-out-of-order')
      expect(await getChallenge(connection)).toHaveLength(16)
      expect(await failureOf(signAuthorised(connection))).toBe('institution-out-of-order')
      await connection.disconnect()
      await expectNextTap(mechanism)
    }
  })

  test('in a reader without extended length is recognised all the same', async () => {
    const reader = createInProcessReader('short', { extendedLength: false })
    reader.insert(powerCard(rig.card.personalisation))
    const { trace } = await expectNextTap(mechanism, { ...rig.clinic.terminal, reader })
    expect(Math.max(...trace.map(({ sent }) => sent))).toBeLessThanOrEqual(261)
    expect(Math.max(...trace.map(({ received }) => received))).toBeLessThanOrEqual(258)
  })

  test.each([
    ['is another application’s: it answers that there is no such file', '6a82', 'not-a-my-number-card'],
    ['knows no SELECT', '6d00', 'not-a-my-number-card'],
    ['knows no such class', '6e00', 'not-a-my-number-card'],
    ['is a health insurance card of old that wants another P2', '6a86', 'not-a-my-number-card'],
    ['says something nobody expects', '6f00', 'unexpected-status'],
    ['answers one byte', '90', 'response-malformed'],
    ['never ends its answer', '6110', 'response-endless'],
  ])('%s', async (_name, answer, code) => {
    const { reader } = rig.clinic
    const atr = decodeHex('3b00')
    const process = async () => decodeHex(answer)
    reader.insert({ powerUp: async () => atr, reset: async () => atr, powerDown: async () => {}, process })
    expect(await expectNothingDone(mechanism)).toBe(code)
    await reader.remove()
    reader.insert(powerCard(rig.card.personalisation))
    await expectNextTap(mechanism)
  })

  test('that nobody lays on the reader is waited for, and then no longer', async () => {
    const { clinic, clock } = rig
    let waited = 0
    let waiting = true
    const failing = expectNothingDone(mechanism).finally(() => {
      waiting = false
    })
    for (; waiting; waited += SECOND) {
      await clock.advance(SECOND)
      await delay(2)
    }
    expect(waited).toBeGreaterThanOrEqual(clinic.terminal.cardPatience)
    expect(await failing).toBe('card-timeout')
    clinic.reader.insert(powerCard(rig.card.personalisation))
    await expectNextTap(mechanism)
  })

  test('that takes seconds for each command is recognised; one slower than a nonce lives is refused, on record', async () => {
    const { reader } = rig.clinic
    const slow = (pause: number): CardDevice => {
      const device = powerCard(rig.card.personalisation)
      return {
        powerUp: () => device.powerUp(),
        reset: () => device.reset(),
        powerDown: () => device.powerDown(),
        async process(command) {
          await rig.clock.advance(pause)
          return device.process(command)
        },
      }
    }
    reader.insert(slow(4 * SECOND))
    await expectNextTap(mechanism)
    await reader.remove()
    await rig.clock.advance(HOUR)
    const before = await tables()
    reader.insert(slow(31 * SECOND))
    const outcome = await run(mechanism)
    expect(outcome).toMatchObject({ result: 'refused', problem: { code: 'nonce-expired' } })
    const { chain: _, ...after } = await tables()
    const { chain: __, ...was } = before
    expect(after).toEqual({ ...was, size: was.size + 1, leaves: was.leaves + 1, seen: was.seen + 1 })
    expect(rig.clinic.memory.state.pending).toBeNull()
    await reader.remove()
    reader.insert(powerCard(rig.card.personalisation))
    await expectNextTap(mechanism)
  })
})

test('a card with a blocked PIN is told before anything is typed, and is still recognised without a PIN', async () => {
  const { reader } = rig.clinic
  const { personalisation } = rig.card
  const blocked = initialCardState(personalisation)
  const state = createMemoryCardState({ ...blocked, tries: { ...blocked.tries, 'user-authentication': 0 } })
  reader.insert(createVirtualCard({ personalisation, state, random: systemRandom }))
  const before = await tables()
  const desk = holder()
  expect(await run('pin', desk)).toMatchObject({ result: 'pin-blocked' })
  expect(desk.typed).toEqual([])
  expect(await tables()).toEqual(before)
  await expectNextTap('institution')
})

test('a PIN that is blocked by the third wrong try says how many are left each time', async () => {
  const { reader } = rig.clinic
  reader.insert(powerCard(rig.card.personalisation))
  const before = await tables()
  const ends = []
  for (let tries = 0; tries < 4; tries++) ends.push(await run('pin', willingHolder('0000')))
  expect(ends).toMatchObject([
    { result: 'wrong-pin', triesLeft: 2 },
    { result: 'wrong-pin', triesLeft: 1 },
    { result: 'pin-blocked' },
    { result: 'pin-blocked' },
  ])
  expect(await tables()).toEqual(before)
  await expectNextTap('institution')
})

describe('the provider away', () => {
  const away = () => new HttpError('unreachable', { reason: 'ECONNREFUSED' })

  /** An order in which the nonce is fetched while the card is waited for and opened. */
  const sideBySide: Sequence = [[[askConsent]], [[meetCard, selectApplication], [takeNonce]]]

  test.each(['lying there', 'laid down later', 'being powered'] as const)(
    'before a nonce was had, the card %s: nothing is done, and no session with the card stays open',
    async (card) => {
      const { reader, terminal } = rig.clinic
      const device = powerCard(rig.card.personalisation)
      const powering = Promise.withResolvers<void>()
      const powerUp = async () => {
        if (card === 'being powered') await powering.promise
        return device.powerUp()
      }
      const laid: CardDevice = {
        powerUp,
        reset: () => device.reset(),
        powerDown: () => device.powerDown(),
        process: (command) => device.process(command),
      }
      if (card !== 'laid down later') reader.insert(laid)
      const take = async () => {
        await delay(20)
        setTimeout(powering.resolve, 20)
        throw away()
      }
      expect(await expectNothingDone('institution', { ...terminal, nonces: { take } }, sideBySide)).toBe('unreachable')
      if (card === 'laid down later') reader.insert(laid)
      await delay(40)
      await (await reader.connect()).disconnect() // nobody holds it
      await expectNextTap('institution')
    },
  )

  test.each(MECHANISMS)('before a nonce was had (%s): nothing is done', async (mechanism) => {
    const { reader, terminal } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const take = () => Promise.reject(away())
    expect(await expectNothingDone(mechanism, { ...terminal, nonces: { take } })).toBe('unreachable')
    await expectNextTap(mechanism)
  })

  test.each(MECHANISMS)('before the proof (%s): it is kept, and sent before the next tap', async (mechanism) => {
    const { reader, link, memory } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const before = await tables()
    link.before = () => Promise.reject(away())
    expect(await failureOf(run(mechanism))).toBe('provider-unreachable')
    expect(await failureOf(run(mechanism))).toBe('provider-unreachable') // still away: no second statement is made
    link.before = (body) => body
    expect(await tables()).toEqual(before)
    const { pending } = memory.state
    expect(pending).not.toBeNull()
    const desk = holder()
    expect((await run(mechanism, desk)).result).toBe('recognised')
    expect(desk.late).toMatchObject([{ accepted: true }])
    const after = await tables()
    expect(after).toMatchObject({ size: before.size + 2, legs: before.legs + 2, spent: before.spent + 2 })
    expect(after.chain).toMatchObject({ state: 'active', counter: Number(before.chain.counter) + 2 })
    expect(memory.state).toMatchObject({ head: after.chain.head, pending: null })
  })

  test.each(MECHANISMS)('its answer lost (%s): the tap counts once, the same answer comes later', async (mechanism) => {
    const { reader, link, memory } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const before = await tables()
    const lost: unknown[] = []
    link.after = (answer) => {
      lost.push(answer)
      return Promise.reject(away())
    }
    expect(await failureOf(run(mechanism))).toBe('provider-unreachable')
    link.after = (answer) => answer
    expect(lost).toHaveLength(3)
    expect(lost[2]).toEqual(lost[0])
    expect(await tables()).toMatchObject({ size: before.size + 1, legs: before.legs + 1, spent: before.spent + 1 })
    const desk = holder()
    expect((await run(mechanism, desk)).result).toBe('recognised')
    expect(desk.late).toEqual([{ accepted: true, answer: lost[0] }])
    expect(await tables()).toMatchObject({ size: before.size + 2, legs: before.legs + 2 })
    expect(memory.state.pending).toBeNull()
  })

  test('its answer lost twice is had at the third attempt, and nobody notices', async () => {
    const { reader, link } = rig.clinic
    reader.insert(powerCard(rig.card.personalisation))
    const before = await tables()
    let losses = 2
    link.after = (answer) => (losses-- > 0 ? Promise.reject(away()) : answer)
    await expectNextTap('institution')
    link.after = (answer) => answer
    expect(await tables()).toMatchObject({ size: before.size + 1 })
  })
})
