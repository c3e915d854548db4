import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type AdministrationRole,
  type AdministrationTables,
  type Administrator,
  administrationMigration,
  approve,
  authenticate,
  bootstrapAdministration,
  createKey,
  findAct,
  listActs,
  listKeys,
  propose,
  reject,
  requireRole,
  revokeKey,
} from '#administration'
import { decodeBase64url, encodeBase64url } from '#bytes'
import { createVirtualClock, DAY, systemRandom, type VirtualClock } from '#clock'
import { openStore, type Store, type StoreLocation } from '#store'
import { hasPostgresql, startPostgresql } from './postgresql-rig.ts'

const start = Date.parse('2026-11-22T09:00:00.123Z')
const migrations = { '0001-administration': administrationMigration.join(';\n') }

async function embedded(): Promise<{ location: StoreLocation; stop(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-administration-'))
  return { location: { kind: 'embedded', directory }, stop: async () => rmSync(directory, { recursive: true }) }
}
async function server(): Promise<{ location: StoreLocation; stop(): Promise<void> }> {
  const rig = await startPostgresql()
  return { location: { kind: 'postgresql', url: rig.url }, stop: rig.stop }
}

const missing = !hasPostgresql
if (missing && process.env.CI === 'true') throw new Error('PostgreSQL is not installed')

describe.each([
  { name: 'the embedded database', open: embedded, skipped: false },
  { name: 'a PostgreSQL server', open: server, skipped: missing },
])('administration on $name', ({ open, skipped }) => {
  if (skipped) return void test.skip('PostgreSQL is not installed: NOT RUN', () => {})

  let store: Store
  let stop: () => Promise<void>
  let db: Kysely<AdministrationTables>
  let clock: VirtualClock
  let ports: { clock: VirtualClock; random: typeof systemRandom }
  let bootstrapKey: string
  let root: Administrator
  const keep = async () => {}

  beforeAll(async () => {
    const engine = await open()
    stop = engine.stop
    store = await openStore(engine.location)
    db = await store.role<AdministrationTables>('provider', migrations)
  })
  afterAll(async () => {
    await store?.close()
    await stop?.()
  })
  beforeEach(async () => {
    await db.deleteFrom('administration_acts').execute()
    await db.deleteFrom('administration_keys').execute()
    clock = createVirtualClock(start)
    ports = { clock, random: systemRandom }
    bootstrapKey = (await bootstrapAdministration(db, ports, keep)) ?? ''
    root = await signIn(bootstrapKey)
  })

  async function signIn(key: string): Promise<Administrator> {
    const administrator = await authenticate(db, key)
    if (!administrator) throw new Error('not authenticated')
    return administrator
  }
  async function person(name: string, ...roles: AdministrationRole[]): Promise<Administrator> {
    return signIn((await createKey(db, root, { name, roles }, ports)).key)
  }
  const refused = (act: Promise<unknown>, code: string) => expect(act).rejects.toMatchObject({ code })

  describe('keys', () => {
    test('the first start gives the bootstrap key, later starts and parallel ones nothing', async () => {
      expect(root).toMatchObject({ id: 'bootstrap', key: 'bootstrap', roles: ['administrator'] })
      expect(await bootstrapAdministration(db, ports, keep)).toBeUndefined()
      await db.deleteFrom('administration_keys').execute()
      const many = await Promise.all(Array.from({ length: 6 }, () => bootstrapAdministration(db, ports, keep)))
      expect(many.filter((key) => key !== undefined)).toHaveLength(1)
    })

    test('a key that could not be written down is none, and the next start gives another', async () => {
      await db.deleteFrom('administration_keys').execute()
      const kept: string[] = []
      const fail = async (key: string) => {
        kept.push(key)
        throw new Error('disk full')
      }
      await expect(bootstrapAdministration(db, ports, fail)).rejects.toThrow('disk full')
      expect(await authenticate(db, kept[0] ?? '')).toBeUndefined()
      const next = await bootstrapAdministration(db, ports, async (key) => {
        kept.push(key)
      })
      expect(kept[1]).toBe(next)
      expect((await signIn(next ?? '')).id).toBe('bootstrap')
    })

    test('only the hash of a key is stored', async () => {
      const secret = decodeBase64url(bootstrapKey.split('.')[1] ?? '')
      expect(secret).toHaveLength(32)
      const [row] = await db.selectFrom('administration_keys').selectAll().execute()
      expect(Uint8Array.from(row!.hash)).toEqual(Uint8Array.from(createHash('sha256').update(secret).digest()))
      expect(JSON.stringify(row)).not.toContain(bootstrapKey.split('.')[1])
    })

    test('no other text authenticates', async () => {
      const [id = '', secret = ''] = bootstrapKey.split('.')
      const other = encodeBase64url(systemRandom.bytes(32))
      const last = secret.at(-1) === 'A' ? 'B' : 'A'
      const wrong = ['', id, secret, `${id}.`, `.${secret}`, `${id}.${other}`, `key-1.${secret}`, `${bootstrapKey} `]
      const more = [
        `${id}.${secret.slice(0, -1)}${last}`,
        `${id}.${secret}=`,
        `${id.toUpperCase()}.${secret}`,
        'x'.repeat(1e6),
      ]
      for (const text of [...wrong, ...more, `${id}'--.${secret}`]) expect(await authenticate(db, text)).toBeUndefined()
    })

    test('an administrator makes, lists and revokes keys; the list has times and no secret', async () => {
      await clock.advance(1000)
      const { id, key } = await createKey(db, root, { name: 'hanako', roles: ['operator', 'auditor'] }, ports)
      const hanako = await signIn(key)
      expect(hanako).toMatchObject({ id: 'hanako', key: id, roles: ['operator', 'auditor'] })
      await clock.advance(1000)
      await revokeKey(db, root, id, ports)
      expect(await authenticate(db, key)).toBeUndefined()
      expect(await listKeys(db, root)).toEqual([
        {
          id: 'bootstrap',
          name: 'bootstrap',
          roles: ['administrator'],
          createdBy: 'bootstrap',
          createdAt: start,
          revokedAt: null,
        },
        {
          id,
          name: 'hanako',
          roles: ['operator', 'auditor'],
          createdBy: 'bootstrap',
          createdAt: start + 1000,
          revokedAt: start + 2000,
        },
      ])
      await refused(revokeKey(db, root, id, ports), 'key-unknown')
      await refused(revokeKey(db, root, 'key-0', ports), 'key-unknown')
    })

    test.each<[string, string, unknown[]]>([
      ['no role', 'hanako', []],
      ['an unknown role', 'hanako', ['root']],
      ['a role twice', 'hanako', ['operator', 'operator']],
      ['no name', '', ['operator']],
      ['a name in capitals', 'Hanako', ['operator']],
      ['a name of 65 characters', 'x'.repeat(65), ['operator']],
    ])('%s is refused', async (_name, name, roles) =>
      refused(createKey(db, root, { name, roles: roles as AdministrationRole[] }, ports), 'key-malformed'),
    )

    test.each<AdministrationRole>(['operator', 'approver', 'auditor'])('%s makes and revokes no keys', async (role) => {
      const other = await person('other', role)
      await refused(createKey(db, other, { name: 'mine', roles: ['administrator'] }, ports), 'role-missing')
      await refused(revokeKey(db, other, 'bootstrap', ports), 'role-missing')
      expect(() => requireRole(other, 'administrator')).toThrow(expect.objectContaining({ code: 'role-missing' }))
      expect(() => requireRole(other, 'administrator', role)).not.toThrow()
    })

    test('one administrator always stays, also when two revoke each other at once', async () => {
      await refused(revokeKey(db, root, 'bootstrap', ports), 'last-administrator')
      const second = await person('second', 'administrator')
      const outcomes = await Promise.allSettled([
        revokeKey(db, root, second.key, ports),
        revokeKey(db, second, root.key, ports),
      ])
      expect(outcomes.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
      const left = await db.selectFrom('administration_keys').select('id').where('revoked_at', 'is', null).execute()
      expect(left).toHaveLength(1)
    })

    test('a key revoked after its holder was recognised does nothing more', async () => {
      const second = await person('second', 'administrator', 'operator', 'approver')
      const { id } = await propose(db, root, { kind: 'k', payload: 1 }, ports)
      await revokeKey(db, root, second.key, ports)
      await refused(createKey(db, second, { name: 'x', roles: ['operator'] }, ports), 'key-revoked')
      await refused(propose(db, second, { kind: 'k', payload: 1 }, ports), 'key-revoked')
      await refused(approve(db, id, second, ports), 'key-revoked')
      await refused(revokeKey(db, second, root.key, ports), 'key-revoked')
    })
  })

  describe('acts of two persons', () => {
    const payload = { v: 1, provider: '医療保険', list: [1.5, null, { b: 2, a: 1 }], text: '𠮷"\\' }
    const proposal = { kind: 'issue-certificate', payload }
    let operator: Administrator
    let approver: Administrator
    beforeEach(async () => {
      operator = await person('operator-1', 'operator')
      approver = await person('approver-1', 'approver')
    })

    test('one proposes, another approves, once', async () => {
      const act = await propose(db, operator, proposal, ports)
      expect(act).toMatchObject({
        ...proposal,
        state: 'proposed',
        proposedBy: 'operator-1',
        proposedAt: start,
        expiresAt: start + 7 * DAY,
        decidedBy: null,
        decidedAt: null,
      })
      expect(await listActs(db, 'proposed')).toEqual([act])
      await clock.advance(60_000)
      const done = await approve(db, act.id, approver, ports)
      expect(done).toEqual({ ...act, state: 'approved', decidedBy: 'approver-1', decidedAt: start + 60_000 })
      await refused(approve(db, act.id, approver, ports), 'act-decided')
      await refused(reject(db, act.id, approver, ports), 'act-decided')
      expect([await listActs(db, 'proposed'), await listActs(db, 'approved')]).toEqual([[], [done]])
    })

    test('the hash does not depend on the order of members', async () => {
      const one = await propose(db, operator, { kind: 'k', payload: { a: 1, b: [2] } }, ports)
      const two = await propose(db, operator, { kind: 'k', payload: { b: [2], a: 1 } }, ports)
      expect(one.payloadHash).toBe(two.payloadHash)
      expect(one.payloadHash).toBe(createHash('sha256').update('{"a":1,"b":[2]}').digest('base64url'))
    })

    test('the proposer does not approve, neither with a second key', async () => {
      const both = await person('operator-1', 'operator', 'approver')
      const { id } = await propose(db, operator, proposal, ports)
      await refused(approve(db, id, both, ports), 'same-person')
      await refused(approve(db, id, operator, ports), 'role-missing')
      await expect(
        db
          .updateTable('administration_acts')
          .set({ state: 'approved', decided_by: 'operator-1' })
          .where('id', '=', id)
          .execute(),
      ).rejects.toThrow(/two_persons/)
      expect((await findAct(db, id)).state).toBe('proposed')
    })

    test('who may do what', async () => {
      const auditor = await person('auditor-1', 'auditor')
      await refused(propose(db, auditor, proposal, ports), 'role-missing')
      await refused(propose(db, approver, proposal, ports), 'role-missing')
      const { id } = await propose(db, operator, proposal, ports)
      for (const wrong of [auditor, root]) {
        await refused(approve(db, id, wrong, ports), 'role-missing')
        await refused(reject(db, id, wrong, ports), 'role-missing')
      }
      await refused(approve(db, 'act-0', approver, ports), 'act-unknown')
      expect((await reject(db, id, operator, ports)).state).toBe('rejected')
      await refused(approve(db, id, approver, ports), 'act-decided')
    })

    test.each([
      [7 * DAY - 1, 'approved'],
      [7 * DAY, 'act-expired'],
    ])('after %i ms the answer to an approval is %s', async (wait, outcome) => {
      const { id } = await propose(db, operator, proposal, ports)
      await clock.advance(wait)
      const answer = approve(db, id, approver, ports).then(
        (act) => act.state,
        (error) => error.code,
      )
      expect(await answer).toBe(outcome)
    })

    test('a payload changed in the database is not approved', async () => {
      const { id } = await propose(db, operator, proposal, ports)
      await sql`update administration_acts set payload = jsonb_set(payload, '{v}', '2')`.execute(db)
      await refused(approve(db, id, approver, ports), 'act-altered')
    })

    test.each<[string, string, unknown]>([
      ['nothing', 'k', undefined],
      ['more than 64 KiB', 'k', 'x'.repeat(64 * 1024 - 1)],
      ['a NUL', 'k', { text: '\0' }],
      ['a lone surrogate', 'k', '\ud800'],
      ['an infinite number', 'k', { n: Number.POSITIVE_INFINITY }],
      [
        'a cycle',
        'k',
        (() => {
          const ring: unknown[] = []
          ring.push(ring)
          return ring
        })(),
      ],
      ['a kind with a space', 'a b', 1],
    ])('%s is refused as an act', async (_name, kind, bad) =>
      refused(propose(db, operator, { kind, payload: bad }, ports), 'act-malformed'),
    )
    test('64 KiB to the byte are taken, and a backslash before u0000 is no NUL', async () => {
      for (const good of ['x'.repeat(64 * 1024 - 2), { text: '\\u0000' }])
        expect((await propose(db, operator, { kind: 'k', payload: good }, ports)).payload).toEqual(good)
    })

    test('whatever JSON is proposed comes back from the database as it was', async () => {
      const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''))
      const number = fc.double({ noNaN: true, noDefaultInfinity: true })
      const { tree } = fc.letrec((tie) => ({
        tree: fc.oneof({ maxDepth: 4 }, text, number, fc.boolean(), fc.constant(null), tie('list'), tie('object')),
        list: fc.array(tie('tree'), { maxLength: 4 }),
        object: fc.dictionary(text, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
      }))
      const round = async (value: unknown) => {
        const act = await propose(db, operator, { kind: 'k', payload: value }, ports)
        expect((await approve(db, act.id, approver, ports)).payloadHash).toBe(act.payloadHash)
      }
      await fc.assert(fc.asyncProperty(tree, round), { numRuns: 60 })
    })

    test('approval and effect are one transaction of the caller', async () => {
      const { id } = await propose(db, operator, proposal, ports)
      const effect = db.transaction().execute(async (transaction) => {
        await approve(transaction, id, approver, ports)
        throw new Error('effect failed')
      })
      await expect(effect).rejects.toThrow('effect failed')
      expect((await findAct(db, id)).state).toBe('proposed')
    })

    test('of two approvers at once one succeeds', async () => {
      const second = await person('approver-2', 'approver')
      const { id } = await propose(db, operator, proposal, ports)
      const outcomes = await Promise.allSettled([approve(db, id, approver, ports), approve(db, id, second, ports)])
      expect(outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'approved')).sort()).toEqual([
        'act-decided',
        'approved',
      ])
    })
  })
})
