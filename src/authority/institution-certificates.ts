import type { Kysely, Transaction } from 'kysely'
import { type Clock, DAY, japanDate, parseTime } from '#clock'
import { type Cvc, type CvcTemplate, decodeCvc, issueCvc, type Signer, trustCvca, verifyCvc } from '#pki'
import { storedTime } from '#store'
import { AuthorityError } from './failures.ts'
import type { AuthorityTables } from './migrations.ts'
import type { Application } from './registry.ts'

/** Holder of the institution root, in its name a test. */
export const CVCA_HOLDER = 'KAZASUTST'
const CVCA_DAYS = 3650

/** The day `days` after `date`, both `YYYY-MM-DD`. */
export function addDays(date: string, days: number): string {
  const time = parseTime(`${date}T00:00:00.000Z`)
  if (time === undefined) throw new RangeError('not a date')
  return japanDate(time + days * DAY)
}

/** One line of the append-only list of card verifiable certificates; `raw` is null where only the intent is known. */
export interface SignedCvc {
  readonly id: number
  readonly role: 'cvca' | 'dv'
  readonly chr: string
  readonly effective: string
  readonly expiry: string
  readonly application: string | null
  readonly intendedAt: number
  readonly raw: Uint8Array | null
}

/** 機関認証用証明書の発行 – the root of institution authentication and all it has signed. */
export interface InstitutionRoot {
  /** The root's self-signed certificate. */
  readonly cvca: Cvc
  /**
   * A DV certificate for `days`, effective today (Japan), never beyond the root; a key keeps its reference. The intent
   * is committed first.
   * @throws AuthorityError `effective-in-future`, `application-not-approved`
   */
  issue(application: Pick<Application, 'id' | 'reference' | 'publicKey' | 'days'>, today: string): Promise<Cvc>
  /** The newest DV certificate of an application. */
  newest(application: string): Promise<Cvc | undefined>
  /** Everything signed or about to be signed, oldest first, after line `after`. */
  list(after: number, limit: number): Promise<readonly SignedCvc[]>
}

/**
 * Opens the root; at the first start it signs its own certificate.
 * @throws AuthorityError `keys-mismatch`
 */
export async function openInstitutionRoot(
  database: Kysely<AuthorityTables>,
  signer: Signer,
  clock: Clock,
): Promise<InstitutionRoot> {
  /**
   * Every signature of the root passes here: the date is judged, the intent is committed, then the key is used, then
   * the signature is kept. A crash in between leaves an intent without a certificate, which the list shows.
   */
  async function sign(template: CvcTemplate & { role: 'cvca' | 'dv' }, application: string | null): Promise<Cvc> {
    // A CVCA-signed future date moves the date of cards past their certificates, for good (protocol.md section 2).
    if (template.effective > japanDate(clock.now())) throw new AuthorityError('effective-in-future')
    const { role, car, chr, publicKey, effective, expiry } = template
    const intent = await database.transaction().execute(async (transaction) => {
      if (application !== null) await holdApproval(transaction, application)
      return transaction
        .insertInto('cvc_intent')
        .values({
          ...{ application, role, car, chr, public_key: publicKey, effective, expiry },
          intended_at: storedTime(clock.now()),
        })
        .returning('id')
        .executeTakeFirstOrThrow()
    })
    const cvc = await issueCvc(template, signer)
    await database
      .insertInto('cvc')
      .values({ intent: intent.id, raw: cvc.raw, signed_at: storedTime(clock.now()) })
      .execute()
    return cvc
  }

  const newestRaw = (role: 'cvca' | 'dv', application: string | null) =>
    database
      .selectFrom('cvc')
      .innerJoin('cvc_intent', 'cvc_intent.id', 'cvc.intent')
      .select('cvc.raw')
      .where('cvc_intent.role', '=', role)
      .where('cvc_intent.application', 'is not distinct from', application)
      .orderBy('cvc.intent', 'desc')
      .limit(1)
      .executeTakeFirst()

  async function selfSigned(): Promise<Cvc> {
    const effective = japanDate(clock.now())
    const chr = `JP${CVCA_HOLDER}00001`
    const expiry = addDays(effective, CVCA_DAYS)
    const { publicKey } = signer
    return sign({ role: 'cvca', car: chr, chr, pinless: true, publicKey, effective, expiry }, null)
  }

  const stored = await newestRaw('cvca', null)
  const cvca = stored ? decodeCvc(stored.raw) : await selfSigned()
  if (Buffer.compare(cvca.publicKey, signer.publicKey) !== 0) throw new AuthorityError('keys-mismatch', { key: 'cvca' })
  const anchor = trustCvca(cvca)

  return {
    cvca,
    async issue({ id, reference: chr, publicKey, days }, today) {
      const last = addDays(today, days)
      const expiry = last < cvca.expiry ? last : cvca.expiry
      const template = { role: 'dv' as const, car: cvca.chr, chr, pinless: true, publicKey, effective: today, expiry }
      const cvc = await sign(template, id)
      verifyCvc(cvc, anchor, today)
      return cvc
    },
    async newest(application) {
      const row = await newestRaw('dv', application)
      return row && decodeCvc(row.raw)
    },
    async list(after, limit) {
      const rows = await database
        .selectFrom('cvc_intent')
        .leftJoin('cvc', 'cvc.intent', 'cvc_intent.id')
        .select(['id', 'role', 'chr', 'effective', 'expiry', 'application', 'intended_at as intendedAt', 'raw'])
        .where('id', '>', after)
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows as unknown as readonly SignedCvc[]
    },
  }
}

/** No withdrawal commits between this and the end of the transaction; after one, no intent does. */
async function holdApproval(transaction: Transaction<AuthorityTables>, id: string): Promise<void> {
  const query = transaction.selectFrom('application').select('id').where('id', '=', id)
  const held = await query.where('state', '=', 'approved').forShare().executeTakeFirst()
  if (!held) throw new AuthorityError('application-not-approved')
}
