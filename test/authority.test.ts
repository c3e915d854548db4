import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Authority, startAuthority } from '#authority'
import { decodeBase64url, encodeBase64url, encodeHex } from '#bytes'
import { type Clock, DAY, japanDate, SECOND, systemClock, systemRandom, timeText } from '#clock'
import { createHttpClient, createLog, type HttpClient } from '#http'
import { loadSigner } from '#keys'
import {
  certificateId,
  decodeCertificate,
  decodeCrl,
  decodeCvc,
  decodeOcspResponse,
  encodeCertificatePem,
  encodeOcspRequest,
  issueCvc,
  issueCvcRequest,
  statusByCrl,
  TEST_POLICY,
  trustAnchor,
  trustCvca,
  verifyCrl,
  verifyCvcChain,
  verifyOcspResponse,
  verifyPath,
} from '#pki'
import { openStore, type Store } from '#store'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'

const run = promisify(execFile)
const any = z.any()
const directory = mkdtempSync(join(tmpdir(), 'kazasu-authority-'))
const path = (name: string) => join(directory, name)
const today = japanDate(systemClock.now())
const lines: string[] = []
const log = createLog({
  name: 'authority',
  clock: systemClock,
  destination: { write: (line) => void lines.push(line) },
})

let store: Store
let authority: Authority
let open: HttpClient
const persons: Record<string, HttpClient> = {}
/** A real signature of a card's key is never needed here. */
const cardKey = Uint8Array.from(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' }),
)

const start = (clock: Clock = systemClock) =>
  startAuthority({
    store,
    keysDirectory: path('keys'),
    home: path('home'),
    clock,
    random: systemRandom,
    log,
    http: { port: 0 },
  })

const bootstrapKey = () => readFileSync(authority.bootstrapKeyFile, 'utf8').trim()

const clients: HttpClient[] = []
function newClient(bearer?: string): HttpClient {
  const settings = { baseUrl: authority.url, clock: systemClock, timeoutMs: 20 * SECOND }
  const made = createHttpClient(bearer === undefined ? settings : { ...settings, bearer })
  clients.push(made)
  return made
}

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory: path('data') })
  // The disk fails in the middle of the very first start: the next one must not lock everybody out.
  mkdirSync(path('home/administrator.key/in-the-way'), { recursive: true })
  await expect(start()).rejects.toMatchObject({ code: 'EISDIR' })
  rmSync(path('home'), { recursive: true })
  authority = await start()
  open = newClient()
  const client = newClient
  persons.administrator = client(bootstrapKey())
  for (const role of ['operator', 'approver', 'auditor']) {
    const { key } = await persons.administrator.postJson('/v1/keys', any, { v: 1, name: `${role}-1`, roles: [role] })
    persons[role] = client(key)
  }
  const both = { v: 1, name: 'both-1', roles: ['operator', 'approver'] }
  persons.both = client((await persons.administrator.postJson('/v1/keys', any, both)).key)
  for (const { kind, certificate } of (await open.getJson('/v1/anchors', any)).certificateAuthorities) {
    writeFileSync(path(`${kind}.pem`), encodeCertificatePem(decodeCertificate(decodeBase64url(certificate))))
  }
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await authority.close()
  await store.close()
  rmSync(directory, { recursive: true })
})

const request = {
  v: 1,
  kind: 'user-authentication',
  holder: 'resident-1',
  publicKey: encodeBase64url(cardKey),
  locality: { prefecture: 'Tokyo-to', city: 'Chofu-shi' },
  birthDate: '1980-05-05',
}
const issue = (change: object = {}) => persons.operator!.postJson('/v1/certificates', any, { ...request, ...change })
const anchorOf = async (kind = 'user-authentication') => {
  const { certificateAuthorities } = await open.getJson('/v1/anchors', any)
  const found = certificateAuthorities.find((one: { kind: string }) => one.kind === kind)
  return trustAnchor(decodeCertificate(decodeBase64url(found.certificate)))
}
const refusal = (code: string, status: number) => ({ problem: { code, status } })
const openssl = async (...args: string[]) => {
  const { stdout, stderr } = await run('openssl', args)
  return stdout + stderr
}
const ocsp = (serial: string, digest = '-sha1') =>
  openssl(
    ...['ocsp', '-issuer', path('user-authentication.pem'), '-CAfile', path('user-authentication.pem')],
    ...[digest, '-serial', `0x${encodeHex(decodeBase64url(serial))}`, '-url', `${authority.url}/ocsp`],
  )

describe('certificates of cards', () => {
  test('issued, verified, revoked: openssl ocsp says good, then revoked; the CRL names it', async () => {
    const { serial, certificate, state } = await issue()
    expect(state).toBe('issued')
    const leaf = decodeCertificate(decodeBase64url(certificate))
    const anchor = await anchorOf()
    const requirements = { anchors: [anchor], at: systemClock.now(), keyUsage: 'digitalSignature' } as const
    expect(verifyPath(leaf, { ...requirements, policy: TEST_POLICY.userAuthentication }).validity).toBe('current')
    writeFileSync(path('leaf.pem'), encodeCertificatePem(leaf))
    const verify = ['verify', '-CAfile', path('user-authentication.pem')]
    expect(await openssl(...verify, path('leaf.pem'))).toContain('OK')

    const good = await ocsp(serial)
    expect(good).toContain('Response verify OK')
    expect(good).toMatch(/0x[0-9A-Fa-f]+: good/)

    const reason = 'keyCompromise'
    const revoked = await persons.operator!.postJson(`/v1/certificates/${serial}/revocation`, any, { v: 1, reason })
    expect(revoked).toMatchObject({ state: 'revoked', reason })
    const after = await ocsp(serial, '-sha256')
    expect(after).toContain('Response verify OK')
    expect(after).toMatch(/0x[0-9A-Fa-f]+: revoked/)
    expect(after).toContain('Reason: keyCompromise')

    const list = await open.getBytes('/crl/user-authentication.crl', 'application/pkix-crl')
    writeFileSync(path('list.crl'), list)
    const text = await openssl(
      ...[
        'crl',
        '-inform',
        'DER',
        '-in',
        path('list.crl'),
        '-CAfile',
        path('user-authentication.pem'),
        '-text',
        '-noout',
      ],
    )
    expect(text).toContain('verify OK')
    expect(text).toContain(encodeHex(decodeBase64url(serial)).toUpperCase())
    const crl = verifyCrl(decodeCrl(list), anchor, { at: systemClock.now(), tolerance: SECOND })
    expect(statusByCrl(leaf, crl)).toMatchObject({ state: 'revoked', reason })
    writeFileSync(path('list.pem'), await openssl('crl', '-inform', 'DER', '-in', path('list.crl')))
    const checked = openssl(...verify, '-crl_check', '-CRLfile', path('list.pem'), path('leaf.pem'))
    await expect(checked).rejects.toMatchObject({ stderr: expect.stringContaining('certificate revoked') })
  })
  test('our own verifier takes the OCSP answer by POST and by GET, and the nonce comes back', async () => {
    const { certificate } = await issue({ kind: 'user-authentication', holder: 'resident-2' })
    const leaf = decodeCertificate(decodeBase64url(certificate))
    const issuer = await anchorOf()
    const nonce = systemRandom.bytes(32)
    const bytes = encodeOcspRequest({ ids: [certificateId(leaf, issuer)], nonce })
    const type = 'application/ocsp-response'
    const answers = [
      await open.postBytes('/ocsp', 'application/ocsp-request', bytes, type),
      await open.getBytes(`/ocsp/${encodeURIComponent(Buffer.from(bytes).toString('base64'))}`, type),
    ]
    for (const answer of answers) {
      const tolerance = { maxAge: 60 * SECOND, clockSkew: SECOND }
      const requirements = { certificate: leaf, issuer, at: systemClock.now(), tolerance, nonce, nonceRequired: true }
      expect(verifyOcspResponse(decodeOcspResponse(answer), requirements).state).toBe('good')
    }
  })
  test('OCSP: a serial nobody issued is unknown; another CA, and garbage, are refused in the words of OCSP', async () => {
    const issuer = await anchorOf()
    const post = (body: Uint8Array) =>
      open.postBytes('/ocsp', 'application/ocsp-request', body, 'application/ocsp-response')
    const id = certificateId({ serial: '40' }, issuer)
    const unknown = decodeOcspResponse(await post(encodeOcspRequest({ ids: [id] })))
    expect(unknown.responses[0]?.status.state).toBe('unknown')
    const foreign = { ...id, issuerKeyHash: new Uint8Array(20) }
    const refused = await post(encodeOcspRequest({ ids: [foreign] }))
    expect(() => decodeOcspResponse(refused)).toThrow(/unauthorized/)
    const mixed = await post(
      encodeOcspRequest({ ids: [id, certificateId({ serial: '40' }, await anchorOf('digital-signature'))] }),
    )
    expect(() => decodeOcspResponse(mixed)).toThrow(/unauthorized/)
    for (const body of [new Uint8Array(0), Uint8Array.of(0x30, 0), new Uint8Array(5000)]) {
      const answer = await post(body)
      expect(() => decodeOcspResponse(answer)).toThrow(/malformedRequest/)
    }
    const bare = await open.getBytes('/ocsp/%00%zz'.slice(0, 9), 'application/ocsp-response')
    expect(() => decodeOcspResponse(bare)).toThrow(/malformedRequest/)
  })
  test('a signature certificate, and a certificate that is over already', async () => {
    const attributes = { name: '架空 花子', address: '東京都調布市架空二丁目', sex: '2' }
    const signing = await issue({ kind: 'digital-signature', attributes })
    const at = systemClock.now()
    const leaf = decodeCertificate(decodeBase64url(signing.certificate))
    const anchors = [await anchorOf('digital-signature')]
    expect(verifyPath(leaf, { anchors, at, keyUsage: 'nonRepudiation', policy: TEST_POLICY.signature }).leaf).toBe(leaf)
    const validity = { notBefore: timeText(at - 1800 * DAY), notAfter: timeText(at - 30 * DAY) }
    const expired = decodeCertificate(decodeBase64url((await issue({ validity })).certificate))
    const requirements = { anchors: [await anchorOf()], at, keyUsage: 'digitalSignature' } as const
    expect(() => verifyPath(expired, requirements)).toThrow('certificate-expired')
    expect(verifyPath(expired, { ...requirements, graceDays: 31 }).validity).toBe('grace')
  })
  test.each<[string, object, string, number]>([
    ['an unknown member', { serial: 'AAAA' }, 'malformed-request', 400],
    ['an unknown kind', { kind: 'tls' }, 'malformed-request', 400],
    ['a holder that looks like a name', { holder: '架空 太郎' }, 'malformed-request', 400],
    ['a birthday that does not exist', { birthDate: '1981-02-29' }, 'malformed-request', 400],
    ['a key that is not base64url', { publicKey: 'AA==' }, 'malformed-request', 400],
    ['a key that is none', { publicKey: 'AAAA' }, 'public-key-refused', 422],
    ['attributes where none belong', { attributes: { name: 'x', address: 'y', sex: '1' } }, 'subject-required', 422],
    [
      'a time without milliseconds',
      { validity: { notBefore: '2026-01-01T00:00:00Z', notAfter: '2027-01-01T00:00:00.000Z' } },
      'malformed-request',
      400,
    ],
    [
      'a period backwards',
      { validity: { notBefore: '2027-01-01T00:00:00.000Z', notAfter: '2026-01-01T00:00:00.000Z' } },
      'validity-refused',
      422,
    ],
  ])('%s is refused', (_name, change, code, status) =>
    expect(issue(change)).rejects.toMatchObject(refusal(code, status)),
  )
  test('revoking twice, an unknown serial and a reason of nobody are refused', async () => {
    const { serial } = await issue()
    const revoke = (one: string, reason: string) =>
      persons.operator!.postJson(`/v1/certificates/${one}/revocation`, any, { v: 1, reason })
    await revoke(serial, 'superseded')
    await expect(revoke(serial, 'superseded')).rejects.toMatchObject(refusal('certificate-already-revoked', 409))
    await expect(revoke('QQ', 'superseded')).rejects.toMatchObject(refusal('certificate-unknown', 404))
    await expect(revoke(serial, 'removeFromCRL')).rejects.toMatchObject(refusal('malformed-request', 400))
  })
  test('the same write with the same key happens once', async () => {
    const call = { idempotencyKey: 'card-77' }
    const body = { ...request, holder: 'resident-77' }
    const first = await persons.operator!.postJson('/v1/certificates', any, body, call)
    expect(await persons.operator!.postJson('/v1/certificates', any, body, call)).toEqual(first)
    const { certificates } = await persons.auditor!.getJson('/v1/certificates?holder=resident-77', any)
    expect(certificates).toHaveLength(1)
  })
  test('the register is read by operators and auditors only, page by page', async () => {
    const { certificates, next } = await persons.auditor!.getJson('/v1/certificates?limit=2', any)
    expect(certificates).toHaveLength(2)
    const second = await persons.auditor!.getJson(`/v1/certificates?limit=2&after=${next}`, any)
    expect(second.certificates[0].serial).not.toBe(certificates[1].serial)
    const denied = persons.approver!.getJson('/v1/certificates', any)
    await expect(denied).rejects.toMatchObject(refusal('role-missing', 403))
    await expect(open.getJson('/v1/certificates', any)).rejects.toMatchObject(refusal('unauthenticated', 401))
    const auditor = persons.auditor!.postJson('/v1/certificates', any, request)
    await expect(auditor).rejects.toMatchObject(refusal('role-missing', 403))
  })
})

describe('institutions', () => {
  const dvSigner = createThrowawaySigner('ecdsa-p256-sha256')
  const apply = async (provider: string, holder: string, client = persons.operator!) => {
    const bytes = encodeBase64url(await issueCvcRequest(`JP${holder}00001`, dvSigner))
    return client.postJson('/v1/applications', any, { v: 1, provider, name: '試験提供機関', request: bytes })
  }
  const approve = (id: string, client: HttpClient, date = today) =>
    client.postJson(`/v1/applications/${id}/approval`, any, { v: 1, today: date })

  test('applied, approved by a second person, public: a terminal under the DV is taken by our verifier', async () => {
    const { application, certificate } = await apply('provider-1', 'PROV1')
    expect(application).toMatchObject({ state: 'submitted', submittedBy: 'operator-1', reference: 'JPPROV100001' })
    expect(certificate).toBeNull()
    const { id } = application
    await expect(approve(id, persons.operator!)).rejects.toMatchObject(refusal('role-missing', 403))
    const approved = await approve(id, persons.approver!)
    expect(approved.application).toMatchObject({ state: 'approved', approvedBy: 'approver-1' })
    const chain = await open.getJson('/v1/institutions/provider-1/certificate', any)
    expect(chain.dv).toBe(approved.certificate)
    const dv = decodeCvc(decodeBase64url(chain.dv))
    expect([dv.effective, dv.expiry]).toEqual([today, japanDate(systemClock.now() + 90 * DAY)])
    const terminalKey = createThrowawaySigner('ecdsa-p256-sha256')
    const terminal = await issueCvc(
      {
        ...{ car: dv.chr, chr: 'JPTERM00001', role: 'terminal', pinless: true, publicKey: terminalKey.publicKey },
        ...{ effective: today, expiry: today },
      },
      dvSigner,
    )
    const anchor = trustCvca(decodeCvc(decodeBase64url((await open.getJson('/v1/anchors', any)).cvca)))
    expect(verifyCvcChain({ dv, terminal }, [anchor], today).terminal.pinless).toBe(true)

    const renewed = await persons.operator!.postJson(`/v1/applications/${id}/certificates`, any, { v: 1, today })
    expect(decodeCvc(decodeBase64url(renewed.certificate)).publicKey).toEqual(dvSigner.publicKey)
    const { certificates } = await open.getJson('/v1/card-verifiable-certificates', any)
    expect(certificates.map(({ role }: { role: string }) => role)).toEqual(['cvca', 'dv', 'dv'])
    expect(certificates[1].certificate).toBe(approved.certificate)
  })
  test('one person with both roles cannot do both, even with another key', async () => {
    const { application } = await apply('provider-2', 'PROV2', persons.both!)
    await expect(approve(application.id, persons.both!)).rejects.toMatchObject(refusal('same-person', 403))
    const second = { v: 1, name: 'both-1', roles: ['approver'] }
    const { key } = await persons.administrator!.postJson('/v1/keys', any, second)
    const other = newClient(key)
    await expect(approve(application.id, other)).rejects.toMatchObject(refusal('same-person', 403))
    await approve(application.id, persons.approver!)
  })
  test("tomorrow on the approver's machine stops the signature", async () => {
    const { application } = await apply('provider-3', 'PROV3')
    const tomorrow = japanDate(systemClock.now() + DAY)
    await expect(approve(application.id, persons.approver!, tomorrow)).rejects.toMatchObject(
      refusal('today-differs', 409),
    )
  })
  test.each<[string, object, string, number]>([
    ['no request', { request: undefined }, 'malformed-request', 400],
    ['a request that is none', { request: 'AAAA' }, 'request-refused', 422],
    ['a provider in capitals', { provider: 'Provider' }, 'malformed-request', 400],
    ['400 days', { days: 400 }, 'malformed-request', 400],
    ['a name with a line break', { name: 'a\nb' }, 'malformed-request', 400],
  ])('an application with %s is refused', async (_name, change, code, status) => {
    const bytes = encodeBase64url(await issueCvcRequest('JPPROV900001', dvSigner))
    const body = { v: 1, provider: 'provider-9', name: '試験', request: bytes, ...change }
    await expect(persons.operator!.postJson('/v1/applications', any, body)).rejects.toMatchObject(refusal(code, status))
  })
  test('withdrawn: nothing is issued any more and the public answer says so', async () => {
    const { application } = await apply('provider-4', 'PROV4')
    await approve(application.id, persons.approver!)
    await persons.approver!.postJson(`/v1/applications/${application.id}/withdrawal`, any, { v: 1 })
    const renewal = persons.operator!.postJson(`/v1/applications/${application.id}/certificates`, any, { v: 1, today })
    await expect(renewal).rejects.toMatchObject(refusal('application-not-approved', 409))
    const asked = open.getJson('/v1/institutions/provider-4/certificate', any)
    await expect(asked).rejects.toMatchObject(refusal('institution-unknown', 404))
    await expect(persons.operator!.getJson('/v1/applications/x', any)).rejects.toMatchObject(
      refusal('malformed-request', 400),
    )
  })
  test('applications are read by operators, approvers and auditors only', async () => {
    const { application } = await apply('provider-5', 'PROV5')
    for (const path of ['/v1/applications', `/v1/applications/${application.id}`]) {
      for (const role of ['operator', 'approver', 'auditor']) await persons[role]!.getJson(path, any)
      await expect(persons.administrator!.getJson(path, any)).rejects.toMatchObject(refusal('role-missing', 403))
      await expect(open.getJson(path, any)).rejects.toMatchObject(refusal('unauthenticated', 401))
    }
  })
})

describe('the role', () => {
  test('every route but health stands in the API description, and every problem has a remedy in both languages', async () => {
    const { paths, info } = await open.getJson('/openapi.json', any)
    expect(info.title).toContain('test authority')
    expect(Object.keys(paths).sort()).toEqual([
      ...['/crl/digital-signature.crl', '/crl/user-authentication.crl', '/ocsp', '/ocsp/{*}', '/v1/anchors'],
      ...['/v1/applications', '/v1/applications/{id}', '/v1/applications/{id}/approval'],
      ...['/v1/applications/{id}/certificates', '/v1/applications/{id}/withdrawal', '/v1/card-verifiable-certificates'],
      ...['/v1/certificates', '/v1/certificates/{serial}/revocation', '/v1/institutions/{provider}/certificate'],
      ...['/v1/keys', '/v1/keys/{id}/revocation'],
    ])
    const { problem } = await open.getJson('/v1/institutions/nobody/certificate', any).catch((error) => error)
    expect(problem.remedy).toEqual({ ja: expect.any(String), en: expect.any(String) })
  })
  test('metrics count certificates by state', async () => {
    const text = Buffer.from(await open.getBytes('/metrics', 'text/plain')).toString()
    expect(text).toMatch(/authority_certificates\{kind="user-authentication",state="revoked"\} 2/)
  })
  test('no log line holds a serial number, a name or a key', async () => {
    const all = lines.join('')
    const { certificates } = await persons.operator!.getJson('/v1/certificates', any)
    for (const { serial } of certificates) {
      const bytes = Buffer.from(decodeBase64url(serial))
      for (const form of [
        serial,
        bytes.toString('hex'),
        bytes.toString('base64'),
        BigInt(`0x${bytes.toString('hex')}`).toString(),
      ]) {
        expect(all.includes(form)).toBe(false)
      }
    }
    expect(all).toContain('answered')
    expect(all).not.toMatch(/架空|Bearer|調布/)
    expect(all.includes(bootstrapKey().split('.')[1]!)).toBe(false)
  })
  test('a restart keeps anchors, keys of persons and lists, and gives no second bootstrap key', async () => {
    const before = await open.getJson('/v1/anchors', any)
    const number = () =>
      open.getBytes('/crl/user-authentication.crl', 'application/pkix-crl').then((der) => decodeCrl(der))
    const [old, first] = [await number(), bootstrapKey()]
    await authority.close()
    authority = await start()
    open = newClient()
    expect(bootstrapKey()).toBe(first)
    expect(await open.getJson('/v1/anchors', any)).toEqual(before)
    const fresh = await number()
    expect(fresh.number).toBe(old.number + 1n)
    expect([...fresh.entries.keys()]).toEqual([...old.entries.keys()])
  })
  test('another key in the place of a CA key stops the start', async () => {
    await authority.close()
    rmSync(path('keys/ca-user-authentication.pem'))
    await loadSigner(path('keys'), 'ca-user-authentication', 'rsa-pkcs1-sha256', { create: true })
    await expect(start()).rejects.toMatchObject({ code: 'keys-mismatch' })
  })
})
