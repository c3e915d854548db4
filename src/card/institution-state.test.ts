import { beforeAll, describe, expect, test } from 'vitest'
import { trustCvca, type VerifiedCvc, verifyCvc } from '#pki'
import { DAY, TestInstitution } from './fixture.ts'
import { type InstitutionEvent, type InstitutionState, next, UNAUTHENTICATED } from './institution-state.ts'

const institution = new TestInstitution()
let root: VerifiedCvc
let dv: VerifiedCvc
let terminal: VerifiedCvc
beforeAll(async () => {
  root = trustCvca(await institution.root())
  dv = verifyCvc(await institution.dv(), root, DAY.issue)
  terminal = verifyCvc(await institution.terminal(), dv, DAY.issue)
})

type At = InstitutionState['at']
type Kind = InstitutionEvent['kind']
const STATES: readonly At[] = ['idle', 'signer-chosen', 'announced', 'challenged', 'authorised']

function stateAt(at: At): InstitutionState {
  const kept = { chain: [dv, terminal], spent: false }
  const announcement = { terminal, d: new Uint8Array(32) }
  const r = new Uint8Array(16)
  const states: Readonly<Record<At, InstitutionState>> = {
    idle: { at: 'idle', ...kept },
    'signer-chosen': { at: 'signer-chosen', ...kept, signer: root },
    announced: { at: 'announced', ...kept, announcement },
    challenged: { at: 'challenged', ...kept, announcement, r },
    authorised: { at: 'authorised', ...kept, announcement, r },
  }
  return states[at]
}

function eventOf(kind: Kind): InstitutionEvent {
  const events: Readonly<Record<Kind, InstitutionEvent>> = {
    'signer-chosen': { kind: 'signer-chosen', signer: root },
    verified: { kind: 'verified', certificate: terminal },
    announced: { kind: 'announced', announcement: { terminal, d: new Uint8Array(32) } },
    challenged: { kind: 'challenged', r: new Uint8Array(16).fill(1) },
    authenticated: { kind: 'authenticated' },
    other: { kind: 'other' },
    left: { kind: 'left' },
  }
  return events[kind]
}

describe('the table of transitions', () => {
  const table: Readonly<Record<Kind, readonly At[]>> = {
    'signer-chosen': ['signer-chosen', 'signer-chosen', 'signer-chosen', 'signer-chosen', 'signer-chosen'],
    verified: ['idle', 'idle', 'idle', 'idle', 'idle'],
    announced: ['announced', 'announced', 'announced', 'announced', 'announced'],
    challenged: ['idle', 'idle', 'challenged', 'idle', 'idle'],
    authenticated: ['idle', 'idle', 'idle', 'authorised', 'idle'],
    other: ['idle', 'idle', 'idle', 'idle', 'idle'],
    left: ['idle', 'idle', 'idle', 'idle', 'idle'],
  }
  const rows = (Object.keys(table) as Kind[]).flatMap((kind) =>
    STATES.map((from, column) => [kind, from, table[kind][column]] as const),
  )
  test.each(rows)('%s in %s leads to %s', (kind, from, to) => {
    const before = stateAt(from)
    const after = next(before, eventOf(kind))
    expect(after.at).toBe(to)
    expect(after.spent).toBe(to === 'authorised')
    expect(after.chain).toEqual(kind === 'left' ? [] : before.chain)
  })
})

describe('what is kept', () => {
  test('one success stays spent through every event', () => {
    const spent = next(stateAt('challenged'), { kind: 'authenticated' })
    for (const kind of ['signer-chosen', 'verified', 'announced', 'challenged', 'other', 'left'] as const) {
      expect(next(spent, eventOf(kind)).spent).toBe(true)
    }
    expect(UNAUTHENTICATED.spent).toBe(false)
  })
  test('a terminal stands behind its DV, a second one in its place, a new DV alone, a link empties the chain', () => {
    const grow = (chain: readonly VerifiedCvc[], certificate: VerifiedCvc): readonly VerifiedCvc[] =>
      next({ at: 'signer-chosen', chain, spent: false, signer: root }, { kind: 'verified', certificate }).chain
    expect(grow([], dv)).toEqual([dv])
    expect(grow([dv], terminal)).toEqual([dv, terminal])
    expect(grow([dv, terminal], terminal)).toEqual([dv, terminal])
    expect(grow([dv, terminal], dv)).toEqual([dv])
    expect(grow([dv, terminal], root)).toEqual([])
  })
  test('r and D are the ones of this announcement', () => {
    const d = new Uint8Array(32).fill(2)
    const announced = next(stateAt('idle'), { kind: 'announced', announcement: { terminal, d } })
    const r = new Uint8Array(16).fill(3)
    expect(next(announced, { kind: 'challenged', r })).toMatchObject({ announcement: { d }, r })
  })
})
