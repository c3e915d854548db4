import { createPublicKey } from 'node:crypto'
import { BytesError, decodeBase64url, encodeBase64url, equalBytes } from '#bytes'
import { MINUTE } from '#clock'
import {
  type EnrolmentRequest,
  enrolmentCodeHash,
  MessagesError,
  type RenewalRequest,
  verifyEnrolment,
} from '#messages'
import { decodePublicKey, PkiError, type VerifiedCvcRequest, verifyCvcRequest } from '#pki'
import { isUniqueViolation } from '#store'
import type { IssuingProvider } from './context.ts'
import { ProviderError } from './failures.ts'
import type { EnrolmentTable, ProviderTransaction } from './tables.ts'
import { intendCertificate, issueTerminalCertificate, registerCertificate } from './terminal-certificates.ts'
import { FIRST_HEAD, type IdentifiedTerminal } from './terminals.ts'

/** For whom a code is. */
export interface Invitation {
  readonly terminal: string
  readonly institution: string
  readonly attended: boolean
}

/** What TLS shows of a client: its certificate's thumbprint (b64u) and key (SPKI). */
export interface TlsClient {
  readonly thumbprint: string
  readonly publicKey: Uint8Array
}

const CODE_LIFE = 15 * MINUTE
const CODE_LENGTH = 16

/**
 * 登録コード – a one-time code of 128 bits for one terminal; only its hash is kept. A code for a terminal that exists
 * replaces its keys, for a device that was lost or copied; its institution stays.
 * @throws ProviderError `not-found`, `exists` if the terminal belongs to another institution
 */
export async function createEnrolmentCode(
  { database, clock, random }: IssuingProvider,
  { terminal, institution, attended }: Invitation,
  life: number = CODE_LIFE,
): Promise<{ readonly code: string; readonly expiresAt: number }> {
  const [known, enrolled] = await Promise.all([
    database.selectFrom('institution').select('id').where('id', '=', institution).executeTakeFirst(),
    database.selectFrom('terminal').select('institution').where('id', '=', terminal).executeTakeFirst(),
  ])
  if (!known) throw new ProviderError('not-found', { what: 'institution' })
  if (enrolled && enrolled.institution !== institution) throw new ProviderError('exists', { what: 'terminal' })
  const code = encodeBase64url(random.bytes(CODE_LENGTH))
  const expiresAt = clock.now() + life
  await database
    .insertInto('enrolment')
    .values({
      ...{ code_hash: enrolmentCodeHash(code), terminal, institution, attended },
      ...{ expires_at: expiresAt, used_at: null },
    })
    .execute()
  return { code, expiresAt }
}

/**
 * 端末の登録 – spends a code on a terminal whose three keys – TLS, device, institution – are proven to be in one hand,
 * and gives it its first certificate. State afterwards: `enrolled`. Sent again under the same keys, as after a lost
 * answer, it changes nothing.
 * @returns the terminal's id
 * @throws ProviderError `enrolment-code`, `enrolment-request`, `trust-missing`
 */
export async function enrolTerminal(
  provider: IssuingProvider,
  unverified: EnrolmentRequest,
  tls: TlsClient,
): Promise<string> {
  const { database, clock } = provider
  const { code, deviceKey, certificateRequest, statement } = unverified
  const invitation = await database
    .selectFrom('enrolment')
    .selectAll()
    .where('code_hash', '=', enrolmentCodeHash(code))
    .executeTakeFirst()
  if (!invitation || invitation.expires_at <= clock.now()) throw new ProviderError('enrolment-code')
  const device = decodeBase64url(deviceKey)
  const request = await verifyKeys({ code, certificateRequest, statement }, device, tls)
  if (invitation.used_at === null) {
    const intent = await database
      .transaction()
      .execute((transaction) =>
        intendCertificate(provider, transaction, invitation.terminal, request.publicKey, 'enrolment'),
      )
    const cvc = await issueTerminalCertificate(provider, intent, request.publicKey)
    const enrolled = await database.transaction().execute(async (transaction) => {
      if (!(await spendCode(transaction, invitation.code_hash, clock.now()))) return false
      await keepTerminal(transaction, invitation, { device, thumbprint: tls.thumbprint }, clock.now())
      await registerCertificate(transaction, invitation.terminal, cvc)
      return true
    })
    if (enrolled) return invitation.terminal
  }
  await requireSameTerminal(provider, invitation.terminal, { device, tls, request })
  return invitation.terminal
}

/**
 * A new certificate for an enrolled terminal, for the same institution key or another; the older ones stay until they
 * expire or are withdrawn, so that a tap under way is not lost.
 * @throws ProviderError `enrolment-request`, `terminal-suspended`, `terminal-changed`, `trust-missing`,
 * `too-many-requests`
 */
export async function renewCertificate(
  provider: IssuingProvider,
  terminal: IdentifiedTerminal,
  unverified: RenewalRequest,
  tls: TlsClient,
): Promise<void> {
  if (terminal.state === 'suspended') throw new ProviderError('terminal-suspended')
  const { publicKey } = await verifyKeys({ ...unverified, code: null }, terminal.deviceKey, tls)
  const { database } = provider
  const intent = await database.transaction().execute(async (transaction) => {
    await holdTerminal(transaction, terminal)
    return intendCertificate(provider, transaction, terminal.id, publicKey, 'renewal')
  })
  const cvc = await issueTerminalCertificate(provider, intent, publicKey)
  await database.transaction().execute(async (transaction) => {
    await holdTerminal(transaction, terminal)
    await registerCertificate(transaction, terminal.id, cvc)
  })
}

/** Terminal and institution as they were found; neither is suspended before the end of the transaction. */
async function holdTerminal(
  transaction: ProviderTransaction,
  { id, suspendEpoch, institutionEpoch }: IdentifiedTerminal,
): Promise<void> {
  const row = await transaction
    .selectFrom('terminal')
    .innerJoin('institution', 'institution.id', 'terminal.institution')
    .select('terminal.id')
    .where('terminal.id', '=', id)
    .where('suspend_epoch', '=', suspendEpoch)
    .where('institution.epoch', '=', institutionEpoch)
    .forUpdate('terminal')
    .forShare('institution')
    .executeTakeFirst()
  if (!row) throw new ProviderError('terminal-changed')
}

/** All three keys are held by whoever asks, and they are three. @throws ProviderError `enrolment-request` */
async function verifyKeys(
  unverified: { readonly code: string | null; readonly certificateRequest: string; readonly statement: string },
  deviceKey: Uint8Array,
  tls: TlsClient,
): Promise<VerifiedCvcRequest> {
  try {
    const device = decodePublicKey(deviceKey)
    if (device.kind !== 'ec' || device.curve !== 'p256') throw new PkiError('public-key-unsupported')
    createPublicKey({ key: Buffer.from(deviceKey), format: 'der', type: 'spki' }) // the point is on its curve
    const { code, certificateRequest, statement } = unverified
    await verifyEnrolment(statement, { code, certificateRequest, tlsThumbprint: tls.thumbprint }, deviceKey)
    const request = verifyCvcRequest(decodeBase64url(certificateRequest))
    const keys = [deviceKey, tls.publicKey, request.publicKey]
    const same = keys.some((key, i) => keys.slice(i + 1).some((other) => equalBytes(key, other)))
    if (same) throw new ProviderError('enrolment-request', { reason: 'one key for two purposes' })
    return request
  } catch (cause) {
    if (cause instanceof ProviderError) throw cause
    const ours = cause instanceof PkiError || cause instanceof MessagesError || cause instanceof BytesError
    throw new ProviderError('enrolment-request', { reason: ours ? cause.code : 'device key' }, { cause })
  }
}

async function spendCode(transaction: ProviderTransaction, codeHash: string, now: number): Promise<boolean> {
  const spent = await transaction
    .updateTable('enrolment')
    .set({ used_at: now })
    .where('code_hash', '=', codeHash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returning('code_hash')
    .executeTakeFirst()
  return spent !== undefined
}

/** A new row, or new keys for an old one: then nothing that was checked under the old keys can commit any more. */
async function keepTerminal(
  transaction: ProviderTransaction,
  { terminal, institution, attended }: Pick<EnrolmentTable, 'terminal' | 'institution' | 'attended'>,
  { device, thumbprint }: { readonly device: Uint8Array; readonly thumbprint: string },
  now: number,
): Promise<void> {
  const taken = await transaction
    .selectFrom('terminal')
    .select('id')
    .where('device_key', '=', device)
    .where('id', '<>', terminal)
    .executeTakeFirst()
  if (taken) throw new ProviderError('enrolment-request', { reason: 'device key of another terminal' })
  const afresh = {
    ...{ attended, thumbprint, device_key: device, head: FIRST_HEAD, counter: 0, state: 'enrolled' as const },
    ...{ operator: null, lease: null, lease_until: null, enrolled_at: now, last_seen_at: null },
  }
  await transaction
    .updateTable('terminal_certificate')
    .set({ withdrawn_at: now })
    .where('terminal', '=', terminal)
    .where('withdrawn_at', 'is', null)
    .execute()
  const kept = await transaction
    .insertInto('terminal')
    .values({ id: terminal, institution, ...afresh })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet(({ eb }) => ({ ...afresh, suspend_epoch: eb('terminal.suspend_epoch', '+', 1) }))
        .where('terminal.institution', '=', institution),
    )
    .returning('id')
    .executeTakeFirst()
    .catch((cause: unknown) => {
      if (!isUniqueViolation(cause)) throw cause
      throw new ProviderError('enrolment-request', { reason: 'TLS certificate of another terminal' }, { cause })
    })
  if (!kept) throw new ProviderError('exists', { what: 'terminal' })
}

/** A spent code counts again only for the very keys that it was spent on. @throws ProviderError `enrolment-code` */
async function requireSameTerminal(
  { database }: IssuingProvider,
  terminal: string,
  keys: { readonly device: Uint8Array; readonly tls: TlsClient; readonly request: VerifiedCvcRequest },
): Promise<void> {
  const row = await database
    .selectFrom('terminal')
    .innerJoin('terminal_certificate', 'terminal_certificate.terminal', 'terminal.id')
    .select('terminal.id')
    .where('terminal.id', '=', terminal)
    .where('thumbprint', '=', keys.tls.thumbprint)
    .where('device_key', '=', keys.device)
    .where('public_key', '=', keys.request.publicKey)
    .where('withdrawn_at', 'is', null)
    .executeTakeFirst()
  if (!row) throw new ProviderError('enrolment-code')
}
