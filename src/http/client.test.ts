import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server as TlsServer } from 'node:tls'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createVirtualClock, DAY, systemClock, systemRandom } from '#clock'
import { CodedError } from '#failure'
import {
  type Channel,
  certificateThumbprint,
  clientThumbprint,
  createChannel,
  createHttpClient,
  createHttpServer,
  createLog,
  HttpError,
  type HttpServer,
  type OnMessage,
  type TlsCredential,
} from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'kazasu-http-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** A self-signed P-256 certificate. */
function selfSigned(name: string): TlsCredential & { readonly certificate: string } {
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30']
  execFileSync('openssl', ['req', ...kind, '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  })
  return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') }
}
const serverIdentity = selfSigned('server')
const otherIdentity = selfSigned('other')
const clinic = selfSigned('clinic')
const pharmacy = selfSigned('pharmacy')

const log = createLog({ name: 'test', clock: systemClock, level: 'silent' })
const toClose: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close()
})

const tickSchema = z.strictObject({ tick: z.int() })
class RefusedError extends CodedError<'terminal-suspended'> {}
const failure = { cause: { ja: '停止中', en: 'Suspended' }, remedy: { ja: '連絡', en: 'Call' } }

interface Seen {
  readonly thumbprints: (string | undefined)[]
  readonly ports: Set<number | undefined>
  readonly channels: Channel[]
  readonly authorizations: (string | undefined)[]
}

async function startServer(secure: boolean): Promise<Seen & { server: HttpServer; baseUrl: string }> {
  const server = await createHttpServer({
    ...{ name: 'T', version: '1', description: '', clock: systemClock, random: systemRandom, log, port: 0 },
    statuses: { 'terminal-suspended': 403 },
    catalogues: [{ 'terminal-suspended': failure }],
    byteTypes: ['application/ocsp-request'],
    ...(secure && { tls: { ...serverIdentity, clientCertificates: 'request' } }),
  })
  toClose.push(server)
  const seen: Seen = { thumbprints: [], ports: new Set(), channels: [], authorizations: [] }
  const { app } = server
  app.get('/v1/who', async (request) => {
    seen.thumbprints.push(clientThumbprint(request))
    seen.ports.add(request.socket.remotePort)
    seen.authorizations.push(request.headers.authorization)
    return { thumbprint: clientThumbprint(request) ?? null }
  })
  app.post('/v1/echo', async (request) => ({ echo: request.body }))
  app.post('/v1/empty', async (_request, reply) => reply.code(202).send())
  app.get('/v1/refused', async () => {
    throw new RefusedError('terminal-suspended')
  })
  app.get('/v1/slow', async () => {
    await systemClock.sleep(3000)
    return {}
  })
  app.get('/v1/large', async () => ({ text: 'x'.repeat(2 * 1024 * 1024) }))
  app.get('/v1/away', async (_request, reply) => reply.redirect('/v1/who'))
  app.get('/v1/html', async (_request, reply) => reply.type('text/html').send('<p>captive portal'))
  app.get('/v1/duplicate', async (_request, reply) => reply.type('application/json').send('{"a":1,"a":2}'))
  app.get('/v1/list.crl', async (_request, reply) => reply.type('application/pkix-crl').send(Buffer.from([1, 2, 0xff])))
  app.post('/v1/ocsp', async (request, reply) =>
    reply.type('application/ocsp-response').send(Buffer.from(request.body as Uint8Array).reverse()),
  )
  app.get('/v1/channel', { websocket: true }, (socket, request) => {
    seen.thumbprints.push(clientThumbprint(request))
    const channel = createChannel(socket, {
      clock: systemClock,
      schema: tickSchema,
      onMessage: ({ tick }, own) => own.send(tick === 666 ? { wrong: true } : { tick: tick + 1 }),
    })
    seen.channels.push(channel)
    channel.send({ tick: 0 })
  })
  app.get(
    '/v1/closed-channel',
    { websocket: true, onRequest: async () => Promise.reject(new RefusedError('terminal-suspended')) },
    () => undefined,
  )
  return { ...seen, server, baseUrl: await server.listen() }
}

function client(options: Partial<Parameters<typeof createHttpClient>[0]> & { baseUrl: string }) {
  const made = createHttpClient({ clock: systemClock, timeoutMs: 2000, ...options })
  toClose.push(made)
  return made
}
const whoSchema = z.object({ thumbprint: z.string().nullable() })
const anything = z.unknown()

describe('plain, on loopback', () => {
  test('JSON goes both ways, bytes as they are, nothing for an empty answer', async () => {
    const { baseUrl } = await startServer(false)
    const { postJson, sendJson, getBytes, postBytes } = client({ baseUrl })
    const echo = z.strictObject({ echo: z.unknown() })
    expect(await postJson('/v1/echo', echo, { 名: '𠮷' })).toEqual({ echo: { 名: '𠮷' } })
    expect(await postJson('/v1/echo', echo, new TextEncoder().encode('{ "a":\n1}'))).toEqual({ echo: { a: 1 } })
    expect(await postJson('/v1/empty', z.undefined(), {})).toBeUndefined()
    await expect(sendJson('DELETE', '/v1/echo', anything)).rejects.toMatchObject({ detail: { status: 404 } })
    expect(await getBytes('/v1/list.crl', 'application/pkix-crl')).toEqual(Uint8Array.of(1, 2, 0xff))
    const answer = await postBytes(
      '/v1/ocsp',
      'application/ocsp-request',
      Uint8Array.of(1, 2),
      'application/ocsp-response',
    )
    expect(answer).toEqual(Uint8Array.of(2, 1))
  })

  test('a refusal carries the problem document', async () => {
    const { baseUrl } = await startServer(false)
    const error = await client({ baseUrl })
      .getJson('/v1/refused', anything, { requestId: 'caller-id-1' })
      .catch((reason) => reason)
    expect(error).toBeInstanceOf(HttpError)
    expect(error).toMatchObject({
      code: 'problem',
      detail: { status: 403, code: 'terminal-suspended', requestId: 'caller-id-1' },
      problem: { remedy: failure.remedy, title: failure.cause.ja },
    })
  })

  test.each([
    ['/v1/slow', anything, 'timed-out'],
    ['/v1/large', anything, 'answer-too-large'],
    ['/v1/away', anything, 'answer-malformed'],
    ['/v1/html', anything, 'answer-malformed'],
    ['/v1/duplicate', anything, 'answer-malformed'],
    ['/v1/who', z.object({ thumbprint: z.string() }), 'answer-malformed'],
  ])('%s', async (path, schema, code) => {
    const { baseUrl } = await startServer(false)
    const call = client({ baseUrl, timeoutMs: 500 }).getJson(path, schema)
    await expect(call).rejects.toMatchObject({ code })
  })

  test('another media type than the bytes asked for is refused', async () => {
    const { baseUrl } = await startServer(false)
    await expect(client({ baseUrl }).getBytes('/v1/html', 'application/pkix-crl')).rejects.toMatchObject({
      code: 'answer-malformed',
    })
    await expect(
      client({ baseUrl }).getBytes('/v1/list.crl', 'application/pkix-crl', { limit: 2 }),
    ).rejects.toMatchObject({ code: 'answer-too-large' })
  })

  test('a server that is not there, hangs up, speaks nonsense, compresses, or drips', async () => {
    await expect(client({ baseUrl: 'http://127.0.0.1:1' }).getJson('/', anything)).rejects.toMatchObject({
      code: 'unreachable',
    })
    const answers: [string | undefined, string][] = [
      [undefined, 'unreachable'],
      ['SSH-2.0-x\r\n', 'answer-malformed'],
      [
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}',
        'answer-malformed',
      ],
      ['HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{', 'timed-out'],
    ]
    for (const [answer, code] of answers) {
      const server = createTcpServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => (answer === undefined ? socket.destroy() : socket.write(answer)))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const made = client({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs: 300 })
      await expect(made.getJson('/', anything)).rejects.toMatchObject({ code })
      await made.close()
      server.close()
    }
  })

  test('the caller can give up early', async () => {
    const { baseUrl } = await startServer(false)
    const stop = new AbortController()
    const call = client({ baseUrl }).getJson('/v1/slow', anything, { signal: stop.signal })
    stop.abort()
    await expect(call).rejects.toMatchObject({ code: 'timed-out' })
  })

  test('plain HTTP goes to loopback only, and never where a certificate is pinned', () => {
    const refused = (options: Partial<Parameters<typeof createHttpClient>[0]> & { baseUrl: string }) =>
      expect(() => client(options)).toThrow(expect.objectContaining({ code: 'tls-required' }))
    refused({ baseUrl: 'http://192.0.2.1' })
    refused({ baseUrl: 'http://127.0.0.1.example.org' })
    refused({ baseUrl: 'ftp://127.0.0.1' })
    refused({ baseUrl: 'http://127.0.0.1', serverCertificate: serverIdentity.certificate })
    refused({ baseUrl: 'http://127.0.0.1', clientCertificate: clinic })
  })
})

describe('mutual TLS', () => {
  test('the server learns which certificate the client holds, also on a resumed session', async () => {
    const { baseUrl, thumbprints, ports } = await startServer(true)
    const expected = certificateThumbprint(clinic.certificate)
    expect(expected).toBe(
      Buffer.from(
        execFileSync('openssl', ['x509', '-in', join(directory, 'clinic.pem'), '-noout', '-fingerprint', '-sha256'])
          .toString()
          .split('=')[1]!
          .replaceAll(/[:\s]/g, ''),
        'hex',
      ).toString('base64url'),
    )
    const options = { baseUrl, serverCertificate: serverIdentity.certificate, clientCertificate: clinic }
    const { getJson } = client(options)
    await Promise.all(Array.from({ length: 8 }, () => getJson('/v1/who', whoSchema)))
    await Promise.all(Array.from({ length: 8 }, () => getJson('/v1/who', whoSchema)))
    expect(new Set(thumbprints)).toEqual(new Set([expected]))
    expect(ports.size).toBeLessThanOrEqual(8)
    expect((await client({ ...options, clientCertificate: pharmacy }).getJson('/v1/who', whoSchema)).thumbprint).toBe(
      certificateThumbprint(pharmacy.certificate),
    )
    const { clientCertificate: _, ...without } = options
    expect((await client(without).getJson('/v1/who', whoSchema)).thumbprint).toBeNull()
  })

  test('a second connection resumes the session of the first; another client of the same server does not', async () => {
    const { baseUrl, server, thumbprints } = await startServer(true)
    const resumed: boolean[] = []
    ;(server.app.server as unknown as TlsServer).on('secureConnection', (socket) =>
      resumed.push(socket.isSessionReused()),
    )
    const options = { baseUrl, serverCertificate: serverIdentity.certificate, clientCertificate: clinic }
    const { warm, getJson, openChannel } = client(options)
    await warm()
    await Promise.all([getJson('/v1/who', whoSchema), getJson('/v1/who', whoSchema)])
    await openChannel('/v1/channel', tickSchema, () => undefined)
    await client(options).warm()
    expect(resumed).toEqual([false, true, true, false])
    expect(new Set(thumbprints)).toEqual(new Set([certificateThumbprint(clinic.certificate)]))
  })

  test('after warm() the call uses the open connection', async () => {
    const { baseUrl, server, ports } = await startServer(true)
    let connections = 0
    server.app.server.on('secureConnection', () => connections++)
    const { warm, getJson } = client({
      baseUrl,
      serverCertificate: serverIdentity.certificate,
      clientCertificate: clinic,
    })
    await warm()
    await getJson('/v1/who', whoSchema)
    expect([connections, ports.size]).toEqual([1, 1])
  })

  test('any other certificate of the server, or a pin out of date, is refused before a byte of HTTP is sent', async () => {
    const { baseUrl, thumbprints, authorizations } = await startServer(true)
    const wrong = [
      client({ baseUrl, serverCertificate: otherIdentity.certificate, bearer: 'secret' }),
      client({ baseUrl, bearer: 'secret' }),
      client({
        baseUrl,
        serverCertificate: serverIdentity.certificate,
        clock: { ...systemClock, now: () => systemClock.now() + 31 * DAY },
        bearer: 'secret',
      }),
      client({
        baseUrl,
        serverCertificate: serverIdentity.certificate,
        clock: { ...systemClock, now: () => systemClock.now() - DAY },
        bearer: 'secret',
      }),
    ]
    for (const one of wrong) {
      await expect(one.getJson('/v1/who', whoSchema)).rejects.toMatchObject({ code: 'tls-mismatch' })
      await expect(one.openChannel('/v1/channel', tickSchema, () => undefined)).rejects.toMatchObject({
        code: 'tls-mismatch',
      })
    }
    expect([thumbprints, authorizations]).toEqual([[], []])
  })

  test.each([
    ['-tls1_2', /Cipher is \(NONE\)/],
    ['-tls1_3', /Cipher is TLS_AES/],
  ])('openssl s_client %s', async (version, answer) => {
    const { baseUrl } = await startServer(true)
    const run = execFile('openssl', ['s_client', '-connect', new URL(baseUrl).host, version])
    let output = ''
    run.stdout?.on('data', (data) => {
      output += data
    })
    run.stdin?.end()
    await new Promise((resolve) => run.once('close', resolve))
    expect(output).toMatch(answer)
  })
})

describe('channels', () => {
  const open = async (secure: boolean, onMessage: OnMessage<{ tick: number }>, path = '/v1/channel') => {
    const started = await startServer(secure)
    const tls = secure ? { serverCertificate: serverIdentity.certificate, clientCertificate: clinic } : {}
    return {
      ...started,
      channel: await client({ baseUrl: started.baseUrl, ...tls }).openChannel(path, tickSchema, onMessage),
    }
  }

  test.each([false, true])('messages arrive in order from the first on (TLS: %s)', async (secure) => {
    const ticks: number[] = []
    const { channel, thumbprints } = await open(secure, ({ tick }, own) => {
      ticks.push(tick)
      if (tick < 20) own.send({ tick })
    })
    await expect.poll(() => ticks).toEqual(Array.from({ length: 21 }, (_, tick) => tick))
    expect(thumbprints).toEqual([secure ? certificateThumbprint(clinic.certificate) : undefined])
    channel.close()
    expect(await channel.closed).toEqual({ code: 1000 })
    expect(() => channel.send({ tick: 1 })).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  })

  test('one message is handled after the other, in order, however long each takes', async () => {
    const ticks: number[] = []
    let [running, most] = [0, 0]
    const { channel } = await open(false, async ({ tick }) => {
      most = Math.max(most, ++running)
      await systemClock.sleep(tick % 2 === 0 ? 2 : 0)
      ticks.push(tick)
      running--
    })
    for (let tick = 0; tick < 60; tick++) channel.send({ tick }) // more than wait for their turn
    await expect.poll(() => ticks.length, { timeout: 5000 }).toBe(61)
    expect(ticks).toEqual([0, ...Array.from({ length: 60 }, (_, tick) => tick + 1)])
    expect(most).toBe(1)
    channel.close()
    expect(await channel.closed).toEqual({ code: 1000 })
  })

  test('a message that is none ends the channel, on either side', async () => {
    const first = await open(false, () => undefined)
    first.channel.send({ tick: 'one' })
    expect(await first.channel.closed).toEqual({ code: 1007 })
    const second = await open(false, () => undefined)
    second.channel.send({ tick: 666 })
    expect(await second.channels[0]?.closed).toEqual({ code: 1007 })
    const third = await open(false, () => undefined)
    third.channel.send({ tick: 1, text: 'x'.repeat(70_000) })
    expect(await third.channel.closed).toMatchObject({ code: 1009 })
  })

  test('a handler that fails ends its channel and nothing else', async () => {
    const cause = new Error('handler')
    const { channel } = await open(false, () => {
      throw cause
    })
    expect(await channel.closed).toEqual({ code: 1011, cause })
    const late = await open(false, async () => Promise.reject(cause))
    expect(await late.channel.closed).toEqual({ code: 1011, cause })
  })

  test('a refused upgrade is a problem like any other', async () => {
    await expect(open(true, () => undefined, '/v1/closed-channel')).rejects.toMatchObject({
      code: 'problem',
      problem: { code: 'terminal-suspended' },
    })
    await expect(open(true, () => undefined, '/v1/nothing')).rejects.toMatchObject({
      code: 'problem',
      detail: { status: 404 },
    })
    await expect(
      client({ baseUrl: 'http://127.0.0.1:1' }).openChannel('/', tickSchema, () => undefined),
    ).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('a stop of the server closes the channel', async () => {
    const { channel, server } = await open(true, () => undefined)
    await server.close(1000)
    expect((await channel.closed).code).toBeGreaterThan(1000)
  })

  test('a silent peer is given up after two beats', async () => {
    const { baseUrl } = await startServer(false)
    const clock = createVirtualClock(systemClock.now())
    const { openChannel } = client({ baseUrl, clock })
    const channel = await openChannel('/v1/channel', tickSchema, () => undefined)
    await clock.advance(15_000)
    await clock.advance(15_000)
    expect(await channel.closed).toEqual({ code: 1006 })
  })
})

test('a plain http server of somebody else is never asked twice for one call', async () => {
  let asked = 0
  const server = createServer((request) => {
    asked++
    request.socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { getJson } = client({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  await expect(getJson('/', anything)).rejects.toMatchObject({ code: 'unreachable' })
  expect(asked).toBe(1)
  server.close()
})
