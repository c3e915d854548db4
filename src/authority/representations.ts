import { z } from 'zod'
import { encodeBase64url } from '#bytes'
import { timeText } from '#clock'
import { bytesTextUpTo, identifier, timeString, version } from '#messages'
import { type CertificateEntry, REASONS } from './certificates.ts'
import type { SignedCvc } from './institution-certificates.ts'
import { KINDS } from './migrations.ts'
import type { Application } from './registry.ts'

/** `YYYY-MM-DD` of a day that exists. */
export const dateText = z.iso.date()
/** Text for people: no control characters. */
const words = (length: number) =>
  z
    .string()
    .min(1)
    .max(length)
    .regex(/^\P{Cc}+$/u)
const bytes = bytesTextUpTo(4096)
const uuid = z.string().regex(/^[0-9a-f-]{36}$/)
export const serialText = bytesTextUpTo(20)
export const serialPath = z.strictObject({ serial: serialText })
const romaji = z.string().regex(/^[A-Za-z][A-Za-z .'-]{0,63}$/)
const substitutes = z.string().regex(/^[01]{1,256}$/)

export const certificateRequest = z
  .strictObject({
    v: version,
    kind: z.enum(KINDS),
    holder: identifier.describe('The holder as the operator calls them: an id, never a name'),
    publicKey: bytes.describe('SubjectPublicKeyInfo, base64url: RSA 2048–4096 or P-384'),
    locality: z.strictObject({ prefecture: romaji, city: romaji }),
    birthDate: dateText,
    attributes: z
      .strictObject({
        name: words(128),
        address: words(256),
        sex: z.enum(['1', '2', '9']),
        nameSubstitutes: substitutes.optional(),
        addressSubstitutes: substitutes.optional(),
      })
      .optional()
      .describe('For digital-signature only. Of an invented person: this is a test authority'),
    validity: z
      .strictObject({ notBefore: timeString, notAfter: timeString })
      .optional()
      .describe('Test authority only: any period within the CA certificate, also one that is over already'),
  })
  .describe('From now to the end of the fifth birthday unless `validity` is given')

export const certificateView = z.object({
  serial: serialText,
  kind: z.enum(KINDS),
  state: z.enum(['intended', 'issued', 'revoked']),
  holder: identifier,
  notBefore: timeString,
  notAfter: timeString,
  intendedAt: timeString,
  certificate: z.string().nullable().describe('DER, base64url; null where the signature never came to be known'),
  revokedAt: timeString.nullable(),
  reason: z.enum(REASONS).nullable(),
})

export const certificateQuery = z.strictObject({
  kind: z.enum(KINDS).optional(),
  state: z.enum(['intended', 'issued', 'revoked']).optional(),
  holder: identifier.optional(),
  after: serialText.optional().describe('The `next` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export const certificateList = z.object({
  v: version,
  certificates: z.array(certificateView),
  next: serialText.nullable(),
})
export const revocationRequest = z.strictObject({ v: version, reason: z.enum(REASONS) })

export const applicationRequest = z
  .strictObject({
    v: version,
    provider: identifier,
    name: words(128),
    request: bytes.describe(
      'Card verifiable certificate request, base64url: 7F21 signed by the DV key itself (BSI TR-03110-3 C.2), holder ' +
        'reference JP + up to 9 of [A-Z0-9] + 5 digits; P-256 or RSA 2048–4096',
    ),
    days: z.int().min(1).max(397).default(90).describe('How long each DV certificate lasts'),
  })
  .describe('An operator enters what a provider handed in; a second person approves')

export const applicationView = z.object({
  id: uuid,
  provider: identifier,
  name: z.string(),
  reference: z.string(),
  publicKey: bytes,
  days: z.int(),
  state: z.enum(['submitted', 'approved', 'withdrawn']),
  submittedBy: z.string(),
  submittedAt: timeString,
  approvedBy: z.string().nullable(),
  approvedAt: timeString.nullable(),
  withdrawnBy: z.string().nullable(),
  withdrawnAt: timeString.nullable(),
})
export const applicationId = z.strictObject({ id: uuid })
export const applicationAnswer = z.object({
  v: version,
  application: applicationView,
  certificate: z.string().nullable().describe('Newest DV certificate, 7F21, base64url'),
})
export const applicationList = z.object({ v: version, applications: z.array(applicationView) })
export const todayRequest = z
  .strictObject({ v: version, today: dateText })
  .describe("`today` in Japan by the clock of the caller's own machine: the authority signs only if its own agrees")
export const plainRequest = z.strictObject({ v: version })

export const institutionChain = z.object({
  v: version,
  provider: identifier,
  dv: z.string().describe('7F21, base64url'),
  cvca: z.string().describe('7F21, base64url'),
})
export const cvcQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe('The `next` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export const cvcList = z.object({
  v: version,
  certificates: z.array(
    z.object({
      id: z.int(),
      role: z.enum(['cvca', 'dv']),
      chr: z.string(),
      effective: dateText,
      expiry: dateText,
      application: uuid.nullable(),
      intendedAt: timeString,
      certificate: z.string().nullable().describe('7F21, base64url; null where only the intent is known'),
    }),
  ),
  next: z.int().nullable(),
})
export const anchors = z.object({
  v: version,
  organisation: z.string().describe('Says that this is a test'),
  certificateAuthorities: z.array(z.object({ kind: z.enum(KINDS), certificate: z.string() })),
  ocspResponders: z.array(z.object({ kind: z.enum(KINDS), certificate: z.string() })),
  cvca: z.string().describe('7F21, base64url'),
})

const time = (at: number | null): string | null => (at === null ? null : timeText(at))
const text = (value: Uint8Array | null | undefined): string | null => (value ? encodeBase64url(value) : null)

export function viewCertificate(entry: CertificateEntry): z.input<typeof certificateView> {
  const { kind, state, holder, reason } = entry
  return {
    serial: encodeBase64url(entry.serial),
    ...{ kind, state, holder, reason },
    notBefore: timeText(entry.notBefore),
    notAfter: timeText(entry.notAfter),
    intendedAt: timeText(entry.intendedAt),
    certificate: text(entry.der),
    revokedAt: time(entry.revokedAt),
  }
}

export function viewApplication(application: Application): z.input<typeof applicationView> {
  const { id, provider, name, reference, days, state, submittedBy, approvedBy, withdrawnBy } = application
  return {
    ...{ id, provider, name, reference, days, state, submittedBy, approvedBy, withdrawnBy },
    publicKey: encodeBase64url(application.publicKey),
    submittedAt: timeText(application.submittedAt),
    approvedAt: time(application.approvedAt),
    withdrawnAt: time(application.withdrawnAt),
  }
}

export function viewCvc({ raw, intendedAt, ...line }: SignedCvc): z.input<typeof cvcList>['certificates'][number] {
  return { ...line, intendedAt: timeText(intendedAt), certificate: text(raw) }
}
