import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { encodeBase64url } from '#bytes'
import { DAY, MINUTE, systemRandom } from '#clock'
import { signEnrolment } from '#messages'
import { certHash, issueCvcRequest, TEST_POLICY } from '#pki'
import type { IssuingProvider, Provider } from '../src/provider/context.ts'
import { renewCertificate } from '../src/provider/enrolment.ts'
import { setInstitutionState } from '../src/provider/registration.ts'
import { viewTerminal } from '../src/provider/terminal-view.ts'
import { activateTerminal, identifyTerminal, suspendTerminal } from '../src/provider/terminals.ts'
import { createTrustStore, type TrustStore } from '../src/provider/trust.ts'
import { forgeTap } from './forged-tap.ts'
import { newKey } from './provider-rig.ts'
import { expectAccepted, expectUnmoved } from './reception-tables.ts'
import { createTapRig, type TapRig } from './tap-rig.ts'

let rig: TapRig
let trust: TrustStore
let issuing: IssuingProvider
const none = { anchors: [], cvcas: [], dvs: [], ocspResponders: [] }
let all: { anchors: string[]; cvcas: string[]; dvs: string[]; ocspResponders: string[] }

beforeAll(async () => {
  rig = await createTapRig()
  const { ca, cvcaCvc, dvCvc, dv } = rig.authority
  const keys = { ...rig.provider.keys, dv }
  trust = createTrustStore({ ...rig.provider, keys }, TEST_POLICY.userAuthentication)
  const text = ({ raw }: { readonly raw: Uint8Array }) => [encodeBase64url(raw)]
  all = { ...none, anchors: text(ca), cvcas: text(cvcaCvc), dvs: text(dvCvc) }
  await trust.install(all)
  issuing = { ...rig.provider, keys, certificateDays: 14, trust: () => trust.current() }
})
afterAll(() => rig.close())
beforeEach(() => rig.clock.advance(20 * MINUTE))

const forge = (provider: Provider = issuing) => forgeTap(provider, rig.clinic, rig.card.personalisation)
/** The provider while something happens between its checks and its transaction. */
const meanwhile = (act: () => Promise<unknown>): Provider => ({
  ...issuing,
  revocation: {
    async status() {
      await act()
      return { state: 'good', by: 'ocsp', producedAt: rig.clock.now() }
    },
  },
})
const forgive = () => rig.database.updateTable('trust_material').set({ withdrawn_at: null }).execute()
const bump = () =>
  rig.database
    .updateTable('trust_epoch')
    .set(({ eb }) => ({ epoch: eb('epoch', '+', 1) }))
    .execute()
async function restore() {
  await forgive()
  await rig.database.updateTable('terminal_certificate').set({ withdrawn_at: null }).execute()
  await bump()
  await trust.reload()
}

describe('M8 – trust that is withdrawn', () => {
  test.each(['anchors', 'cvcas', 'dvs'] as const)('%s, between check and commit: nothing moves', async (kind) => {
    const { body } = await forge()
    const provider = meanwhile(() => trust.withdraw({ ...none, [kind]: all[kind] }))
    await expectUnmoved({ ...provider, trust: trustOnce() }, rig.clinic, body, 'trust-changed')
    expect(() => trust.current()).toThrow('trust-missing')
    await restore()
    await expectAccepted(issuing, rig.clinic, await forge())
  })

  /** Another process, that has not read the change yet. */
  const trustOnce = () => {
    const before = trust.current()
    return () => before
  }

  test('by another process is known by the epoch, not by time', async () => {
    const other = createTrustStore({ ...rig.provider, keys: issuing.keys }, TEST_POLICY.userAuthentication)
    await other.reload()
    const provider = { ...issuing, trust: () => other.current() }
    const { body } = await forge()
    await trust.withdraw({ ...none, cvcas: all.cvcas })
    await expectUnmoved(provider, rig.clinic, body, 'trust-changed')
    await other.reload()
    expect(() => other.current()).toThrow('trust-missing')
    await restore()
  })

  test('stays withdrawn, all of what was named or none; a DV takes its terminal certificates along', async () => {
    const unknown = { ...none, dvs: all.dvs, anchors: [encodeBase64url(rig.authority.cvcaCvc.raw)] }
    await expect(trust.withdraw(unknown)).rejects.toMatchObject({ code: 'not-found' })
    expect(trust.current().dvKeys).toHaveLength(1)
    await trust.withdraw({ ...none, dvs: all.dvs })
    const hash = encodeBase64url(certHash(rig.clinic.cvc))
    expect((await identifyTerminal(rig.database, rig.clinic.thumbprint)).certHashes).not.toContain(hash)
    await expect(trust.install(all)).rejects.toMatchObject({ code: 'trust-withdrawn' })
    await restore()
    expect((await identifyTerminal(rig.database, rig.clinic.thumbprint)).certHashes).toContain(hash)
  })
})

describe('terminal certificates', () => {
  const tls = { thumbprint: encodeBase64url(systemRandom.bytes(32)), publicKey: newKey().publicKey }
  const self = () => identifyTerminal(rig.database, rig.clinic.thumbprint)
  async function renew(provider: IssuingProvider = issuing) {
    const certificateRequest = encodeBase64url(await issueCvcRequest('JPTERMINAL00001', rig.clinic.institutionKey))
    const parts = { code: null, tlsThumbprint: tls.thumbprint, certificateRequest }
    const statement = await signEnrolment(parts, rig.clinic.deviceKey)
    return renewCertificate(provider, await self(), { v: 1, certificateRequest, statement }, tls)
  }
  /** The provider while something happens when its DV key is used. */
  const signing = (act: () => Promise<unknown>): IssuingProvider => ({
    ...issuing,
    keys: {
      ...issuing.keys,
      dv: {
        ...issuing.keys.dv,
        sign: async (data) => {
          await act()
          return issuing.keys.dv.sign(data)
        },
      },
    },
  })
  const intents = () => rig.database.selectFrom('terminal_certificate_intent').selectAll().execute()
  const registered = async () => (await rig.database.selectFrom('terminal_certificate').select('raw').execute()).length
  beforeEach(() => rig.database.deleteFrom('terminal_certificate_intent').execute())

  test('the intent is durable before the DV key signs, and stays when the signature is lost', async () => {
    let seen: Awaited<ReturnType<typeof intents>> = []
    const lost = signing(async () => {
      seen = await intents()
      throw new Error('token away')
    })
    const before = await registered()
    await expect(renew(lost)).rejects.toThrow('token away')
    expect(seen).toMatchObject([{ terminal: 't1', state: 'intended' }])
    expect(await intents()).toEqual(seen)
    expect(await registered()).toBe(before)
    await renew()
    expect((await intents()).map(({ state }) => state).sort()).toEqual(['intended', 'issued'])
  })

  test.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    ['the terminal', () => suspendTerminal(rig.database, 't1'), () => activateTerminal(rig.database, 't1')],
    [
      'its institution',
      () => setInstitutionState(rig.database, 'clinic-sakura', 'suspended'),
      () => setInstitutionState(rig.database, 'clinic-sakura', 'active'),
    ],
  ])('%s suspended while its certificate is signed gets none', async (_name, suspend, resume) => {
    const before = await registered()
    await expect(renew(signing(suspend))).rejects.toMatchObject({ code: 'terminal-changed' })
    expect(await registered()).toBe(before)
    await resume()
    await renew()
    expect(await registered()).toBe(before + 1)
  })

  test('are five a day for a terminal, and again the next day', async () => {
    for (let times = 0; times < 5; times++) await renew()
    await expect(renew()).rejects.toMatchObject({ code: 'too-many-requests' })
    expect(await intents()).toHaveLength(5)
    await rig.clock.advance(DAY)
    await renew()
  })

  test('are offered while they and their DV last, and no longer', async () => {
    const chain = async () => (await viewTerminal(issuing, await self())).chain
    expect(await chain()).not.toBeNull()
    await rig.clock.advance(20 * DAY)
    expect(await chain()).toBeNull()
    await rig.database.deleteFrom('terminal_certificate_intent').execute()
    await renew()
    expect(await chain()).not.toBeNull()
    await rig.database.updateTable('terminal_certificate').set({ expiry: '2099-01-01' }).execute()
    await rig.clock.advance(60 * DAY)
    expect(await chain()).toBeNull()
  })
})

describe('the log’s tables', () => {
  test('take no change but the erasure of a record', async () => {
    const { database } = rig
    const row = await database.selectFrom('log_leaf').selectAll().orderBy('index').executeTakeFirstOrThrow()
    const change = (values: object) =>
      database.updateTable('log_leaf').set(values).where('index', '=', row.index).execute()
    const other = Uint8Array.of(1)
    for (const values of [
      { index: 10_000 },
      { leaf: other },
      { audit_key_id: other },
      { body: other },
      { wrapped_key: other },
    ]) {
      await expect(change(values)).rejects.toThrow('append-only')
    }
    await expect(database.deleteFrom('log_leaf').execute()).rejects.toThrow('append-only')
    await expect(database.updateTable('log_node').set({ hash: other }).execute()).rejects.toThrow('append-only')
    for (const table of ['log_leaf', 'log_node']) {
      // The role has no such right; whoever has it is stopped by the trigger.
      await expect(sql`truncate ${sql.table(table)}`.execute(database)).rejects.toThrow(/append-only|permission denied/)
    }
    await change({ wrapped_key: new Uint8Array(0), body: new Uint8Array(0) })
    const erased = await database.selectFrom('log_leaf').selectAll().where('index', '=', row.index).executeTakeFirst()
    expect(erased).toEqual({ ...row, wrapped_key: new Uint8Array(0), body: new Uint8Array(0) })
  })
})
