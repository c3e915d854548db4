import { type Generated, sql } from 'kysely'
import { type AdministrationTables, administrationMigration } from '#administration'
import type { Migrations, TimeColumn } from '#store'

/** 利用者証明用 / 署名用 – the two certificate authorities. */
export const KINDS = ['user-authentication', 'digital-signature'] as const
export type CertificateKind = (typeof KINDS)[number]

/** `intended`: the serial is taken and the real signature may or may not exist. */
export type CertificateState = 'intended' | 'issued' | 'revoked'

interface CaCertificateTable {
  kind: CertificateKind
  der: Uint8Array
}
interface ResponderCertificateTable {
  kind: CertificateKind
  der: Uint8Array
  not_after: TimeColumn
}
interface CertificateTable {
  serial: Uint8Array
  kind: CertificateKind
  state: CertificateState
  /** The card's holder as the operator calls them; no name. */
  holder: string
  public_key: Uint8Array
  not_before: TimeColumn
  not_after: TimeColumn
  intended_at: TimeColumn
  intended_by: string
  der: Uint8Array | null
  revoked_at: TimeColumn | null
  reason: string | null
  revoked_by: string | null
}
interface CrlTable {
  kind: CertificateKind
  number: number
  der: Uint8Array
  this_update: TimeColumn
  next_update: TimeColumn
}
export type ApplicationState = 'submitted' | 'approved' | 'withdrawn'
interface ApplicationTable {
  id: string
  provider: string
  name: string
  /** The middle of `reference`. */
  holder: string
  reference: string
  public_key: Uint8Array
  request: Uint8Array
  days: number
  state: ApplicationState
  submitted_by: string
  submitted_at: TimeColumn
  approved_by: string | null
  approved_at: TimeColumn | null
  withdrawn_by: string | null
  withdrawn_at: TimeColumn | null
}
interface CvcIntentTable {
  id: Generated<number>
  application: string | null
  role: 'cvca' | 'dv'
  car: string
  chr: string
  public_key: Uint8Array
  effective: string
  expiry: string
  intended_at: TimeColumn
}
interface CvcTable {
  intent: number
  raw: Uint8Array
  signed_at: TimeColumn
}

/** The authority's tables. Serial numbers and holders' keys are its duty to hold; nobody else does. */
export interface AuthorityTables extends AdministrationTables {
  ca_certificate: CaCertificateTable
  responder_certificate: ResponderCertificateTable
  certificate: CertificateTable
  crl: CrlTable
  application: ApplicationTable
  cvc_intent: CvcIntentTable
  cvc: CvcTable
}

export const authorityMigrations: Migrations = {
  '0001-certificates': async (transaction, role) => {
    await sql
      .raw(`
        create table ca_certificate (kind text primary key, der bytea not null);
        create table responder_certificate (kind text primary key, der bytea not null, not_after timestamptz not null);
        create table certificate (
          serial bytea primary key,
          kind text not null,
          state text not null check (state in ('intended', 'issued', 'revoked')),
          holder text not null,
          public_key bytea not null,
          not_before timestamptz not null,
          not_after timestamptz not null check (not_after > not_before),
          intended_at timestamptz not null,
          intended_by text not null,
          der bytea check (der is not null or state <> 'issued'),
          revoked_at timestamptz,
          reason text,
          revoked_by text,
          check ((state = 'revoked') = (revoked_at is not null and reason is not null and revoked_by is not null))
        );
        create index certificate_holder on certificate (holder);
        create index certificate_revoked on certificate (kind, not_after) where state = 'revoked';
        create table crl (
          kind text primary key,
          number bigint not null,
          der bytea not null,
          this_update timestamptz not null,
          next_update timestamptz not null
        )`)
      .execute(transaction)
    // A certificate that may have been signed is never forgotten.
    await sql`revoke delete on certificate, ca_certificate from ${sql.id(role)}`.execute(transaction)
    await sql`revoke update on ca_certificate from ${sql.id(role)}`.execute(transaction)
  },
  '0002-institutions': async (transaction, role) => {
    await sql
      .raw(`
        create table application (
          id text primary key,
          provider text not null,
          name text not null,
          holder text not null,
          reference text not null,
          public_key bytea not null,
          request bytea not null,
          days integer not null,
          state text not null check (state in ('submitted', 'approved', 'withdrawn')),
          submitted_by text not null,
          submitted_at timestamptz not null,
          approved_by text check (approved_by <> submitted_by),
          approved_at timestamptz,
          withdrawn_by text,
          withdrawn_at timestamptz,
          check (state <> 'approved' or (approved_by is not null and approved_at is not null))
        );
        create unique index application_provider on application (provider) where state <> 'withdrawn';
        create unique index application_holder on application (holder) where state <> 'withdrawn';
        create table cvc_intent (
          id bigint generated always as identity primary key,
          application text references application,
          role text not null check (role in ('cvca', 'dv')),
          car text not null,
          chr text not null,
          public_key bytea not null,
          effective date not null,
          expiry date not null check (effective <= expiry),
          intended_at timestamptz not null
        );
        create table cvc (
          intent bigint primary key references cvc_intent,
          raw bytea not null,
          signed_at timestamptz not null
        )`)
      .execute(transaction)
    await sql`revoke delete on application from ${sql.id(role)}`.execute(transaction)
    // Append-only: whoever holds the role's rights can add to what was signed, not change it.
    await sql`revoke update, delete on cvc_intent, cvc from ${sql.id(role)}`.execute(transaction)
  },
  '0003-administration': administrationMigration.join(';'),
}
