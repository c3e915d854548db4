import {
  BytesError,
  contextConstructed,
  DER,
  DerReader,
  decodeBitStringValue,
  decodeTlv,
  decodeTlvs,
  decodeUnsignedIntegerValue,
  encodeBitString,
  encodeHex,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
  type Tlv,
} from '#bytes'
import type { Time } from '#clock'
import {
  decodeAlgorithmIdentifier,
  encodeAlgorithmIdentifier,
  encodeX509Signature,
  verifyX509Signature,
} from './algorithm-identifier.ts'
import { decodeTime, encodeTime } from './asn1-time.ts'
import { type Certificate, decodeSerial, keyIdentifier } from './certificate.ts'
import { checkName } from './distinguished-name.ts'
import { authorityKeyIdentifier, decodeExtensions, type Extension, encodeExtensions } from './extension.ts'
import { PkiError } from './failures.ts'
import { decodeDistributionPointNames, directoryName } from './general-name.ts'
import { EXTENSION } from './object-identifiers.ts'
import { type CertificateStatus, REVOCATION_REASONS, type Revocation } from './revocation.ts'
import type { SignatureAlgorithm, Signer } from './signer.ts'

declare const verified: unique symbol

/** 失効リスト – a complete CRL, version 2, decoded and not verified (RFC 5280 §5). */
export interface Crl {
  readonly raw: Uint8Array
  readonly tbs: Uint8Array
  /** DER of the Name. */
  readonly issuer: Uint8Array
  readonly thisUpdate: Time
  readonly nextUpdate: Time
  readonly number: bigint
  /** DER of the one GeneralName that this list is published under; `undefined`: it covers all of its issuer's. */
  readonly distributionPoint: Uint8Array | undefined
  /** By serial as {@link Certificate} has it. */
  readonly entries: ReadonlyMap<string, Revocation>
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  readonly signature: Uint8Array
}

/** A CRL whose signature, issuer and dates were verified by {@link verifyCrl}. */
export interface VerifiedCrl {
  readonly crl: Crl
  readonly issuer: Certificate
  readonly [verified]: 'crl'
}

/** What an issuer says. */
export interface CrlTemplate {
  readonly issuer: Certificate
  readonly thisUpdate: Time
  readonly nextUpdate: Time
  /** Rises with every list. */
  readonly number: bigint
  readonly entries: readonly (Revocation & { readonly serial: Uint8Array })[]
  /** DER of the Name of the distribution point, for a list that covers only the certificates that name it. */
  readonly distributionPoint?: Uint8Array
}

/** A list of ordinary size; the nation's takes another reader. */
const LIMITS = { size: 16 << 20, count: 200_000 }

/** Signs a complete CRL; what would be malformed is not signed. @throws PkiError `crl-malformed` */
export async function issueCrl(template: CrlTemplate, signer: Signer): Promise<Crl> {
  const algorithm = encodeAlgorithmIdentifier(signer.algorithm)
  const entries = template.entries.map(({ serial, revokedAt, reason }) =>
    encodeSequence(encodeUnsignedInteger(serial), encodeTime(revokedAt), ...reasonExtension(reason)),
  )
  const tbs = encodeSequence(
    encodeUnsignedInteger(Uint8Array.of(1)),
    algorithm,
    template.issuer.subject,
    encodeTime(template.thisUpdate),
    encodeTime(template.nextUpdate),
    ...(entries.length > 0 ? [encodeSequence(...entries)] : []), // absent when empty (RFC 5280 §5.1.2.6)
    encodeTlv(contextConstructed(0), encodeExtensions(listExtensions(template))),
  )
  const assemble = (signature: Uint8Array): Crl => decodeCrl(encodeSequence(tbs, algorithm, encodeBitString(signature)))
  assemble(new Uint8Array(0))
  return assemble(encodeX509Signature(signer.algorithm, await signer.sign(tbs)))
}

/**
 * Reads a complete CRL of up to 16 MB and 200,000 entries: version 2, nextUpdate and number present, no serial twice.
 * @throws PkiError `crl-malformed`; `crl-unsupported` for delta, indirect and partial lists and unknown critical extensions
 */
export function decodeCrl(unverified: Uint8Array): Crl {
  try {
    return decode(Uint8Array.from(unverified))
  } catch (cause) {
    const understood = cause instanceof BytesError || (cause instanceof PkiError && cause.code === 'time-malformed')
    if (!understood) throw cause
    throw new PkiError('crl-malformed', { reason: cause.code }, { cause })
  }
}

/**
 * Verifies a CRL under the CA whose certificates it covers – by key, as three JPKI roots share a name.
 * `tolerance` (ms): how far clocks may differ, and how long yesterday's list may stand in while today's is fetched.
 * @throws PkiError `crl-issuer`, `crl-signature`, `crl-stale`
 */
export function verifyCrl(
  unverified: Crl,
  issuer: Certificate,
  { at, tolerance }: { readonly at: Time; readonly tolerance: number },
): VerifiedCrl {
  const mayIssue = issuer.keyUsage?.includes('cRLSign') === true // RFC 5280 §6.3.3(f)
  if (!mayIssue || !equalBytes(unverified.issuer, issuer.subject)) throw new PkiError('crl-issuer')
  const { signatureAlgorithm, tbs, signature, thisUpdate, nextUpdate } = unverified
  if (!verifyX509Signature(issuer.publicKey, signatureAlgorithm, tbs, signature)) throw new PkiError('crl-signature')
  if (thisUpdate > at + tolerance || nextUpdate < at - tolerance) throw new PkiError('crl-stale')
  return { crl: unverified, issuer } as VerifiedCrl
}

/**
 * What the list says of a certificate of its issuer.
 * @throws PkiError `crl-scope` if the list does not cover it
 */
export function statusByCrl(certificate: Certificate, { crl }: VerifiedCrl): CertificateStatus {
  const points = certificate.extensions.get(EXTENSION.crlDistributionPoints)
  const names = points ? decodeDistributionPointNames(points.value) : []
  const { distributionPoint } = crl
  const inScope = !distributionPoint || names.some((name) => equalBytes(name, distributionPoint))
  if (!inScope || !equalBytes(certificate.issuer, crl.issuer)) throw new PkiError('crl-scope')
  const said = { by: 'crl', producedAt: crl.thisUpdate } as const
  const revocation = crl.entries.get(certificate.serial)
  return revocation ? { state: 'revoked', ...said, ...revocation } : { state: 'good', ...said }
}

function reasonExtension(reason: Revocation['reason']): readonly Uint8Array[] {
  const code = REVOCATION_REASONS.indexOf(reason)
  if (code === 0) return [] // left out rather than unspecified (RFC 5280 §5.3.1)
  const value = encodeTlv(DER.enumerated, Uint8Array.of(code))
  return [encodeExtensions([{ objectIdentifier: EXTENSION.reasonCode, critical: false, value }])]
}

function listExtensions({ issuer, number, distributionPoint }: CrlTemplate): readonly Extension[] {
  const digits = number.toString(16)
  const magnitude = Uint8Array.from(Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex'))
  const scope = distributionPoint
    ? encodeTlv(contextConstructed(0), encodeTlv(contextConstructed(0), directoryName(distributionPoint)))
    : undefined
  return [
    authorityKeyIdentifier(keyIdentifier(issuer.publicKey)),
    { objectIdentifier: EXTENSION.crlNumber, critical: false, value: encodeUnsignedInteger(magnitude) },
    ...(scope
      ? [{ objectIdentifier: EXTENSION.issuingDistributionPoint, critical: true, value: encodeSequence(scope) }]
      : []),
  ]
}

function decode(raw: Uint8Array): Crl {
  const [tbs, algorithm, bits, ...after] = decodeTlvs(decodeTlv(raw, DER.sequence, LIMITS).value, LIMITS)
  if (tbs?.tag !== DER.sequence || !algorithm || bits?.tag !== DER.bitString || after.length > 0) {
    throw new BytesError('der-unexpected')
  }
  const fields = [...decodeTlvs(tbs.value, LIMITS)]
  const take = (...tags: readonly number[]): Tlv => {
    const field = fields.shift()
    if (!field || !tags.includes(field.tag)) throw new BytesError('der-unexpected')
    return field
  }
  const version = take(DER.integer).value
  if (version.length !== 1 || version[0] !== 1) throw new BytesError('der-malformed', { field: 'version' })
  if (!equalBytes(take(DER.sequence).raw, algorithm.raw)) throw new BytesError('der-malformed') // RFC 5280 §5.1.1.2
  const issuer = take(DER.sequence).raw
  checkName(issuer)
  const thisUpdate = decodeTime(take(DER.utcTime, DER.generalizedTime))
  const nextUpdate = decodeTime(take(DER.utcTime, DER.generalizedTime)) // required (RFC 5280 §5.1.2.5)
  const entries = fields[0]?.tag === DER.sequence ? decodeEntries(take(DER.sequence).value) : new Map()
  const extensions = decodeExtensions(take(contextConstructed(0)).value)
  if (fields.length > 0) throw new BytesError('tlv-trailing')
  return {
    ...{ raw, tbs: tbs.raw, issuer, thisUpdate, nextUpdate, entries, ...decodeScope(extensions) },
    signatureAlgorithm: decodeAlgorithmIdentifier(algorithm.raw),
    signature: decodeBitStringValue(bits.value),
  }
}

function decodeEntries(value: Uint8Array): ReadonlyMap<string, Revocation> {
  const entries = new Map<string, Revocation>()
  for (const entry of decodeTlvs(value, LIMITS)) {
    const reader = new DerReader(decodeTlv(entry.raw, DER.sequence).value)
    const serial = decodeSerial(reader.take(DER.integer).value)
    const revokedAt = decodeTime(reader.any())
    const wrapped = reader.optional(DER.sequence)
    reader.end()
    if (entries.has(serial)) throw new BytesError('der-malformed', { field: 'serial twice' })
    entries.set(serial, { revokedAt, reason: wrapped ? decodeReason(decodeExtensions(wrapped.raw)) : 'unspecified' })
  }
  if (entries.size === 0) throw new BytesError('der-malformed', { field: 'entries' })
  return entries
}

function decodeReason(extensions: ReadonlyMap<string, Extension>): Revocation['reason'] {
  for (const { objectIdentifier, critical } of extensions.values()) {
    // certificateIssuer, of indirect lists, is critical (RFC 5280 §5.3.3).
    if (critical && objectIdentifier !== EXTENSION.reasonCode) throw new PkiError('crl-unsupported')
  }
  const extension = extensions.get(EXTENSION.reasonCode)
  return extension ? decodeReasonCode(decodeTlv(extension.value, DER.enumerated).value) : 'unspecified'
}

/** The reason in an ENUMERATED's value. removeFromCRL belongs to delta lists alone. */
export function decodeReasonCode(value: Uint8Array): Revocation['reason'] {
  const reason = value.length === 1 ? REVOCATION_REASONS[value[0] ?? 0] : undefined
  if (!reason || reason === 'removeFromCRL') throw new BytesError('der-malformed', { field: 'reason' })
  return reason
}

const READ: ReadonlySet<string> = new Set([EXTENSION.authorityKeyIdentifier, EXTENSION.issuingDistributionPoint])

function decodeScope(extensions: ReadonlyMap<string, Extension>): Pick<Crl, 'number' | 'distributionPoint'> {
  for (const { objectIdentifier, critical } of extensions.values()) {
    // A number is never critical (RFC 5280 §5.2.3); a delta is none the less one if its indicator is not.
    const delta = objectIdentifier === EXTENSION.deltaCrlIndicator
    if (delta || (critical && !READ.has(objectIdentifier))) throw new PkiError('crl-unsupported')
  }
  const number = extensions.get(EXTENSION.crlNumber)
  if (!number) throw new BytesError('der-malformed', { field: 'number' })
  const magnitude = decodeUnsignedIntegerValue(decodeTlv(number.value, DER.integer).value)
  if (magnitude.length > 20) throw new BytesError('der-malformed', { field: 'number' })
  const scope = extensions.get(EXTENSION.issuingDistributionPoint)
  return {
    number: BigInt(`0x${encodeHex(magnitude)}`),
    distributionPoint: scope ? decodeIssuingDistributionPoint(scope.value) : undefined,
  }
}

/** One full name and nothing else: lists for some reasons, of users or CAs alone, or indirect ones are refused. */
function decodeIssuingDistributionPoint(value: Uint8Array): Uint8Array {
  const reader = new DerReader(decodeTlv(value, DER.sequence).value)
  const point = reader.optional(contextConstructed(0))
  if (!point || reader.peek !== undefined) throw new PkiError('crl-unsupported')
  return decodeTlv(decodeTlv(point.value, contextConstructed(0)).value).raw
}
