import { sql } from 'kysely'
import { decodeBase64url } from '#bytes'
import type { RegisteredTerminal } from '#proof'
import { ProviderError } from './failures.ts'
import type { Database, TerminalState } from './tables.ts'

/** A terminal as check (a) finds it; epochs as of this moment, compared again when a tap commits. */
export interface IdentifiedTerminal extends RegisteredTerminal {
  readonly id: string
  readonly institution: string
  readonly attended: boolean
  /** `suspended` also while its institution is. */
  readonly state: TerminalState
  readonly suspendEpoch: number
  readonly institutionEpoch: number
  readonly deviceKey: Uint8Array
  readonly head: string
  readonly counter: number
}

/** `prev` of a terminal's first device statement: 32 zero bytes. */
export const FIRST_HEAD = 'A'.repeat(43)

/** b64u certHash of every certificate of the terminal that was not withdrawn. */
const certificatesOf = sql<string[]>`array_to_json(array(
  select cert_hash from terminal_certificate where terminal_certificate.terminal = terminal.id and withdrawn_at is null))`.as(
  'certificates',
)

/**
 * Check (a): the terminal whose TLS certificate this is.
 * @throws ProviderError `terminal-unknown`
 */
export async function identifyTerminal(
  database: Database,
  thumbprint: string | undefined,
): Promise<IdentifiedTerminal> {
  const row = thumbprint
    ? await database
        .selectFrom('terminal')
        .innerJoin('institution', 'institution.id', 'terminal.institution')
        .selectAll('terminal')
        .select(['institution.epoch as institution_epoch', 'institution.state as institution_state', certificatesOf])
        .where('thumbprint', '=', thumbprint)
        .executeTakeFirst()
    : undefined
  if (!row) throw new ProviderError('terminal-unknown')
  return {
    id: row.id,
    institution: row.institution,
    attended: row.attended,
    state: row.institution_state === 'suspended' ? 'suspended' : row.state,
    suspendEpoch: row.suspend_epoch,
    institutionEpoch: row.institution_epoch,
    deviceKey: row.device_key,
    head: row.head,
    counter: row.counter,
    operator: row.operator,
    lease: row.lease,
    certHashes: row.certificates,
  }
}

/** Stops a terminal at once: nothing that is being checked now can commit afterwards. */
export async function suspendTerminal(database: Database, id: string): Promise<void> {
  const done = await database
    .updateTable('terminal')
    .set(({ eb }) => ({ state: 'suspended', suspend_epoch: eb('suspend_epoch', '+', 1) }))
    .where('id', '=', id)
    .executeTakeFirst()
  if (done.numUpdatedRows === 0n) throw new ProviderError('not-found', { what: 'terminal' })
}

/** Makes an enrolled or suspended terminal work. @throws ProviderError `not-found` */
export async function activateTerminal(database: Database, id: string): Promise<void> {
  const done = await database
    .updateTable('terminal')
    .set(({ eb }) => ({ state: 'active', suspend_epoch: eb('suspend_epoch', '+', 1) }))
    .where('id', '=', id)
    .executeTakeFirst()
  if (done.numUpdatedRows === 0n) throw new ProviderError('not-found', { what: 'terminal' })
}

/** Withdraws a terminal's certificate; taps under way with it cannot commit. */
export async function withdrawCertificate(database: Database, certHash: string, at: number): Promise<void> {
  decodeBase64url(certHash)
  await database.transaction().execute(async (transaction) => {
    const row = await transaction
      .updateTable('terminal_certificate')
      .set({ withdrawn_at: at })
      .where('cert_hash', '=', certHash)
      .where('withdrawn_at', 'is', null)
      .returning('terminal')
      .executeTakeFirst()
    if (!row) throw new ProviderError('not-found', { what: 'certificate' })
    await transaction
      .updateTable('terminal')
      .set(({ eb }) => ({ suspend_epoch: eb('suspend_epoch', '+', 1) }))
      .where('id', '=', row.terminal)
      .execute()
  })
}

/**
 * 再同期 – sets a terminal's place in its chain to what the terminal itself reports, after its memory was restored or
 * lost. An operator does so with the device in hand and no copy of its key suspected; nothing under way can commit.
 * @throws ProviderError `not-found`
 */
export async function resyncTerminal(
  database: Database,
  id: string,
  { head, counter }: { readonly head: string; readonly counter: number },
): Promise<void> {
  const done = await database
    .updateTable('terminal')
    .set(({ eb }) => ({ head, counter, suspend_epoch: eb('suspend_epoch', '+', 1) }))
    .where('id', '=', id)
    .executeTakeFirst()
  if (done.numUpdatedRows === 0n) throw new ProviderError('not-found', { what: 'terminal' })
}

/** A terminal as administrators see it. */
export interface TerminalRecord {
  readonly id: string
  readonly institution: string
  readonly attended: boolean
  readonly state: TerminalState
  readonly counter: number
  readonly enrolledAt: number
  readonly lastSeenAt: number | null
  readonly certificates: readonly { certHash: string; expiry: string; withdrawnAt: number | null }[]
}

export async function listTerminals(database: Database): Promise<readonly TerminalRecord[]> {
  const [terminals, certificates] = await Promise.all([
    database.selectFrom('terminal').selectAll().orderBy('id').execute(),
    database.selectFrom('terminal_certificate').selectAll().orderBy('expiry').execute(),
  ])
  return terminals.map(({ id, institution, attended, state, counter, ...row }) => ({
    ...{ id, institution, attended, state, counter, enrolledAt: row.enrolled_at, lastSeenAt: row.last_seen_at },
    certificates: certificates
      .filter(({ terminal }) => terminal === id)
      .map((one) => ({ certHash: one.cert_hash, expiry: one.expiry, withdrawnAt: one.withdrawn_at })),
  }))
}

/** @throws ProviderError `terminal-suspended`, `terminal-not-active` */
export function requireActive({ state }: IdentifiedTerminal): void {
  if (state === 'suspended') throw new ProviderError('terminal-suspended')
  if (state !== 'active') throw new ProviderError('terminal-not-active')
}
