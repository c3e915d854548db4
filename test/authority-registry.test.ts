import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVirtualClock, DAY, japanDate, systemClock, systemRandom } from '#clock'
import { decodeCvc, type Signer, trustCvca, verifyCvc } from '#pki'
import { openStore, type Store } from '#store'
import { openInstitutionRoot } from '../src/authority/institution-certificates.ts'
import { type AuthorityTables, authorityMigrations } from '../src/authority/migrations.ts'
import { createRegistry, possessionStatement } from '../src/authority/registry.ts'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'

const directory = mkdtempSync(join(tmpdir(), 'kazasu-authority-'))
// Yesterday: OpenPACE judges dates in UTC, where the Japanese today has not begun before nine in the morning.
const start = systemClock.now() - DAY
const today = japanDate(start)
let store: Store
let database: Kysely<AuthorityTables>
const rootSigner = createThrowawaySigner('ecdsa-p256-sha256')
const dvSigner = createThrowawaySigner('ecdsa-p256-sha256')
const clock = createVirtualClock(start)

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory: join(directory, 'data') })
  database = await store.role<AuthorityTables>('authority', authorityMigrations)
})
afterAll(async () => {
  await store.close()
  rmSync(directory, { recursive: true })
})

const open = async (signer: Signer = rootSigner, at = clock) => {
  const root = await openInstitutionRoot(database, signer, at)
  return { root, registry: createRegistry(database, root, { clock: at, random: systemRandom }) }
}
async function newApplication(provider: string, holder: string, signer: Signer = dvSigner) {
  const parts = { provider, holder, publicKey: signer.publicKey }
  const proof = await signer.sign(possessionStatement(parts))
  return { ...parts, name: '試験機関', proof, days: 90 }
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
    const application = { id: 'none', holder: 'X', publicKey: dvSigner.publicKey, days: 1 }
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
    const { id } = await registry.submit(await newApplication(`provider-date${days}`, `DATE${days + 1}`), 'operator-1')
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
  test('proof of possession is over provider, holder and key', async () => {
    const { registry } = await open()
    const sound = await newApplication('provider-4', 'YONBAN')
    const other = createThrowawaySigner('ecdsa-p256-sha256')
    for (const wrong of [
      { ...sound, provider: 'provider-5' },
      { ...sound, holder: 'GOBAN' },
      { ...sound, publicKey: other.publicKey },
      { ...sound, proof: sound.proof.subarray(1) },
    ]) {
      await expect(registry.submit(wrong, 'operator-1')).rejects.toMatchObject({ code: 'possession-unproven' })
    }
  })
  test('a P-384 key and a broken key are refused', async () => {
    const { registry } = await open()
    const p384 = await newApplication('provider-6', 'ROKU', createThrowawaySigner('ecdsa-p384-sha384'))
    await expect(registry.submit(p384, 'operator-1')).rejects.toMatchObject({ code: 'public-key-refused' })
    const broken = { ...p384, publicKey: Uint8Array.of(0x30, 0) }
    await expect(registry.submit(broken, 'operator-1')).rejects.toMatchObject({ code: 'public-key-refused' })
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
