import { decodeBase64url } from '#bytes'
import { linkOf, type PresenceClaims } from '#messages'
import { isUniqueViolation } from '#store'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { issuePairwiseIds, obtainPerson } from './identities.ts'
import { keyIdOfJwk } from './key-set.ts'
import type { Database, SealingJwk } from './tables.ts'

export interface Institution {
  readonly id: string
  readonly name: string
  /** 10-digit code of a medical institution; an attribute only. */
  readonly code: string | null
  readonly state: 'active' | 'suspended'
}
export interface Client {
  readonly id: string
  readonly institution: string
  readonly confirmation: PresenceClaims['cnf']
  readonly audiences: readonly string[]
}
export interface Service {
  readonly audience: string
  readonly name: string
  readonly sealingKey: SealingJwk
}

async function insertOnce(what: string, insert: Promise<unknown>): Promise<void> {
  try {
    await insert
  } catch (cause) {
    if (isUniqueViolation(cause)) throw new ProviderError('exists', { what }, { cause })
    throw cause
  }
}

/**
 * Its id is what IDs are derived for, and the audience of its tokens: it outlives every change of name and code.
 * @throws ProviderError `exists`, also for the name of a service
 */
export async function createInstitution(
  database: Database,
  { id, name, code }: Omit<Institution, 'state'>,
): Promise<Institution> {
  const service = await database.selectFrom('service').select('audience').where('audience', '=', id).executeTakeFirst()
  if (service) throw new ProviderError('exists', { what: 'service' })
  await insertOnce(
    'institution',
    database.insertInto('institution').values({ id, name, code, audience_id: id }).execute(),
  )
  return { id, name, code, state: 'active' }
}

export function listInstitutions(database: Database): Promise<Institution[]> {
  return database.selectFrom('institution').select(['id', 'name', 'code', 'state']).orderBy('id').execute()
}

/** Suspension stops all taps of the institution's terminals at once, as each compares the epoch when it commits. */
export async function setInstitutionState(database: Database, id: string, state: Institution['state']): Promise<void> {
  const done = await database
    .updateTable('institution')
    .set(({ eb }) => ({ state, epoch: eb('epoch', '+', 1) }))
    .where('id', '=', id)
    .executeTakeFirst()
  if (done.numUpdatedRows === 0n) throw new ProviderError('not-found', { what: 'institution' })
}

/**
 * Registered software: its key will present the tokens. It may ask consent for its own institution and for services.
 * @throws ProviderError `not-found`, `exists`
 */
export async function createClient(database: Database, client: Client): Promise<Client> {
  const { id, institution, confirmation, audiences } = client
  const [known, services] = await Promise.all([
    database.selectFrom('institution').select('id').where('id', '=', institution).executeTakeFirst(),
    database.selectFrom('service').select('audience').execute(),
  ])
  if (!known) throw new ProviderError('not-found', { what: 'institution' })
  const possible = new Set([institution, ...services.map(({ audience }) => audience)])
  const unknown = audiences.find((audience) => !possible.has(audience))
  if (unknown !== undefined) throw new ProviderError('not-found', { what: 'service', audience: unknown })
  await insertOnce(
    'client',
    database.transaction().execute(async (transaction) => {
      const values = { id, institution, confirmation: JSON.stringify(confirmation) }
      await transaction.insertInto('client').values(values).execute()
      const rows = [...new Set(audiences)].map((audience) => ({ client: id, audience }))
      if (rows.length > 0) await transaction.insertInto('client_audience').values(rows).execute()
    }),
  )
  return client
}

export async function listClients(database: Database): Promise<Client[]> {
  const [clients, audiences] = await Promise.all([
    database.selectFrom('client').selectAll().orderBy('id').execute(),
    database.selectFrom('client_audience').selectAll().orderBy('audience').execute(),
  ])
  return clients.map((client) => ({
    ...client,
    audiences: audiences.filter((one) => one.client === client.id).map(({ audience }) => audience),
  }))
}

/**
 * A service that gets tokens of its own, sealed to `key` (P-256 JWK, public part only).
 * @throws ProviderError `exists`, also for the id of an institution; `key-refused`
 */
export async function createService(
  database: Database,
  { audience, name, key }: { audience: string; name: string; key: Omit<SealingJwk, 'kid'> },
): Promise<Service> {
  let sealingKey: SealingJwk
  try {
    sealingKey = { ...key, kid: keyIdOfJwk(key) } // fails unless the point is on its curve
  } catch (cause) {
    throw new ProviderError('key-refused', {}, { cause })
  }
  const institution = await database
    .selectFrom('institution')
    .select('id')
    .where('id', '=', audience)
    .executeTakeFirst()
  if (institution) throw new ProviderError('exists', { what: 'institution' })
  await insertOnce(
    'service',
    database
      .insertInto('service')
      .values({ audience, name, sealing_key: JSON.stringify(sealingKey) })
      .execute(),
  )
  return { audience, name, sealingKey }
}

export async function listServices(database: Database): Promise<Service[]> {
  const rows = await database.selectFrom('service').selectAll().orderBy('audience').execute()
  return rows.map(({ audience, name, sealing_key: sealingKey }) => ({ audience, name, sealingKey }))
}

/**
 * Tells a service by which ID it will know the person of a key – before the person's first tap. The service must have
 * met the person with that key by its own means; the provider learns no name.
 * @param publicKeyHash b64u H(SubjectPublicKeyInfo) of the user-authentication certificate
 * @throws ProviderError `not-found`
 */
export async function registerPerson(
  provider: Provider,
  { publicKeyHash, audience }: { readonly publicKeyHash: string; readonly audience: string },
): Promise<string> {
  const link = await linkOf(decodeBase64url(publicKeyHash), provider.keys.link)
  return provider.database.transaction().execute(async (transaction) => {
    const service = await transaction
      .selectFrom('service')
      .select('id_epoch')
      .where('audience', '=', audience)
      .executeTakeFirst()
    if (!service) throw new ProviderError('not-found', { what: 'service' })
    const person = await obtainPerson(provider, transaction, link)
    const asp = { use: 'asp' as const, audienceId: audience, epoch: service.id_epoch }
    const [{ id }] = await issuePairwiseIds(provider, transaction, person, [asp])
    return id
  })
}
