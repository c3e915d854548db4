import type { Kysely, Selectable } from 'kysely'
import { AdministrationError } from '#administration'
import { type Clock, japanDate, type Random } from '#clock'
import { type Cvc, PkiError, type VerifiedCvcRequest, verifyCvcRequest } from '#pki'
import { isUniqueViolation, storedTime } from '#store'
import { AuthorityError } from './failures.ts'
import { CVCA_HOLDER, type InstitutionRoot } from './institution-certificates.ts'
import type { ApplicationState, AuthorityTables } from './migrations.ts'

/** What a provider hands in. */
export interface UnverifiedApplication {
  readonly provider: string
  readonly name: string
  /** Certificate request (`7F21`) signed by the DV key it is for: key, holder reference and proof of possession in one. */
  readonly request: Uint8Array
  /** How long each DV certificate lasts. */
  readonly days: number
}

/** An application and its fate. Persons are named by the ids of their keys. */
export interface Application extends UnverifiedApplication {
  readonly id: string
  /** Certificate holder reference: `JP`, holder mnemonic, 5 digits. */
  readonly reference: string
  /** SubjectPublicKeyInfo of the DV key. */
  readonly publicKey: Uint8Array
  readonly state: ApplicationState
  readonly submittedBy: string
  readonly submittedAt: number
  readonly approvedBy: string | null
  readonly approvedAt: number | null
  readonly withdrawnBy: string | null
  readonly withdrawnAt: number | null
}

/** 機関の登録簿 – which providers may hold a DV certificate, and who decided so. */
export interface Registry {
  /** @throws AuthorityError `request-refused`, `provider-taken`, `holder-taken` */
  submit(unverified: UnverifiedApplication, person: string): Promise<Application>
  /**
   * The second person's act. `today` is the date on that person's own machine, so that a wrong clock here cannot date
   * a certificate ahead. An approval whose certificate was lost in a crash is completed by {@link renew}.
   * @throws AuthorityError `application-unknown`, `application-decided`, `today-differs`; AdministrationError `same-person`
   */
  approve(id: string, person: string, today: string): Promise<{ application: Application; certificate: Cvc }>
  /**
   * A new certificate for the same key and holder, effective today: within the approval, so one person suffices.
   * @throws AuthorityError `application-unknown`, `application-not-approved`, `today-differs`
   */
  renew(id: string, today: string): Promise<{ application: Application; certificate: Cvc }>
  /** Ends an application or an approval: nothing is issued for it any more. @throws AuthorityError as above */
  withdraw(id: string, person: string): Promise<Application>
  /** @throws AuthorityError `application-unknown` */
  find(id: string): Promise<{ application: Application; certificate: Cvc | undefined }>
  /** The newest certificate of an approved provider. @throws AuthorityError `institution-unknown` */
  certificateOf(provider: string): Promise<Cvc>
  /** Newest first. */
  list(): Promise<readonly Application[]>
}

export function createRegistry(
  database: Kysely<AuthorityTables>,
  root: InstitutionRoot,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Registry {
  const now = () => storedTime(clock.now())

  async function read(id: string): Promise<Application> {
    const row = await database.selectFrom('application').selectAll().where('id', '=', id).executeTakeFirst()
    if (!row) throw new AuthorityError('application-unknown')
    return toApplication(row)
  }

  /** Terminals' certificates name their issuer by reference alone: it never passes to another key. */
  async function isForOtherKey(reference: string, publicKey: Uint8Array): Promise<boolean> {
    const query = database.selectFrom('application').select('id').where('reference', '=', reference)
    return (await query.where('public_key', '<>', publicKey).limit(1).execute()).length > 0
  }

  function requireToday(today: string): void {
    if (today !== japanDate(clock.now()))
      throw new AuthorityError('today-differs', { authority: japanDate(clock.now()) })
  }

  return {
    async submit(unverified, person) {
      const { provider, name, request, days } = unverified
      const { chr: reference, publicKey } = verifyRequest(request)
      const holder = reference.slice(2, -5)
      if (holder === CVCA_HOLDER || (await isForOtherKey(reference, publicKey)))
        throw new AuthorityError('holder-taken')
      const columns = { provider, name, holder, reference, public_key: publicKey, request, days, submitted_by: person }
      const row = await database
        .insertInto('application')
        .values({ id: newId(random), state: 'submitted', submitted_at: now(), ...columns })
        .returningAll()
        .executeTakeFirstOrThrow()
        .catch((error: unknown) => {
          if (isUniqueViolation(error, 'application_provider')) throw new AuthorityError('provider-taken')
          if (isUniqueViolation(error, 'application_holder')) throw new AuthorityError('holder-taken')
          throw error
        })
      return toApplication(row)
    },

    async approve(id, person, today) {
      const { submittedBy, state } = await read(id)
      if (state !== 'submitted') throw new AuthorityError('application-decided')
      if (submittedBy === person) throw new AdministrationError('same-person')
      requireToday(today)
      const row = await database
        .updateTable('application')
        .set({ state: 'approved', approved_by: person, approved_at: now() })
        .where('id', '=', id)
        .where('state', '=', 'submitted')
        .where('submitted_by', '<>', person)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw new AuthorityError('application-decided')
      const application = toApplication(row)
      return { application, certificate: await root.issue(application, today) }
    },

    async renew(id, today) {
      const application = await read(id)
      if (application.state !== 'approved') throw new AuthorityError('application-not-approved')
      requireToday(today)
      return { application, certificate: await root.issue(application, today) }
    },

    async withdraw(id, person) {
      await read(id)
      const row = await database
        .updateTable('application')
        .set({ state: 'withdrawn', withdrawn_by: person, withdrawn_at: now() })
        .where('id', '=', id)
        .where('state', '<>', 'withdrawn')
        .returningAll()
        .executeTakeFirst()
      if (!row) throw new AuthorityError('application-decided')
      return toApplication(row)
    },

    async find(id) {
      return { application: await read(id), certificate: await root.newest(id) }
    },

    async certificateOf(provider) {
      const row = await database
        .selectFrom('application')
        .select('id')
        .where('provider', '=', provider)
        .where('state', '=', 'approved')
        .executeTakeFirst()
      const certificate = row && (await root.newest(row.id))
      if (!certificate) throw new AuthorityError('institution-unknown')
      return certificate
    },

    async list() {
      const rows = await database
        .selectFrom('application')
        .selectAll()
        .orderBy('submitted_at', 'desc')
        .orderBy('id')
        .limit(1000)
        .execute()
      return rows.map(toApplication)
    },
  }
}

function verifyRequest(unverified: Uint8Array): VerifiedCvcRequest {
  try {
    return verifyCvcRequest(unverified)
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    throw new AuthorityError('request-refused', { reason: cause.code }, { cause })
  }
}

/** A random UUID (RFC 9562 §5.4). */
function newId(random: Random): string {
  const bytes = random.bytes(16)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40)
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80)
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function toApplication(row: Selectable<AuthorityTables['application']>): Application {
  const { id, provider, name, reference, request, days, state } = row
  return {
    ...{ id, provider, name, reference, request, days, state },
    publicKey: row.public_key,
    submittedBy: row.submitted_by,
    submittedAt: row.submitted_at,
    approvedBy: row.approved_by,
    approvedAt: row.approved_at,
    withdrawnBy: row.withdrawn_by,
    withdrawnAt: row.withdrawn_at,
  }
}
