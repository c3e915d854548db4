import { type ColumnType, type Expression, type Generated, type RawBuilder, sql } from 'kysely'
import { type Time, timeText } from '#clock'

/** A `timestamptz`; written by {@link writeTime}, read by {@link readTime}, whatever the driver makes of the type. */
type TimeColumn = ColumnType<unknown, Expression<Time> | undefined, Expression<Time>>

/** `operator` does the daily work, `approver` is the second person, `auditor` reads, `administrator` makes keys. */
export const ADMINISTRATION_ROLES = ['operator', 'approver', 'auditor', 'administrator'] as const
export type AdministrationRole = (typeof ADMINISTRATION_ROLES)[number]

export interface AdministrationKeyTable {
  id: string
  /** SHA-256 of the key's secret half; the key itself is stored nowhere. */
  hash: Uint8Array
  /** The person. Several keys of one person have the same name. */
  name: string
  roles: string[]
  created_by: string
  created_at: TimeColumn
  revoked_at: TimeColumn
}

export interface AdministrationActTable {
  id: string
  kind: string
  payload: ColumnType<unknown, string, never>
  payload_hash: Uint8Array
  proposed_by: string
  proposed_at: TimeColumn
  expires_at: TimeColumn
  state: Generated<'proposed' | 'approved' | 'rejected'>
  decided_by: string | null
  decided_at: TimeColumn
}

/** The tables of this folder, for the schema of any role that has administrators. */
export interface AdministrationTables {
  administration_keys: AdministrationKeyTable
  administration_acts: AdministrationActTable
}

/** The statements that make the tables, in order, for a migration of the role's schema (PostgreSQL and PGlite). */
export const administrationMigration: readonly string[] = [
  `create table administration_keys (
    id text primary key check (id ~ '^[a-z0-9-]{1,64}$'),
    hash bytea not null unique check (octet_length(hash) = 32),
    name text not null check (name ~ '^[a-z0-9-]{1,64}$'),
    roles text[] not null
      check (cardinality(roles) > 0 and roles <@ array['operator', 'approver', 'auditor', 'administrator']),
    created_by text not null,
    created_at timestamptz not null,
    revoked_at timestamptz
  )`,
  `create table administration_acts (
    id text primary key,
    kind text not null check (kind ~ '^[a-z0-9-]{1,64}$'),
    payload jsonb not null,
    payload_hash bytea not null check (octet_length(payload_hash) = 32),
    proposed_by text not null,
    proposed_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'proposed' check (state in ('proposed', 'approved', 'rejected')),
    decided_by text,
    decided_at timestamptz,
    constraint administration_acts_decided check ((state = 'proposed') = (decided_by is null)),
    constraint administration_acts_two_persons check (state <> 'approved' or decided_by <> proposed_by)
  )`,
  'create index administration_acts_open on administration_acts (proposed_at) where state = $$proposed$$',
]

export const writeTime = (time: Time): RawBuilder<Time> => sql<Time>`${timeText(time)}::timestamptz`

/** Milliseconds since 1970 of a column, `null` where it is. */
export const readTime = (column: string): RawBuilder<Time> =>
  sql<Time>`(extract(epoch from ${sql.ref(column)}) * 1000)::float8`
