import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { systemClock } from '#clock'
import { createHttpClient } from '#http'
import { checkPairwiseId } from '#messages'
import { run as runCommand } from '../src/bin/commands.ts'
import {
  awaitTown,
  createHomes,
  type Ended,
  isAlive,
  isRecordedRunning,
  kazasu,
  launch,
  root,
  run,
  startTown,
  type TownProcess,
} from './town-process.ts'

/* The command as people use it: a process of its own, judged by what it prints and how it ends. */

const homes = createHomes()
let founded: string
let firstTap: Ended
let firstTapSeconds: number
beforeAll(async () => {
  founded = await homes.empty()
  const start = performance.now()
  firstTap = await kazasu(founded, 'tap', '--json')
  firstTapSeconds = (performance.now() - start) / 1000
})
afterAll(() => homes.clear())

/** What `tap --json` printed; fails with everything it said if that is no JSON. */
function tapped({ out, err }: Omit<Ended, 'signal'>) {
  try {
    return JSON.parse(out)
  } catch {
    throw new Error(`no JSON:\n${out}${err}`)
  }
}

describe('one tap, in a folder where nothing was before', () => {
  test('founds the town, is recognised and prints what the contract says and nothing else', () => {
    const printed = tapped(firstTap)
    expect(firstTap.code).toBe(0)
    expect(printed).toStrictEqual({
      result: 'recognised',
      mechanism: 'institution',
      basis: 'none',
      pairwiseId: expect.any(String),
      returning: false,
      certificate: 'current',
      eligibility: { status: 'valid', insurer: '99130010', symbol: '77', number: '1000001', branch: '01', ratio: 30 },
      institutionToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      evidence: { index: 0, root: expect.stringMatching(/^[\w-]{43}$/) },
      steps: expect.any(Array),
    })
    expect(checkPairwiseId(printed.pairwiseId)).toBe(printed.pairwiseId)
    for (const step of printed.steps) expect(step).toStrictEqual({ name: expect.any(String), ms: expect.any(Number) })
    expect(printed.steps.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['select', 'certificate', 'chain', 'challenge', 'authenticate', 'sign', 'seal', 'prove']),
    )
    console.info(`first recognised tap, founding included: ${firstTapSeconds.toFixed(1)} s`)
  })

  test('leaves nothing running', () => {
    expect(isRecordedRunning(founded)).toBe(false)
  })

  test('is the same person at the second tap, in a new process, and the log goes on', async () => {
    const second = tapped(await kazasu(founded, 'tap', '--json'))
    const first = tapped(firstTap)
    expect(second).toMatchObject({ result: 'recognised', returning: true, pairwiseId: first.pairwiseId })
    expect(second.evidence.index).toBe(1)
    expect(second.evidence.root).not.toBe(first.evidence.root)
  })
})

describe('a running town', () => {
  let town: TownProcess
  beforeAll(async () => {
    town = await startTown(await homes.copyOf(founded))
  })
  afterAll(() => town.stop())
  const tap = (...args: readonly string[]) => inside(town.home, 'tap', '--json', ...args)

  test.each([
    ['hanako', { result: 'recognised', certificate: 'current', eligibility: { status: 'valid' } }],
    ['taro', { result: 'recognised', certificate: 'current', eligibility: { status: 'invalid' } }],
    ['ume', { result: 'recognised', certificate: 'grace', eligibility: { status: 'valid' } }],
    ['sora', { result: 'recognised', certificate: 'current', eligibility: { status: 'valid' } }],
    ['jun', { result: 'recognised', certificate: 'current', eligibility: { status: 'valid' } }],
    ['ken', { result: 'refused', code: 'certificate-expired' }],
    ['rei', { result: 'refused', code: 'certificate-revoked' }],
    ['nise', { result: 'refused', code: 'certificate-untrusted' }],
  ])('%s without a PIN: %j', async (card, expected) => {
    const ended = await tap('--card', card)
    expect(tapped(ended)).toMatchObject(expected)
    expect(ended.code).toBe(expected.result === 'recognised' ? 0 : 1)
    if (expected.result === 'refused') expectAdvice(tapped(ended))
  })

  test('a wrong PIN shows the tries left, and a right one after it gives them back', async () => {
    const pin = (digits: string) => tap('--mechanism', 'pin', '--pin', digits)
    const wrong = await pin('9999')
    expect([wrong.code, tapped(wrong)]).toStrictEqual([1, { result: 'wrong-pin', triesLeft: 2 }])
    expect(tapped(await pin('1234'))).toMatchObject({ result: 'recognised', mechanism: 'pin', basis: '38-2-pin' })
    expect(tapped(await pin('9999'))).toStrictEqual({ result: 'wrong-pin', triesLeft: 2 })
    expect((await pin('1234')).code).toBe(0)
  })

  test('a card whose PIN is blocked says so, and to a person what to do', async () => {
    const blocked = await tap('--card', 'jun', '--mechanism', 'pin', '--pin', '1234')
    expect([blocked.code, tapped(blocked)]).toStrictEqual([1, { result: 'pin-blocked' }])
    const { out } = await inside(town.home, 'tap', '--card', 'jun', '--mechanism', 'pin', '--pin', '1234')
    expect(out).toMatch(/市区町村の窓口/)
  })

  test('whoever types no PIN has declined', async () => {
    expect(tapped(await tap('--mechanism', 'pin'))).toStrictEqual({ result: 'declined' })
  })

  test('what the terminal refuses reaches the page as the terminal said it', async () => {
    const post = (path: string, body: object) =>
      fetch(new URL(path, town.town), {
        method: 'POST',
        headers: { authorization: `Bearer ${town.key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const odd = await post('/api/taps', { purpose: 'entry', mechanism: 'institution' })
    expect([odd.status, await odd.json()]).toMatchObject([403, { code: 'not-offered' }])
    const none = await post('/api/taps/nobody/consent', { given: false })
    expect([none.status, await none.json()]).toMatchObject([404, { code: 'no-tap' }])
  })

  test('a terminal is enrolled by a one-time code, once, and activated', async () => {
    const code = await inside(town.home, 'provider', 'enrolment-code', 'side-door', '--institution', 'clinic-sakura')
    const status = JSON.parse((await inside(town.home, 'town', 'status')).out) as { provider: string }
    const enrol = (folder: string) =>
      inside(
        town.home,
        ...['terminal', 'enrol', '--directory', join(town.home, folder), '--provider', status.provider],
        ...['--certificate', join(town.home, 'provider', 'tls-certificate.pem'), '--code', code.out.trim()],
      )
    expect((await enrol('side-door')).code).toBe(0)
    const again = await enrol('other')
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('enrolment-code')])
    expect((await inside(town.home, 'provider', 'activate', 'side-door')).code).toBe(0)
    const { out } = await inside(town.home, 'provider', 'terminals')
    expect(out).toMatch(/side-door +clinic-sakura +active/)
  })

  test('the same person has one ID here with and without PIN, two persons two', async () => {
    const [plain, pin, other] = [
      tapped(await tap()),
      tapped(await tap('--mechanism', 'pin', '--pin', '1234')),
      tapped(await tap('--card', 'taro')),
    ]
    expect(pin.pairwiseId).toBe(plain.pairwiseId)
    expect(other.pairwiseId).not.toBe(plain.pairwiseId)
  })

  test('an unknown card is refused with the way to the names', async () => {
    const { code, err } = await inside(town.home, 'tap', '--card', 'nobody')
    expect(code).toBe(1)
    expect(err).toMatch(/kazasu card list/)
  })

  test('a second start says what is running and where, and leaves it alone', async () => {
    const { code, err } = await inside(town.home, 'start', '--port', '0')
    expect(code).toBe(1)
    expect(err).toContain(town.town)
    expect(err).toContain(String(town.pid))
    expect(isAlive(town.pid)).toBe(true)
  })

  test('is not reset under its feet', async () => {
    const { code, err } = await inside(town.home, 'town', 'reset')
    expect(code).toBe(1)
    expect(err).toMatch(/town-running/)
    expect(tapped(await tap()).result).toBe('recognised')
  })

  test('tells its addresses', async () => {
    const { code, out } = await inside(town.home, 'town', 'status')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ pid: town.pid, town: town.town, provider: town.provider })
  })

  test('a terminal that the provider suspends is refused with a remedy, and works again when activated', async () => {
    const operator = createHttpClient({
      baseUrl: town.provider,
      bearer: (await readFile(join(town.home, 'provider', 'operator.key'), 'utf8')).trim(),
      serverCertificate: await readFile(join(town.home, 'provider', 'tls-certificate.pem')),
      clock: systemClock,
      timeoutMs: 10_000,
    })
    const act = (name: string) => operator.postJson(`/v1/terminals/sakura-desk-1/${name}`, z.unknown(), { v: 1 })
    try {
      await act('suspension')
      const ended = await tap()
      expect(ended.code).toBe(1)
      expect(tapped(ended)).toMatchObject({ code: 'terminal-suspended' })
      expectAdvice(tapped(ended))
      await act('activation')
      expect(tapped(await tap()).result).toBe('recognised')
    } finally {
      await operator.close()
    }
  })
})

describe('starting and stopping', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s to npm leaves no process and no record', async (signal) => {
    const home = await homes.copyOf(founded)
    const args = ['start', '--', '--port', '0', '--no-tap']
    const town = await awaitTown(home, run('npm', args, { home }))
    expect(town.written()).toContain(town.town)
    expect((await fetch(town.town)).status).toBe(200)
    await town.stop(signal)
    for (let waited = 0; isAlive(town.pid) && waited < 15_000; waited += 50)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(isAlive(town.pid)).toBe(false)
    expect(isRecordedRunning(home)).toBe(false)
  })

  test('Ctrl-C, which comes twice where npm passes it on, stops it in order', async () => {
    const town = await startTown(await homes.copyOf(founded))
    process.kill(town.pid, 'SIGINT')
    process.kill(town.pid, 'SIGINT')
    expect(await town.stop('SIGINT')).toMatchObject({ code: 0, signal: null })
    expect(isRecordedRunning(town.home)).toBe(false)
  })

  test('a window that is closed (SIGHUP) stops it in order', async () => {
    const town = await startTown(await homes.copyOf(founded))
    expect(await town.stop('SIGHUP')).toMatchObject({ code: 0, signal: null })
    expect(isRecordedRunning(town.home)).toBe(false)
  })

  test('a port that is taken is named, with what to do', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const { port } = holder.address() as AddressInfo
    const home = await homes.copyOf(founded)
    const { code, err } = await kazasu(home, 'start', '--no-tap', '--port', String(port))
    holder.close()
    expect([code, err]).toEqual([1, expect.stringMatching(/--port 0/)])
    expect(err).toContain(`port-taken (port=${port})`)
    expect(isRecordedRunning(home)).toBe(false)
  })

  test('start performs a tap, shows its steps and says where the page is', async () => {
    const home = await homes.copyOf(founded)
    const town = await awaitTown(home, launch(['start', '--port', '0'], { home }))
    const { code, out } = await town.stop('SIGINT')
    expect(code).toBe(0)
    expect(out).toMatch(/カードの提示を確認しました \/ card presented and checked/)
    expect(out).toMatch(/prove +[\d.]+ ms/)
    expect(out).toMatch(/再来 \/ returning/)
    expect(out).toContain(town.town)
  })

  test('a town that was killed starts again where it was', async () => {
    const home = await homes.copyOf(founded)
    const killed = await startTown(home)
    const before = tapped(await kazasu(home, 'tap', '--json'))
    expect(await killed.stop('SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
    expect(isRecordedRunning(home)).toBe(true)
    const status = await kazasu(home, 'town', 'status')
    expect([status.code, status.err]).toEqual([1, expect.stringMatching(/npm start/)])
    const again = await startTown(home)
    const after = tapped(await kazasu(home, 'tap', '--json'))
    expect((await again.stop()).code).toBe(0)
    expect(after).toMatchObject({ result: 'recognised', returning: true, pairwiseId: before.pairwiseId })
    expect(after.evidence.index).toBe(before.evidence.index + 1)
  })

  test('a record of a process that is not the town is not believed', async () => {
    const home = await homes.copyOf(founded)
    const record = { v: 1, pid: process.pid, startedAt: '2026-01-01T00:00:00.000Z' }
    const nowhere = Object.fromEntries(
      ['town', 'authority', 'provider', 'terminal', 'eligibility'].map((role) => [role, 'http://127.0.0.1:9']),
    )
    await writeFile(join(home, 'town.json'), JSON.stringify({ ...record, ...nowhere }))
    expect(tapped(await kazasu(home, 'tap', '--json')).result).toBe('recognised')
  })

  test('a second process keeps its hands off a town that is just being founded', async () => {
    const home = await homes.empty()
    const founding = launch(['tap', '--json'], { home })
    while (!founding.written().includes('residents get their cards')) await new Promise((done) => setTimeout(done, 20))
    founding.child.kill('SIGSTOP') // so that it does not finish meanwhile
    for (const args of [['tap'], ['town', 'reset']]) {
      const { code, err } = await kazasu(home, ...args)
      expect([code, err]).toEqual([1, expect.stringContaining(`store-in-use (pid=${founding.child.pid}`)])
      expect(err).toMatch(/→ \S+.*Stop that process/)
    }
    founding.child.kill('SIGCONT')
    expect(tapped(await founding.ended).result).toBe('recognised')
  })
})

describe('a founding that was cut short', () => {
  test('is made anew at the next start, and says so', async () => {
    const home = await homes.empty()
    const founding = launch(['start', '--port', '0', '--no-tap'], { home })
    while (!founding.written().includes('residents get their cards')) await new Promise((done) => setTimeout(done, 20))
    founding.child.kill('SIGKILL')
    await founding.ended
    const next = await kazasu(home, 'tap', '--json')
    expect(tapped(next)).toMatchObject({ result: 'recognised', evidence: { index: 0 } })
    expect(next.err).toMatch(/made anew/)
  })
})

describe('without the authority', () => {
  test('no tap passes as checked, and the desk is told what to do', async () => {
    const home = await homes.copyOf(founded)
    const deaf = join(home, 'deaf-port')
    const node = ['--import', join(root, 'test', 'deaf-port.mjs')]
    const town = await startTown(home, { node, env: { KAZASU_DEAF_PORT: deaf } })
    try {
      expect(tapped(await kazasu(home, 'tap', '--json')).result).toBe('recognised')
      await writeFile(deaf, new URL(town.authority).port)
      town.child.kill('SIGUSR2')
      await expect
        .poll(() =>
          fetch(town.authority).then(
            () => true,
            () => false,
          ),
        )
        .toBe(false)
      const ended = await kazasu(home, 'tap', '--json')
      expect(ended.code).toBe(1)
      expect(tapped(ended)).toMatchObject({ result: 'refused', code: 'status-stale' })
      expectAdvice(tapped(ended))
      // The policy row of a mere visit takes the last list, and the token says what was not asked.
      expect(await visit(town)).toMatchObject({ result: 'recognised', certificate: 'not-checked' })
    } finally {
      await town.stop()
    }
  })
})

describe('misuse', () => {
  test.each(
    [
      'nonsense',
      '--home',
      'tap --mechanism password',
      'tap --mechanism pin --pin 12',
      'tap --mechanism pin --pin 12a4',
      'tap --lang fr',
      'tap --vpcd nowhere',
      'tap superfluous',
      'start --port eighty',
      'start --port 70000',
      'start --unknown',
      'card serve hanako',
      'card serve --vpcd 127.0.0.1:35963',
      'card',
      'town',
      '',
    ].map((line) => [line]),
  )('`kazasu %s` ends with 2, a hint, and nothing done', async (line) => {
    const { code, out, err } = await inside(join(founded, 'untouched'), ...line.split(' ').filter(Boolean))
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err.trim()).not.toBe('')
    expect(existsSync(join(founded, 'untouched'))).toBe(false)
  })

  test('the exit code reaches the shell', async () => {
    expect((await kazasu(founded, 'nonsense')).code).toBe(2)
    expect((await kazasu(founded, '--help')).code).toBe(0)
  })

  test.each(['', 'start', 'tap', 'card', 'card list', 'card serve', 'town', 'town reset', 'doctor', 'provider'])(
    '`kazasu %s --help` explains and ends with 0',
    async (line) => {
      const { code, out } = await inside(founded, ...line.split(' ').filter(Boolean), '--help')
      expect(code).toBe(0)
      expect(out).toMatch(/^Usage: kazasu/)
    },
  )
})

describe('beside the town', () => {
  test('card list names the residents, for people and as JSON', async () => {
    const { code, out } = await kazasu(founded, 'card', 'list')
    expect(code).toBe(0)
    const cards = JSON.parse((await kazasu(founded, 'card', 'list', '--json')).out)
    expect(cards.map(({ name }: { name: string }) => name)).toEqual([
      'hanako',
      'taro',
      'ume',
      'sora',
      'ken',
      'rei',
      'jun',
      'nise',
    ])
    for (const { name, holder } of cards) expect(out).toMatch(new RegExp(`^${name} +${holder.ja}`, 'm'))
  })

  test('doctor gives a remedy for whatever is not as it should be', async () => {
    const { code, out } = await kazasu(founded, 'doctor', '--json')
    const findings = JSON.parse(out)
    expect(findings[0]).toMatchObject({ what: expect.stringMatching(/^Node 2[4-9]/), ok: true, needed: true })
    for (const finding of findings) if (!finding.ok) expect(finding.remedy).not.toBe('')
    expect(code).toBe(findings.some((one: { ok: boolean; needed: boolean }) => one.needed && !one.ok) ? 1 : 0)
  })

  test('town reset forgets everything; the next town knows nobody', async () => {
    const home = await homes.copyOf(founded)
    expect((await kazasu(home, 'town', 'reset')).code).toBe(0)
    const tap = tapped(await kazasu(home, 'tap', '--json'))
    expect(tap).toMatchObject({ result: 'recognised', returning: false, evidence: { index: 0 } })
    expect(tap.pairwiseId).not.toBe(tapped(firstTap).pairwiseId)
  })
})

/** A tap for purpose `visit` with the card that lies there, over the town's own interface. */
async function visit({ town, key }: TownProcess): Promise<unknown> {
  const client = createHttpClient({ baseUrl: town, bearer: key, clock: systemClock, timeoutMs: 30_000 })
  const reach = async (stage: string): Promise<{ id: string; outcome?: unknown }> => {
    const { tap } = await client.getJson(
      '/api/town',
      z.looseObject({ tap: z.looseObject({ id: z.string(), stage: z.string() }) }),
    )
    return tap.stage === stage ? tap : reach(stage)
  }
  try {
    await client.postJson('/api/taps', z.unknown(), { purpose: 'visit', mechanism: 'institution' })
    const { id } = await reach('consent')
    const consent = { given: true, kind: 'ok-button', lang: 'ja', input: 'key' }
    await client.postJson(`/api/taps/${id}/consent`, z.unknown(), consent)
    return (await reach('ended')).outcome
  } finally {
    await client.close()
  }
}

/** The command in this process: where the process is not what is tested, as each one costs a second. */
async function inside(home: string, ...args: readonly string[]): Promise<Omit<Ended, 'signal'>> {
  const [out, err]: [unknown[], unknown[]] = [[], []]
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((part) => out.push(part) > 0),
    vi.spyOn(process.stderr, 'write').mockImplementation((part) => err.push(part) > 0),
  ]
  try {
    const code = await runCommand(['node', 'kazasu', '--home', home, ...args])
    return { code, out: out.join(''), err: err.join('') }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

function expectAdvice(printed: { cause?: unknown; remedy?: unknown }): void {
  const text = { ja: expect.stringMatching(/\S/), en: expect.stringMatching(/\S/) }
  expect(printed.cause).toMatchObject(text)
  expect(printed.remedy).toMatchObject(text)
}
