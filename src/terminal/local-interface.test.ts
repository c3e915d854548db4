import { afterEach, describe, expect, test } from 'vitest'
import { systemClock, systemRandom } from '#clock'
import { bodyBytes, createHttpServer, createLog, type HttpServer, httpFailures } from '#http'
import { TerminalError, terminalFailures, terminalStatuses } from './failures.ts'
import type { Front } from './front.ts'
import { serveLocally } from './local-interface.ts'
import type { TapView } from './tap-view.ts'

const view: TapView = {
  ...{ id: 'tap', stage: 'working', steps: [] },
  offer: { purpose: 'eligibility', mechanism: 'pin', basis: 'none', audiences: [], textId: 'eligibility-1' },
}

let server: HttpServer | undefined
afterEach(() => server?.close())

/** The interface over a front that notes what reaches it, and the bytes of every request's body. */
async function serve(attended: boolean, refusal?: TerminalError) {
  const reached: { consents: unknown[]; digits: (Uint8Array | undefined)[]; typed: string[]; bodies: Uint8Array[] } = {
    ...{ consents: [], digits: [], typed: [], bodies: [] },
  }
  const front = {
    consent: (_id: string, given: unknown) => void reached.consents.push(given),
    pin(_id: string, digits: Uint8Array | undefined) {
      reached.digits.push(digits)
      reached.typed.push(digits ? Buffer.from(digits).toString() : '')
      if (refusal) throw refusal
    },
    view: () => view,
  } as unknown as Front
  server = await createHttpServer({
    ...{ name: 'terminal', version: '1', description: 'local interface', clock: systemClock, random: systemRandom },
    log: createLog({ name: 'terminal', clock: systemClock, destination: { write: () => undefined } }),
    ...{ port: 0, statuses: terminalStatuses, catalogues: [terminalFailures, httpFailures] },
  })
  server.app.addHook('preValidation', async (request) => void reached.bodies.push(bodyBytes(request)))
  const describeFront = () => {
    throw new Error('not asked for here')
  }
  await serveLocally(server.app, { front, clock: systemClock, key: 'local', attended, describe: describeFront })
  const origin = await server.listen()
  const headers = { authorization: 'Bearer local', 'content-type': 'application/json' }
  const post = async (input: string, body: object) => {
    const answer = await fetch(`${origin}/v1/taps/tap/${input}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return { status: answer.status, code: ((await answer.json()) as { code?: string }).code }
  }
  return { reached, post }
}

describe('consent', () => {
  const kinds = ['ok-button', 'attended'] as const
  const inputs = ['touch', 'key', 'pointer', 'staff'] as const
  test.each(
    [true, false].flatMap((attended) =>
      kinds.flatMap((kind) => inputs.map((input) => [attended ? 'attended' : 'unattended', kind, input] as const)),
    ),
  )('at an %s terminal, %s by %s', async (where, kind, input) => {
    const { reached, post } = await serve(where === 'attended')
    const answer = await post('consent', { given: true, kind, lang: 'ja', input })
    const allowed = where === 'attended' || (kind === 'ok-button' && input !== 'staff')
    expect(answer).toEqual(allowed ? { status: 200 } : { status: 403, code: 'unattended' })
    expect(reached.consents).toEqual(allowed ? [{ kind, lang: 'ja', input }] : [])
  })
})

describe('the bytes of a PIN', () => {
  test('are erased in the request when the tap has its own', async () => {
    const { reached, post } = await serve(false)
    expect((await post('pin', { pin: '1234' })).status).toBe(200)
    expect(reached.typed).toEqual(['1234'])
    const [body] = reached.bodies
    expect(body?.length).toBe('{"pin":"1234"}'.length)
    expect([...(body ?? [])].every((byte) => byte === 0)).toBe(true)
  })

  test('are erased in a request that is refused for its form', async () => {
    const { reached, post } = await serve(false)
    expect((await post('pin', { pin: '12345' })).status).toBe(400)
    expect(reached.digits).toEqual([])
    expect([...(reached.bodies[0] ?? [1])].every((byte) => byte === 0)).toBe(true)
  })

  test('are erased in both places when no tap asks for them', async () => {
    const { reached, post } = await serve(false, new TerminalError('step-not-awaited'))
    expect((await post('pin', { pin: '1234' })).code).toBe('step-not-awaited')
    expect(reached.digits).toEqual([new Uint8Array(4)])
    expect([...(reached.bodies[0] ?? [1])].every((byte) => byte === 0)).toBe(true)
  })
})
