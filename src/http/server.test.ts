import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock, systemRandom } from '#clock'
import { CodedError, type FailureCatalogue } from '#failure'
import { bodyBytes, createHttpServer, createLog, type HttpServer, type HttpServerOptions } from './index.ts'

class NonceError extends CodedError<'nonce-used' | 'nonce-lost'> {}
const says = (text: string) => ({
  cause: { ja: `${text}です`, en: `It is ${text}` },
  remedy: { ja: '再取得', en: 'Ask anew' },
})
const catalogue: FailureCatalogue<NonceError['code']> = { 'nonce-used': says('used'), 'nonce-lost': says('lost') }

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
    ...{
      name: 'Test role',
      version: '1.2.3',
      description: 'For tests.',
      clock: systemClock,
      random: systemRandom,
      log,
    },
    ...{ port: 0, statuses: { 'nonce-used': 409 }, catalogues: [catalogue], byteTypes: ['application/ocsp-request'] },
    ...options,
  })
  servers.push(server)
  const { app } = server
  app.post('/v1/messages/:id', { schema: { body: messageSchema } }, async (request) => ({
    length: request.body.list?.length ?? 0,
  }))
  app.post('/v1/bytes', async (request) => ({
    bytes: bodyBytes(request).length,
    body: request.body instanceof Uint8Array,
  }))
  app.get('/v1/used', async () => {
    throw new NonceError('nonce-used', { nonce: 3 }, { cause: new Error(PIN) })
  })
  app.get('/v1/lost', async () => {
    throw new NonceError('nonce-lost', { pin: 1 })
  })
  app.get('/v1/crash', async () => {
    throw Object.assign(new Error(`duplicate key (serial)=(${PIN})`), { code: '23505', detail: PIN })
  })
  app.get(
    '/v1/wrong-answer',
    { schema: { response: { 200: z.object({ a: z.int() }) } } },
    async () => ({ a: PIN }) as never,
  )
  return { server, origin: await server.listen() }
}

const post = (url: string, body: RequestInit['body'], headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body: body ?? null, headers: { 'content-type': 'application/json', ...headers } })

describe('problems', () => {
  test('an error of the role becomes the document with the status of its table, in the language asked for', async () => {
    const { origin } = await start()
    const answer = await fetch(`${origin}/v1/used`, { headers: { 'accept-language': 'fr, en-GB;q=0.8, ja;q=0.2' } })
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-language')]).toEqual([
      409,
      'application/problem+json; charset=utf-8',
      'en',
    ])
    expect(await answer.json()).toEqual({
      type: 'urn:kazasu:problem:nonce-used',
      ...{ title: 'It is used', status: 409, code: 'nonce-used', detail: 'nonce: 3', ...says('used') },
      requestId: answer.headers.get('x-request-id'),
    })
  })

  test.each([
    [undefined, 'ja'],
    ['*', 'ja'],
    ['en', 'en'],
    ['ja,en', 'ja'],
    ['en;q=0', 'ja'],
    ['EN-us,ja;q=0.9', 'en'],
    ['x'.repeat(5000), 'ja'],
  ])('Accept-Language %j is answered in %s', async (range, language) => {
    const { origin } = await start()
    const answer = await fetch(`${origin}/nothing`, { headers: { 'accept-language': range ?? '' } })
    expect([answer.status, answer.headers.get('content-language')]).toEqual([404, language])
  })

  test.each(['/v1/lost', '/v1/crash', '/v1/wrong-answer'])(
    '%s: what the role did not foresee is 500 and says nothing but the id',
    async (path) => {
      const { origin } = await start()
      const answer = await fetch(origin + path, { headers: { 'x-request-id': 'my-request-1' } })
      const text = await answer.text()
      const problem = JSON.parse(text)
      expect([answer.status, problem.code, problem.detail, problem.requestId]).toEqual([
        500,
        'internal',
        undefined,
        'my-request-1',
      ])
      expect(text).not.toContain(PIN)
      const failed = lines.find((line) => line.includes('request failed'))
      expect(failed).toContain('my-request-1')
      expect(JSON.parse(failed ?? '').failure.at.length).toBeGreaterThan(0)
      expect(lines.join()).not.toContain(PIN)
    },
  )

  test('a status without an explanation is refused when the server is made', async () => {
    await expect(start({ statuses: { 'nonce-unheard-of': 400 } })).rejects.toMatchObject({
      code: 'catalogue-incomplete',
    })
  })
})

describe('request ids and the log', () => {
  test.each([
    ['abcdefgh', true],
    ['A_b-0123456789', true],
    ['short', false],
    ['x'.repeat(65), false],
    ['with space', false],
    ['with"quote', false],
  ])('the id %j of the caller is kept: %s', async (id, kept) => {
    const { origin } = await start()
    const answer = await fetch(`${origin}/livez`, { headers: { 'x-request-id': id } })
    const used = answer.headers.get('x-request-id') ?? ''
    expect(used === id).toBe(kept)
    expect(used).toMatch(/^[A-Za-z0-9_-]{8,64}$/)
    await expect.poll(() => lines.some((line) => line.includes(`"requestId":"${used}"`))).toBe(true)
  })

  test('a line has the route and no path, query, header or body', async () => {
    const { origin } = await start()
    await post(`${origin}/v1/messages/canary-path?q=canary-query`, `{"v":1,"pin":"${PIN}"}`, {
      authorization: 'Bearer canary-header',
    })
    await expect.poll(() => lines.length).toBeGreaterThan(0)
    const line = JSON.parse(lines.find((one) => one.includes('answered')) ?? '{}')
    expect(Object.keys(line).sort()).toEqual([
      'level',
      'method',
      'ms',
      'msg',
      'name',
      'requestId',
      'route',
      'status',
      'time',
    ])
    expect(line).toMatchObject({
      level: 'info',
      name: 'test',
      method: 'POST',
      route: '/v1/messages/:id',
      status: '200',
    })
    expect(lines.join()).not.toMatch(new RegExp(`canary|${PIN}`))
  })

  test('secrets that a role logs by mistake are removed', () => {
    log.info({ pin: PIN, deep: { authorization: PIN, key: PIN }, err: new Error(PIN) }, 'careless')
    expect(lines.join()).toContain('careless')
    expect(lines.join()).not.toContain(PIN)
  })
})

describe('what every role serves', () => {
  test('OpenAPI 3.1 with problems as default answer, and a page whose files are local', async () => {
    const { origin } = await start()
    const api = JSON.parse(await (await fetch(`${origin}/openapi.json`)).text())
    expect([api.openapi, api.info.title, api.info.version]).toEqual(['3.1.0', 'Test role', '1.2.3'])
    const operation = api.paths['/v1/messages/{id}'].post
    expect(operation.requestBody.content['application/json'].schema.required).toEqual(['v', 'pin'])
    expect(operation.responses.default).toEqual({ $ref: '#/components/responses/Problem' })
    expect(Object.keys(api.paths).filter((path) => !path.startsWith('/v1/'))).toEqual([])
    const page = await fetch(`${origin}/docs/`)
    const html = await page.text()
    expect([page.status, html.includes('swagger-ui')]).toEqual([200, true])
    expect([...html.matchAll(/(?:src|href)="(https?:[^"]+)"/g)]).toEqual([])
  })

  test('metrics by route, with the counters of the role beside them', async () => {
    const { origin } = await start()
    await fetch(`${origin}/v1/used`)
    await fetch(`${origin}/some/other/path`)
    await expect.poll(async () => (await fetch(`${origin}/metrics`)).text()).toContain('route="none"')
    const text = await (await fetch(`${origin}/metrics`)).text()
    expect(text).toContain('http_requests_total{method="GET",route="/v1/used",status="409"} 1')
    expect(text).toContain('http_request_duration_seconds_bucket{le="10",method="GET",route="/v1/used",status="409"} 1')
    expect(text).not.toContain('some/other')
  })

  test('ready only while every check passes, and no hanging check delays the answer for ever', async () => {
    let up = true
    const database = async () => {
      if (!up) throw new Error(PIN)
    }
    const { origin } = await start({ readiness: { database } })
    const ready = async () => {
      const answer = await fetch(`${origin}/readyz`)
      return [answer.status, await answer.json()]
    }
    expect(await ready()).toEqual([200, { status: 'ok', checks: { database: 'ok' } }])
    up = false
    expect(await ready()).toEqual([503, { status: 'failed', checks: { database: 'failed' } }])
    expect((await fetch(`${origin}/livez`)).status).toBe(200)
    const hanging = await start({ readiness: { database: () => new Promise(() => undefined) } })
    expect((await fetch(`${hanging.origin}/readyz`)).status).toBe(503)
  })

  test('bytes of a media type that the role named come through unread', async () => {
    const { origin } = await start()
    const headers = { 'content-type': 'application/ocsp-request' }
    expect(await (await post(`${origin}/v1/bytes`, Uint8Array.of(1, 0xff, 0), headers)).json()).toEqual({
      bytes: 3,
      body: true,
    })
    expect(await (await post(`${origin}/v1/bytes`, '{"a": 1}')).json()).toEqual({ bytes: 8, body: false })
  })
})

describe('stopping', () => {
  test('under load: everything accepted is answered, nothing new gets in, twice is once', async () => {
    const server = await createHttpServer({
      ...{ name: 'T', version: '1', description: '', clock: systemClock, random: systemRandom, log, port: 0 },
    })
    let begun = 0
    server.app.get('/slow', async () => {
      begun++
      await systemClock.sleep(200)
      return { ok: true }
    })
    const origin = await server.listen()
    const answers = Array.from({ length: 40 }, () => fetch(`${origin}/slow`).then((answer) => answer.status))
    await expect.poll(() => begun).toBe(40)
    const closing = server.close(5000)
    expect(server.close()).toBe(closing)
    const late = fetch(`${origin}/livez`).then(
      (answer) => answer.status,
      () => 'refused',
    )
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]))
    expect([503, 'refused']).toContain(await late)
    await closing
    await expect(fetch(`${origin}/livez`)).rejects.toThrow()
  })

  test('what does not end in time is cut', async () => {
    const server = await createHttpServer({
      ...{ name: 'T', version: '1', description: '', clock: systemClock, random: systemRandom, log, port: 0 },
    })
    let begun = false
    server.app.get('/never', () => {
      begun = true
      return new Promise(() => undefined)
    })
    const origin = await server.listen()
    const answer = fetch(`${origin}/never`).then(
      () => 'answered',
      () => 'cut',
    )
    await expect.poll(() => begun).toBe(true)
    await server.close(200)
    expect(await answer).toBe('cut')
  })
})
