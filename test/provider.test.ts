import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { decodeBase64url, encodeBase64url } from '#bytes'
import { createVirtualClock, DAY, japanDate, MINUTE, SECOND, systemRandom, type VirtualClock } from '#clock'
import { decodeCheckpoint, verifyCheckpoint, verifyConsistency, verifyInclusion } from '#evidence'
import {
  type Channel,
  certificateThumbprint,
  createHttpClient,
  createLog,
  type HttpClient,
  HttpError,
  type TlsCredential,
} from '#http'
import {
  type ChannelEvent,
  channelEvent,
  PRESENCE_TOKEN,
  type PresenceClaims,
  publicKeyHash,
  signEnrolment,
  signJws,
  type TerminalView,
  terminalView,
} from '#messages'
import {
  decodeCvc,
  encodeCertificatePem,
  issueCvc,
  issueCvcRequest,
  issueTlsCertificate,
  trustCvca,
  verifyCvcChain,
} from '#pki'
import { logOrigin, type ProviderKeys, type RunningProvider, startProvider } from '#provider'
import { openStore, type Store, type StoreLocation } from '#store'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import { appendEvidence, sealEvidence } from '../src/provider/log.ts'
import { providerMigrations } from '../src/provider/migrations.ts'
import type { ProviderTables } from '../src/provider/tables.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'
import { createProviderKeys, createTestAuthority, NOON, type TestAuthority } from './tap-rig.ts'

const newKey = () => createThrowawaySigner('ecdsa-p256-sha256')
type Key = ReturnType<typeof newKey>
const lines: string[] = []

async function tlsCredential(name: string): Promise<TlsCredential & { key: Key['privateKey']; signer: Key }> {
  const signer = newKey()
  const serial = systemRandom.bytes(16).map((byte, i) => (i === 0 ? (byte & 0x3f) | 0x40 : byte))
  const dates = { notBefore: NOON - DAY, notAfter: NOON + 3650 * DAY }
  const certificate = await issueTlsCertificate({ name, ips: ['127.0.0.1'], serial, ...dates }, signer)
  return { key: signer.privateKey, certificate: encodeCertificatePem(certificate), signer }
}

/** A terminal's side of enrolment, with every part open to be got wrong. */
interface Applicant {
  readonly tls: Awaited<ReturnType<typeof tlsCredential>>
  readonly device: Key
  readonly institution: Key
  readonly client: HttpClient
}

const engines = ['embedded', ...(hasPostgresql ? (['postgresql'] as const) : [])] as const
if (!hasPostgresql) process.stderr.write('SKIPPED: provider on PostgreSQL (postgresql is not installed)\n')
if (!hasPostgresql && process.env.CI === 'true') throw new Error('CI has PostgreSQL')

describe.each(engines)('provider on %s', (engine) => {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-provider-'))
  const home = join(directory, 'home')
  let clock: VirtualClock
  let rig: PostgresqlRig | undefined
  let location: StoreLocation
  let store: Store
  let authority: TestAuthority
  let material: Awaited<ReturnType<typeof createProviderKeys>>
  let serverTls: TlsCredential
  let running: RunningProvider
  let administrator: HttpClient
  let operator: HttpClient
  let auditor: HttpClient
  let anonymous: HttpClient
  const clients: HttpClient[] = []

  const open = (options: { bearer?: string; tls?: TlsCredential } = {}): HttpClient => {
    const client = createHttpClient({
      ...{ baseUrl: running.origin, serverCertificate: serverTls.certificate, clock, timeoutMs: 20_000 },
      ...(options.bearer === undefined ? {} : { bearer: options.bearer }),
      ...(options.tls ? { clientCertificate: options.tls } : {}),
    })
    clients.push(client)
    return client
  }

  const start = async (keys: ProviderKeys = material.keys) =>
    startProvider({
      ...{ id: 'provider-1', store, keys, auditPublicKey: material.auditKey, clock, random: systemRandom, home },
      log: createLog({ name: 'provider', clock, destination: { write: (line) => lines.push(line) } }),
      revocation: { status: async () => ({ state: 'good', by: 'ocsp', producedAt: clock.now() }) },
      lookUpRecord: async () => ({ status: 'none' }),
      registerAudience: 'eligibility',
      http: { port: 0, tls: serverTls, issuer: 'https://provider.test' },
    })

  beforeAll(async () => {
    clock = createVirtualClock(NOON)
    authority = await createTestAuthority()
    material = await createProviderKeys(authority)
    serverTls = await tlsCredential('provider')
    rig = engine === 'postgresql' ? await startPostgresql() : undefined
    location = rig ? { kind: 'postgresql', url: rig.url } : { kind: 'embedded', directory: join(directory, 'data') }
    store = await openStore(location)
    // The disk fails in the middle of the very first start: the next one must not lock everybody out.
    mkdirSync(join(home, 'administrator.key', 'in-the-way'), { recursive: true })
    await expect(start()).rejects.toMatchObject({ code: 'EISDIR' })
    rmSync(home, { recursive: true })
    running = await start()
    anonymous = open()
    administrator = open({ bearer: readFileSync(running.bootstrapKeyFile, 'utf8').trim() })
    const keyFor = async (name: string, role: string) => {
      const made = z.object({ key: z.string() })
      return (await administrator.postJson('/v1/keys', made, { v: 1, name, roles: [role] })).key
    }
    operator = open({ bearer: await keyFor('hanako', 'operator') })
    auditor = open({ bearer: await keyFor('jiro', 'auditor') })
  })
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await running.close()
    await store.close()
    await rig?.stop()
    rmSync(directory, { recursive: true })
  })

  const nothing = z.undefined()
  const anything = z.unknown()
  const { x, y } = newKey().privateKey.export({ format: 'jwk' })
  const serviceKey = { kty: 'EC', crv: 'P-256', x, y }

  async function newCode(terminal: string, extra: object = {}): Promise<string> {
    const body = { v: 1, terminal, institution: 'clinic-a', attended: false, ...extra }
    return (await operator.postJson('/v1/enrolment-codes', z.object({ code: z.string() }), body)).code
  }

  async function newApplicant(): Promise<Applicant> {
    const tls = await tlsCredential('terminal')
    return { tls, device: newKey(), institution: newKey(), client: open({ tls }) }
  }

  async function enrolmentBody(code: string, applicant: Applicant): Promise<Record<string, unknown>> {
    const { tls, device, institution } = applicant
    const certificateRequest = encodeBase64url(await issueCvcRequest('JPTERMINAL00001', institution))
    const tlsThumbprint = certificateThumbprint(tls.certificate)
    const statement = await signEnrolment({ code, tlsThumbprint, certificateRequest }, device)
    return { v: 1, code, deviceKey: encodeBase64url(device.publicKey), certificateRequest, statement }
  }

  async function enrol(terminal: string, applicant: Applicant): Promise<TerminalView> {
    const body = await enrolmentBody(await newCode(terminal), applicant)
    return applicant.client.postJson('/v1/terminals', terminalView, body)
  }

  const refusal = async (call: Promise<unknown>): Promise<string | undefined> => {
    try {
      await call
    } catch (error) {
      if (error instanceof HttpError && error.problem) return error.problem.code
      throw error
    }
    return undefined
  }

  describe('before anything is installed', () => {
    test('it lives but is not ready, and an enrolment is told what is missing', async () => {
      await anonymous.getJson('/livez', z.object({ status: z.literal('ok') }))
      await expect(anonymous.getJson('/readyz', anything)).rejects.toMatchObject({ detail: { status: 503 } })
      await operator.postJson('/v1/institutions', anything, {
        v: 1,
        id: 'clinic-a',
        name: '診療所A',
        code: '1312345678',
      })
      expect(await refusal(enrol('terminal-0', await newApplicant()))).toBe('trust-missing')
    })
    test('trust that does not verify is refused, and none of it is kept', async () => {
      const stranger = newKey()
      const foreign = await issueCvc({ ...authority.dvCvc, role: 'dv', pinless: true }, stranger)
      const body = {
        v: 1,
        anchors: [encodeBase64url(authority.ca.raw)],
        cvcas: [encodeBase64url(authority.cvcaCvc.raw)],
      }
      const post = (more: object) => refusal(administrator.postJson('/v1/trust', nothing, { ...body, ...more }))
      expect(await post({ dvs: [encodeBase64url(foreign.raw)] })).toBe('cvc-signature')
      const otherKey = await issueCvc(
        { ...authority.dvCvc, role: 'dv', pinless: true, publicKey: stranger.publicKey },
        authority.cvca,
      )
      expect(await post({ dvs: [encodeBase64url(otherKey.raw)] })).toBe('dv-refused')
      expect(await post({ anchors: ['AAAA'] })).toBe('certificate-malformed')
      await expect(anonymous.getJson('/readyz', anything)).rejects.toMatchObject({ detail: { status: 503 } })
    })
    test('trust that verifies makes it ready', async () => {
      const { ca, cvcaCvc, dvCvc } = authority
      const [anchors, cvcas, dvs] = [ca.raw, cvcaCvc.raw, dvCvc.raw].map((raw) => [encodeBase64url(raw)])
      await administrator.postJson('/v1/trust', nothing, { v: 1, anchors, cvcas, dvs })
      await anonymous.getJson('/readyz', z.object({ status: z.literal('ok') }))
    })
  })

  describe('registry', () => {
    test('institutions, services and software are registered once and under distinct names', async () => {
      const post = (path: string, body: object) => operator.postJson(path, anything, { v: 1, ...body })
      await post('/v1/services', { audience: 'eligibility', name: '資格確認', sealingKey: serviceKey })
      const desk = { id: 'clinic-a-desk', institution: 'clinic-a', confirmation: { jkt: 'A'.repeat(43) } }
      await post('/v1/clients', { ...desk, audiences: ['eligibility', 'clinic-a'] })
      expect(await refusal(post('/v1/institutions', { id: 'clinic-a', name: 'x', code: null }))).toBe('exists')
      expect(await refusal(post('/v1/institutions', { id: 'eligibility', name: 'x', code: null }))).toBe('exists')
      const twice = { audience: 'clinic-a', name: 'x', sealingKey: serviceKey }
      expect(await refusal(post('/v1/services', twice))).toBe('exists')
      expect(await refusal(post('/v1/clients', { ...desk, id: 'b', audiences: ['unheard-of'] }))).toBe('not-found')
      expect(await refusal(post('/v1/clients', { ...desk, id: 'b', institution: 'no', audiences: [] }))).toBe(
        'not-found',
      )
      const offCurve = { ...serviceKey, y: serviceKey.x }
      expect(await refusal(post('/v1/services', { audience: 's', name: 's', sealingKey: offCurve }))).toBe(
        'key-refused',
      )
      expect(await operator.getJson('/v1/clients', z.object({ clients: z.array(anything) }))).toMatchObject({
        clients: [{ id: 'clinic-a-desk', audiences: ['clinic-a', 'eligibility'] }],
      })
    })
    test('a service learns one and the same ID of a person, another service another', async () => {
      await operator.postJson('/v1/services', anything, { v: 1, audience: 'asp', name: 'ASP', sealingKey: serviceKey })
      const hash = encodeBase64url(publicKeyHash(newKey().publicKey))
      const ask = async (audience: string, publicKeyHash = hash) =>
        (
          await operator.postJson('/v1/registrations', z.object({ subject: z.string() }), {
            v: 1,
            publicKeyHash,
            audience,
          })
        ).subject
      const [first, again, other] = [await ask('eligibility'), await ask('eligibility'), await ask('asp')]
      expect(again).toBe(first)
      expect(other).not.toBe(first)
      expect(await ask('eligibility', `${'B'.repeat(42)}A`)).not.toBe(first)
      expect(await refusal(ask('clinic-a'))).toBe('not-found')
    })
    test('a repeated write with its idempotency key happens once', async () => {
      const body = { v: 1, id: 'clinic-once', name: 'once', code: null }
      const once = () => operator.postJson('/v1/institutions', anything, body, { idempotencyKey: 'once-1' })
      expect(await once()).toEqual(await once())
    })
  })

  describe('roles', () => {
    test.each([
      ['GET', '/v1/terminals', ['operator', 'auditor', 'administrator']],
      ['GET', '/v1/institutions', ['operator', 'auditor', 'administrator']],
      ['GET', '/v1/keys', ['auditor', 'administrator']],
      ['POST', '/v1/trust', ['administrator']],
      ['POST', '/v1/terminals/nowhere/suspension', ['operator']],
      ['POST', '/v1/institutions/nowhere/suspension', ['operator']],
    ])('%s %s is for %j only, and nothing without a key', async (method, path, allowed) => {
      const call = (client: HttpClient) =>
        refusal(method === 'GET' ? client.getJson(path, anything) : client.postJson(path, anything, { v: 1 }))
      expect(await call(anonymous)).toBe('unauthenticated')
      for (const [role, client] of Object.entries({ operator, auditor, administrator })) {
        const expected = allowed.includes(role) ? (path.includes('nowhere') ? 'not-found' : undefined) : 'role-missing'
        expect([role, await call(client)]).toEqual([role, expected])
      }
    })
    test('a revoked key is nobody’s at once', async () => {
      const made = z.object({ id: z.string(), key: z.string() })
      const { id, key } = await administrator.postJson('/v1/keys', made, { v: 1, name: 'saburo', roles: ['operator'] })
      const saburo = open({ bearer: key })
      expect(await refusal(saburo.getJson('/v1/terminals', anything))).toBeUndefined()
      await administrator.sendJson('DELETE', `/v1/keys/${id}`, nothing)
      expect(await refusal(saburo.getJson('/v1/terminals', anything))).toBe('unauthenticated')
    })
  })

  describe('enrolment', () => {
    test('a terminal with three keys and a code gets a chain that verifies, once', async () => {
      const applicant = await newApplicant()
      const code = await newCode('terminal-1')
      const body = await enrolmentBody(code, applicant)
      const view = await applicant.client.postJson('/v1/terminals', terminalView, body)
      expect(view).toMatchObject({
        ...{
          provider: 'provider-1',
          institution: 'clinic-a',
          terminal: 'terminal-1',
          state: 'enrolled',
          attended: false,
        },
        ...{ head: 'A'.repeat(43), counter: 0, operator: null, lease: null },
        clients: [{ id: 'clinic-a-desk', audiences: ['clinic-a', 'eligibility'] }],
      })
      expect(view.offers.map(({ purpose, mechanism }) => `${purpose} ${mechanism}`)).toEqual([
        'eligibility institution',
        'eligibility pin',
        'visit institution',
      ])
      const [dv, terminal] = (view.chain ?? []).map((text) => decodeCvc(decodeBase64url(text)))
      if (!dv || !terminal) throw new Error('no chain')
      const today = japanDate(clock.now())
      expect(verifyCvcChain({ dv, terminal }, [trustCvca(authority.cvcaCvc)], today).terminal.pinless).toBe(true)
      expect(terminal).toMatchObject({ effective: today, expiry: japanDate(clock.now() + 14 * DAY) })
      expect(terminal.publicKey).toEqual(applicant.institution.publicKey)
      // The answer was lost: the same terminal sends the same again.
      expect(await applicant.client.postJson('/v1/terminals', terminalView, body)).toEqual(view)
      expect(await applicant.client.getJson('/v1/terminals/self', terminalView)).toEqual(view)
      // Another one has seen the code.
      const thief = await newApplicant()
      const stolen = await enrolmentBody(code, thief)
      expect(await refusal(thief.client.postJson('/v1/terminals', terminalView, stolen))).toBe('enrolment-code')
    })

    test('of two terminals with one code at the same moment one is enrolled', async () => {
      const code = await newCode('terminal-twin')
      const twins = await Promise.all([newApplicant(), newApplicant()])
      const results = await Promise.all(
        twins.map(async (twin) =>
          refusal(twin.client.postJson('/v1/terminals', terminalView, await enrolmentBody(code, twin))),
        ),
      )
      expect(results.toSorted()).toEqual(['enrolment-code', undefined])
    })

    test('a wrong code is refused', async () => {
      const applicant = await newApplicant()
      const body = await enrolmentBody(encodeBase64url(systemRandom.bytes(16)), applicant)
      expect(await refusal(applicant.client.postJson('/v1/terminals', terminalView, body))).toBe('enrolment-code')
    })

    test.each<[string, (applicant: Applicant, code: string) => Promise<Record<string, unknown>>, string]>([
      [
        'one key for device and institution',
        (a, code) => enrolmentBody(code, { ...a, institution: a.device }),
        'enrolment-request',
      ],
      [
        'one key for TLS and device',
        (a, code) => enrolmentBody(code, { ...a, device: a.tls.signer }),
        'enrolment-request',
      ],
      [
        'one key for TLS and institution',
        (a, code) => enrolmentBody(code, { ...a, institution: a.tls.signer }),
        'enrolment-request',
      ],
      [
        'a statement by another device key',
        async (a, code) => ({
          ...(await enrolmentBody(code, { ...a, device: newKey() })),
          deviceKey: encodeBase64url(a.device.publicKey),
        }),
        'enrolment-request',
      ],
      [
        'a statement for another TLS certificate',
        async (a, code) => enrolmentBody(code, { ...a, tls: await tlsCredential('other') }),
        'enrolment-request',
      ],
      [
        'a statement for another code',
        async (a, code) => ({ ...(await enrolmentBody(await newCode('terminal-9'), a)), code }),
        'enrolment-request',
      ],
      [
        'a statement for another certificate request',
        async (a, code) => ({
          ...(await enrolmentBody(code, a)),
          certificateRequest: encodeBase64url(await issueCvcRequest('JPTERMINAL00001', newKey())),
        }),
        'enrolment-request',
      ],
      [
        'a device key off its curve',
        async (a, code) => ({
          ...(await enrolmentBody(code, a)),
          deviceKey: encodeBase64url(a.device.publicKey.map((byte, i) => (i === 90 ? byte ^ 1 : byte))),
        }),
        'enrolment-request',
      ],
      ['an unknown member', async (a, code) => ({ ...(await enrolmentBody(code, a)), x: 1 }), 'malformed-request'],
    ])('%s is refused, and the code is not spent', async (_name, make, expected) => {
      const applicant = await newApplicant()
      const code = await newCode('terminal-2')
      const wrong = await make(applicant, code)
      expect(await refusal(applicant.client.postJson('/v1/terminals', terminalView, wrong))).toBe(expected)
      const right = await enrolmentBody(code, applicant)
      expect((await applicant.client.postJson('/v1/terminals', terminalView, right)).terminal).toBe('terminal-2')
    })

    test('no key of one terminal can enrol another', async () => {
      const first = await newApplicant()
      await enrol('terminal-3', first)
      for (const shared of ['device', 'institution', 'tls'] as const) {
        const second = { ...(await newApplicant()), [shared]: first[shared] }
        const client = shared === 'tls' ? first.client : second.client
        expect([shared, await refusal(enrol('terminal-4', { ...second, client }))]).toEqual([
          shared,
          'enrolment-request',
        ])
      }
    })

    test('without a client certificate, and before enrolment, nobody is a terminal', async () => {
      const body = await enrolmentBody(await newCode('terminal-5'), await newApplicant())
      expect(await refusal(anonymous.postJson('/v1/terminals', terminalView, body))).toBe('terminal-unknown')
      const stranger = await newApplicant()
      for (const client of [anonymous, stranger.client]) {
        expect(await refusal(client.getJson('/v1/terminals/self', terminalView))).toBe('terminal-unknown')
        expect(await refusal(client.postJson('/v1/proofs', anything, { v: 1 }))).toBe('terminal-unknown')
        expect(await refusal(client.openChannel('/v1/terminals/self/channel', channelEvent, () => {}))).toBe(
          'terminal-unknown',
        )
      }
    })

    test('a code for a terminal that exists replaces its keys, and the old ones are nobody’s', async () => {
      const [old, fresh] = [await newApplicant(), await newApplicant()]
      const before = await enrol('terminal-6', old)
      await operator.postJson('/v1/terminals/terminal-6/activation', nothing, { v: 1 })
      const after = await enrol('terminal-6', fresh)
      expect(after.state).toBe('enrolled')
      expect(after.chain).not.toEqual(before.chain)
      expect(await refusal(old.client.getJson('/v1/terminals/self', terminalView))).toBe('terminal-unknown')
      await operator.postJson('/v1/institutions', anything, { v: 1, id: 'clinic-b', name: 'B', code: null })
      expect(await refusal(newCode('terminal-6', { institution: 'clinic-b' }))).toBe('exists')
    })

    test('a certificate is renewed for the same key or another, and withdrawn', async () => {
      const applicant = await newApplicant()
      const first = await enrol('terminal-7', applicant)
      const renew = async (institution: Key, device: Key = applicant.device) => {
        const certificateRequest = encodeBase64url(await issueCvcRequest('JPTERMINAL00001', institution))
        const tlsThumbprint = certificateThumbprint(applicant.tls.certificate)
        const statement = await signEnrolment({ code: null, tlsThumbprint, certificateRequest }, device)
        const body = { v: 1, certificateRequest, statement }
        return applicant.client.postJson('/v1/terminals/self/certificates', terminalView, body)
      }
      const second = await renew(applicant.institution)
      const other = newKey()
      const third = await renew(other)
      expect(new Set([first, second, third].map(({ chain }) => chain?.[1])).size).toBe(3)
      expect(decodeCvc(decodeBase64url(third.chain?.[1] ?? '')).publicKey).toEqual(other.publicKey)
      expect(await refusal(renew(newKey(), newKey()))).toBe('enrolment-request')
      const list = z.object({
        terminals: z.array(z.object({ id: z.string(), certificates: z.array(z.object({ certHash: z.string() })) })),
      })
      const { terminals } = await operator.getJson('/v1/terminals', list)
      const certificates = terminals.find(({ id }) => id === 'terminal-7')?.certificates ?? []
      expect(certificates.length).toBe(3)
      for (const { certHash } of certificates) {
        await operator.postJson(`/v1/terminal-certificates/${certHash}/withdrawal`, nothing, { v: 1 })
      }
      expect((await applicant.client.getJson('/v1/terminals/self', terminalView)).chain).toBeNull()
    })
  })

  describe('channel', () => {
    let applicant: Applicant
    let channel: Channel
    const events: ChannelEvent[] = []
    const next = async (type: ChannelEvent['type']): Promise<ChannelEvent> => {
      await expect.poll(() => events.some((event) => event.type === type), { timeout: 5000 }).toBe(true)
      return events.splice(
        events.findIndex((event) => event.type === type),
        1,
      )[0] as ChannelEvent
    }
    const request = {
      ...{ client: 'clinic-a-desk', purpose: 'eligibility', mechanism: 'institution', basis: 'none', role: 'holder' },
    }
    const ask = (more: object = {}, count = 2) =>
      channel.send({ v: 1, type: 'nonces', request: { ...request, ...more }, count })
    const act = (path: string) => operator.postJson(path, nothing, { v: 1 })

    beforeAll(async () => {
      applicant = await newApplicant()
      await enrol('terminal-c', applicant)
      channel = await applicant.client.openChannel('/v1/terminals/self/channel', channelEvent, (event) => {
        events.push(event)
      })
    })

    test('tells the state first, and refuses nonces before activation', async () => {
      expect(await next('state')).toMatchObject({ state: 'enrolled' })
      ask()
      expect(await next('refused')).toMatchObject({ code: 'terminal-not-active', request })
    })
    test('after activation it gives nonces of 60 seconds for exactly what was asked', async () => {
      await act('/v1/terminals/terminal-c/activation')
      expect(await next('state')).toMatchObject({ state: 'active' })
      ask()
      const { rows } = (await next('nonces')) as Extract<ChannelEvent, { type: 'nonces' }>
      expect(rows).toMatchObject([request, request].map((one) => ({ ...one, class: 'tap' })))
      expect(rows.map(({ expiresAt }) => Date.parse(expiresAt) - clock.now())).toEqual([MINUTE, MINUTE])
      expect(rows[0]?.nonce).not.toBe(rows[1]?.nonce)
    })
    test.each([
      [{ client: 'unheard-of' }, 'client-unknown'],
      [{ purpose: 'unheard-of' }, 'policy-refused'],
      [{ mechanism: 'pin' }, 'policy-refused'],
      [{ basis: '38-2-pin' }, 'policy-refused'],
      [{ role: 'proxy' }, 'policy-refused'],
    ])('%j is refused as %s', async (more, code) => {
      ask(more)
      expect(await next('refused')).toMatchObject({ code })
    })
    test.each([
      ['/v1/terminals/terminal-c/suspension', '/v1/terminals/terminal-c/activation'],
      ['/v1/institutions/clinic-a/suspension', '/v1/institutions/clinic-a/resumption'],
    ])('%s is known at once, and no nonce is given until %s', async (stop, resume) => {
      await act(stop)
      expect(await next('state')).toMatchObject({ state: 'suspended' })
      ask()
      expect(await next('refused')).toMatchObject({ code: 'terminal-suspended' })
      await act(resume)
      expect(await next('state')).toMatchObject({ state: 'active' })
    })
    test('a change made by another process is known within a second', async () => {
      const database = await store.role<ProviderTables>('provider', providerMigrations)
      await database.updateTable('terminal').set({ state: 'suspended' }).where('id', '=', 'terminal-c').execute()
      await clock.advance(SECOND)
      expect(await next('state')).toMatchObject({ state: 'suspended' })
      await act('/v1/terminals/terminal-c/activation')
      expect(await next('state')).toMatchObject({ state: 'active' })
    })
    test('a resynchronisation sets head and counter, and needs both facts', async () => {
      const facts = { deviceInHand: true, noCopySuspected: true }
      const place = { head: encodeBase64url(systemRandom.bytes(32)), counter: 41 }
      const path = '/v1/terminals/terminal-c/resynchronisation'
      for (const missing of ['deviceInHand', 'noCopySuspected']) {
        const body = { v: 1, ...place, ...facts, [missing]: false }
        expect(await refusal(operator.postJson(path, nothing, body))).toBe('malformed-request')
      }
      await operator.postJson(path, nothing, { v: 1, ...place, ...facts })
      expect(await applicant.client.getJson('/v1/terminals/self', terminalView)).toMatchObject(place)
    })
    test('asked for too much at once it refuses, and goes on a little later', async () => {
      await clock.advance(10 * SECOND)
      for (let i = 0; i < 5; i++) ask({}, 8)
      for (let i = 0; i < 4; i++) expect(await next('nonces')).toMatchObject({ type: 'nonces' })
      expect(await next('refused')).toMatchObject({ code: 'too-many-requests', request })
      await clock.advance(SECOND)
      ask({}, 8)
      expect(await next('nonces')).toMatchObject({ type: 'nonces' })
    })
    test('a heartbeat comes every 15 seconds', async () => {
      await clock.advance(15 * SECOND)
      expect(await next('heartbeat')).toMatchObject({ v: 1 })
    })
    test('a message that is none ends the channel', async () => {
      channel.send({ v: 1, type: 'unheard-of' })
      expect((await channel.closed).code).toBe(1007)
    })
    test('an early certificate is answered by an empty 202, whatever becomes of it', async () => {
      const body = { v: 1, nonce: 'A'.repeat(43), sealedCertificate: 'AAAA' }
      expect(await applicant.client.postJson('/v1/early-certificates', nothing, body)).toBeUndefined()
    })
    test('a proof that is too large, or no proof, is refused and counted', async () => {
      const post = (body: unknown) => refusal(applicant.client.postJson('/v1/proofs', anything, body))
      expect(await post({ v: 1, x: 'x'.repeat(40_000) })).toBe('body-too-large')
      expect(await post({ v: 1 })).toBe('malformed')
      const metrics = Buffer.from(await anonymous.getBytes('/metrics', 'text/plain')).toString()
      expect(metrics).toMatch(/kazasu_receptions_total\{verdict="malformed"\} 1/)
      expect(metrics).toMatch(/kazasu_receptions_total\{verdict="terminal-unknown"\} 2/)
    })
  })

  describe('codes', () => {
    test('a code is good for its minutes and not a moment longer', async () => {
      const applicant = await newApplicant()
      const code = await newCode('terminal-late', { minutes: 1 })
      const body = await enrolmentBody(code, applicant)
      clock.setWallClock(clock.now() + MINUTE)
      expect(await refusal(applicant.client.postJson('/v1/terminals', terminalView, body))).toBe('enrolment-code')
    })
    test('neither codes nor keys stand in the log', () => {
      expect(lines.length).toBeGreaterThan(10)
      expect(lines.join('')).not.toMatch(/Bearer|"code":"[A-Za-z0-9_-]{22}"/)
    })
  })

  describe('tokens', () => {
    const claimsAt = (now: number, more: object = {}): PresenceClaims => ({
      ...{
        v: 1,
        iss: 'https://provider.test',
        aud: 'clinic-a',
        sub: '1abc',
        jti: encodeBase64url(systemRandom.bytes(16)),
      },
      ...{ iat: Math.floor(now / 1000), exp: Math.floor(now / 1000) + 300 },
      presented: ['2026-11-22T00:00:00.000Z', '2026-11-22T00:00:01.000Z'],
      ...{ institution: 'clinic-a', terminal: 'terminal-1', mechanism: 'institution', basis: 'none', role: 'holder' },
      ...{ purpose: 'eligibility', certificate: 'current', cnf: { jkt: 'A'.repeat(43) } },
      ...more,
    })
    const sign = (claims: object, key: Key = material.keys.token as Key, typ = PRESENCE_TOKEN) =>
      signJws({ typ }, claims, key)
    const verify = (body: object) =>
      anonymous.postJson('/v1/verify', z.object({ active: z.boolean(), code: z.string().optional() }), body)

    test('a token of ours is active with its claims, for its audience', async () => {
      const claims = claimsAt(clock.now())
      const token = await sign(claims)
      expect(await anonymous.postJson('/v1/verify', anything, { token, audience: 'clinic-a' })).toEqual({
        v: 1,
        active: true,
        claims,
      })
      expect(await verify({ token, audience: 'clinic-b' })).toMatchObject({ active: false, code: 'token-invalid' })
    })
    test.each<[string, (now: number) => Promise<string>]>([
      ['another key', (now) => sign(claimsAt(now), newKey())],
      ['another type', (now) => sign(claimsAt(now), undefined, 'JWT')],
      ['another issuer', (now) => sign(claimsAt(now, { iss: 'https://elsewhere.test' }))],
      ['an end that has come', (now) => sign(claimsAt(now, { exp: Math.floor(now / 1000) }))],
      ['an unknown claim', (now) => sign(claimsAt(now, { admin: true }))],
      ['no form at all', async () => 'a.b.c'],
    ])('a token with %s is not', async (_name, make) => {
      expect(await verify({ token: await make(clock.now()) })).toMatchObject({ active: false, code: 'token-invalid' })
    })
    test('of ten who consume a token at once one gets it, and nobody after', async () => {
      const token = await sign(claimsAt(clock.now()))
      expect(await refusal(verify({ token, consume: true }))).toBe('malformed-request') // for whom is not said
      const stranger = await verify({ token, consume: true, audience: 'clinic-b' })
      expect(stranger).toMatchObject({ active: false, code: 'token-invalid' }) // and spends nothing
      const consumed = { token, consume: true, audience: 'clinic-a' }
      const verdicts = await Promise.all(Array.from({ length: 10 }, () => verify(consumed)))
      expect(verdicts.filter(({ active }) => active).length).toBe(1)
      expect(await verify({ token })).toMatchObject({ active: false, code: 'token-spent' })
    })
    test('the key set names the keys by use', async () => {
      const keySet = z.object({ keys: z.array(z.record(z.string(), z.string())) })
      const { keys } = await anonymous.getJson('/.well-known/jwks.json', keySet)
      expect(keys.map((key) => key['kazasu:use'])).toEqual(['token', 'log', 'certificate'])
      expect(keys.some((key) => 'd' in key)).toBe(false)
    })
  })

  describe('log', () => {
    const origin = logOrigin('provider-1')
    const append = async (count: number) => {
      const database = await store.role<ProviderTables>('provider', providerMigrations)
      for (let i = 0; i < count; i++) {
        const sealed = await sealEvidence(
          { v: 1, i },
          {
            ...{ auditKey: material.auditKey, random: systemRandom },
            witness: { size: 0, requireSound() {} } as never,
          },
        )
        await database.transaction().execute((transaction) => appendEvidence(transaction, sealed))
      }
    }
    const checkpoint = async () => Buffer.from(await anonymous.getBytes('/v1/log/checkpoint', 'text/plain')).toString()
    const head = (note: string) => verifyCheckpoint(note, { origin, publicKey: material.keys.log.publicKey })
    const receipt = z.object({
      index: z.int(),
      checkpoint: z.string(),
      inclusion: z.array(z.string()),
      leaf: z.string(),
    })

    test('grows, proves every entry and every growth', async () => {
      const empty = head(await checkpoint())
      await append(5)
      const five = head(await checkpoint())
      await append(4)
      const nine = head(await checkpoint())
      expect([empty.size, five.size, nine.size]).toEqual([0, 5, 9])
      for (let index = 0; index < 9; index++) {
        const entry = await anonymous.getJson(`/v1/log/entries/${index}`, receipt)
        const proof = entry.inclusion.map(decodeBase64url)
        verifyInclusion({ index, leaf: decodeBase64url(entry.leaf), proof }, head(entry.checkpoint))
      }
      const answer = z.object({ proof: z.array(z.string()) })
      const { proof } = await anonymous.getJson('/v1/log/consistency?from=5&to=9', answer)
      verifyConsistency(five, nine, proof.map(decodeBase64url))
      for (const path of ['entries/9', 'consistency?from=5&to=10', 'consistency?from=6&to=5']) {
        expect(await refusal(anonymous.getJson(`/v1/log/${path}`, anything))).toBe('not-found')
      }
      expect(await refusal(anonymous.getJson('/v1/log/entries/-1', anything))).toBe('malformed-request')
    })

    test('rolled back while it is served stops everything, and the witness keeps what it knew', async () => {
      const file = join(home, 'log-checkpoint')
      const kept = readFileSync(file, 'utf8')
      expect(head(kept).size).toBe(9)
      const database = await store.role<ProviderTables>('provider', providerMigrations)
      await database.updateTable('log_head').set({ size: 7 }).execute()
      const ready = z.object({ checks: z.object({ log: z.string() }) })
      await anonymous.getJson('/readyz', ready)
      await clock.advance(SECOND)
      await expect.poll(() => refusal(checkpoint())).toBe('log-rolled-back')
      const health = await anonymous.getJson('/readyz', ready).catch((error: HttpError) => error.detail.status)
      expect(health).toBe(503)
      const { client } = await newApplicant()
      expect(await refusal(client.postJson('/v1/proofs', anything, {}))).toBe('log-rolled-back')
      await database.updateTable('log_head').set({ size: 9 }).execute()
      expect(await refusal(checkpoint())).toBe('log-rolled-back') // for good: somebody must look
      expect(readFileSync(file, 'utf8')).toBe(kept)
      await running.close()
      running = await start()
      anonymous = open()
      expect(head(await checkpoint()).size).toBe(9)
    })

    test('without its witness is served, but not silently', async () => {
      await running.close()
      rmSync(join(home, 'log-checkpoint'))
      lines.length = 0
      running = await start()
      anonymous = open()
      expect(lines.join('')).toContain('whether it was rolled back cannot be known')
      const metrics = Buffer.from(await anonymous.getBytes('/metrics', 'text/plain')).toString()
      expect(metrics).toContain('kazasu_log_witness_missing 1')
      expect(head(await checkpoint()).size).toBe(9)
      expect(head(readFileSync(join(home, 'log-checkpoint'), 'utf8')).size).toBe(9)
    })

    test('is compared with its witness at the start', async () => {
      await running.close()
      const file = join(home, 'log-checkpoint')
      const note = readFileSync(file, 'utf8')
      expect(decodeCheckpoint(note).size).toBe(9)
      running = await start()
      await running.close()
      const database = await store.role<ProviderTables>('provider', providerMigrations)
      await database.updateTable('log_head').set({ size: 8 }).execute()
      await expect(start()).rejects.toMatchObject({ code: 'log-rolled-back' })
      await database.updateTable('log_head').set({ size: 9 }).execute()
      await expect(start({ ...material.keys, log: newKey() })).rejects.toMatchObject({ code: 'log-rolled-back' })
      writeFileSync(file, note.replace(/\n9\n/, '\n7\n'))
      await expect(start()).rejects.toMatchObject({ code: 'log-rolled-back' })
      writeFileSync(file, note)
      running = await start()
      anonymous = open()
      expect(head(await checkpoint()).size).toBe(9)
    })
  })

  test('OpenAPI describes every route, with mutual TLS and bearer keys where they are needed', async () => {
    const api = z.object({ paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))) })
    const { paths } = await anonymous.getJson('/openapi.json', api)
    expect(paths['/v1/proofs']?.post?.security).toEqual([{ mutualTls: [] }])
    expect(paths['/v1/enrolment-codes']?.post?.security).toEqual([{ bearer: [] }])
    expect(paths['/v1/verify']?.post?.security).toBeUndefined()
    for (const [path, operations] of Object.entries(paths)) {
      for (const operation of Object.values(operations))
        expect([path, typeof operation.summary]).toEqual([path, 'string'])
    }
    expect(Object.keys(paths).length).toBeGreaterThan(20)
  })
})
