import type { ColumnType, Generated, GeneratedAlways, JSONColumnType, Kysely, Transaction } from 'kysely'
import type { AdministrationTables } from '#administration'
import type { Time } from '#clock'
import type { Basis, Mechanism, NonceClass, PresenceClaims, Role } from '#messages'

/** bytea */
type Bytes = Uint8Array
/** jsonb, written as text. */
type Json<T extends object | null> = JSONColumnType<T, string, string>

/** 機関 – a clinic, pharmacy … that uses terminals of this provider. `code`, the 10-digit code, is only an attribute. */
export interface InstitutionTable {
  id: string
  name: string
  /** Stable id that pairwise IDs are derived for; survives a change of code. */
  audience_id: string
  code: string | null
  state: Generated<'active' | 'suspended'>
  /** Raised by suspension and by every withdrawal, in the same transaction. */
  epoch: Generated<number>
  id_epoch: Generated<number>
}

/** Registered software of an institution: who will present the tokens, and with which key. */
export interface ClientTable {
  id: string
  institution: string
  confirmation: Json<PresenceClaims['cnf']>
}

export interface ClientAudienceTable {
  client: string
  audience: string
}

/** A service that gets tokens of its own, sealed to its key. */
export interface ServiceTable {
  audience: string
  name: string
  sealing_key: Json<SealingJwk>
  id_epoch: Generated<number>
}
/** Public JWK (EC P-256) that a service's tokens are sealed to. */
export interface SealingJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly kid: string
}

export type TerminalState = 'enrolled' | 'active' | 'suspended'

export interface TerminalTable {
  id: string
  institution: string
  attended: boolean
  state: Generated<TerminalState>
  suspend_epoch: Generated<number>
  /** b64u SHA-256 of the terminal's TLS certificate. */
  thumbprint: string
  /** SPKI */
  device_key: Bytes
  /** b64u hash of its last device statement. */
  head: string
  counter: Generated<number>
  operator: string | null
  lease: string | null
  lease_until: Time | null
  enrolled_at: Time
  last_seen_at: Time | null
}

export interface TerminalCertificateTable {
  cert_hash: string
  terminal: string
  raw: Bytes
  expiry: string
  /** SPKI */
  public_key: Generated<Bytes>
  withdrawn_at: Time | null
}

export interface EnrolmentTable {
  code_hash: string
  terminal: string
  institution: string
  attended: boolean
  expires_at: Time
  used_at: Time | null
}

export interface TrustMaterialTable {
  kind: 'anchor' | 'cvca' | 'dv' | 'ocsp-responder'
  raw: Bytes
  /** Kept, so that what was withdrawn is not installed again. */
  withdrawn_at: Generated<Time | null>
}

export interface TrustEpochTable {
  singleton: Generated<boolean>
  /** Raised by every change of `trust_material`, in the same transaction. */
  epoch: number
}

/** A terminal certificate that was signed, or – `intended` – may have been; written before the DV key is used. */
export interface TerminalCertificateIntentTable {
  /** CHR */
  reference: string
  terminal: string
  /** b64u SHA-256 of the SPKI. */
  key_hash: string
  intended_at: Time
  state: Generated<'intended' | 'issued'>
}

export interface NonceTable {
  nonce: string
  provider: string
  institution: string
  terminal: string
  client: string
  purpose: string
  mechanism: Mechanism
  basis: Basis
  role: Role
  class: NonceClass
  bundle: string | null
  prior: string | null
  issued_at: Time
  expires_at: Time
  state: Generated<'issued' | 'accepted'>
}

export interface PersonTable {
  id: GeneratedAlways<number>
  /** 256 random bits; an ID needs this and a key that the database does not hold. */
  person_key: Bytes
}

export interface LinkTable {
  /** HMAC(K_link, H(SubjectPublicKeyInfo)) */
  link: Bytes
  person: number
}

export interface PairwiseIdTable {
  audience: string
  use: string
  epoch: number
  person: number
  id: string
  key_version: number
  issued_at: Time
}

/** An accepted leg. Its keys make a consent, a nonce and a leg count once. */
export interface LegTable {
  consent_hash: string
  nonce: string
  terminal: string
  leg_hash: string
  accepted_at: Time
}

export interface QuotaTable {
  person: number
  terminal: string
  /** Hours since 1970. */
  hour: number
  taps: number
}

/** Every device statement that counted, with its verdict: what makes an answer repeatable. */
export interface SeenTable {
  terminal: string
  statement_hash: string
  prev: string
  proof_hash: string
  verdict: 'accepted' | 'refused'
  code: string | null
  leaf_index: number
  claims: ColumnType<TokenClaims | null, string | null, string | null>
  /** Sealed under a key from the proof's bytes, which are not kept. */
  answer: Bytes | null
  answered_at: Time | null
}

/** What the tokens of an accepted tap will say, decided in the transaction; signing may happen after a crash. */
export interface TokenClaims {
  readonly institution: PresenceClaims
  readonly services: readonly PresenceClaims[]
  readonly visit: { readonly returning: boolean; readonly witness: string }
  /** Pairwise ID that the register of insured persons knows the person by, if it was an audience. */
  readonly eligibility: string | null
}

export interface SpentTokenTable {
  jti: string
  spent_at: Time
}

export interface LogHeadTable {
  singleton: Generated<boolean>
  size: number
}

export interface LogLeafTable {
  index: number
  leaf: Bytes
  audit_key_id: Bytes
  body: Bytes
  wrapped_key: Bytes
}

export interface LogNodeTable {
  level: number
  index: number
  hash: Bytes
}

export interface ProviderTables extends AdministrationTables {
  institution: InstitutionTable
  client: ClientTable
  client_audience: ClientAudienceTable
  service: ServiceTable
  terminal: TerminalTable
  terminal_certificate: TerminalCertificateTable
  enrolment: EnrolmentTable
  trust_material: TrustMaterialTable
  trust_epoch: TrustEpochTable
  terminal_certificate_intent: TerminalCertificateIntentTable
  nonce: NonceTable
  person: PersonTable
  link: LinkTable
  pairwise_id: PairwiseIdTable
  leg: LegTable
  quota: QuotaTable
  seen: SeenTable
  spent_token: SpentTokenTable
  log_head: LogHeadTable
  log_leaf: LogLeafTable
  log_node: LogNodeTable
}

export type Database = Kysely<ProviderTables>
export type ProviderTransaction = Transaction<ProviderTables>
