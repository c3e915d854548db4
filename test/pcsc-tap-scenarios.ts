import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CardReader, TracedExchange } from '#apdu'
import { encodeHex } from '#bytes'
import { createMemoryCardState, createVirtualCard, initialCardState, type Personalisation } from '#card'
import { systemClock as clock, createVirtualClock, type Random } from '#clock'
import type { Signer } from '#pki'
import { createInProcessReader, openPcsc, servePcd } from '#reader'
import { issueNonces } from '../src/provider/nonces.ts'
import { identifyTerminal } from '../src/provider/terminals.ts'
import { createOutbox } from '../src/terminal/outbox.ts'
import type { TapOutcome } from '../src/terminal/outcome.ts'
import { tap } from '../src/terminal/tap.ts'
import type { Terminal } from '../src/terminal/terminal.ts'
import { startPcscd } from './pcscd.ts'
import { isolation, type Scenarios } from './pcscd-rig.ts'
import {
  createProviderKeys,
  createTestAuthority,
  createTestCard,
  createTestLink,
  createTestMemory,
  enrolTestTerminal,
  NOON,
  openTestProvider,
  willingHolder,
} from './tap-rig.ts'

/*
 * One tap twice: in this process, and through pcscd and vpcd. Both start from copies of one database, at one time, with
 * the same random bytes; so each byte that goes to the card and comes back must be the same.
 */

const PORT = 35963

let made: string | undefined
/** A folder for this run; goes with the namespace, where there is one. */
function scratch(): string {
  if (made !== undefined) return made
  const folder = mkdtempSync(join(isolation === 'namespace' ? '/run' : tmpdir(), 'kazasu-pcsc-tap-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  made = folder
  return folder
}

/** The same bytes in each run. */
function createCountedRandom(seed: string): Random {
  let count = 0
  return {
    bytes: (length) =>
      Uint8Array.from(createHash('shake256', { outputLength: length }).update(`${seed} ${count++}`).digest()),
  }
}

/** ECDSA signatures differ each time; what was signed once is answered again. */
function remember(signer: Signer): Signer {
  const made = new Map<string, Uint8Array>()
  return {
    ...signer,
    async sign(data) {
      const known = made.get(encodeHex(data)) ?? (await signer.sign(data))
      made.set(encodeHex(data), known)
      return known
    },
  }
}

interface Sitting {
  readonly outcome: TapOutcome
  /** Commands and responses in full. */
  readonly exchanges: readonly { readonly command: string; readonly response: string }[]
  readonly ms: number
}

/** A reader whose exchanges are recorded in full: the card is a test card. */
function recording(reader: CardReader, extendedLength: boolean, exchanges: Sitting['exchanges'][number][]): CardReader {
  return {
    name: reader.name,
    waitForCard: reader.waitForCard,
    waitForRemoval: reader.waitForRemoval,
    async connect() {
      const card = await reader.connect()
      return {
        ...card,
        extendedLength,
        async transmit(command) {
          const sent = encodeHex(command)
          const response = await card.transmit(command)
          exchanges.push({ command: sent, response: encodeHex(response) })
          return response
        },
      }
    },
  }
}

/** Authority, provider, clinic and card, once; and the clinic's terminal on a copy of the database, as often as wanted. */
async function createTwins() {
  const authority = await createTestAuthority()
  const keys = createProviderKeys(authority)
  const original = join(scratch(), 'original')
  const parts = await openTestProvider(
    authority,
    { kind: 'embedded', directory: original },
    createVirtualClock(NOON),
    keys,
  )
  const { terminal, thumbprint, offer } = await enrolTestTerminal(parts, authority, createVirtualClock(NOON), {
    ...{ institution: 'clinic-sakura', id: 't1', sequence: 1 },
  })
  const card = await createTestCard(authority)
  await parts.store.close()
  const institutionKey = remember(terminal.institutionKey)

  async function sit(mechanism: 'institution' | 'pin', reader: CardReader, extendedLength: boolean): Promise<Sitting> {
    const twin = mkdtempSync(join(scratch(), 'twin-'))
    cpSync(original, twin, { recursive: true })
    const now = createVirtualClock(NOON)
    const { provider, database, store } = await openTestProvider(
      authority,
      { kind: 'embedded', directory: twin },
      now,
      keys,
    )
    const issuing = { ...provider, random: createCountedRandom('provider') }
    const exchanges: Sitting['exchanges'][number][] = []
    const own: Terminal = {
      ...terminal,
      institutionKey,
      reader: recording(reader, extendedLength, exchanges),
      clock: now,
      random: createCountedRandom('terminal'),
      outbox: createOutbox(createTestMemory(), createTestLink(provider, thumbprint), now),
      nonces: {
        async take({ client, purpose, basis }) {
          const self = await identifyTerminal(database, thumbprint)
          const [row] = await issueNonces(issuing, self, { client, purpose, mechanism, basis, role: 'holder' }, 1)
          assert.ok(row)
          return row
        },
      },
    }
    try {
      const began = clock.monotonic()
      const outcome = await tap(own, willingHolder(), offer(mechanism))
      return { outcome, exchanges, ms: clock.monotonic() - began }
    } finally {
      await store.close()
    }
  }
  return { sit, personalisation: card.personalisation }
}

const newCard = (personalisation: Personalisation) =>
  createVirtualCard({
    personalisation,
    state: createMemoryCardState(initialCardState(personalisation)),
    random: createCountedRandom('card'),
  })

/** What a trace says, without the times. */
const shown = ({ trace }: TapOutcome) =>
  trace.map(({ command, response, sent, received }: TracedExchange) => ({ command, response, sent, received }))

let twins: ReturnType<typeof createTwins> | undefined

const compare = (mechanism: 'institution' | 'pin', extendedLength: boolean) => async () => {
  twins ??= createTwins()
  const { sit, personalisation } = await twins
  const pcscd = await startPcscd({ DESK: PORT })
  const pcsc = await openPcsc({ clock })
  const lying = servePcd({ host: '127.0.0.1', port: PORT, device: newCard(personalisation), clock })
  try {
    const inProcess = createInProcessReader('desk', { extendedLength })
    inProcess.insert(newCard(personalisation))
    const near = await sit(mechanism, inProcess, extendedLength)
    const far = await sit(mechanism, await pcsc.reader('DESK 00 00'), extendedLength)
    assert.equal(near.outcome.result, 'recognised')
    assert.equal(far.outcome.result, 'recognised')
    assert.ok(near.exchanges.length >= (mechanism === 'institution' ? 10 : 5))
    assert.deepEqual(far.exchanges, near.exchanges)
    assert.deepEqual(shown(far.outcome), shown(near.outcome))
    assert.deepEqual(
      far.outcome.steps.map(({ name }) => name).sort(),
      near.outcome.steps.map(({ name }) => name).sort(),
    )
    return { commands: near.exchanges.length, nearMs: Math.round(near.ms), farMs: Math.round(far.ms) }
  } finally {
    await pcsc.close()
    await lying.stop()
    await pcscd.stop()
  }
}

/** Runs `kazasu` with a home of its own; gives its exit code and what it printed. */
async function kazasu(
  home: string,
  ...args: readonly string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const script = join(import.meta.dirname, '..', 'src', 'bin', 'kazasu.ts')
  const child = spawn(process.execPath, [script, '--home', home, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    said.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    said.err += chunk
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...said }
}

/** `kazasu tap --json` with a reader of the name that vpcd's own configuration gives it; one home for all of them. */
function throughPcscd(work: (tap: (...args: readonly string[]) => ReturnType<typeof kazasu>) => Promise<unknown>) {
  const through = ['--pcsc', 'Virtual PCD', '--vpcd', `127.0.0.1:${PORT}`, '--json']
  return async () => {
    const pcscd = await startPcscd({ 'Virtual PCD': PORT })
    try {
      return await work((...args) => kazasu(join(scratch(), 'home'), 'tap', ...through, ...args))
    } finally {
      await pcscd.stop()
    }
  }
}

export const scenarios: Scenarios = {
  'mechanism institution, extended length': compare('institution', true),
  'mechanism institution, short commands': compare('institution', false),
  'mechanism pin, extended length': compare('pin', true),
  'mechanism pin, short commands': compare('pin', false),

  'kazasu tap --pcsc on a fresh home: recognised through a real pcscd': throughPcscd(async (tap) => {
    const began = clock.monotonic()
    const { code, out, err } = await tap()
    assert.equal(code, 0, err)
    const told = JSON.parse(out)
    assert.equal(told.result, 'recognised')
    assert.equal(told.mechanism, 'institution')
    assert.equal(told.eligibility.status, 'valid')
    assert.equal(told.evidence.index, 0)
    assert.equal(told.institutionToken.split('.').length, 3)
    return { milliseconds: Math.round(clock.monotonic() - began), steps: told.steps.length }
  }),

  'kazasu tap --pcsc again, with the PIN: the same person': throughPcscd(async (tap) => {
    const { code, out, err } = await tap('--mechanism', 'pin', '--pin', '1234')
    assert.equal(code, 0, err)
    const told = JSON.parse(out)
    assert.deepEqual([told.result, told.mechanism, told.returning], ['recognised', 'pin', true])
  }),

  'kazasu tap --pcsc with a forged card: refused': throughPcscd(async (tap) => {
    const { code, out, err } = await tap('--card', 'nise')
    assert.equal(code, 1, err)
    assert.equal(JSON.parse(out).code, 'certificate-untrusted')
  }),
}
