import { administrationMigration } from '#administration'

/** Forward-only steps of the provider's schema. Times are milliseconds since 1970 UTC; hashes are base64url text. */
export const providerMigrations = {
  '0001-registry': `
    create table institution (
      id text primary key,
      name text not null,
      audience_id text not null unique,
      code text,
      state text not null default 'active' check (state in ('active', 'suspended')),
      epoch integer not null default 0,
      id_epoch integer not null default 0
    );
    create table client (
      id text primary key,
      institution text not null references institution,
      confirmation jsonb not null
    );
    create table client_audience (
      client text not null references client,
      audience text not null,
      primary key (client, audience)
    );
    create table service (
      audience text primary key,
      name text not null,
      sealing_key jsonb not null,
      id_epoch integer not null default 0
    );
    create table terminal (
      id text primary key,
      institution text not null references institution,
      attended boolean not null,
      state text not null default 'enrolled' check (state in ('enrolled', 'active', 'suspended')),
      suspend_epoch integer not null default 0,
      thumbprint text not null unique,
      device_key bytea not null,
      head text not null,
      counter bigint not null default 0,
      operator text,
      lease text,
      lease_until bigint,
      enrolled_at bigint not null,
      last_seen_at bigint
    );
    create table terminal_certificate (
      cert_hash text primary key,
      terminal text not null references terminal,
      raw bytea not null,
      expiry text not null,
      withdrawn_at bigint
    );
    create table enrolment (
      code_hash text primary key,
      terminal text not null,
      institution text not null references institution,
      attended boolean not null,
      expires_at bigint not null,
      used_at bigint
    );
    create table trust_material (
      kind text not null check (kind in ('anchor', 'cvca', 'dv', 'ocsp-responder')),
      raw bytea not null,
      primary key (kind, raw)
    );`,
  '0002-reception': `
    create table nonce (
      nonce text primary key,
      provider text not null,
      institution text not null references institution,
      terminal text not null references terminal,
      client text not null references client,
      purpose text not null,
      mechanism text not null,
      basis text not null,
      role text not null,
      class text not null check (class in ('tap', 'activation', 'offline')),
      bundle text,
      prior text,
      issued_at bigint not null,
      expires_at bigint not null,
      state text not null default 'issued' check (state in ('issued', 'accepted'))
    );
    create index nonce_expiry on nonce (expires_at);
    create table person (
      id bigint generated always as identity primary key,
      person_key bytea not null unique
    );
    create table link (
      link bytea primary key,
      person bigint not null references person
    );
    create table pairwise_id (
      audience text not null,
      use text not null,
      epoch integer not null,
      person bigint not null references person,
      id text not null unique,
      key_version integer not null,
      issued_at bigint not null,
      primary key (audience, use, epoch, person)
    );
    create table leg (
      consent_hash text primary key,
      nonce text not null unique references nonce,
      terminal text not null references terminal,
      leg_hash text not null unique,
      accepted_at bigint not null
    );
    create table quota (
      person bigint not null references person,
      terminal text not null references terminal,
      hour bigint not null,
      taps integer not null,
      primary key (person, terminal, hour)
    );
    create table seen (
      terminal text not null references terminal,
      statement_hash text not null,
      prev text not null,
      proof_hash text not null,
      verdict text not null check (verdict in ('accepted', 'refused')),
      code text,
      leaf_index bigint not null,
      claims jsonb,
      answer bytea,
      answered_at bigint,
      primary key (terminal, statement_hash)
    );
    create index seen_prev on seen (terminal, prev);
    create table spent_token (
      jti text primary key,
      spent_at bigint not null
    );`,
  '0003-evidence': `
    create table log_head (
      singleton boolean primary key default true check (singleton),
      size bigint not null
    );
    insert into log_head (size) values (0);
    create table log_leaf (
      index bigint primary key,
      leaf bytea not null unique,
      audit_key_id bytea not null,
      body bytea not null,
      wrapped_key bytea not null
    );
    create table log_node (
      level integer not null,
      index bigint not null,
      hash bytea not null,
      primary key (level, index)
    );
    create function refuse_change() returns trigger language plpgsql as $$
      begin raise exception 'the log is append-only'; end $$;
    create trigger log_leaf_append_only before delete on log_leaf for each row execute function refuse_change();
    create trigger log_node_append_only before update or delete on log_node for each row execute function refuse_change();`,
  '0004-enrolment': `
    create sequence terminal_reference;
    alter table terminal_certificate add column public_key bytea not null default '';
    create index terminal_certificate_key on terminal_certificate (public_key);`,
  '0005-administration': administrationMigration.join(';\n'),
  '0006-append-only': `
    create function refuse_all_but_erasure() returns trigger language plpgsql as $$
      begin
        if (new.index, new.leaf, new.audit_key_id) is distinct from (old.index, old.leaf, old.audit_key_id)
          or (new.body <> old.body and new.body <> '') or (new.wrapped_key <> old.wrapped_key and new.wrapped_key <> '')
        then raise exception 'the log is append-only'; end if;
        return new;
      end $$;
    create trigger log_leaf_erasure_only before update on log_leaf for each row execute function refuse_all_but_erasure();
    create trigger log_leaf_never_emptied before truncate on log_leaf for each statement execute function refuse_change();
    create trigger log_node_never_emptied before truncate on log_node for each statement execute function refuse_change();`,
  '0007-trust-epoch': `
    create table trust_epoch (
      singleton boolean primary key default true check (singleton),
      epoch integer not null default 0
    );
    insert into trust_epoch default values;
    alter table trust_material add column withdrawn_at bigint;`,
  '0008-certificate-intent': `
    create table terminal_certificate_intent (
      reference text primary key,
      terminal text not null,
      key_hash text not null,
      intended_at bigint not null,
      state text not null default 'intended' check (state in ('intended', 'issued'))
    );
    create index terminal_certificate_intent_terminal on terminal_certificate_intent (terminal, intended_at);`,
} as const
