import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock, systemRandom } from '#clock'
import { authenticateBearer, createHttpServer, createLog, type HttpServer, type HttpServerOptions } from './index.ts'

const PIN = '8391'
const messageSchema = z.strictObject({
  v: z.literal(1),
  pin: z.string().regex(/^\d{4}$/),
  list: z.array(z.object({ at: z.int() })).optional(),
  byName: z.record(z.string(), z.int()).optional(),
})

const lines: string[] = []
const log = createLog({ name: 'test', clock: systemClock, destination: { write: (line) => lines.push(line) } })
const servers: HttpServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(500)))
  lines.length = 0
})

async function start(options: Partial<HttpServerOptions> = {}): Promise<{ server: HttpServer; origin: string }> {
  const server = await createHttpServer({
    ...{ name: 'Test role', version: '1.2.3', description: 'For tests.', clock: systemClock, random: systemRandom },
    ...{ log, port: 0 },
    ...options,
  })
  servers.push(server)
  const { app } = server
  app.post('/v1/messages/:id', { schema: { body: messageSchema } }, async (request) => ({
    length: request.body.list?.length ?? 0,
  }))
  return { server, origin: await server.listen() }
}

const post = (url: string, body: RequestInit['body'], headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body: body ?? null, headers: { 'content-type': 'application/json', ...headers } })

/** Sends `text` as it is and gives all that comes back until the server closes. */
const raw = (origin: string, text: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = ''
    const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(text))
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })

describe('bad requests', () => {
  const message = { v: 1, pin: PIN }
  test.each<[string, unknown, string]>([
    ['a wrong value', { v: 1, pin: 'secret' }, '/pin'],
    ['a wrong value deep inside', { ...message, list: [{ at: 1 }, { at: 'secret' }] }, '/list/1/at'],
    ['an unknown member', { ...message, secret: 1 }, '/'],
    ['a member name of the sender', { ...message, byName: { 'secret 1': 'x' } }, '/byName/*'],
    ['not an object', 'secret', '/'],
  ])('%s is named by its path and not repeated', async (_name, body, path) => {
    const { origin } = await start()
    const answer = await post(`${origin}/v1/messages/1`, JSON.stringify(body))
    const text = await answer.text()
    expect([answer.status, JSON.parse(text).code, JSON.parse(text).detail]).toEqual([
      400,
      'malformed-request',
      `in: body, path: ${path}`,
    ])
    expect(text + lines.join()).not.toContain('secret')
  })

  test.each<[string, RequestInit['body'], Record<string, string>, number]>([
    ['10 MB', `"${'x'.repeat(10_000_000)}"`, {}, 413],
    ['one byte too many', `"${'x'.repeat(64 * 1024 - 1)}"`, {}, 413],
    ['the largest body', `"${'x'.repeat(64 * 1024 - 2)}"`, {}, 400],
    ['depth 10,000', '['.repeat(10_000) + ']'.repeat(10_000), {}, 400],
    ['__proto__', '{"v":1,"pin":"1234","__proto__":{}}', {}, 400],
    ['1e400', '{"v":1e400,"pin":"1234"}', {}, 400],
    ['NUL', '{"v":1,"pin":"\\u0000"}', {}, 400],
    ['a lone surrogate', '{"v":1,"pin":"\\ud800"}', {}, 400],
    ['a right-to-left override', '{"v":1,"pin":"\u202e1234"}', {}, 400],
    ['a duplicate member', '{"v":1,"pin":"1234","pin":"1235"}', {}, 400],
    ['nothing', '', {}, 400],
    ['a form', 'v=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['text', '{"v":1,"pin":"1234"}', { 'content-type': 'text/plain' }, 415],
    ['no media type', new Uint8Array(2), { 'content-type': '' }, 415],
    ['a type that only begins like JSON', '{"v":1,"pin":"1234"}', { 'content-type': 'application/json-seq' }, 415],
    ['the right body', '{"v":1,"pin":"1234"}', { 'content-type': 'application/json; charset=utf-8' }, 200],
  ])('%s', async (_name, body, headers, status) => {
    const { origin } = await start()
    const answer = await post(`${origin}/v1/messages/1`, body, headers)
    expect(answer.status).toBe(status)
    if (status !== 200) expect(await answer.text()).toContain('urn:kazasu:problem:')
  })

  const head = 'POST /v1/messages/1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  test.each([
    ['TE and CL together', `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['two Content-Lengths', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
    ['a negative length', `${head}Content-Length: -1\r\n\r\n`, 400],
    ['a header of 20 kB', `${head}X: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['no request at all', '\x16\x03\x01\x02\x00\x01', 400],
    ['two media types', `${head}Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`, 400],
    [
      'two keys',
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\nConnection: close\r\n\r\n',
      400,
    ],
    ['a bad escape in the path', 'GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 400],
    ['no host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ])('%s', async (_name, text, status) => {
    const { origin } = await start()
    const answer = await raw(origin, text)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    if (!_name.includes('no host')) expect(answer).toContain('urn:kazasu:problem:')
  })

  test('headers that trickle in are cut off with 408', async () => {
    const { origin } = await start({ patience: 400 })
    const answer = await raw(origin, 'GET /livez HTTP/1.1\r\nHost: loc')
    expect(answer).toMatch(/^HTTP\/1.1 408 .*request-too-slow/s)
  })
  test('a body that never comes is cut off with 408', async () => {
    const { origin } = await start({ patience: 400 })
    expect(await raw(origin, `${head}Content-Length: 100\r\n\r\n{`)).toMatch(/^HTTP\/1.1 408 /)
  })
})

describe('who may ask', () => {
  test('behind a declared proxy the public origin is served, and no other', async () => {
    const status = async (name: string, options: Partial<HttpServerOptions>) => {
      const { origin } = await start(options)
      const forwarded = { 'x-forwarded-host': name, 'x-forwarded-proto': 'https', origin: `https://${name}` }
      return (await fetch(`${origin}/livez`, { headers: forwarded })).status
    }
    const declared = { trustedProxies: ['127.0.0.1'], origins: ['https://clinic.example'] }
    expect(await status('clinic.example', declared)).toBe(200)
    expect(await status('evil.example', declared)).toBe(421)
    expect(await status('evil.example', { ...declared, trustedProxies: ['192.0.2.1'] })).toBe(403)
  })
  test('an address beyond loopback needs TLS', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org'])
      await expect(start({ host })).rejects.toMatchObject({ code: 'tls-required' })
  })
  test.each([
    ['http://evil.example', 403],
    ['null', 403],
    ['self', 200],
    ['https://kiosk.example', 200],
  ])('a page of %s is answered %i', async (from, status) => {
    const { origin } = await start({ origins: ['https://kiosk.example'] })
    expect((await fetch(`${origin}/livez`, { headers: { origin: from === 'self' ? origin : from } })).status).toBe(
      status,
    )
  })
  test('a name that was rebound to loopback is refused', async () => {
    const { origin } = await start()
    const answer = await raw(origin, 'GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 421 /)
  })

  test('routes behind a key answer 401 without one, and know the holder with one', async () => {
    const server = await createHttpServer({
      ...{ name: 'T', version: '1', description: '', clock: systemClock, random: systemRandom, log, port: 0 },
    })
    servers.push(server)
    await server.app.register(async (scope) => {
      const holderOf = authenticateBearer(scope, async (key) => (key === 'right-key' ? { name: 'Hanako' } : undefined))
      scope.get('/v1/me', async (request) => holderOf(request))
    })
    server.app.get('/v1/open', async () => ({ ok: true }))
    const origin = await server.listen()
    const me = (authorization?: string) => fetch(`${origin}/v1/me`, { headers: authorization ? { authorization } : {} })
    expect(await (await me('Bearer right-key')).json()).toEqual({ name: 'Hanako' })
    for (const wrong of [
      undefined,
      'Bearer wrong-key',
      'Basic right-key',
      'right-key',
      'Bearer right-key x',
      `Bearer ${'a'.repeat(600)}`,
    ]) {
      const answer = await me(wrong)
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    }
    expect((await fetch(`${origin}/v1/open`)).status).toBe(200)
    const described = JSON.parse(await (await fetch(`${origin}/openapi.json`)).text())
    expect([described.paths['/v1/me'].get.security, described.paths['/v1/open'].get.security]).toEqual([
      [{ bearer: [] }],
      undefined,
    ])
    expect(lines.join()).not.toMatch(/right-key|wrong-key/)
  })
})
