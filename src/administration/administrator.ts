import { type Kysely, sql, type Transaction } from 'kysely'
import type { Clock, Random, Time } from '#clock'
import { AdministrationError } from './failures.ts'
import { makeKey, newId, readKey } from './key.ts'
import {
  ADMINISTRATION_ROLES,
  type AdministrationRole,
  type AdministrationTables,
  readTime,
  writeTime,
} from './tables.ts'

/** A database, or a transaction of the caller's that an act becomes part of. */
export type AdministrationDatabase = Kysely<AdministrationTables>

declare const authenticated: unique symbol

/** Somebody who presented a valid key; made by {@link authenticate} only. */
export interface Administrator {
  readonly [authenticated]: true
  /** The person: the same for all keys of one person. What two-person rules compare. */
  readonly id: string
  /** Id of the key that was presented. */
  readonly key: string
  readonly roles: readonly AdministrationRole[]
}

/** What is shown of a key: everything but its secret. */
export interface KeyRecord {
  readonly id: string
  readonly name: string
  readonly roles: readonly AdministrationRole[]
  readonly createdBy: string
  readonly createdAt: Time
  readonly revokedAt: Time | null
}

const BOOTSTRAP = 'bootstrap'

/** Runs `act` in the caller's transaction if `db` is one, in its own otherwise. */
export function inTransaction<T>(
  db: AdministrationDatabase,
  act: (transaction: Transaction<AdministrationTables>) => Promise<T>,
): Promise<T> {
  return db.isTransaction ? act(db as Transaction<AdministrationTables>) : db.transaction().execute(act)
}

/**
 * At the first start: the key of the administrator `bootstrap`. `keep` writes it to a file of mode 0600, durably, before
 * it counts: a crash leaves a file whose key is not stored – the next start makes another – never a key nobody has.
 * Gives `undefined` at every later start and to all but one of several servers that start at once.
 */
export async function bootstrapAdministration(
  db: AdministrationDatabase,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  keep: (key: string) => Promise<void>,
): Promise<string | undefined> {
  const { text, hash } = makeKey(BOOTSTRAP, random)
  return inTransaction(db, async (transaction) => {
    const { rows } = await sql<{ id: string }>`
      insert into administration_keys (id, hash, name, roles, created_by, created_at)
      select ${BOOTSTRAP}, ${hash}::bytea, ${BOOTSTRAP}, array['administrator'], ${BOOTSTRAP}, ${writeTime(clock.now())}
      where not exists (select from administration_keys)
      on conflict do nothing returning id`.execute(transaction)
    if (rows.length === 0) return undefined
    await keep(text)
    return text
  })
}

/** Compared with where no key has the id, so that an unknown id takes as long as a wrong secret. */
const NO_HASH = new Uint8Array(32)

/** Who holds the presented key, `undefined` if it is malformed, unknown, wrong or revoked. */
export async function authenticate(
  db: AdministrationDatabase,
  unverifiedKey: string,
): Promise<Administrator | undefined> {
  const presented = readKey(unverifiedKey)
  if (!presented) return undefined
  const row = await db
    .selectFrom('administration_keys')
    .select(['id', 'hash', 'name', 'roles'])
    .where('id', '=', presented.id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (!presented.matches(row?.hash ?? NO_HASH) || !row) return undefined
  const holder: Omit<Administrator, typeof authenticated> = {
    id: row.name,
    key: row.id,
    roles: row.roles as AdministrationRole[],
  }
  return holder as Administrator
}

/** Any one of `roles` is enough; no role includes another. @throws AdministrationError `role-missing` */
export function requireRole(administrator: Administrator, ...roles: readonly AdministrationRole[]): void {
  if (!roles.some((role) => administrator.roles.includes(role))) {
    throw new AdministrationError('role-missing', { role: roles.join(' or ') })
  }
}

/** Keeps the key from being revoked until the transaction ends. @throws AdministrationError `key-revoked` */
export async function holdKey(
  transaction: Transaction<AdministrationTables>,
  administrator: Administrator,
): Promise<void> {
  const held = await transaction
    .selectFrom('administration_keys')
    .select('id')
    .where('id', '=', administrator.key)
    .where('revoked_at', 'is', null)
    .forShare()
    .executeTakeFirst()
  if (!held) throw new AdministrationError('key-revoked')
}

function checkNewKey(name: string, roles: readonly string[]): void {
  const known: readonly string[] = ADMINISTRATION_ROLES
  const sound = roles.length > 0 && new Set(roles).size === roles.length && roles.every((role) => known.includes(role))
  if (!sound || !/^[a-z0-9-]{1,64}$/.test(name)) throw new AdministrationError('key-malformed')
}

/**
 * A new key for the person `name`, by an administrator. `key` is in the answer and nowhere else.
 * @throws AdministrationError `role-missing`, `key-malformed`, `key-revoked`
 */
export async function createKey(
  db: AdministrationDatabase,
  administrator: Administrator,
  { name, roles }: { readonly name: string; readonly roles: readonly AdministrationRole[] },
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<{ readonly id: string; readonly key: string }> {
  requireRole(administrator, 'administrator')
  checkNewKey(name, roles)
  const id = newId('key', random)
  const { text, hash } = makeKey(id, random)
  await inTransaction(db, async (transaction) => {
    await holdKey(transaction, administrator)
    await transaction
      .insertInto('administration_keys')
      .values({ id, hash, name, roles: [...roles], created_by: administrator.id, created_at: writeTime(clock.now()) })
      .execute()
  })
  return { id, key: text }
}

/** All keys, revoked ones too, in the order they were made. @throws AdministrationError `role-missing` */
export async function listKeys(
  db: AdministrationDatabase,
  administrator: Administrator,
): Promise<readonly KeyRecord[]> {
  requireRole(administrator, 'administrator', 'auditor')
  const rows = await db
    .selectFrom('administration_keys')
    .select(['id', 'name', 'roles', 'created_by as createdBy'])
    .select([readTime('created_at').as('createdAt'), readTime('revoked_at').$castTo<Time | null>().as('revokedAt')])
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map((row) => ({ ...row, roles: row.roles as AdministrationRole[] }))
}

/**
 * Revokes the key `id` at once, by an administrator; one key with the role administrator always stays.
 * @throws AdministrationError `role-missing`, `key-unknown` (also if revoked before), `last-administrator`, `key-revoked`
 */
export async function revokeKey(
  db: AdministrationDatabase,
  administrator: Administrator,
  id: string,
  { clock }: { readonly clock: Clock },
): Promise<void> {
  requireRole(administrator, 'administrator')
  await inTransaction(db, async (transaction) => {
    // Two administrators who revoke each other at the same moment must not both succeed: all administrators' keys are
    // locked, in one order.
    const administrators = await transaction
      .selectFrom('administration_keys')
      .select('id')
      .where('revoked_at', 'is', null)
      .where(sql<boolean>`'administrator' = any(roles)`)
      .orderBy('id')
      .forUpdate()
      .execute()
    const left = administrators.filter((row) => row.id !== id)
    await holdKey(transaction, administrator)
    if (left.length === 0) throw new AdministrationError('last-administrator')
    const { numUpdatedRows } = await transaction
      .updateTable('administration_keys')
      .set({ revoked_at: writeTime(clock.now()) })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) throw new AdministrationError('key-unknown')
  })
}
