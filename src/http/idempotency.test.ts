import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createVirtualClock, DAY, systemClock, systemRandom, type VirtualClock } from '#clock'
import {
  authenticateBearer,
  createHttpServer,
  createLog,
  createMemoryIdempotencyStore,
  HttpError,
  type HttpServer,
  repeatWrites,
} from './index.ts'

let server: HttpServer
let origin: string
let clock: VirtualClock
let made: number
let finish: PromiseWithResolvers<void>

beforeEach(async () => {
  made = 0
  finish = Promise.withResolvers()
  clock = createVirtualClock(systemClock.now())
  const log = createLog({ name: 'test', clock, level: 'silent' })
  const texts = { name: 'T', version: '1', description: '' }
  server = await createHttpServer({ ...texts, clock: systemClock, random: systemRandom, log, port: 0 })
  await server.app.register(async (scope) => {
    const holderOf = authenticateBearer(scope, async (name) => ({ name }))
    repeatWrites(scope, createMemoryIdempotencyStore(clock, 100), (request) => holderOf(request).name)
    scope.post('/v1/things', async (_request, reply) => reply.code(201).send({ id: ++made }))
    scope.post('/v1/other-things', async () => ({ id: ++made }))
    scope.delete('/v1/things', async (_request, reply) => {
      made++
      return reply.code(204).send()
    })
    scope.post('/v1/refused', async () => {
      made++
      throw new HttpError('not-found')
    })
    scope.post('/v1/broken', async () => {
      if (++made === 1) throw new Error('once')
      return { id: made }
    })
    scope.post('/v1/slow', async () => {
      made++
      await finish.promise
      return {}
    })
  })
  origin = await server.listen()
})
afterEach(() => server.close(500))

async function write(
  key: string | undefined,
  options: { path?: string; body?: string; method?: string; who?: string } = {},
) {
  const { path = '/v1/things', body = '{"a":1}', method = 'POST', who = 'hanako' } = options
  const answer = await fetch(origin + path, {
    method,
    ...(method === 'POST' && { body }),
    headers: {
      authorization: `Bearer ${who}`,
      ...(method === 'POST' && { 'content-type': 'application/json' }),
      ...(key !== undefined && { 'idempotency-key': key }),
    },
  })
  const text = await answer.text()
  const type = answer.headers.get('content-type')
  return { status: answer.status, type, text, replayed: answer.headers.has('idempotent-replayed') }
}

describe('a write with an Idempotency-Key', () => {
  test('happens once; the same request gets the same answer', async () => {
    const first = await write('key-1')
    const second = await write('key-1')
    expect([first.status, first.text, made]).toEqual([201, '{"id":1}', 1])
    expect(second).toEqual({ ...first, replayed: true })
    expect((await write('key-2')).text).toBe('{"id":2}')
    expect([(await write(undefined)).text, (await write(undefined)).text]).toEqual(['{"id":3}', '{"id":4}'])
  })

  test('another body, path or method under the same key is refused', async () => {
    await write('key-1')
    for (const other of [
      { body: '{"a":2}' },
      { body: '{"a": 1}' },
      { path: '/v1/other-things' },
      { method: 'DELETE' },
    ]) {
      const answer = await write('key-1', other)
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([422, 'idempotency-mismatch'])
    }
    expect(made).toBe(1)
  })

  test('belongs to who sent it: nobody is shown the answer of somebody else', async () => {
    await write('key-1')
    expect((await write('key-1', { who: 'taro' })).text).toBe('{"id":2}')
  })

  test('while the first is under way the second is told so', async () => {
    const first = write('key-1', { path: '/v1/slow' })
    await expect.poll(() => made).toBe(1)
    const second = await write('key-1', { path: '/v1/slow' })
    expect([second.status, JSON.parse(second.text).code]).toEqual([409, 'idempotency-running'])
    finish.resolve()
    expect((await first).status).toBe(200)
    expect((await write('key-1', { path: '/v1/slow' })).replayed).toBe(true)
    expect(made).toBe(1)
  })

  test('sent 20 times at once it still happens once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => write('key-1')))
    expect(made).toBe(1)
    for (const { status } of answers) expect([201, 409]).toContain(status)
  })

  test('a refusal is repeated, a failure of the server is not', async () => {
    const refused = await write('key-1', { path: '/v1/refused' })
    expect(await write('key-1', { path: '/v1/refused' })).toEqual({ ...refused, replayed: true })
    expect(made).toBe(1)
    made = 0
    expect((await write('key-2', { path: '/v1/broken' })).status).toBe(500)
    expect((await write('key-2', { path: '/v1/broken' })).text).toBe('{"id":2}')
  })

  test('an answer without content is repeated too', async () => {
    const first = await write('key-1', { method: 'DELETE' })
    expect([first.status, first.text]).toEqual([204, ''])
    expect(await write('key-1', { method: 'DELETE' })).toEqual({ ...first, replayed: true })
    expect(made).toBe(1)
  })

  test.each(['', 'a b', 'a,b', 'x'.repeat(65), 'ä'])('the key %j is refused', async (key) => {
    expect((await write(key)).status).toBe(400)
    expect(made).toBe(0)
  })

  test('is forgotten after a day, and the oldest when there are too many', async () => {
    await write('key-1')
    await clock.advance(DAY)
    expect((await write('key-1')).text).toBe('{"id":2}')
    for (let count = 0; count < 100; count++) await write(`more-${count}`)
    expect((await write('more-99')).replayed).toBe(true)
    expect((await write('key-1')).replayed).toBe(false)
  })
})
