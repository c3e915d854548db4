import { encodeBase64url } from '#bytes'
import { derivePairwiseId, linkOf, type PairwiseUse, publicKeyHash, witnessOf } from '#messages'
import type { Provider } from './context.ts'
import type { Database, ProviderTransaction } from './tables.ts'

/** A person as the provider knows it: never a name or number, only that several links are one. */
export interface Person {
  readonly id: number
  readonly personKey: Uint8Array
}

/** Who sees an ID, and since when afresh. */
export interface Audience {
  readonly use: PairwiseUse
  readonly audienceId: string
  readonly epoch: number
}

/** Link of a certificate, by its public key. The serial stays in memory, for status only. */
export function linkOfKey(provider: Provider, publicKey: Uint8Array): Promise<Uint8Array> {
  return linkOf(publicKeyHash(publicKey), provider.keys.link)
}

/** The person that a link leads to, `undefined` for a card seen for the first time. */
export async function findPerson(
  database: Database | ProviderTransaction,
  link: Uint8Array,
): Promise<Person | undefined> {
  const row = await database
    .selectFrom('link')
    .innerJoin('person', 'person.id', 'link.person')
    .select(['person.id', 'person.person_key'])
    .where('link', '=', link)
    .executeTakeFirst()
  return row && { id: row.id, personKey: row.person_key }
}

/** The person of a link, made now if there is none. Two taps at once make one person: the link is the key. */
export async function obtainPerson(
  provider: Provider,
  transaction: ProviderTransaction,
  link: Uint8Array,
): Promise<Person> {
  const known = await findPerson(transaction, link)
  if (known) return known
  const personKey = provider.random.bytes(32)
  const { id } = await transaction
    .insertInto('person')
    .values({ person_key: personKey })
    .returning('id')
    .executeTakeFirstOrThrow()
  const linked = await transaction
    .insertInto('link')
    .values({ link, person: id })
    .onConflict((conflict) => conflict.doNothing())
    .returning('person')
    .executeTakeFirst()
  if (linked) return { id, personKey }
  await transaction.deleteFrom('person').where('id', '=', id).execute()
  return (await findPerson(transaction, link)) as Person
}

/** The person's ID at an audience: derived, not looked up; nothing is stored. */
export function pairwiseIdOf(provider: Provider, person: Person, audience: Audience): Promise<string> {
  const input = { ...audience, provider: provider.id, personKey: encodeBase64url(person.personKey) }
  return derivePairwiseId(input, provider.keys.pairwise, provider.keys.pairwiseVersion)
}

/** An ID that was given out; `returning` if it had been before. */
export interface IssuedId {
  readonly audience: Audience
  readonly id: string
  readonly returning: boolean
}

/**
 * The person's ID at each audience, written down as issued, in the order given. Two taps of one person that name the
 * same audiences in the same order do not wait for each other crosswise.
 */
export async function issuePairwiseIds<const Audiences extends readonly Audience[]>(
  provider: Provider,
  transaction: ProviderTransaction,
  person: Person,
  audiences: Audiences,
): Promise<{ readonly [Index in keyof Audiences]: IssuedId }> {
  const ids = await Promise.all(audiences.map((audience) => pairwiseIdOf(provider, person, audience)))
  const fresh = await transaction
    .insertInto('pairwise_id')
    .values(
      audiences.map(({ audienceId, use, epoch }, i) => ({
        ...{ audience: audienceId, use, epoch, person: person.id, id: ids[i] ?? '' },
        key_version: provider.keys.pairwiseVersion,
        issued_at: provider.clock.now(),
      })),
    )
    .onConflict((conflict) => conflict.columns(['audience', 'use', 'epoch', 'person']).doNothing())
    .returning(['audience', 'use', 'epoch'])
    .execute()
  const issued = audiences.map((audience, i): IssuedId => {
    const written = fresh.some(
      (row) => row.audience === audience.audienceId && row.use === audience.use && row.epoch === audience.epoch,
    )
    return { audience, id: ids[i] ?? '', returning: !written }
  })
  return issued as { readonly [Index in keyof Audiences]: IssuedId }
}

/** Witness that the same card came again to an audience. */
export function cardWitness(provider: Provider, link: Uint8Array, audience: Audience): Promise<string> {
  return witnessOf(link, audience, provider.keys.witness)
}
