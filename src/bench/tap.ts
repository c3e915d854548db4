import type { TracedExchange } from '#apdu'
import type { Clock, Random } from '#clock'
import type { Store } from '#store'
import { type BenchedTown, type Clinic, type MeasuredTap, openClinic } from './clinic.ts'
import { floorOfCommit, floorOfExchange, floorOfSigning, floorOfVerifying } from './floors.ts'
import { elapsed, readSums } from './metrics.ts'
import { commandName, realCardTime } from './real-card.ts'
import { type Comparison, compare, describeMachine, type Report, row, type Section } from './report.ts'
import { type BenchCase, measureRounds, type Parts, type Rounds, type Series } from './rounds.ts'

export interface TapBench extends Rounds {
  readonly town: BenchedTown
  /** The same town of another checkout, measured in the same rounds. */
  readonly peer?: { readonly name: string; readonly town: BenchedTown }
  /** An empty database of the same kind, for the floor. */
  readonly store: Store
  readonly card: { readonly name: string; readonly pin: string }
  readonly clock: Clock
  readonly random: Random
}

type Mechanism = 'institution' | 'pin'
const MECHANISMS: readonly Mechanism[] = ['institution', 'pin']
const CHECKS = ['terminal', 'statement', 'recall', 'nonce', 'proof', 'status', 'record', 'commit', 'release']
/** Steps of people, and the card's own, which are told command by command. */
const HUMAN = ['consent', 'pin']

/** What a tap costs, layer by layer, next to what it cannot cost less than. Over HTTP and TLS, with the roles' own words. */
export async function benchTap(bench: TapBench): Promise<Report> {
  const { clock, random, card, rounds, warmUp, seed } = bench
  const clinics = [await openClinic(bench.town, clock)]
  if (bench.peer) clinics.push(await openClinic(bench.peer.town, clock))
  try {
    const [own, peer] = clinics as [Clinic, Clinic | undefined]
    const taps = MECHANISMS.map((mechanism) => tapCase(`tap (${mechanism})`, own, mechanism, card))
    const peers = peer ? MECHANISMS.map((one) => tapCase(`tap (${one}) of ${bench.peer?.name}`, peer, one, card)) : []
    const floors = [
      floorOfSigning(random),
      floorOfVerifying(random),
      floorOfExchange(own.provider),
      await floorOfCommit(bench.store, random),
    ]
    const series = await measureRounds([...taps, ...peers, ...floors], { rounds, warmUp, seed }, clock)
    const measured = series.slice(0, taps.length)
    const rivals = series.slice(taps.length, taps.length + peers.length)
    const bare = series.slice(taps.length + peers.length)
    return {
      ...{ bench: 'tap', rounds, warmUp, seed, machine: describeMachine() },
      sections: [
        ...measured.flatMap(sectionsOf),
        { title: 'floors of this machine', rows: bare.map(({ name, total }) => row(name, total)) },
      ],
      comparisons: [
        ...measured.map((one) => compare(one, sumOf('its floors together', bare))),
        ...measured.flatMap((one, i) => compareLayers(one, rivals[i])),
      ],
      notes: [
        'All roles share one process and two cores with this bench; the card is virtual and answers at once.',
        'Lanes of a tap overlap: steps do not add up to the whole. "terminal" is the whole less card and round trip.',
        'A real card is computed from the bytes and operations seen, not measured: contactless 424 kbit/s, 2016 chip.',
      ],
    }
  } finally {
    await Promise.all(clinics.map((clinic) => clinic.close()))
  }
}

function tapCase(
  name: string,
  clinic: Clinic,
  mechanism: Mechanism,
  card: { readonly name: string; readonly pin: string },
): BenchCase {
  const roles = [clinic.provider, clinic.terminal, clinic.authority]
  return {
    name,
    async run() {
      const before = await Promise.all(roles.map(readSums))
      const tap = await clinic.holdUp(card.name, mechanism, card.pin)
      const after = await Promise.all(roles.map(readSums))
      const [provider, terminal, authority] = roles.map((_, role) => (metric: string, having?: string): number => {
        const [from, to] = [before[role], after[role]]
        return from && to ? elapsed(from, to, metric, having) : Number.NaN
      })
      return partsOf(tap, {
        roundTrip: terminal?.('kazasu_proof_round_trip_seconds') ?? Number.NaN,
        provider: provider?.('http_request_duration_seconds', 'route="/v1/proofs"') ?? Number.NaN,
        ocsp: authority?.('http_request_duration_seconds', 'route="/ocsp"') ?? Number.NaN,
        check: (check) => provider?.('kazasu_reception_seconds', `check="${check}"`) ?? Number.NaN,
      })
    },
  }
}

interface Told {
  readonly roundTrip: number
  readonly provider: number
  readonly ocsp: number
  check(name: string): number
}

function partsOf({ outcome, total }: MeasuredTap, told: Told): Parts {
  const { trace, steps } = outcome
  const card = trace.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const parts: Record<string, number> = {
    total,
    'layer/card (virtual)': card,
    'layer/terminal': total - card - told.roundTrip,
    'layer/network (proof and answer)': told.roundTrip - told.provider,
    'layer/provider': told.provider,
    'layer/a real card, computed': trace.reduce((sum, exchange) => sum + realCardTime(exchange), 0),
  }
  const add = (name: string, value: number): void => {
    parts[name] = (parts[name] ?? 0) + value
  }
  for (const exchange of trace) addExchange(commandName(exchange), exchange, add)
  for (const { name, ms } of steps) if (!HUMAN.includes(name)) add(`step/${name}`, ms)
  for (const check of CHECKS) add(`check/${check}`, told.check(check))
  const inOrder = CHECKS.reduce((sum, check) => sum + told.check(check), 0)
  const sideBySide = Math.min(told.check('status'), told.check('record'))
  add('check/(the rest: HTTP, parsing)', told.provider - inOrder + sideBySide)
  add('check/(OCSP at the authority)', told.ocsp)
  return parts
}

function addExchange(name: string, exchange: TracedExchange, add: (name: string, value: number) => void): void {
  for (const key of [name, 'all']) {
    add(`apdu/${key}`, exchange.milliseconds)
    add(`count/${key}`, 1)
    add(`up/${key}`, exchange.sent)
    add(`down/${key}`, exchange.received)
  }
}

function sectionsOf(series: Series): readonly Section[] {
  const { name, total, parts } = series
  const under = (prefix: string) =>
    [...parts]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, values]) => [key.slice(prefix.length), values] as const)
  const last = (key: string): number => parts.get(key)?.at(-1) ?? 0
  const rows = (prefix: string) => under(prefix).map(([key, values]) => row(key, values))
  const traffic = (key: string): string =>
    `${last(`count/${key}`)} × APDU, ${last(`up/${key}`)} bytes up, ${last(`down/${key}`)} down`
  return [
    { title: name, rows: [row('whole, OK to answer', total), ...rows('layer/')] },
    {
      title: `${name}: card`,
      rows: under('apdu/').map(([key, values]) => row(key, values, { note: traffic(key) })),
    },
    { title: `${name}: terminal, step by step`, rows: rows('step/') },
    { title: `${name}: provider, check by check`, rows: rows('check/') },
  ]
}

const LAYERS = ['layer/terminal', 'layer/network (proof and answer)', 'layer/provider', 'check/commit', 'check/release']

/** Before and after, where a peer was measured: the whole, and each layer. */
function compareLayers(one: Series, rival: Series | undefined): readonly Comparison[] {
  if (!rival) return []
  const layer = (series: Series, key: string): Series => ({
    ...{ name: `${series.name}, ${key.slice(key.indexOf('/') + 1)}`, total: series.parts.get(key) ?? [] },
    parts: new Map(),
  })
  return [compare(one, rival), ...LAYERS.map((key) => compare(layer(one, key), layer(rival, key)))]
}

function sumOf(name: string, all: readonly Series[]): Series {
  const [first] = all
  const total = (first?.total ?? []).map((_, round) => all.reduce((sum, one) => sum + (one.total[round] ?? 0), 0))
  return { name, total, parts: new Map() }
}
