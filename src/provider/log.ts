import { sql } from 'kysely'
import { encodeBase64url } from '#bytes'
import {
  appendLeaf,
  consistencyProof,
  inclusionProof,
  type NodeId,
  type NodeReader,
  readRange,
  type SealedRecord,
  sealRecord,
} from '#evidence'
import { canonicalJson, type EvidenceReceipt } from '#messages'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { Database, ProviderTransaction } from './tables.ts'

/** Name of the log in its checkpoints. */
export const logOrigin = (providerId: string): string => `kazasu-log/${providerId}`

/** What is to be logged, sealed. */
export interface SealedEvidence extends SealedRecord {
  /** Leaves that the log had when this was sealed, as the witness knows: its index cannot be less. */
  readonly after: number
}

/**
 * Seals what is to be logged. Done before the transaction: sealing is slow, and the log's head is locked as briefly as possible.
 * @throws ProviderError `log-rolled-back`
 */
export async function sealEvidence(
  record: object,
  { auditKey, random, witness }: Pick<Provider, 'auditKey' | 'random' | 'witness'>,
): Promise<SealedEvidence> {
  witness.requireSound()
  const after = witness.size
  return { ...(await sealRecord(canonicalJson(record), auditKey, random)), after }
}

/**
 * Puts a record at the end of the log; its index is given. The head row's lock makes this transaction the one
 * sequencer until it commits, whichever process it runs in.
 * @throws ProviderError `log-rolled-back` if the log is shorter than it was; the transaction must not commit
 */
export async function appendEvidence(transaction: ProviderTransaction, sealed: SealedEvidence): Promise<number> {
  const { size } = await transaction
    .updateTable('log_head')
    .set(({ eb }) => ({ size: eb('size', '+', 1) }))
    .returning('size')
    .executeTakeFirstOrThrow()
  const index = size - 1
  if (index < sealed.after) throw new ProviderError('log-rolled-back', { signed: sealed.after, found: index })
  const { nodes } = appendLeaf(await readRange(index, nodeReader(transaction)), sealed.leaf)
  const { leaf, auditKeyId, body, wrappedKey } = sealed
  await transaction
    .with('appended', (query) =>
      query.insertInto('log_leaf').values({ index, leaf, audit_key_id: auditKeyId, body, wrapped_key: wrappedKey }),
    )
    .insertInto('log_node')
    .values([...nodes])
    .execute()
  return index
}

/** Where leaf `index` stands in the log of `size` leaves, all of them committed, under a checkpoint signed now. */
export async function evidenceReceipt(provider: Provider, index: number, size: number): Promise<EvidenceReceipt> {
  if (index >= size) throw new ProviderError('not-found', { what: 'leaf' })
  const reader = nodeReader(provider.database)
  const [[leaf], inclusion, checkpoint] = await Promise.all([
    reader.readNodes([{ level: 0, index }]),
    inclusionProof(index, size, reader),
    provider.witness.sign(size, reader), // reads along: all of this is one query
  ])
  if (!leaf) throw new ProviderError('not-found', { what: 'leaf' })
  return { index, checkpoint, inclusion: inclusion.map(encodeBase64url), leaf: encodeBase64url(leaf) }
}

/** How many leaves the log has. */
export async function logSize(database: Database): Promise<number> {
  return (await database.selectFrom('log_head').select('size').executeTakeFirstOrThrow()).size
}

/**
 * Proof that the log of `from` leaves is the beginning of the log of `to`, b64u hashes (RFC 9162 §2.1.4.1).
 * @throws ProviderError `not-found` where the log is not that long
 */
export async function consistency({ database }: Provider, from: number, to: number): Promise<readonly string[]> {
  if (from > to || to > (await logSize(database))) throw new ProviderError('not-found', { what: 'log size' })
  return (await consistencyProof(from, to, nodeReader(database))).map(encodeBase64url)
}

/** Reads stored tree nodes; what is asked for side by side is one query. */
export function nodeReader(database: Database | ProviderTransaction): NodeReader {
  let batch: { readonly ids: NodeId[]; readonly found: Promise<ReadonlyMap<string, Uint8Array>> } | undefined

  function open() {
    const ids: NodeId[] = []
    const found = Promise.resolve().then(() => {
      batch = undefined
      return readStored(database, ids)
    })
    return { ids, found }
  }

  return {
    async readNodes(ids) {
      if (ids.length === 0) return []
      batch ??= open()
      const { found } = batch
      batch.ids.push(...ids)
      const nodes = await found
      return ids.map((id) => nodes.get(nameOf(id)))
    },
  }
}

const nameOf = ({ level, index }: NodeId): string => `${level}/${index}`

async function readStored(database: Database | ProviderTransaction, ids: readonly NodeId[]) {
  const wanted = sql.join(ids.map(({ level, index }) => sql`(${level}::int, ${index}::bigint)`))
  const rows = await database
    .selectFrom('log_node')
    .selectAll()
    .where(sql<boolean>`(level, index) in (${wanted})`)
    .execute()
  return new Map(rows.map((row) => [nameOf(row), row.hash]))
}
