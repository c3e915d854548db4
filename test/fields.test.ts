import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { encodeBase64url } from '#bytes'
import { MINUTE, systemRandom, timeText } from '#clock'
import {
  type ConsentRecord,
  consentRecord,
  type DeviceStatement,
  deviceStatement,
  type PresenceStatement,
  presenceStatement,
} from '#messages'
import { type Departure, forgeTap } from './forged-tap.ts'
import { expectAccepted, expectRecorded, expectUnmoved } from './reception-tables.ts'
import { createTapRig, type TapRig } from './tap-rig.ts'

let rig: TapRig
const table: [string, string, string, string][] = []

beforeAll(async () => {
  rig = await createTapRig()
})
afterAll(async () => {
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column as 0].length)))
  const lines = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  console.info(`A terminal that departs in one member, and signs honestly over it:\n${lines.join('\n')}`)
  await rig.close()
})
beforeEach(() => rig.clock.advance(20 * MINUTE))

/** Refused before the statement counts, so that nothing moves. */
const UNMOVED = ['malformed', 'counter-gap']

async function refuse(message: string, member: string, departure: Departure, code: string): Promise<void> {
  const forged = await forgeTap(rig.provider, rig.clinic, rig.card.personalisation, departure)
  if (UNMOVED.includes(code)) await expectUnmoved(rig.provider, rig.clinic, forged.body, code)
  else await expectRecorded(rig.provider, rig.clinic, forged, code)
  table.push([message, member, departure.mechanism ?? 'institution', code])
}

const bytes = (length: number): string => encodeBase64url(systemRandom.bytes(length))
const from = (milliseconds: number): string => timeText(rig.clock.now() + milliseconds)
/** A value no honest terminal would sign, whatever the member's type. */
const other = <T>(value: unknown): T => value as T

type Cases<Message> = Readonly<Record<keyof Message & string, readonly Case<Message>[]>>
/** Makes the differing message, and the refusal that it ends with. */
type Case<Message> = readonly [(message: Message) => Message, string]

const inStatement: Readonly<Record<keyof PresenceStatement & string, () => unknown>> = {
  v: () => 2,
  provider: () => 'provider-2',
  institution: () => 'clinic-ume',
  terminal: () => 't2',
  role: () => 'proxy',
  mechanism: () => 'password',
  basis: () => '38の2-face',
  purpose: () => 'visit',
  nonce: () => bytes(32),
  consent: () => bytes(32),
  prior: () => bytes(32),
}

const inConsent: Cases<ConsentRecord> = {
  v: [[(record) => ({ ...record, v: other(2) }), 'malformed']],
  kind: [[(record) => ({ ...record, kind: 'attended' }), 'consent-kind']],
  textId: [[(record) => ({ ...record, textId: 'eligibility-2' }), 'consent-text']],
  lang: [[(record) => ({ ...record, lang: other('zh') }), 'malformed']],
  audiences: [
    [(record) => ({ ...record, audiences: ['insurer-9'] }), 'consent-audience'],
    [(record) => ({ ...record, audiences: record.audiences.toReversed() }), 'malformed'],
    [(record) => ({ ...record, audiences: [] }), 'malformed'],
  ],
  purpose: [[(record) => ({ ...record, purpose: 'visit' }), 'consent-purpose']],
  at: [
    [(record) => ({ ...record, at: from(-120_001) }), 'consent-stale'],
    [(record) => ({ ...record, at: from(60_001) }), 'consent-stale'],
    [(record) => ({ ...record, at: '2026-11-22T12:00:00+09:00' }), 'malformed'],
  ],
  input: [[(record) => ({ ...record, input: other('voice') }), 'malformed']],
  covers: [[(record) => ({ ...record, covers: bytes(32) }), 'consent-covers']],
  salt: [[(record) => ({ ...record, salt: bytes(15) }), 'malformed']],
}

/** On the wire another record than the one that was signed, well formed and allowed. */
const onTheWire: Readonly<Record<keyof ConsentRecord & string, () => Partial<ConsentRecord>>> = {
  v: () => ({ v: other(2) }),
  kind: () => ({ kind: 'attended' }),
  textId: () => ({ textId: 'eligibility-pin-1' }),
  lang: () => ({ lang: 'en' }),
  audiences: () => ({ audiences: ['clinic-sakura'] }),
  purpose: () => ({ purpose: 'visit' }),
  at: () => ({ at: from(-1) }),
  input: () => ({ input: 'key' }),
  covers: () => ({ covers: bytes(32) }),
  salt: () => ({ salt: bytes(16) }),
}
const EARLIER: Readonly<Record<string, string>> = {
  v: 'malformed',
  kind: 'consent-kind',
  textId: 'consent-text',
  purpose: 'consent-purpose',
  covers: 'consent-covers',
}

const mismatch = (change: Partial<DeviceStatement> | (() => Partial<DeviceStatement>)): Case<DeviceStatement> => [
  (claims) => ({ ...claims, ...(typeof change === 'function' ? change() : change) }),
  'device-mismatch',
]
const inDevice: Cases<DeviceStatement> = {
  v: [[(claims) => ({ ...claims, v: other(2) }), 'malformed']],
  terminal: [mismatch({ terminal: 't2' })],
  nonce: [mismatch(() => ({ nonce: bytes(32) }))],
  statementHash: [mismatch(() => ({ statementHash: bytes(32) }))],
  certificateHash: [mismatch(() => ({ certificateHash: bytes(32) }))],
  cardSignatureHash: [mismatch(() => ({ cardSignatureHash: bytes(32) }))],
  transcriptHash: [mismatch(() => ({ transcriptHash: bytes(32) })), mismatch({ transcriptHash: null })],
  mechanism: [mismatch({ mechanism: 'pin' }), mismatch({ mechanism: 'internal' })],
  consentHash: [[(claims) => ({ ...claims, consentHash: bytes(32) }), 'consent-mismatch']],
  operator: [mismatch({ operator: 'operator-1' })],
  lease: [mismatch({ lease: 'lease-1' })],
  counter: [
    [(claims) => ({ ...claims, counter: claims.counter - 1 }), 'counter-gap'],
    [(claims) => ({ ...claims, counter: 0 }), 'malformed'],
    [(claims) => ({ ...claims, counter: 1.5 }), 'malformed'],
  ],
  prev: [[(claims) => ({ ...claims, prev: bytes(32) }), 'counter-gap']],
  presentFrom: [mismatch(() => ({ presentFrom: from(1) }))],
  presentTo: [mismatch(() => ({ presentTo: from(1) })), mismatch(() => ({ presentTo: from(-1) }))],
  at: [
    [(claims) => ({ ...claims, at: from(60_001) }), 'clock-skew'],
    [(claims) => ({ ...claims, ...past(-60_001) }), 'clock-skew'],
    mismatch(() => ({ at: from(-1) })),
  ],
}
/** Times in order, all of them that long ago. */
const past = (milliseconds: number): Partial<DeviceStatement> => ({
  presentFrom: from(milliseconds),
  presentTo: from(milliseconds),
  at: from(milliseconds),
})

const members = (schema: { readonly shape: object }): string[] => Object.keys(schema.shape).sort()

test('every member of every schema has its case', () => {
  expect(Object.keys(inStatement).sort()).toEqual(members(presenceStatement))
  expect(Object.keys(inConsent).sort()).toEqual(members(consentRecord))
  expect(Object.keys(onTheWire).sort()).toEqual(members(consentRecord))
  expect(Object.keys(inDevice).sort()).toEqual(members(deviceStatement))
})

test('with no departure both mechanisms are accepted', async () => {
  for (const mechanism of ['institution', 'pin'] as const) {
    const forged = await forgeTap(rig.provider, rig.clinic, rig.card.personalisation, { mechanism })
    await expectAccepted(rig.provider, rig.clinic, forged)
  }
})

describe('presence statement: it is rebuilt, so that a differing one is another statement', () => {
  test.each(members(presenceStatement))('%s', async (member) => {
    const value = inStatement[member as keyof PresenceStatement]()
    const statement: Departure['statement'] = (s) => ({ ...s, [member]: value })
    await refuse('statement', member, { mechanism: 'institution', statement }, 'institution-signature')
    await refuse('statement', member, { mechanism: 'pin', statement }, 'card-signature')
  })
})

describe('consent record, signed as it is sent', () => {
  test.each(members(consentRecord))('%s', async (member) => {
    for (const [consent, code] of inConsent[member as keyof ConsentRecord]) {
      await refuse('consent', member, { consent }, code)
    }
  })
})

describe('consent record, sent other than it was signed', () => {
  test.each(members(consentRecord))('%s', async (member) => {
    const change = onTheWire[member as keyof ConsentRecord]()
    const proof: Departure['proof'] = (one) => ({ ...one, consentRecord: { ...one.consentRecord, ...change } })
    await refuse('consent on the wire', member, { proof }, EARLIER[member] ?? 'consent-mismatch')
  })
})

describe('device statement', () => {
  test.each(members(deviceStatement))('%s', async (member) => {
    for (const [device, code] of inDevice[member as keyof DeviceStatement]) {
      await refuse('device statement', member, { device }, code)
    }
  })
})
