import { sql } from 'kysely'
import { encodeBase64url } from '#bytes'
import {
  appendLeaf,
  consistencyProof,
  inclusionProof,
  type NodeReader,
  readRange,
  type SealedRecord,
  sealRecord,
  signCheckpoint,
  treeHead,
} from '#evidence'
import { canonicalJson, type EvidenceReceipt } from '#messages'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { Database, ProviderTransaction } from './tables.ts'

/** Name of the log in its checkpoints. */
export const logOrigin = (providerId: string): string => `kazasu-log/${providerId}`

/** Seals what is to be logged. Done before the transaction: sealing is slow, and the log's head is locked as briefly as possible. */
export function sealEvidence(record: object, { auditKey, random }: Provider): Promise<SealedRecord> {
  return sealRecord(canonicalJson(record), auditKey, random)
}

/**
 * Puts a record at the end of the log; its index is given. The head row's lock makes this transaction the one
 * sequencer until it commits, whichever process it runs in.
 */
export async function appendEvidence(transaction: ProviderTransaction, sealed: SealedRecord): Promise<number> {
  const { size } = await transaction.selectFrom('log_head').select('size').forUpdate().executeTakeFirstOrThrow()
  const { nodes } = appendLeaf(await readRange(size, nodeReader(transaction)), sealed.leaf)
  await transaction
    .insertInto('log_leaf')
    .values({
      index: size,
      leaf: sealed.leaf,
      audit_key_id: sealed.auditKeyId,
      body: sealed.body,
      wrapped_key: sealed.wrappedKey,
    })
    .execute()
  await transaction
    .insertInto('log_node')
    .values([...nodes])
    .execute()
  const moved = await transaction
    .updateTable('log_head')
    .set({ size: size + 1 })
    .where('size', '=', size)
    .executeTakeFirst()
  if (moved.numUpdatedRows !== 1n) throw new ProviderError('log-moved')
  return size
}

/** Where leaf `index` stands, under a checkpoint signed now over all that is committed. */
export async function evidenceReceipt(provider: Provider, index: number): Promise<EvidenceReceipt> {
  const { database } = provider
  const size = await logSize(database)
  const reader = nodeReader(database)
  const [leaf] = index < size ? await reader.readNodes([{ level: 0, index }]) : []
  if (!leaf) throw new ProviderError('not-found', { what: 'leaf' })
  const inclusion = await inclusionProof(index, size, reader)
  return {
    index,
    checkpoint: await signedCheckpoint(provider, size),
    inclusion: inclusion.map(encodeBase64url),
    leaf: encodeBase64url(leaf),
  }
}

/** The log's head of `size` leaves – by default all – as a signed note. */
export async function signedCheckpoint(provider: Provider, size?: number): Promise<string> {
  const all = size ?? (await logSize(provider.database))
  const head = treeHead(await readRange(all, nodeReader(provider.database)))
  return signCheckpoint({ origin: logOrigin(provider.id), ...head }, provider.keys.log)
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

/** Reads stored tree nodes in one query. */
export function nodeReader(database: Database | ProviderTransaction): NodeReader {
  return {
    async readNodes(ids) {
      if (ids.length === 0) return []
      const wanted = sql.join(ids.map(({ level, index }) => sql`(${level}::int, ${index}::bigint)`))
      const rows = await database
        .selectFrom('log_node')
        .selectAll()
        .where(sql<boolean>`(level, index) in (${wanted})`)
        .execute()
      const found = new Map(rows.map((row) => [`${row.level}/${row.index}`, row.hash]))
      return ids.map(({ level, index }) => found.get(`${level}/${index}`))
    },
  }
}
