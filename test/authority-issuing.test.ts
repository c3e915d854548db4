import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVirtualClock, DAY, HOUR, japanDate, systemClock, systemRandom, type VirtualClock } from '#clock'
import {
  decodeCertificate,
  decodeCrl,
  decodeCvc,
  decodeOtherNames,
  issueCertificate,
  issueCvcRequest,
  type JpkiKind,
  jpkiAuthority,
  type Signer,
  trustAnchor,
  trustCvca,
  verifyCvc,
  verifyPath,
} from '#pki'
import { openStore, type Store } from '#store'
import { openCertificateAuthority, openResponderCertificate } from '../src/authority/certificate-authorities.ts'
import { type CertificateRequest, createCertificateRegister, readRevoked } from '../src/authority/certificates.ts'
import { openInstitutionRoot } from '../src/authority/institution-certificates.ts'
import { type AuthorityTables, authorityMigrations } from '../src/authority/migrations.ts'
import { createRegistry } from '../src/authority/registry.ts'
import { GRACE_DAYS, openRevocationLists } from '../src/authority/revocation-lists.ts'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'

// Yesterday: OpenPACE judges dates in UTC, where the Japanese today has not begun before nine in the morning.
const start = systemClock.now() - DAY
const today = japanDate(start)
const missing = !hasPostgresql
if (missing && process.env.CI === 'true') throw new Error('PostgreSQL is not installed')

describe.each([
  { name: 'the embedded database', engine: 'embedded', skipped: false },
  { name: 'a PostgreSQL server', engine: 'postgresql', skipped: missing },
])('on $name', ({ engine, skipped }) => {
  if (skipped) return void test.skip('PostgreSQL is not installed: NOT RUN', () => {})

  const directory = mkdtempSync(join(tmpdir(), 'kazasu-authority-'))
  let server: PostgresqlRig | undefined
  let store: Store
  let database: Kysely<AuthorityTables>
  const rootSigner = createThrowawaySigner('ecdsa-p256-sha256')
  const dvSigner = createThrowawaySigner('ecdsa-p256-sha256')
  const clock = createVirtualClock(start)

  beforeAll(async () => {
    server = engine === 'postgresql' ? await startPostgresql() : undefined
    store = await openStore(
      server ? { kind: 'postgresql', url: server.url } : { kind: 'embedded', directory: join(directory, 'data') },
    )
    database = await store.role<AuthorityTables>('authority', authorityMigrations)
  })
  afterAll(async () => {
    await store?.close()
    await server?.stop()
    rmSync(directory, { recursive: true })
  })

  const open = async (signer: Signer = rootSigner, at = clock) => {
    const root = await openInstitutionRoot(database, signer, at)
    return { root, registry: createRegistry(database, root, { clock: at, random: systemRandom }) }
  }
  async function newApplication(provider: string, holder: string, signer: Signer = dvSigner) {
    return { provider, name: '試験機関', request: await issueCvcRequest(`JP${holder}00001`, signer), days: 90 }
  }

  describe('institution root', () => {
    test('the first start signs a root, the second finds it, another key stops the start', async () => {
      const first = await open()
      expect(first.root.cvca.effective).toBe(today)
      expect((await open()).root.cvca.raw).toEqual(first.root.cvca.raw)
      await expect(open(createThrowawaySigner('ecdsa-p256-sha256'))).rejects.toMatchObject({ code: 'keys-mismatch' })
    })
    test('a DV certificate is never effective tomorrow, and nothing is recorded of the attempt', async () => {
      const { root } = await open()
      const before = (await root.list(0, 1000)).length
      const tomorrow = japanDate(start + DAY)
      const application = { id: 'none', reference: 'JPX00001', publicKey: dvSigner.publicKey, days: 1 }
      await expect(root.issue(application, tomorrow)).rejects.toMatchObject({ code: 'effective-in-future' })
      expect((await root.list(0, 1000)).length).toBe(before)
    })
    test('signed certificates can be neither changed nor removed by the role', async () => {
      await expect(sql`update cvc set raw = ''`.execute(database)).rejects.toMatchObject({ code: '42501' })
      await expect(sql`delete from cvc_intent`.execute(database)).rejects.toMatchObject({ code: '42501' })
    })
  })

  describe('registry', () => {
    test('two persons: an application, an approval by another, a certificate that verifies', async () => {
      const { root, registry } = await open()
      const { id } = await registry.submit(await newApplication('provider-1', 'HOKEN'), 'operator-1')
      expect((await registry.find(id)).certificate).toBeUndefined()
      await expect(registry.certificateOf('provider-1')).rejects.toMatchObject({ code: 'institution-unknown' })
      await expect(registry.renew(id, today)).rejects.toMatchObject({ code: 'application-not-approved' })
      await expect(registry.approve(id, 'operator-1', today)).rejects.toMatchObject({ code: 'same-person' })
      const { application, certificate } = await registry.approve(id, 'approver-1', today)
      expect(application).toMatchObject({ state: 'approved', submittedBy: 'operator-1', approvedBy: 'approver-1' })
      expect(certificate).toMatchObject({ chr: 'JPHOKEN00001', effective: today, expiry: japanDate(start + 90 * DAY) })
      expect(verifyCvc(certificate, trustCvca(root.cvca), today).pinless).toBe(true)
      expect((await registry.certificateOf('provider-1')).raw).toEqual(certificate.raw)
      await expect(registry.approve(id, 'approver-2', today)).rejects.toMatchObject({ code: 'application-decided' })
    })
    test('a renewal keeps key and reference and is effective on its own day', async () => {
      const later = createVirtualClock(start + 3 * DAY)
      const { registry } = await open(rootSigner, later)
      const { id } = (await registry.list())[0]!
      const { certificate } = await registry.renew(id, japanDate(later.now()))
      expect(certificate).toMatchObject({ chr: 'JPHOKEN00001', effective: japanDate(start + 3 * DAY) })
      expect(certificate.publicKey).toEqual(dvSigner.publicKey)
    })
    test.each([-1, 1])("a date on the approver's machine that differs by %i day stops the signature", async (days) => {
      const { registry } = await open()
      const { id } = await registry.submit(
        await newApplication(`provider-date${days}`, `DATE${days + 1}`),
        'operator-1',
      )
      await expect(registry.approve(id, 'approver-1', japanDate(start + days * DAY))).rejects.toMatchObject({
        code: 'today-differs',
      })
      expect((await registry.find(id)).application.state).toBe('submitted')
    })
    test('a provider or a holder that is taken is refused until the first one is withdrawn', async () => {
      const { registry } = await open()
      const submit = async (provider: string, holder: string) =>
        registry.submit(await newApplication(provider, holder), 'operator-1')
      const { id } = await submit('provider-2', 'NIBAN')
      await expect(submit('provider-2', 'OTHER')).rejects.toMatchObject({ code: 'provider-taken' })
      await expect(submit('provider-3', 'NIBAN')).rejects.toMatchObject({ code: 'holder-taken' })
      expect((await registry.withdraw(id, 'approver-1')).state).toBe('withdrawn')
      await expect(registry.withdraw(id, 'approver-1')).rejects.toMatchObject({ code: 'application-decided' })
      await expect(registry.approve(id, 'approver-1', today)).rejects.toMatchObject({ code: 'application-decided' })
      await submit('provider-2', 'NIBAN')
    })
    test('a reference stays with its key, also after withdrawal, and the root keeps its own', async () => {
      const { registry } = await open()
      const { id } = await registry.submit(await newApplication('provider-4', 'YONBAN'), 'operator-1')
      await registry.withdraw(id, 'operator-1')
      const renewal = registry.renew(id, today)
      await expect(renewal).rejects.toMatchObject({ code: 'application-not-approved' })
      const other = createThrowawaySigner('ecdsa-p256-sha256')
      const submit = async (holder: string, signer: Signer) =>
        registry.submit(await newApplication('provider-4', holder, signer), 'operator-1')
      await expect(submit('YONBAN', other)).rejects.toMatchObject({ code: 'holder-taken' })
      await expect(submit('KAZASUTST', other)).rejects.toMatchObject({ code: 'holder-taken' })
      await submit('YONBAN', dvSigner)
    })
    test('a withdrawal before the intent is committed stops the signature, and no intent stays', async () => {
      const { root, registry } = await open()
      const application = await registry.submit(await newApplication('provider-8', 'HACHI'), 'operator-1')
      await registry.withdraw(application.id, 'operator-1')
      const before = (await root.list(0, 1000)).length
      await expect(root.issue(application, today)).rejects.toMatchObject({ code: 'application-not-approved' })
      expect((await root.list(0, 1000)).length).toBe(before)
    })
    test('of two approvals at the same moment one is refused', async () => {
      const { root, registry } = await open()
      const { id } = await registry.submit(await newApplication('provider-10', 'JUU'), 'operator-1')
      const both = await Promise.allSettled(['approver-1', 'approver-2'].map((one) => registry.approve(id, one, today)))
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      expect((await root.list(0, 1000)).filter(({ application }) => application === id)).toHaveLength(1)
    })
    test('a request with any part changed is refused: it proves that the key is held', async () => {
      const { registry } = await open()
      const sound = await newApplication('provider-6', 'ROKU')
      for (const at of [4, 60, sound.request.length - 80, sound.request.length - 1]) {
        const request = sound.request.map((byte, position) => (position === at ? byte ^ 1 : byte))
        await expect(registry.submit({ ...sound, request }, 'operator-1')).rejects.toMatchObject({
          code: 'request-refused',
        })
      }
    })
    test('a signer that dies between intent and signature leaves the intent to be seen, and the act can be completed', async () => {
      const dying: Signer = { ...rootSigner, sign: () => Promise.reject(new Error('power cut')) }
      const { root, registry } = await open(dying)
      const { id } = await registry.submit(await newApplication('provider-7', 'NANABAN'), 'operator-1')
      await expect(registry.approve(id, 'approver-1', today)).rejects.toThrow('power cut')
      expect((await root.list(0, 1000)).at(-1)).toMatchObject({ application: id, chr: 'JPNANABAN00001', raw: null })
      const { certificate } = await (await open()).registry.renew(id, today)
      expect((await root.list(0, 1000)).at(-1)?.raw).toEqual(certificate.raw)
    })
    test('cvc-print of OpenPACE verifies the chain', async ({ skip }) => {
      try {
        execFileSync('cvc-print', ['--version'])
      } catch {
        skip('cvc-print (openpace) is not installed')
      }
      const { root, registry } = await open()
      const certificate = await registry.certificateOf('provider-7')
      writeFileSync(join(directory, root.cvca.chr), root.cvca.raw)
      writeFileSync(join(directory, 'dv.cvcert'), certificate.raw)
      const text = execFileSync('cvc-print', ['--cvc-dir', directory, '-c', join(directory, 'dv.cvcert')], {
        encoding: 'utf8',
      })
      expect(text).toContain('certificate verified')
      expect(decodeCvc(certificate.raw).car).toBe(root.cvca.chr)
    })
  })

  describe('certificate register', () => {
    const caSigners = {
      'user-authentication': createThrowawaySigner('rsa-pkcs1-sha256'),
      'digital-signature': createThrowawaySigner('rsa-pkcs1-sha256'),
    }
    const card = createThrowawaySigner('rsa-pkcs1-sha256')
    const issueCa = (kind: JpkiKind, signer: Signer) => {
      const period = { notBefore: start - 3650 * DAY, notAfter: start + 3650 * DAY }
      return issueCertificate(
        jpkiAuthority(kind, { serial: Uint8Array.of(1), publicKey: signer.publicKey, ...period }),
        signer,
      )
    }
    const openRegister = async (signers: typeof caSigners | Record<keyof typeof caSigners, Signer> = caSigners) => {
      const authorities = {
        'user-authentication': {
          certificate: await issueCa('userAuthentication', caSigners['user-authentication']),
          signer: signers['user-authentication'],
        },
        'digital-signature': {
          certificate: await issueCa('signature', caSigners['digital-signature']),
          signer: signers['digital-signature'],
        },
      }
      const settings = { clock, random: systemRandom, ocsp: 'http://authority.kazasu.test/ocsp' }
      return { authorities, register: createCertificateRegister(database, authorities, settings) }
    }
    const request: CertificateRequest = {
      kind: 'user-authentication',
      holder: 'resident-1',
      publicKey: card.publicKey,
      locality: { prefecture: 'Tokyo-to', city: 'Chofu-shi' },
      birthDate: '1980-05-05',
    }
    const attributes = { name: '架空 太郎', address: '東京都調布市架空一丁目', sex: '1' } as const

    test('a user-authentication certificate leads to the CA, ends at midnight in Japan on a birthday and names nobody', async () => {
      const { authorities, register } = await openRegister()
      const entry = await register.issue(request, 'operator-1')
      expect(entry.state).toBe('issued')
      const leaf = decodeCertificate(entry.der!)
      const anchors = [trustAnchor(authorities['user-authentication'].certificate)]
      expect(verifyPath(leaf, { anchors, at: start, keyUsage: 'digitalSignature' }).validity).toBe('current')
      expect(new Date(leaf.notAfter).toISOString()).toMatch(/-05-05T14:59:59\.000Z$/)
      expect(Buffer.from(leaf.subject).toString('latin1')).toMatch(/KAZASUTEST[0-9A-Z]{13}$/)
      expect((await register.find('user-authentication', entry.serial))?.holder).toBe('resident-1')
      expect(await register.find('digital-signature', entry.serial)).toBeUndefined()
    })
    test('a signature certificate states the attributes', async () => {
      const { register } = await openRegister()
      const entry = await register.issue({ ...request, kind: 'digital-signature', attributes }, 'operator-1')
      const names = decodeOtherNames(decodeCertificate(entry.der!).extensions.get('2.5.29.17')!.value)
      expect([...names.values()]).toEqual(['架空 太郎', '319800505', '1', attributes.address, '00000', '00000000000'])
    })
    test('a certificate may have expired before it was issued: this is a test authority', async () => {
      const { register } = await openRegister()
      const validity = { notBefore: start - 400 * DAY, notAfter: start - 30 * DAY }
      const entry = await register.issue({ ...request, validity }, 'operator-1')
      expect(decodeCertificate(entry.der!).notAfter).toBe(Math.floor(validity.notAfter / 1000) * 1000)
    })
    test.each<[string, Partial<CertificateRequest>, string]>([
      [
        'a period that ends before it begins',
        { validity: { notBefore: start, notAfter: start - 1 } },
        'validity-refused',
      ],
      ['an end beyond the CA', { validity: { notBefore: start, notAfter: start + 3651 * DAY } }, 'validity-refused'],
      [
        'a beginning before the CA',
        { validity: { notBefore: start - 3651 * DAY, notAfter: start } },
        'validity-refused',
      ],
      ['attributes in an authentication certificate', { attributes }, 'subject-required'],
      ['a signature certificate of nobody', { kind: 'digital-signature' }, 'subject-required'],
      ['a P-256 key', { publicKey: dvSigner.publicKey }, 'public-key-refused'],
      ['no key at all', { publicKey: new Uint8Array() }, 'public-key-refused'],
    ])('%s is refused and leaves no intent', async (_name, change, code) => {
      const { register } = await openRegister()
      const before = (await register.list({ limit: 1000 })).length
      await expect(register.issue({ ...request, ...change }, 'operator-1')).rejects.toMatchObject({ code })
      expect((await register.list({ limit: 1000 })).length).toBe(before)
    })
    test('a signer that dies leaves a serial that can be seen and revoked; the same happens if it is revoked meanwhile', async () => {
      const dying: Signer = { ...card, sign: () => Promise.reject(new Error('power cut')) }
      const { register } = await openRegister({ 'user-authentication': dying, 'digital-signature': dying })
      await expect(register.issue({ ...request, holder: 'resident-2' }, 'operator-1')).rejects.toThrow('power cut')
      const [intended] = await register.list({ holder: 'resident-2', limit: 10 })
      expect(intended).toMatchObject({ state: 'intended', der: null })
      expect((await register.revoke(intended!.serial, 'unspecified', 'operator-1')).state).toBe('revoked')

      const slow: Signer = {
        ...caSigners['user-authentication'],
        async sign(data) {
          const [entry] = await register.list({ holder: 'resident-3', limit: 10 })
          await register.revoke(entry!.serial, 'keyCompromise', 'operator-1')
          return caSigners['user-authentication'].sign(data)
        },
      }
      const during = (await openRegister({ 'user-authentication': slow, 'digital-signature': slow })).register
      const entry = await during.issue({ ...request, holder: 'resident-3' }, 'operator-1')
      expect(entry).toMatchObject({ state: 'revoked', reason: 'keyCompromise' })
      expect(entry.der).not.toBeNull()
    })
    test('revoked once, listed until the grace is over, never forgotten', async () => {
      const { register } = await openRegister()
      const validity = { notBefore: start - 400 * DAY, notAfter: start - 30 * DAY }
      const { serial } = await register.issue({ ...request, validity }, 'operator-1')
      await register.revoke(serial, 'superseded', 'operator-1')
      await expect(register.revoke(serial, 'superseded', 'operator-1')).rejects.toMatchObject({
        code: 'certificate-already-revoked',
      })
      await expect(register.revoke(Uint8Array.of(9), 'superseded', 'operator-1')).rejects.toMatchObject({
        code: 'certificate-unknown',
      })
      const listed = async (grace: number) =>
        (await readRevoked(database, 'user-authentication', start - grace)).some(
          (entry) => Buffer.compare(entry.serial, serial) === 0,
        )
      expect(await listed(31 * DAY)).toBe(true)
      expect(await listed(29 * DAY)).toBe(false)
      await expect(sql`delete from certificate`.execute(database)).rejects.toMatchObject({ code: '42501' })
    })
    test('pages of the register follow each other', async () => {
      const { register } = await openRegister()
      const all = await register.list({ limit: 1000 })
      const paged = []
      for (let after: Uint8Array | undefined; ; ) {
        const page = await register.list({ after, limit: 2 })
        paged.push(...page)
        if (page.length < 2) break
        after = page.at(-1)?.serial
      }
      expect(paged).toEqual(all)
    })
  })

  describe('revocation lists and responder', () => {
    const kind = 'user-authentication'
    const signers = {
      'user-authentication': createThrowawaySigner('rsa-pkcs1-sha256'),
      'digital-signature': createThrowawaySigner('rsa-pkcs1-sha256'),
    }
    const responder = createThrowawaySigner('ecdsa-p256-sha256')
    const openAll = async (at: VirtualClock, signer: Signer = signers[kind]) => {
      const sources = { clock: at, random: systemRandom }
      const authorities = {
        [kind]: { ...(await openCertificateAuthority(database, kind, signers[kind], sources)), signer },
        'digital-signature': await openCertificateAuthority(
          ...([database, 'digital-signature', signers['digital-signature'], sources] as const),
        ),
      }
      return { sources, authorities, lists: await openRevocationLists(database, authorities, at) }
    }

    test('a list is replaced when half of its day is over, not before', async () => {
      const at = createVirtualClock(start)
      const { lists } = await openAll(at)
      const number = async () => decodeCrl((await lists.current(kind)).der).number
      const first = await number()
      await at.advance(12 * HOUR - 1)
      await lists.renew()
      expect(await number()).toBe(first)
      await at.advance(1)
      await lists.renew()
      expect(await number()).toBe(first + 1n)
    })
    test('a list that could not be signed is owed, and signed at the next turn; its number is not lost', async () => {
      let dead = false
      const at = createVirtualClock(start)
      const moody: Signer = {
        ...signers[kind],
        sign: (data) => (dead ? Promise.reject(new Error('token away')) : signers[kind].sign(data)),
      }
      const { lists } = await openAll(at, moody)
      const first = decodeCrl((await lists.current(kind)).der).number
      dead = true
      await expect(lists.reissue(kind)).rejects.toThrow('token away')
      dead = false
      await lists.renew()
      expect(decodeCrl((await lists.current(kind)).der).number).toBe(first + 1n)
    })
    test('many at once: numbers rise one by one and the last list names all that was revoked', async () => {
      const at = createVirtualClock(start)
      const { lists, authorities, sources } = await openAll(at)
      const register = createCertificateRegister(database, authorities, { ...sources, ocsp: 'http://ocsp.kazasu.test' })
      const publicKey = signers[kind].publicKey
      const locality = { prefecture: 'Tokyo-to', city: 'Chofu-shi' }
      const first = decodeCrl((await lists.current(kind)).der).number
      const serials = await Promise.all(
        Array.from({ length: 8 }, async (_, one) => {
          const request = { kind, holder: `many-${one}`, publicKey, locality, birthDate: '2000-02-29' } as const
          const { serial } = await register.issue(request, 'operator-1')
          await register.revoke(serial, 'superseded', 'operator-1')
          await lists.reissue(kind)
          return Buffer.from(serial).toString('hex')
        }),
      )
      const last = decodeCrl((await lists.current(kind)).der)
      expect(last.number).toBe(first + 8n)
      for (const serial of serials) expect(last.entries.get(serial)?.reason).toBe('superseded')
    })
    // Once, on either engine: a mutant is caught by one test.
    if (engine === 'embedded')
      test('a revoked certificate that expired stays on the list through all its grace, and a day more', async () => {
        const at = createVirtualClock(start)
        const { lists, authorities, sources } = await openAll(at)
        const register = createCertificateRegister(database, authorities, {
          ...sources,
          ocsp: 'http://ocsp.kazasu.test',
        })
        const { serial } = await register.issue(
          {
            ...{ kind, holder: 'in-grace', publicKey: signers[kind].publicKey, birthDate: '2000-02-29' },
            ...{ locality: { prefecture: 'Tokyo-to', city: 'Chofu-shi' } },
            validity: { notBefore: start - DAY, notAfter: start + DAY },
          },
          'operator-1',
        )
        await register.revoke(serial, 'keyCompromise', 'operator-1')
        const listed = async (): Promise<boolean> => {
          await lists.reissue(kind)
          return decodeCrl((await lists.current(kind)).der).entries.has(Buffer.from(serial).toString('hex'))
        }
        expect(await listed()).toBe(true)
        for (const days of [1, 1, GRACE_DAYS - 1]) {
          await at.advance(days * DAY)
          expect(await listed()).toBe(true)
        }
        await at.advance(2 * DAY)
        expect(await listed()).toBe(false)
      })
    test("the responder's certificate is renewed thirty days before its end, and with its key", async () => {
      const at = createVirtualClock(start)
      const { authorities, sources } = await openAll(at)
      const renew = (signer: Signer) => openResponderCertificate(database, kind, authorities[kind], signer, sources)
      const first = await renew(responder)
      await at.advance(59 * DAY)
      expect((await renew(responder)).raw).toEqual(first.raw)
      await at.advance(2 * DAY)
      const second = await renew(responder)
      expect(second.notAfter).toBeGreaterThan(first.notAfter)
      const other = createThrowawaySigner('ecdsa-p256-sha256')
      expect((await renew(other)).publicKey).toEqual(other.publicKey)
    })
  })
})
