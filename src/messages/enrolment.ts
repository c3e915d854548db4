import { z } from 'zod'
import { decodeBase64url, encodeBase64url, equalBytes } from '#bytes'
import type { Signer } from '#pki'
import { MessagesError } from './failures.ts'
import { bytesText, bytesTextUpTo, canonicalJson, sha256 } from './forms.ts'
import { BASES, identifier, MECHANISMS, version } from './identifiers.ts'
import { signJws, verifyJws } from './jws.ts'

const ENROLMENT = 'kazasu-enrolment+jwt'

/** 登録 – a terminal joins: a one-time code, its device key, and a certificate request by its institution key. */
export const enrolmentRequest = z.strictObject({
  v: version,
  code: bytesText(16),
  /** SubjectPublicKeyInfo, P-256. */
  deviceKey: bytesTextUpTo(256),
  /** `7F21 {7F4E, 5F37}`, signed by the key that it asks a certificate for. */
  certificateRequest: bytesTextUpTo(2048),
  /** Compact JWS of {@link signEnrolment}. */
  statement: z.string().max(2048),
})
export type EnrolmentRequest = z.infer<typeof enrolmentRequest>

/** A new certificate for an enrolled terminal, for the same institution key or another. */
export const renewalRequest = enrolmentRequest.omit({ code: true, deviceKey: true })
export type RenewalRequest = z.infer<typeof renewalRequest>

/** What the device key binds together: three keys and one code are in one hand. */
export interface EnrolmentParts {
  /** b64u of 16 bytes; null in a renewal. */
  readonly code: string | null
  /** b64u SHA-256 of the TLS certificate that the request comes under. */
  readonly tlsThumbprint: string
  /** b64u, as sent. */
  readonly certificateRequest: string
}

/** H(code): what is kept of an enrolment code, b64u. */
export const enrolmentCodeHash = (code: string): string => encodeBase64url(sha256(decodeBase64url(code)))

function statementOf({ code, tlsThumbprint, certificateRequest }: EnrolmentParts): Uint8Array {
  const codeHash = code === null ? null : enrolmentCodeHash(code)
  const requestHash = encodeBase64url(sha256(decodeBase64url(certificateRequest)))
  return canonicalJson({ v: 1, codeHash, tlsThumbprint, requestHash })
}

/** Proof that the device key is held: JWS over `{v, codeHash, tlsThumbprint, requestHash}`, codeHash null in a renewal. */
export function signEnrolment(parts: EnrolmentParts, deviceKey: Signer): Promise<string> {
  return signJws({ typ: ENROLMENT }, JSON.parse(new TextDecoder().decode(statementOf(parts))), deviceKey)
}

/** @throws MessagesError `signature-invalid` unless this key signed exactly these parts */
export async function verifyEnrolment(unverified: string, parts: EnrolmentParts, deviceKey: Uint8Array): Promise<void> {
  const payload = await verifyJws(unverified, ENROLMENT, deviceKey)
  if (!equalBytes(payload, statementOf(parts))) throw new MessagesError('signature-invalid', { typ: ENROLMENT })
}

/** What a terminal may ask nonces for: a row of the provider's policy table. */
export const offer = z.strictObject({
  purpose: identifier,
  mechanism: z.enum(MECHANISMS),
  basis: z.enum(BASES),
  /** Consent texts accepted for it. */
  texts: z.array(z.strictObject({ textId: identifier, lang: z.enum(['ja', 'en']) })),
})
export type Offer = z.infer<typeof offer>

/** A terminal as its provider knows it: answer to enrolment and renewal, and what it compares after a refusal. */
export const terminalView = z.strictObject({
  v: version,
  provider: identifier,
  institution: identifier,
  terminal: identifier,
  attended: z.boolean(),
  state: z.enum(['enrolled', 'active', 'suspended']),
  /** b64u H of the last device statement that counted. */
  head: bytesText(32),
  counter: z.int().min(0),
  operator: identifier.nullable(),
  lease: identifier.nullable(),
  /** b64u `7F21` of DV and newest terminal certificate; null if none is in force. */
  chain: z.tuple([bytesTextUpTo(2048), bytesTextUpTo(2048)]).nullable(),
  /** Registered software of the institution, and whom it may ask the holder's consent for. */
  clients: z.array(z.strictObject({ id: identifier, audiences: z.array(identifier) })),
  offers: z.array(offer),
})
export type TerminalView = z.infer<typeof terminalView>
