import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeCheckpoint } from '#evidence'
import type { Provider } from '../src/provider/context.ts'
import { logSize, nodeReader } from '../src/provider/log.ts'
import { receive } from '../src/provider/reception.ts'
import { openWitness, type WitnessMemory } from '../src/provider/witness.ts'
import { forgeTap } from './forged-tap.ts'
import { expectUnmoved } from './reception-tables.ts'
import { createTapRig, type TapRig } from './tap-rig.ts'

let rig: TapRig
let other: TapRig
beforeAll(async () => {
  rig = await createTapRig()
  other = await createTapRig()
  for (let taps = 0; taps < 3; taps++) await tap(rig.provider)
  for (let taps = 0; taps < 5; taps++) await tap(other.provider, other)
})
afterAll(() => Promise.all([rig.close(), other.close()]))

async function tap(provider: Provider, from = rig) {
  const forged = await forgeTap(provider, from.clinic, from.card.personalisation)
  return receive(provider, forged.body, from.clinic.thumbprint)
}
/** Keeps every note in a list; the newest is what is kept. */
function createTestMemory(notes: string[] = []): WitnessMemory & { readonly notes: string[] } {
  return {
    notes,
    read: async () => notes.at(-1),
    async write(note) {
      notes.push(note)
    },
  }
}
const neverMissing = () => {
  throw new Error('missing')
}
const setSize = (size: number) => rig.database.updateTable('log_head').set({ size }).execute()

test('a log that shrinks while it is served is found out for good, and what was kept stays', async () => {
  const memory = createTestMemory()
  let missing = 0
  const witness = await openWitness(rig.provider, memory, () => missing++)
  expect(missing).toBe(1)
  await witness.watch()
  const size = await logSize(rig.database)
  expect(decodeCheckpoint(memory.notes.at(-1) ?? '').size).toBe(size)
  await setSize(size - 2)
  await expect(witness.watch()).rejects.toMatchObject({ code: 'log-rolled-back' })
  await setSize(size)
  await expect(witness.watch()).rejects.toMatchObject({ code: 'log-rolled-back' })
  await expect(witness.sign(size, nodeReader(rig.database))).rejects.toMatchObject({ code: 'log-rolled-back' })
  expect(memory.notes).toHaveLength(1)
})

test('another log, though longer, is not taken for the one that was signed', async () => {
  const memory = createTestMemory()
  await (await openWitness(rig.provider, memory, () => {})).watch()
  expect(await logSize(other.database)).toBeGreaterThan(await logSize(rig.database))
  const { id, keys } = rig.provider
  const opened = openWitness({ id, keys, database: other.database }, memory, neverMissing)
  await expect(opened).rejects.toMatchObject({ code: 'log-rolled-back', detail: { reason: 'consistency-invalid' } })
  expect(memory.notes).toHaveLength(1)
})

test('a tap on a log that is shorter than what was signed moves nothing', async () => {
  const witness = await openWitness(rig.provider, createTestMemory(), () => {})
  await witness.watch()
  const provider = { ...rig.provider, witness }
  const size = await logSize(rig.database)
  const { body } = await forgeTap(provider, rig.clinic, rig.card.personalisation)
  await setSize(size - 1)
  await expectUnmoved(provider, rig.clinic, body, 'log-rolled-back')
  await setSize(size)
  await expect(receive(provider, body, rig.clinic.thumbprint)).resolves.toMatchObject({ evidence: { index: size } })
})

test('no checkpoint leaves before it is kept', async () => {
  const memory = createTestMemory()
  const writing = Promise.withResolvers<void>()
  const witness = await openWitness(
    rig.provider,
    { ...memory, write: (note) => writing.promise.then(() => memory.write(note)) },
    () => {},
  )
  let answered = false
  const before = await logSize(rig.database)
  const answer = tap({ ...rig.provider, witness }).finally(() => {
    answered = true
  })
  await expect.poll(() => witness.size).toBe(before + 1)
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  expect(answered).toBe(false)
  writing.resolve()
  const { evidence } = await answer
  expect(memory.notes).toEqual([evidence.checkpoint])
})

test('of many that are signed at once the newest is kept; they share the writing', async () => {
  const memory = createTestMemory()
  const allSigned = Promise.withResolvers<void>()
  const slow: WitnessMemory = { ...memory, write: (note) => allSigned.promise.then(() => memory.write(note)) }
  const witness = await openWitness(rig.provider, slow, () => {})
  const size = await logSize(rig.database)
  const sizes = Array.from({ length: size }, (_, i) => i + 1)
  const signing = sizes.map((one) => witness.sign(one, nodeReader(rig.database)))
  await expect.poll(() => witness.size).toBe(size)
  allSigned.resolve()
  const notes = await Promise.all(signing)
  expect(notes.map((note) => decodeCheckpoint(note).size)).toEqual(sizes)
  expect(decodeCheckpoint(memory.notes.at(-1) ?? '').size).toBe(size)
  expect(memory.notes.length).toBeLessThanOrEqual(2)
  expect((await openWitness(rig.provider, memory, neverMissing)).size).toBe(size)
})
