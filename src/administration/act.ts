import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { encodeBase64url, equalBytes } from '#bytes'
import { type Clock, DAY, type Random, type Time } from '#clock'
import {
  type AdministrationDatabase,
  type Administrator,
  holdKey,
  inTransaction,
  requireRole,
} from './administrator.ts'
import { AdministrationError } from './failures.ts'
import { newId } from './key.ts'
import { readTime, writeTime } from './tables.ts'

/** An act that takes two persons (二者承認): one proposes, another approves, then the role carries it out. */
export interface Act {
  readonly id: string
  /** `[a-z0-9-]{1,64}`, named by the role: `issue-dv-certificate`. */
  readonly kind: string
  /** A JSON value that says all that the act will do. */
  readonly payload: unknown
  /** SHA-256 of the payload's canonical form (RFC 8785), base64url: what the second person can compare. */
  readonly payloadHash: string
  readonly proposedBy: string
  readonly proposedAt: Time
  readonly expiresAt: Time
  readonly state: 'proposed' | 'approved' | 'rejected'
  readonly decidedBy: string | null
  readonly decidedAt: Time | null
}

declare const approved: unique symbol

/** An act that a second person approved; made by {@link approve} only. */
export type ApprovedAct = Act & { readonly [approved]: true }

/** Bytes of a payload's canonical form. */
const PAYLOAD_LIMIT = 64 * 1024
/** A proposal that nobody decided lapses after this long. */
const LIFE = 7 * DAY

const hashOf = (canonical: string): Uint8Array => Uint8Array.from(createHash('sha256').update(canonical).digest())

/** The escape of NUL, which jsonb cannot hold; not a backslash that is text, followed by u0000. */
const NUL = /(?<!\\)(?:\\\\)*\\u0000/

/** RFC 8785. @throws AdministrationError `act-malformed` */
function canonicalPayload(payload: unknown): string {
  let text: string | undefined
  try {
    text = canonicalize(payload)
  } catch (cause) {
    throw new AdministrationError('act-malformed', {}, { cause })
  }
  if (text === undefined || Buffer.byteLength(text) > PAYLOAD_LIMIT || NUL.test(text) || !text.isWellFormed()) {
    throw new AdministrationError('act-malformed')
  }
  return text
}

/**
 * Puts an act before a second person. Lapses after seven days.
 * @throws AdministrationError `role-missing` (operator or administrator), `act-malformed`, `key-revoked`
 */
export async function propose(
  db: AdministrationDatabase,
  administrator: Administrator,
  { kind, payload }: { readonly kind: string; readonly payload: unknown },
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Act> {
  requireRole(administrator, 'operator', 'administrator')
  if (!/^[a-z0-9-]{1,64}$/.test(kind)) throw new AdministrationError('act-malformed')
  const canonical = canonicalPayload(payload)
  const id = newId('act', random)
  const now = clock.now()
  return inTransaction(db, async (transaction) => {
    await holdKey(transaction, administrator)
    await transaction
      .insertInto('administration_acts')
      .values({
        ...{ id, kind, payload: canonical, payload_hash: hashOf(canonical), proposed_by: administrator.id },
        ...{ proposed_at: writeTime(now), expires_at: writeTime(now + LIFE) },
      })
      .execute()
    return findAct(transaction, id)
  })
}

/** One act. @throws AdministrationError `act-unknown`; `act-altered` if its payload is not what was proposed */
export async function findAct(db: AdministrationDatabase, id: string): Promise<Act> {
  const row = await selectActs(db).where('id', '=', id).executeTakeFirst()
  if (!row) throw new AdministrationError('act-unknown')
  return readAct(row)
}

/** Acts of one state, the newest first, 100 at most. */
export async function listActs(db: AdministrationDatabase, state: Act['state']): Promise<readonly Act[]> {
  const rows = await selectActs(db).where('state', '=', state).orderBy('proposed_at', 'desc').limit(100).execute()
  return rows.map(readAct)
}

const selectActs = (db: AdministrationDatabase) =>
  db
    .selectFrom('administration_acts')
    .select(['id', 'kind', 'payload', 'payload_hash', 'proposed_by as proposedBy', 'state', 'decided_by as decidedBy'])
    .select([
      readTime('proposed_at').as('proposedAt'),
      readTime('expires_at').as('expiresAt'),
      readTime('decided_at').$castTo<Time | null>().as('decidedAt'),
    ])

type ActRow = Awaited<ReturnType<ReturnType<typeof selectActs>['execute']>>[number]

function readAct({ payload_hash, ...row }: ActRow): Act {
  if (!equalBytes(hashOf(canonicalPayload(row.payload)), payload_hash)) throw new AdministrationError('act-altered')
  return { ...row, payloadHash: encodeBase64url(payload_hash) }
}

/**
 * The second person's word. Give the transaction in which the act is carried out as `db`: then approval and effect are
 * stored together or not at all. Approved once; only by an approver who is another person than the proposer.
 * @throws AdministrationError `role-missing`, `same-person`, `act-unknown`, `act-decided`, `act-expired`, `act-altered`,
 * `key-revoked`
 */
export async function approve(
  db: AdministrationDatabase,
  id: string,
  administrator: Administrator,
  { clock }: { readonly clock: Clock },
): Promise<ApprovedAct> {
  return (await decide(db, id, administrator, 'approved', clock)) as ApprovedAct
}

/** Ends a proposal without effect: by an approver, or by whoever proposed it. @throws as {@link approve} */
export function reject(
  db: AdministrationDatabase,
  id: string,
  administrator: Administrator,
  { clock }: { readonly clock: Clock },
): Promise<Act> {
  return decide(db, id, administrator, 'rejected', clock)
}

function decide(
  db: AdministrationDatabase,
  id: string,
  administrator: Administrator,
  state: 'approved' | 'rejected',
  clock: Clock,
): Promise<Act> {
  return inTransaction(db, async (transaction) => {
    // Locked first: of two approvers at the same moment the second finds it decided.
    await transaction.selectFrom('administration_acts').select('id').where('id', '=', id).forUpdate().execute()
    const act = await findAct(transaction, id)
    const own = act.proposedBy === administrator.id
    if (state === 'approved' || !own) requireRole(administrator, 'approver')
    if (state === 'approved' && own) throw new AdministrationError('same-person')
    if (act.state !== 'proposed') throw new AdministrationError('act-decided', { state: act.state })
    if (act.expiresAt <= clock.now()) throw new AdministrationError('act-expired')
    await holdKey(transaction, administrator)
    await transaction
      .updateTable('administration_acts')
      .set({ state, decided_by: administrator.id, decided_at: writeTime(clock.now()) })
      .where('id', '=', id)
      .execute()
    return findAct(transaction, id)
  })
}
