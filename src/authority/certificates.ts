import type { Kysely, Selectable } from 'kysely'
import type { Clock, Random, Time } from '#clock'
import {
  type Certificate,
  type CertificateTemplate,
  decodePublicKey,
  eraBirthDate,
  fifthBirthday,
  issueCertificate,
  type Locality,
  newSerial,
  PkiError,
  type Signer,
  signatureCertificate,
  userAuthenticationCertificate,
} from '#pki'
import { storedTime } from '#store'
import { AuthorityError } from './failures.ts'
import type { AuthorityTables, CertificateKind, CertificateState } from './migrations.ts'

/** Why a certificate ends (RFC 5280 §5.3.1), as far as JPKI uses it; a hold is never lifted. */
export const REASONS = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
] as const
export type Reason = (typeof REASONS)[number]

/** 基本4情報 of an invented person; the date of birth stands in {@link CertificateRequest}. */
export interface HolderAttributes {
  readonly name: string
  readonly address: string
  readonly sex: '1' | '2' | '9'
  /** One 0 or 1 per character; all 0 unless given. */
  readonly nameSubstitutes?: string | undefined
  readonly addressSubstitutes?: string | undefined
}

/** One certificate for one key of one card. */
export interface CertificateRequest {
  readonly kind: CertificateKind
  /** The holder as the operator calls them; an id, no name. */
  readonly holder: string
  readonly publicKey: Uint8Array
  readonly locality: Locality
  /** `YYYY-MM-DD`; decides the end of validity, and stands in signature certificates. */
  readonly birthDate: string
  readonly attributes?: HolderAttributes | undefined
  /** From now to the end of the fifth birthday unless given. Any period of the authority's own is allowed: it is a test. */
  readonly validity?: { readonly notBefore: Time; readonly notAfter: Time } | undefined
}

/** A line of the register. `der` is null where the signature never came to be known. */
export interface CertificateEntry {
  readonly serial: Uint8Array
  readonly kind: CertificateKind
  readonly state: CertificateState
  readonly holder: string
  readonly notBefore: Time
  readonly notAfter: Time
  readonly intendedAt: Time
  readonly der: Uint8Array | null
  readonly revokedAt: Time | null
  readonly reason: Reason | null
}

/** A certificate authority ready to sign: its certificate and its key. */
export interface IssuingAuthority {
  readonly certificate: Certificate
  readonly signer: Signer
}

/** 証明書の台帳 – every certificate of a card that was, or may have been, signed. */
export interface CertificateRegister {
  /** @throws AuthorityError `public-key-refused`, `subject-required`, `validity-refused` */
  issue(request: CertificateRequest, person: string): Promise<CertificateEntry>
  /**
   * Revokes also what is only intended: a signature may exist that nobody stored.
   * @throws AuthorityError `certificate-unknown`, `certificate-already-revoked`
   */
  revoke(serial: Uint8Array, reason: Reason, person: string): Promise<CertificateEntry>
  find(kind: CertificateKind, serial: Uint8Array): Promise<CertificateEntry | undefined>
  /** In order of serial number, after `after`. */
  list(filter: CertificateFilter): Promise<readonly CertificateEntry[]>
}

export interface CertificateFilter {
  readonly kind?: CertificateKind | undefined
  readonly state?: CertificateState | undefined
  readonly holder?: string | undefined
  readonly after?: Uint8Array | undefined
  readonly limit: number
}

export function createCertificateRegister(
  database: Kysely<AuthorityTables>,
  authorities: Readonly<Record<CertificateKind, IssuingAuthority>>,
  { clock, random, ocsp }: { readonly clock: Clock; readonly random: Random; readonly ocsp: string },
): CertificateRegister {
  const now = () => storedTime(clock.now())

  function template(request: CertificateRequest): CertificateTemplate {
    const { kind, publicKey, locality, attributes, birthDate } = request
    const { certificate: issuer } = authorities[kind]
    const issued = clock.now()
    const validity = request.validity ?? { notBefore: issued, notAfter: fifthBirthday(issued, birthDate) }
    const { notBefore, notAfter } = validity
    if (notBefore >= notAfter || notBefore < issuer.notBefore || notAfter > issuer.notAfter) {
      throw new AuthorityError('validity-refused')
    }
    requireHolderKey(publicKey)
    const commonName = newCommonName(random)
    const card = { serial: newSerial(random), publicKey, notBefore, notAfter, issuer, commonName, locality, ocsp }
    if ((kind === 'digital-signature') !== (attributes !== undefined)) throw new AuthorityError('subject-required')
    if (!attributes) return userAuthenticationCertificate(card)
    const { name, address, sex } = attributes
    const nameSubstitutes = attributes.nameSubstitutes ?? '0'.repeat([...name].length)
    const addressSubstitutes = attributes.addressSubstitutes ?? '0'.repeat([...address].length)
    const statement = { name, address, sex, birthDate: eraBirthDate(birthDate), nameSubstitutes, addressSubstitutes }
    return signatureCertificate(card, statement)
  }

  return {
    async issue(request, person) {
      const { kind, holder } = request
      const draft = template(request)
      // The intent is durable before the key is used: a crash leaves a serial that is known and can be revoked.
      await database
        .insertInto('certificate')
        .values({
          serial: draft.serial,
          ...{ kind, state: 'intended', holder, public_key: draft.publicKey },
          not_before: storedTime(draft.notBefore),
          not_after: storedTime(draft.notAfter),
          intended_at: now(),
          intended_by: person,
        })
        .execute()
      const { raw } = await issueCertificate(draft, authorities[kind].signer)
      const row = await database
        .updateTable('certificate')
        .set(({ eb }) => ({
          der: raw,
          state: eb
            .case()
            .when('state', '=', 'intended')
            .then('issued' as const)
            .else(eb.ref('state'))
            .end(),
        }))
        .where('serial', '=', draft.serial)
        .returningAll()
        .executeTakeFirstOrThrow()
      return toEntry(row)
    },

    async revoke(serial, reason, person) {
      const row = await database
        .updateTable('certificate')
        .set({ state: 'revoked', reason, revoked_at: now(), revoked_by: person })
        .where('serial', '=', serial)
        .where('state', '<>', 'revoked')
        .returningAll()
        .executeTakeFirst()
      if (row) return toEntry(row)
      const known = await database.selectFrom('certificate').select('serial').where('serial', '=', serial).execute()
      throw new AuthorityError(known.length > 0 ? 'certificate-already-revoked' : 'certificate-unknown')
    },

    async find(kind, serial) {
      const query = database.selectFrom('certificate').selectAll().where('serial', '=', serial).where('kind', '=', kind)
      const row = await query.executeTakeFirst()
      return row && toEntry(row)
    },

    async list({ kind, state, holder, after, limit }) {
      let query = database.selectFrom('certificate').selectAll().orderBy('serial').limit(limit)
      if (kind) query = query.where('kind', '=', kind)
      if (state) query = query.where('state', '=', state)
      if (holder) query = query.where('holder', '=', holder)
      if (after) query = query.where('serial', '>', after)
      return (await query.execute()).map(toEntry)
    },
  }
}

/** A revoked certificate as CRLs name it. */
export interface RevokedCertificate {
  readonly serial: Uint8Array
  readonly revokedAt: Time
  readonly reason: Reason
}

/** Revoked certificates of one CA that end at `endingFrom` or later, by serial; within a transaction if one is given. */
export async function readRevoked(
  database: Kysely<AuthorityTables>,
  kind: CertificateKind,
  endingFrom: Time,
): Promise<readonly RevokedCertificate[]> {
  const rows = await database
    .selectFrom('certificate')
    .select(['serial', 'revoked_at as revokedAt', 'reason'])
    .where('kind', '=', kind)
    .where('state', '=', 'revoked')
    .where('not_after', '>=', storedTime(endingFrom))
    .orderBy('serial')
    .execute()
  return rows as unknown as readonly RevokedCertificate[]
}

/** Today's cards have RSA-2048, the next generation P-384. */
function requireHolderKey(publicKey: Uint8Array): void {
  try {
    const key = decodePublicKey(publicKey)
    if (key.kind === 'ec' ? key.curve === 'p384' : key.modulus.length <= 512) return
  } catch (error) {
    if (!(error instanceof PkiError)) throw error
  }
  throw new AuthorityError('public-key-refused')
}

/** 23 characters as real ones have, beginning with what they are. */
function newCommonName(random: Random): string {
  const alphabet = '0123456789ABCDEFGHJKLMNPQRSTUVWX'
  return `KAZASUTEST${[...random.bytes(13)].map((byte) => alphabet[byte & 31]).join('')}`
}

function toEntry(row: Selectable<AuthorityTables['certificate']>): CertificateEntry {
  const { serial, kind, state, holder, der } = row
  return {
    ...{ serial, kind, state, holder, der },
    notBefore: row.not_before,
    notAfter: row.not_after,
    intendedAt: row.intended_at,
    revokedAt: row.revoked_at,
    reason: row.reason as Reason | null,
  }
}
