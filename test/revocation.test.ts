import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Authority, startAuthority } from '#authority'
import { decodeBase64url, encodeBase64url } from '#bytes'
import { SECOND, systemClock, systemRandom } from '#clock'
import { codeOf } from '#failure'
import { createHttpClient, createHttpServer, createLog, type HttpClient, type HttpServer } from '#http'
import { type Certificate, certificateId, decodeCertificate, encodeOcspRequest } from '#pki'
import { openStore, type Store } from '#store'
import { type AuthorityRevocation, askAuthority } from '../src/provider/revocation.ts'

const any = z.any()
const directory = mkdtempSync(join(tmpdir(), 'kazasu-revocation-'))
const log = createLog({ name: 'test', clock: systemClock, level: 'silent' })
const parts = { clock: systemClock, random: systemRandom }
const cardKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' })

let store: Store
let authority: Authority
let port: number
let operator: HttpClient
let issuer: Certificate
const reported: (string | undefined)[] = []
const open: { close(): Promise<void> }[] = []

const start = (at = 0) =>
  startAuthority({ ...parts, store, log, keysDirectory: join(directory, 'keys'), home: directory, http: { port: at } })

function ask(baseUrl = authority.url, timeoutMs = 5 * SECOND): AuthorityRevocation {
  const source = askAuthority({ baseUrl, timeoutMs }, { ...parts, report: (error) => reported.push(codeOf(error)) })
  open.push(source)
  return source
}

async function issue(): Promise<{ serial: string; certificate: Certificate }> {
  const body = {
    ...{ v: 1, kind: 'user-authentication', holder: 'resident-1', birthDate: '1980-05-05' },
    ...{ publicKey: encodeBase64url(cardKey), locality: { prefecture: 'Tokyo-to', city: 'Kazasu-shi' } },
  }
  const { serial, certificate } = await operator.postJson('/v1/certificates', any, body)
  return { serial, certificate: decodeCertificate(decodeBase64url(certificate)) }
}
const revoke = (serial: string) =>
  operator.postJson(`/v1/certificates/${serial}/revocation`, any, { v: 1, reason: 'keyCompromise' })

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory: join(directory, 'data') })
  authority = await start()
  port = Number(new URL(authority.url).port)
  const client = (bearer: string): HttpClient => {
    const made = createHttpClient({ baseUrl: authority.url, clock: systemClock, timeoutMs: 20 * SECOND, bearer })
    open.push(made)
    return made
  }
  const administrator = client(readFileSync(authority.bootstrapKeyFile, 'utf8').trim())
  operator = client((await administrator.postJson('/v1/keys', any, { v: 1, name: 'op', roles: ['operator'] })).key)
  const { certificateAuthorities } = await operator.getJson('/v1/anchors', any)
  const ours = certificateAuthorities.find(({ kind }: { kind: string }) => kind === 'user-authentication')
  issuer = decodeCertificate(decodeBase64url(ours.certificate))
})
afterAll(async () => {
  await Promise.all(open.map((one) => one.close()))
  await authority.close()
  await store.close()
  rmSync(directory, { recursive: true })
})

describe('the authority, asked whether a certificate is revoked', () => {
  test('says good by OCSP, and revoked as soon as it is', async () => {
    const { serial, certificate } = await issue()
    const source = ask()
    expect(await source.status(certificate, issuer, systemClock.now())).toMatchObject({ state: 'good', by: 'ocsp' })
    await revoke(serial)
    expect(await source.status(certificate, issuer, systemClock.now())).toMatchObject({ state: 'revoked', by: 'ocsp' })
  })

  test('is unavailable when it is away and no list was ever fetched; with a list, the list speaks', async () => {
    const [good, bad] = [await issue(), await issue()]
    await revoke(bad.serial)
    const [warned, cold] = [ask(), ask()]
    await warned.fetchList()
    await authority.close()
    const at = systemClock.now()
    try {
      reported.length = 0
      expect(await cold.status(good.certificate, issuer, at)).toEqual({ state: 'unavailable' })
      expect(await warned.status(good.certificate, issuer, at)).toMatchObject({ state: 'good', by: 'crl' })
      expect(await warned.status(bad.certificate, issuer, at)).toMatchObject({ state: 'revoked', by: 'crl' })
      await expect(warned.reach()).rejects.toMatchObject({ code: 'unreachable' })
      expect(reported).toContain('unreachable')
      const later = at + 400 * 24 * 3600 * SECOND
      expect(await warned.status(good.certificate, issuer, later)).toEqual({ state: 'unavailable' })
    } finally {
      authority = await start(port)
    }
    expect(await warned.status(good.certificate, issuer, systemClock.now())).toMatchObject({ by: 'ocsp' })
  })

  test('of another CA says nothing about ours', async () => {
    const { certificate } = await issue()
    const stranger = decodeCertificate(certificate.raw)
    const { certificateAuthorities } = await operator.getJson('/v1/anchors', any)
    const other = certificateAuthorities.find(({ kind }: { kind: string }) => kind !== 'user-authentication')
    const status = await ask().status(
      stranger,
      decodeCertificate(decodeBase64url(other.certificate)),
      systemClock.now(),
    )
    expect(status.state).not.toBe('good')
  })

  describe('through somebody in between', () => {
    let between: HttpServer
    let baseUrl: string
    let answer: () => Promise<Uint8Array>
    let lists = false
    let fetched = 0
    beforeAll(async () => {
      between = await createHttpServer({
        ...{ name: 'between', version: '1', description: '', ...parts, log, port: 0 },
        byteTypes: ['application/ocsp-request'],
      })
      between.app.post('/ocsp', async (_request, reply) =>
        reply.type('application/ocsp-response').send(Buffer.from(await answer())),
      )
      between.app.get('/crl/user-authentication.crl', async (_request, reply) => {
        fetched++
        await systemClock.sleep(200)
        const list = await operator.getBytes('/crl/user-authentication.crl', 'application/pkix-crl')
        return reply.type('application/pkix-crl').send(Buffer.from(lists ? list : []))
      })
      baseUrl = await between.listen()
    })
    afterAll(() => between.close(100))

    /** A true answer of the authority's for `certificate`, to another nonce. */
    async function earlierAnswer(certificate: Certificate): Promise<Uint8Array> {
      const request = encodeOcspRequest({
        ids: [certificateId(certificate, issuer)],
        nonce: systemRandom.bytes(16),
      })
      const types = ['application/ocsp-request', 'application/ocsp-response'] as const
      return operator.postBytes('/ocsp', types[0], request, types[1])
    }

    test.each<[string, (truth: Uint8Array) => Uint8Array | Promise<Uint8Array>]>([
      ['a replayed answer', (truth) => truth],
      ['an answer with a changed byte', (truth) => truth.map((byte, i) => (i === truth.length >> 1 ? byte ^ 1 : byte))],
      ['half an answer', (truth) => truth.subarray(0, truth.length >> 1)],
      ['nothing', () => new Uint8Array(0)],
    ])('%s is not believed', async (_name, distort) => {
      const { certificate } = await issue()
      const truth = await earlierAnswer(certificate)
      answer = async () => distort(truth)
      expect(await ask(baseUrl).status(certificate, issuer, systemClock.now())).toEqual({ state: 'unavailable' })
    })

    test('many that need the list at once share one fetch of it', async () => {
      const certificates = await Promise.all([1, 2, 3, 4].map(async () => (await issue()).certificate))
      answer = async () => new Uint8Array(0)
      fetched = 0
      lists = true
      const source = ask(baseUrl)
      const all = await Promise.all(certificates.map((one) => source.status(one, issuer, systemClock.now())))
      expect(all.map(({ state }) => state)).toEqual(['good', 'good', 'good', 'good'])
      expect(fetched).toBe(1)
      lists = false
    })

    test('silence ends with the time limit', async () => {
      const { certificate } = await issue()
      answer = () => new Promise(() => {})
      const began = systemClock.monotonic()
      expect(await ask(baseUrl, 300).status(certificate, issuer, systemClock.now())).toEqual({ state: 'unavailable' })
      expect(systemClock.monotonic() - began).toBeLessThan(6 * SECOND)
    })
  })
})
