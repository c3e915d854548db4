import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeHex } from '#bytes'
import { ascii, createTestPersonalisation, DAY, PIN, powerUp, TestInstitution } from './fixture.ts'
import type { Personalisation } from './personalisation.ts'
import { selectJpki } from './select.ts'
import { type CardState, createFileCardState, createMemoryCardState, initialCardState } from './state.ts'
import { readTriesLeft, verifyPin } from './verify.ts'
import { presentCertificates } from './verify-certificate.ts'

const folder = mkdtempSync(join(tmpdir(), 'card-state-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `${files++}.json`)

const institution = new TestInstitution()
let personalisation: Personalisation
beforeAll(async () => {
  personalisation = (await createTestPersonalisation(await institution.root())).personalisation
})

const WRONG = ascii('0000')

describe('the memory in a file', () => {
  test('outlasts the card: tries, date and root are the same after a restart', async () => {
    const path = freshPath()
    await createFileCardState(path).write(initialCardState(personalisation))
    const first = await powerUp(personalisation, { state: createFileCardState(path) })
    await selectJpki(first)
    expect(await verifyPin(first, 'user-authentication', WRONG)).toEqual({ outcome: 'wrong', triesLeft: 2 })
    await presentCertificates(first, await institution.chain())
    const second = await powerUp(personalisation, { state: createFileCardState(path) })
    await selectJpki(second)
    expect(await readTriesLeft(second, 'user-authentication')).toBe(2)
    expect((await second.state.read()).date).toBe(DAY.today)
  })
  test('is replaced whole, is nobody else’s to read and leaves nothing beside it', async () => {
    const path = freshPath()
    const state = createFileCardState(path)
    await state.write(initialCardState(personalisation))
    await state.write({ ...(await state.read()), date: DAY.today })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([])
  })
  test('a half-written file beside it, as a crash leaves it, changes nothing', async () => {
    const path = freshPath()
    const state = createFileCardState(path)
    await state.write(initialCardState(personalisation))
    writeFileSync(`${path}.new`, '{"v":1,"tri')
    expect(await state.read()).toEqual(initialCardState(personalisation))
    await state.write({ ...initialCardState(personalisation), date: DAY.today })
    expect((await state.read()).date).toBe(DAY.today)
  })
  test('a lost file gives back no tries: it is an error, and the card answers a fault', async () => {
    const state = createFileCardState(freshPath())
    await expect(state.read()).rejects.toMatchObject({ code: 'card-state-missing' })
    const card = await powerUp(personalisation, { state })
    await selectJpki(card)
    expect(await card.send(`0020009804${encodeHex(ascii(PIN))}`)).toBe('6f00')
  })
  test.each([
    ['no JSON', 'PIN 1234'],
    ['another version', JSON.stringify({ v: 2 })],
    ['more tries than there are', undefined],
  ])('%s is refused without repeating what stands there', async (_name, text) => {
    const path = freshPath()
    const tries = { 'user-authentication': 4, signature: 5 }
    writeFileSync(path, text ?? JSON.stringify({ ...initialCardState(personalisation), tries }))
    const error: Error = await createFileCardState(path)
      .read()
      .then(
        () => new Error('accepted'),
        (reason) => reason,
      )
    expect(error).toMatchObject({ code: 'card-state-malformed' })
    expect(`${error.message} ${String(error.cause)}`).not.toContain(PIN)
  })
})

/**
 * A memory on a card whose power is cut: at write number `cut` nothing or everything is stored, and then the chip is
 * dead until it is powered again.
 */
function tornState(underneath: CardState, cut: number, stored: boolean): CardState {
  let writes = 0
  const alive = (): void => {
    if (writes > cut) throw new Error('no power')
  }
  return {
    async read() {
      alive()
      return underneath.read()
    },
    async write(card) {
      alive()
      if (writes++ === cut) {
        if (stored) await underneath.write(card)
        throw new Error('power cut')
      }
      await underneath.write(card)
    },
  }
}

describe('power cut at every stored step of VERIFY', () => {
  const rows = [0, 1, 2].flatMap((cut) =>
    [false, true].flatMap((stored) =>
      (['right', 'wrong'] as const).flatMap((which) =>
        [1, 2, 3].map((before) => [before, which, cut, stored] as const),
      ),
    ),
  )
  test.each(rows)(
    '%i left, %s PIN, cut at write %i, stored %s: no try is gained, nothing is opened by a cut',
    async (before, which, cut, stored) => {
      const initial = initialCardState(personalisation)
      const memory = createMemoryCardState({ ...initial, tries: { ...initial.tries, 'user-authentication': before } })
      const card = await powerUp(personalisation, { state: tornState(memory, cut, stored) })
      await selectJpki(card)
      const pin = which === 'right' ? ascii(PIN) : WRONG
      const answer = await card.send(`0020009804${encodeHex(pin)}`)
      const after = (await memory.read()).tries['user-authentication']
      const writes = which === 'right' ? 2 : 1
      if (cut < writes) expect(answer).toBe('6f00')
      if (answer === '6f00') expect(await card.send(`802a029720${'00'.repeat(32)}00`)).toBe('6982')
      if (which === 'wrong') {
        // The only way to keep the try is that nothing of the fall was stored – and then nothing was compared either.
        const compared = !(cut === 0)
        expect(after).toBe(compared || stored ? before - 1 : before)
        if (compared) expect(after).toBeLessThan(before)
      } else {
        const restored = cut > 1 || (cut === 1 && stored)
        expect(after).toBe(restored ? 3 : cut === 0 && !stored ? before : before - 1)
      }
    },
  )

  test('the counter falls, stored, strictly before the comparison', async () => {
    const initial = initialCardState(personalisation)
    const memory = createMemoryCardState(initial)
    const stored: number[] = []
    const state: CardState = {
      read: memory.read,
      async write(card) {
        stored.push(card.tries['user-authentication'])
        await memory.write(card)
      },
    }
    const card = await powerUp(personalisation, { state })
    await selectJpki(card)
    await verifyPin(card, 'user-authentication', ascii(PIN))
    expect(stored).toEqual([2, 3])
    await verifyPin(card, 'user-authentication', WRONG)
    expect(stored).toEqual([2, 3, 2])
  })

  test('guessing by cutting the power after each attempt ends with a blocked PIN', async () => {
    const memory = createMemoryCardState(initialCardState(personalisation))
    const answers: string[] = []
    for (let attempt = 0; attempt < 5; attempt++) {
      const card = await powerUp(personalisation, { state: tornState(memory, 0, true) })
      await selectJpki(card)
      answers.push(await card.send(`0020009804${encodeHex(WRONG)}`))
    }
    expect(answers).toEqual(['6f00', '6f00', '6f00', '6984', '6984'])
  })
})
