import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { compactDecrypt } from 'jose'
import { Counter, Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TracedExchange, traceChannel } from '#apdu'
import { decodeBase64url, encodeHex } from '#bytes'
import { CardError, createFileCardState, decodePersonalisation, type Personalisation } from '#card'
import { systemClock as clock, systemRandom as random } from '#clock'
import { importAuditPrivateKey, openSealedRecord } from '#evidence'
import { createLog } from '#http'
import { loadPrivateKey, loadSealingKey } from '#keys'
import { PRESENCE_TOKEN, publicKeyHash, signJws } from '#messages'
import { decodeCertificate, eraBirthDate } from '#pki'
import type { TapResult } from '#terminal'
import { type Home, openHome } from '../src/bin/home.ts'
import { logFile } from '../src/bin/log-file.ts'
import { tapJson, tapText } from '../src/bin/print.ts'
import { RESIDENTS, type Resident } from '../src/bin/residents.ts'
import { type RunningTownHandle, startTown } from '../src/bin/town.ts'
import { payVisit } from '../src/bin/visit.ts'
import { cardFailures } from '../src/card/failures.ts'
import { createExplain } from '../src/http/problem.ts'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import {
  bytesCanary,
  type Canary,
  digitsCanary,
  encodeShiftJis,
  type Haystack,
  search,
  serialCanary,
  textCanary,
} from './canaries.ts'

/*
 * A town is founded and its residents hold up their cards. Then everything that any role wrote down, said or answered is
 * searched for what it must not hold. Not searched: `cards/`, which are the cards themselves; and the raw files of the
 * embedded database for what the authority must hold, because the authority has its schema in the same files: each
 * schema is dumped and searched on its own instead. No role logs below level `info`, so no level hides anything.
 */

/** PINs that the holders chose themselves: each is told from all others. */
const PINS: Readonly<Record<string, string>> = {
  ...{ hanako: '7391', taro: '8264', ume: '9517', sora: '6048' },
  ...{ ken: '3862', rei: '5709', jun: '4283', nise: '9036' },
}
const WRONG_PIN = '2675'

interface Tap {
  readonly card: string
  readonly outcome: TapResult
}

const directory = mkdtempSync(join(tmpdir(), 'kazasu-privacy-'))
const home: Home = openHome(directory)
const cards = new Map<string, Personalisation>()
const taps: Tap[] = []
/** Everything that was said over the wire or printed. */
const said: Haystack[] = []
let canaries: readonly Canary[] = []
let database: PGlite

const text = (place: string, value: unknown): Haystack => ({
  place,
  bytes: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
})
const of = (...what: readonly string[]) => canaries.filter((canary) => what.includes(canary.what))
const except = (...what: readonly string[]) => canaries.filter((canary) => !what.includes(canary.what))

beforeAll(async () => {
  const town = await startTown({ home, clock, random, port: 0, say: (line) => said.push(text('standard error', line)) })
  try {
    for (const { name } of RESIDENTS) await settleIn(name)
    canaries = RESIDENTS.flatMap(canariesOf)
    await live(town)
  } finally {
    await town.close()
  }
  database = await PGlite.create({ dataDir: home.path('database', 'data') })
}, 240_000)
afterAll(async () => {
  await database?.close()
  rmSync(directory, { recursive: true, force: true })
})

/** The holder sets a PIN of their own. */
async function settleIn(name: string): Promise<void> {
  cards.set(name, decodePersonalisation(await readFile(home.path('cards', `${name}.json`), 'utf8')))
  const state = createFileCardState(home.path('cards', `${name}.state.json`))
  const before = await state.read()
  await state.write({ ...before, pins: { ...before.pins, 'user-authentication': PINS[name] ?? '' } })
}

function canariesOf({ name, signer, birthDate, password, membership }: Resident): Canary[] {
  const card = cards.get(name)
  const pairs = [card?.userAuthentication, card?.signature].filter((pair) => pair !== undefined)
  const [year = '', month = '', day = ''] = birthDate.split('-')
  return [
    ...pairs.flatMap((pair) => {
      const { raw, serial, publicKey, subject } = decodeCertificate(decodeBase64url(pair.certificate))
      const commonName = /([A-Z0-9]{20,})$/.exec(Buffer.from(subject).toString('latin1'))?.[1] ?? ''
      expect(serial.length).toBeGreaterThanOrEqual(16)
      expect(commonName).not.toBe('')
      return [
        serialCanary(name, 'serial', serial),
        bytesCanary(name, 'certificate', raw.slice(-32)), // of the signature
        bytesCanary(name, 'certificate', raw.slice(4, 60)),
        bytesCanary(name, 'public key', publicKey.slice(40, 72)), // of the modulus
        bytesCanary(name, 'public key hash', publicKeyHash(publicKey)),
        bytesCanary(name, 'private key', decodeBase64url(pair.privateKey).slice(600, 632)),
        textCanary(name, 'common name', commonName),
      ]
    }),
    ...(signer
      ? [
          textCanary(name, 'name', ...['　', ' ', ''].map((space) => signer.name.replace('　', space))),
          textCanary(name, 'address', signer.address, signer.address.slice(3, 9)),
        ]
      : []),
    textCanary(name, 'birth date', birthDate, `${year}${month}${day}`, `${year}/${month}/${day}`),
    textCanary(name, 'birth date', `${Number(year)}年${Number(month)}月${Number(day)}日`, eraBirthDate(birthDate)),
    ...(password === undefined ? [] : [textCanary(name, 'password', password)]),
    digitsCanary(name, 'PIN', PINS[name] ?? ''),
    digitsCanary(name, 'PIN', WRONG_PIN),
    ...(membership ? [digitsCanary(name, 'insured number', membership.number)] : []),
  ]
}

/** Everybody comes with each mechanism, some mistype; the command line is used; questions are asked that make no sense. */
async function live(town: RunningTownHandle): Promise<void> {
  for (const mechanism of ['institution', 'pin'] as const) {
    for (const { name: card } of RESIDENTS) {
      const visit = { card, mechanism, lang: 'ja' as const }
      const pins = mechanism === 'pin' && card !== 'jun' ? [WRONG_PIN, PINS[card]] : [PINS[card]]
      for (const pin of pins) {
        taps.push({ card, outcome: await payVisit(town, { ...visit, ...(pin ? { pin } : {}) }, clock) })
      }
    }
  }
  await useCommandLine('--card', 'hanako')
  await useCommandLine('--card', 'hanako', '--mechanism', 'pin', '--pin', PINS.hanako ?? '')
  await useCommandLine('--card', 'hanako', '--mechanism', 'pin', '--pin', WRONG_PIN)
  await useCommandLine('--card', 'rei')
  const origins = { ...town } as Readonly<Record<string, unknown>>
  for (const role of ['authority', 'provider', 'terminal', 'eligibility', 'town']) {
    const origin = String(origins[role])
    for (const [path, body] of nonsense()) {
      const answer = await call(`${origin}${path}`, body)
      expect(answer.status, path).toBeLessThan(500)
      said.push(text(`problem of ${role}`, answer.text))
    }
    const metrics = await call(`${origin}/metrics`)
    expect(metrics.text).toContain('http_requests_total')
    said.push(text(`metrics of ${role}`, metrics.text))
    said.push(text(`readiness of ${role}`, (await call(`${origin}/readyz`)).text))
  }
  said.push(text('page', (await call(`${town.town}/api/town`, undefined, town.key)).text))
}

/** What a confused or curious program might send: a serial in a path, a certificate as a proof. */
function nonsense(): readonly (readonly [string, unknown?])[] {
  const certificate = cards.get('rei')?.userAuthentication.certificate ?? ''
  const { serial } = decodeCertificate(decodeBase64url(certificate))
  const [name] = RESIDENTS.flatMap(({ signer }) => signer?.name ?? [])
  return [
    [`/v1/certificates/${serial}/revocation`, { v: 1, reason: 'keyCompromise' }],
    [`/v1/nothing/${serial}?serial=${serial}`],
    ['/v1/proofs', { v: 1, certificate, name }],
    ['/v1/proofs', { [serial]: certificate }],
    ['/v1/taps', { purpose: name, mechanism: certificate }],
    ['/v1/verify', { v: 1, token: certificate }],
    ['/v1/eligibility', { subject: certificate.slice(0, 60) }],
    ['/api/taps', { purpose: name, mechanism: serial }],
    ['/v1/proofs', `{"v":1,"certificate":"${certificate}`],
  ]
}

async function call(url: string, body?: unknown, key = 'x'.repeat(43)): Promise<{ status: number; text: string }> {
  const method = body === undefined ? 'GET' : 'POST'
  const content = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  if (url.startsWith('http:')) {
    const answer = await fetch(url, { method, headers, ...(content === undefined ? {} : { body: content }) })
    return { status: answer.status, text: await answer.text() }
  }
  const ca = await readFile(home.path('provider', 'tls-certificate.pem'))
  const asked = request(url, { method, headers, ca }).end(content)
  const [answer] = await once(asked, 'response')
  let got = ''
  for await (const chunk of answer) got += chunk
  return { status: answer.statusCode, text: got }
}

async function useCommandLine(...args: readonly string[]): Promise<void> {
  const script = join(import.meta.dirname, '..', 'src', 'bin', 'kazasu.ts')
  const child = spawn(process.execPath, [script, '--home', directory, 'tap', '--json', ...args], {
    env: { ...process.env, KAZASU_DEBUG: '1' },
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
  await once(child, 'close')
  expect(printed).toContain('"result": ')
  said.push(text(`kazasu tap ${args[1]}`, printed))
}

/** The files below a folder of the home. */
function files(...folders: readonly string[]): Haystack[] {
  return folders.flatMap((folder) => {
    const path = home.path(folder)
    if (!statSync(path).isDirectory()) return [{ place: folder, bytes: readFileSync(path) }]
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => ({ place: file.slice(directory.length + 1), bytes: readFileSync(file) }))
  })
}

/** What the database's owner sees of a schema: each row as text, and each column of bytes as these bytes. */
async function dump(schema: string): Promise<Haystack[]> {
  const { rows: tables } = await database.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = $1 and table_type = 'BASE TABLE'`,
    [schema],
  )
  const found = await Promise.all(
    tables.map(async ({ name }) => {
      const table = `"${schema}"."${name}"`
      const { rows } = await database.query<Record<string, unknown>>(`select t.*, t::text as whole_row from ${table} t`)
      return rows.flatMap((row) =>
        Object.entries(row).map(([column, value]) => ({
          place: `${schema}.${name}.${column}`,
          bytes: value instanceof Uint8Array ? value : Buffer.from(String(value)),
        })),
      )
    }),
  )
  return found.flat()
}

const outcomes = (): Haystack[] =>
  taps.flatMap(({ card, outcome }) => [
    text(`outcome of ${card}`, outcome),
    text(`JSON of ${card}`, tapJson(outcome)),
    text(`text of ${card}`, tapText(outcome)),
  ])

/** Tokens as whoever they are for reads them. */
async function tokens(): Promise<Haystack[]> {
  const register = await loadSealingKey(home.path('eligibility', 'keys'), 'tokens')
  const read = (place: string, jws: string) => jws.split('.').map((part) => ({ place, bytes: decodeBase64url(part) }))
  const found = await Promise.all(
    taps.map(async ({ card, outcome }) => {
      if (outcome.result !== 'recognised') return []
      const sealed = Object.values(outcome.serviceTokens)
      const opened = await Promise.all(sealed.map((jwe) => compactDecrypt(jwe, register.privateKey)))
      return [
        ...read(`institution token of ${card}`, outcome.institutionToken),
        ...opened.flatMap(({ plaintext, protectedHeader }) => [
          text(`service token's header of ${card}`, protectedHeader),
          ...read(`service token of ${card}`, Buffer.from(plaintext).toString()),
        ]),
      ]
    }),
  )
  return found.flat()
}

/** Leaves of the evidence log as the auditor reads them. */
async function evidence(): Promise<Haystack[]> {
  const key = await loadPrivateKey(home.path('auditor', 'keys'), 'audit', 'ecdsa-p256-sha256')
  const auditor = await importAuditPrivateKey(Uint8Array.from(key.export({ format: 'der', type: 'pkcs8' })))
  const { rows } = await database.query<{ leaf: Uint8Array; body: Uint8Array; wrapped_key: Uint8Array }>(
    'select leaf, body, wrapped_key from provider.log_leaf',
  )
  return Promise.all(
    rows.map(async ({ wrapped_key: wrappedKey, ...rest }, i) => {
      const { record } = await openSealedRecord({ ...rest, wrappedKey }, auditor)
      return { place: `evidence ${i}`, bytes: record }
    }),
  )
}

const exchanges = (): readonly TracedExchange[] =>
  taps.flatMap(({ outcome }) => ('trace' in outcome ? outcome.trace : []))

describe('the search', () => {
  const serial = '4f3a9c0be1d27786aa015f6c33e8b790'
  const planted = [serialCanary('nobody', 'serial', serial), textCanary('nobody', 'name', '見本　紗良')]
  const noise = (length: number): Buffer => Buffer.from(random.bytes(length))
  const bytes = Buffer.from(serial, 'hex')
  const inside = (content: Buffer | string): Buffer => Buffer.concat([noise(97), Buffer.from(content), noise(61)])

  test.each([
    ['raw', inside(bytes)],
    ['lower hexadecimal', inside(serial)],
    ['upper hexadecimal with colons', inside(serial.toUpperCase().match(/../g)?.join(':') ?? '')],
    ['hexadecimal with spaces', inside(serial.match(/../g)?.join(' ') ?? '')],
    ['decimal', inside(BigInt(`0x${serial}`).toString())],
    ['base64, first alignment', inside(Buffer.concat([noise(30), bytes, noise(9)]).toString('base64'))],
    ['base64, second alignment', inside(Buffer.concat([noise(31), bytes, noise(9)]).toString('base64'))],
    ['base64url, third alignment', inside(Buffer.concat([noise(32), bytes, noise(9)]).toString('base64url'))],
    ['a list of numbers', inside(JSON.stringify([...bytes]))],
    ['the JSON of a Uint8Array', inside(JSON.stringify(Uint8Array.from(bytes)))],
    ['UTF-8', inside('見本　紗良')],
    ['Shift_JIS', inside(encodeShiftJis('見本　紗良'))],
    ['Shift_JIS in base64', inside(encodeShiftJis('見本　紗良').toString('base64'))],
    ['UTF-16', inside(Buffer.from('見本　紗良', 'utf16le'))],
    ['escapes of JSON', inside('\\u898b\\u672c\\u3000\\u7d17\\u826f')],
    ['a URL', inside(encodeURIComponent('見本　紗良'))],
  ])('finds a canary in %s, and none where none is', (_name, content) => {
    expect(search([{ place: 'here', bytes: content }], planted)).not.toEqual([])
    const other = [serialCanary('x', 'serial', encodeHex(noise(16))), textCanary('x', 'name', '別人　一郎')]
    expect(search([{ place: 'here', bytes: content }], other)).toEqual([])
  })

  test('spells Shift_JIS as the decoder reads it', () => {
    for (const { signer } of RESIDENTS) {
      for (const part of [signer?.name ?? '', signer?.address ?? '']) {
        expect(new TextDecoder('shift_jis', { fatal: true }).decode(encodeShiftJis(part))).toBe(part)
      }
    }
  })

  test('takes four digits for a PIN only where they stand alone', () => {
    const pin = [digitsCanary('x', 'PIN', '7391')]
    const found = (content: string) => search([text('here', content)], pin).length > 0
    expect(['"pin":"7391"', '7391', 'pin 7391,', '0020008004 37333931'].map(found)).toEqual([true, true, true, true])
    expect(['17391', '7391.25', '0.7391', 'x7391y', '73 91'].map(found)).toEqual([false, false, false, false, false])
  })
})

describe('a canary planted on purpose is found', () => {
  const serialOf = (name: string): string =>
    decodeCertificate(decodeBase64url(cards.get(name)?.userAuthentication.certificate ?? '')).serial
  const found = (haystacks: readonly Haystack[]) =>
    search(haystacks, canaries).map(({ holder, what }) => ({ holder, what }))
  const hanakosSerial = { holder: 'hanako', what: 'serial' }

  test('in a log line', async () => {
    const closing: (() => Promise<unknown>)[] = []
    const log = createLog({ name: 'planted', clock, destination: logFile(home, 'planted', closing) })
    log.info({ certificate: { serialNumber: serialOf('hanako') }, note: '風見 花子' }, 'a line that no role writes')
    for (const close of closing) await close()
    const lines = files('logs').filter(({ place }) => place.endsWith('planted.log'))
    rmSync(home.path('logs', 'planted.log'))
    expect(found(lines)).toEqual(expect.arrayContaining([hanakosSerial, { holder: 'hanako', what: 'name' }]))
  })

  test.each([
    [
      'bytes',
      `insert into provider.link (link, person) select $1::bytea, min(id) from provider.person`,
      (hex: string) => Buffer.from(hex, 'hex'),
    ],
    [
      'text',
      `insert into provider.institution (id, name, audience_id) values ('planted', $1, 'planted')`,
      (hex: string) => BigInt(`0x${hex}`).toString(),
    ],
    [
      'JSON',
      `insert into provider.client (id, institution, confirmation) select 'planted', min(id), jsonb_build_object('jkt', $1::text) from provider.institution`,
      (hex: string) => Buffer.from(hex, 'hex').toString('base64url'),
    ],
  ])('in a row, as %s', async (_as, statement, spell) => {
    await database.query('begin')
    try {
      await database.query(statement, [spell(serialOf('hanako'))])
      expect(found(await dump('provider'))).toContainEqual(hanakosSerial)
    } finally {
      await database.query('rollback')
    }
  })

  test('in a trace, if an instruction were not masked', async () => {
    const der = decodeBase64url(cards.get('hanako')?.userAuthentication.certificate ?? '')
    const trace: TracedExchange[] = []
    const channel = { extendedLength: true, transmit: async () => Uint8Array.from([...der, 0x90, 0x00]) }
    const traced = traceChannel(channel, clock, (exchange) => trace.push(exchange))
    await traced.transmit(Uint8Array.of(0x00, 0xb0, 0x8a, 0x00, 0x00)) // READ BINARY: masked
    expect(found([text('trace', trace)])).toEqual([])
    await traced.transmit(Uint8Array.of(0x00, 0x84, 0x00, 0x00, 0x00)) // GET CHALLENGE: in clear
    expect(found([text('trace', trace)])).toEqual(
      expect.arrayContaining([hanakosSerial, { holder: 'hanako', what: 'certificate' }]),
    )
  })

  test('in a token', async () => {
    const signer = createThrowawaySigner('ecdsa-p256-sha256')
    const sub = `card-${serialOf('hanako')}`
    const jws = await signJws({ typ: PRESENCE_TOKEN }, { sub, name: '風見　花子' }, signer)
    expect(found([text('token', jws)])).not.toEqual([]) // even without decoding
    const decoded = jws.split('.').map((part) => ({ place: 'token', bytes: decodeBase64url(part) }))
    expect(found(decoded)).toEqual(expect.arrayContaining([hanakosSerial, { holder: 'hanako', what: 'name' }]))
  })

  test('in a metric', async () => {
    const registry = new Registry()
    const counter = new Counter({ name: 'taps', help: 'Taps.', labelNames: ['card'], registers: [registry] })
    counter.inc({ card: serialOf('hanako') })
    expect(found([text('metrics', await registry.metrics())])).toContainEqual(hanakosSerial)
  })

  test('in a problem document', () => {
    const explain = createExplain({ statuses: { 'file-malformed': 422 }, catalogues: [cardFailures] })
    const error = new CardError('file-malformed', { holder: '風見 花子', serial: serialOf('hanako') })
    expect(found([text('problem', explain(error, 'ja', 'request').problem)])).toContainEqual(hanakosSerial)
  })

  test.each(['provider', 'terminal', 'eligibility', 'clinic'])('in a file of %s/', async (role) => {
    const path = home.path(role, 'planted', 'photo.bin')
    await mkdir(join(path, '..'))
    await writeFile(path, encodeShiftJis('患者: 風見　花子'))
    const seen = found(files(role))
    rmSync(join(path, '..'), { recursive: true })
    expect(seen).toEqual([{ holder: 'hanako', what: 'name' }])
  })
})

describe('after a day at the clinic', () => {
  test('every kind of tap has happened', () => {
    const ends = new Set(taps.map(({ outcome }) => ('problem' in outcome ? outcome.problem.code : outcome.result)))
    expect([...ends].sort()).toEqual([
      'certificate-expired',
      'certificate-revoked',
      'certificate-untrusted',
      'pin-blocked',
      'recognised',
      'wrong-pin',
    ])
    const what = new Set(canaries.map((canary) => canary.what))
    console.info(`${taps.length} taps, ${canaries.length} canaries of ${what.size} kinds,`, {
      spellings: canaries.reduce((sum, { needles }) => sum + needles.length, 0),
      exchanges: exchanges().length,
    })
    expect(what.size).toBe(12)
  })

  test('the cards hold it all, which is why they are not searched', () => {
    const found = new Set(search(files('cards'), canaries).map(({ holder, what }) => `${holder} ${what}`))
    for (const { name } of RESIDENTS) {
      for (const what of ['serial', 'PIN', 'private key']) expect(found, name).toContain(`${name} ${what}`)
    }
  })

  test('the logs hold nothing', () => {
    const logs = files('logs')
    expect(logs.map(({ place }) => place).sort()).toEqual(
      ['authority', 'eligibility', 'provider', 'terminal', 'town'].map((role) => `logs/${role}.log`),
    )
    for (const { place, bytes } of logs) expect(bytes.length, place).toBeGreaterThan(0)
    expect(search(logs, canaries)).toEqual([])
  })

  test('what each tap gave – outcome, steps, trace, JSON, text – holds nothing but the eligibility that was asked for', () => {
    expect(search(outcomes(), except('insured number'))).toEqual([])
    for (const { place, what, holder } of search(outcomes(), of('insured number'))) {
      expect(place, what).toContain(holder)
    }
  })

  test('no trace holds the digits of a VERIFY', () => {
    const verifies = exchanges().filter(({ command }) => /^..(20|21|24|2c)/i.test(command))
    expect(verifies.filter(({ command }) => command.endsWith('··')).length).toBeGreaterThan(5)
    for (const { command, sent } of verifies)
      expect([command, sent]).toEqual([expect.stringMatching(/^[0-9a-f]{8}(··)?$/), 4])
  })

  test('tokens hold nothing, not even for whom they are', async () => {
    const read = await tokens()
    expect(read.filter(({ place }) => place.startsWith('service token of')).length).toBeGreaterThan(10)
    expect(search(read, canaries)).toEqual([])
  })

  test('metrics, readiness and problem documents of all roles, the page and the command line hold nothing', () => {
    const people = of('name') // the page shows which invented person's card lies on the tray
    const apart = said.filter(({ place }) => place !== 'page' && !place.startsWith('kazasu tap'))
    expect(apart.length).toBeGreaterThan(50)
    expect(search(apart, canaries)).toEqual([])
    const shown = said.filter(({ place }) => place === 'page' || place.startsWith('kazasu tap'))
    expect(
      search(
        shown,
        except('insured number').filter((canary) => !people.includes(canary)),
      ),
    ).toEqual([])
  })

  test('the schema of the provider holds nothing', async () => {
    const rows = await dump('provider')
    expect(rows.length).toBeGreaterThan(500)
    expect(search(rows, canaries)).toEqual([])
  })

  test('the evidence holds nothing, not even for the auditor who opens it', async () => {
    const records = await evidence()
    const proofs = taps.filter(({ outcome }) => !/pin/.test(outcome.result)).length + 3 // by the command line
    expect(records.length).toBe(proofs)
    expect(search(records, canaries)).toEqual([])
  })

  test('the insured register holds insured numbers and nothing of a card', async () => {
    const rows = await dump('eligibility')
    expect(search(rows, except('insured number'))).toEqual([])
    const insured = RESIDENTS.filter(({ membership }) => membership).map(({ name }) => name)
    expect(new Set(search(rows, of('insured number')).map(({ holder }) => holder))).toEqual(new Set(insured))
  })

  test('the authority’s schema holds the serials and certificates that it issued, no secret, and nothing of the forged card', async () => {
    const rows = await dump('authority')
    const found = search(rows, canaries)
    const ofForged = found.filter(({ holder }) => holder === 'nise')
    expect(ofForged).toEqual([])
    for (const { name, foreign } of RESIDENTS) {
      if (foreign) continue
      for (const what of ['serial', 'certificate', 'public key', 'common name']) {
        expect(
          found.some((one) => one.holder === name && one.what === what),
          `${name} ${what}`,
        ).toBe(true)
      }
    }
    const secrets = ['PIN', 'password', 'private key', 'insured number']
    expect(found.filter(({ what }) => secrets.includes(what))).toEqual([])
  })

  test('there is no other schema', async () => {
    const { rows } = await database.query<{ name: string }>(
      `select nspname as name from pg_namespace where nspname !~ '^(pg_|information_schema)' order by 1`,
    )
    expect(rows.map(({ name }) => name)).toEqual(['authority', 'eligibility', 'provider', 'public', 'store'])
    expect(search([...(await dump('store')), ...(await dump('public'))], canaries)).toEqual([])
  })

  test('the folders of all roles hold nothing', () => {
    const folders = readdirSync(directory).filter((name) => !['cards', 'database'].includes(name))
    expect(folders).toEqual(
      expect.arrayContaining(['authority', 'auditor', 'clinic', 'eligibility', 'provider', 'terminal']),
    )
    expect(search(files(...folders), canaries)).toEqual([])
  })

  test('the raw files of the database hold no password and no key of a card', () => {
    const secrets = of('password', 'private key').map((canary) => ({
      ...canary,
      needles: canary.needles.filter(({ encoding }) => /raw|base64url/.test(encoding)),
    }))
    expect(search(files('database'), secrets)).toEqual([])
  })
})
