import { createHash } from 'node:crypto'
import {
  BytesError,
  contextConstructed,
  DER,
  DerReader,
  decodeBitStringValue,
  decodeTlv,
  decodeUnsignedIntegerValue,
  encodeBitString,
  encodeHex,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
  equalBytes,
} from '#bytes'
import type { Time } from '#clock'
import {
  decodeAlgorithmIdentifier,
  encodeAlgorithmIdentifier,
  encodeX509Signature,
  verifyX509Signature,
} from './algorithm-identifier.ts'
import { decodeTime, encodeTime } from './asn1-time.ts'
import { checkName } from './distinguished-name.ts'
import {
  type BasicConstraints,
  decodeAuthorityKeyIdentifier,
  decodeBasicConstraints,
  decodeCertificatePolicies,
  decodeExtendedKeyUsage,
  decodeExtensions,
  decodeKeyUsage,
  type Extension,
  encodeExtensions,
  type KeyUsage,
} from './extension.ts'
import { PkiError } from './failures.ts'
import { decodeOcspAccess } from './general-name.ts'
import { EXTENSION } from './object-identifiers.ts'
import type { SignatureAlgorithm, Signer } from './signer.ts'

/** An X.509 v3 certificate, decoded and not verified (RFC 5280 §4.1). Absent extensions are `undefined`. */
export interface Certificate {
  /** DER of the whole. */
  readonly raw: Uint8Array
  /** DER of the signed part. */
  readonly tbs: Uint8Array
  /** Hexadecimal magnitude. In memory only: never stored, logged or put into an error outside the authority. */
  readonly serial: string
  /** DER of the Name. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: Time
  /** The last second of validity; of a card's certificate it tells the holder's birthday. */
  readonly notAfter: Time
  /** SubjectPublicKeyInfo, DER; its strength is for verification to judge. */
  readonly publicKey: Uint8Array
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Uint8Array
  /** `undefined`: one that we do not take, which therefore never verifies. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  /** As X.509 carries it. */
  readonly signature: Uint8Array
  readonly extensions: ReadonlyMap<string, Extension>
  readonly basicConstraints: BasicConstraints | undefined
  readonly keyUsage: readonly KeyUsage[] | undefined
  readonly extendedKeyUsage: readonly string[] | undefined
  /** Dotted object identifiers. */
  readonly policies: readonly string[] | undefined
  readonly subjectKeyIdentifier: Uint8Array | undefined
  readonly authorityKeyIdentifier: Uint8Array | undefined
  /** Addresses of OCSP responders. */
  readonly ocsp: readonly string[]
}

/** What an issuer decides. Times are cut to whole seconds. */
export interface CertificateTemplate {
  /** Positive, up to 20 octets as a DER INTEGER. */
  readonly serial: Uint8Array
  /** DER of the Name. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: Time
  readonly notAfter: Time
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly extensions: readonly Extension[]
}

/** A card's certificate has about 1.5 kB; a large one on the web about 10 kB. */
const LARGEST_CERTIFICATE = 1 << 16

/**
 * Reads a certificate by the letter of DER and RFC 5280: version 3, serial of 1–20 octets, UTCTime through 2049, both
 * algorithm identifiers alike, no extension twice, no unique identifiers, whole input.
 * @throws PkiError `certificate-malformed`
 */
export function decodeCertificate(unverified: Uint8Array): Certificate {
  try {
    return decode(Uint8Array.from(unverified))
  } catch (cause) {
    const understood = cause instanceof BytesError || (cause instanceof PkiError && cause.code === 'time-malformed')
    if (!understood) throw cause
    throw new PkiError('certificate-malformed', { reason: cause.code }, { cause })
  }
}

function decode(raw: Uint8Array): Certificate {
  const outer = new DerReader(decodeTlv(raw, DER.sequence, { size: LARGEST_CERTIFICATE, count: 3 }).value)
  const tbs = outer.take(DER.sequence)
  const outerAlgorithm = outer.take(DER.sequence).raw
  const signature = decodeBitStringValue(outer.take(DER.bitString).value)
  outer.end()

  const reader = new DerReader(tbs.value)
  const version = reader.enter(contextConstructed(0))
  const number = version.take(DER.integer).value
  version.end()
  if (number.length !== 1 || number[0] !== 2) throw new BytesError('der-malformed', { field: 'version' })
  const serial = decodeSerial(reader.take(DER.integer).value)
  if (!equalBytes(reader.take(DER.sequence).raw, outerAlgorithm)) {
    throw new BytesError('der-malformed', { field: 'signature algorithm' }) // RFC 5280 §4.1.1.2
  }
  const issuer = reader.take(DER.sequence)
  checkName(issuer.raw)
  if (issuer.value.length === 0) throw new BytesError('der-malformed', { field: 'issuer' }) // RFC 5280 §4.1.2.4
  const validity = reader.enter()
  const notBefore = decodeTime(validity.any())
  const notAfter = decodeTime(validity.any())
  validity.end()
  const subject = reader.take(DER.sequence).raw
  checkName(subject)
  const publicKey = reader.take(DER.sequence).raw
  keyBits(publicKey)
  const wrapped = reader.optional(contextConstructed(3))
  reader.end()
  const extensions = wrapped ? decodeExtensions(wrapped.value) : new Map<string, Extension>()

  return {
    ...{ raw, tbs: tbs.raw, serial, issuer: issuer.raw, subject, notBefore, notAfter, publicKey, signature },
    algorithm: outerAlgorithm,
    signatureAlgorithm: decodeAlgorithmIdentifier(outerAlgorithm),
    extensions,
    ...knownExtensions(extensions),
  }
}

function knownExtensions(extensions: ReadonlyMap<string, Extension>) {
  const read = <T>(objectIdentifier: string, decoder: (value: Uint8Array) => T): T | undefined => {
    const extension = extensions.get(objectIdentifier)
    return extension && decoder(extension.value)
  }
  return {
    basicConstraints: read(EXTENSION.basicConstraints, decodeBasicConstraints),
    keyUsage: read(EXTENSION.keyUsage, decodeKeyUsage),
    extendedKeyUsage: read(EXTENSION.extendedKeyUsage, decodeExtendedKeyUsage),
    policies: read(EXTENSION.certificatePolicies, decodeCertificatePolicies),
    subjectKeyIdentifier: read(EXTENSION.subjectKeyIdentifier, (value) => decodeTlv(value, DER.octetString).value),
    authorityKeyIdentifier: read(EXTENSION.authorityKeyIdentifier, decodeAuthorityKeyIdentifier),
    ocsp: read(EXTENSION.authorityInfoAccess, decodeOcspAccess) ?? [],
  }
}

/** Positive, at most 20 octets (RFC 5280 §4.1.2.2). Hexadecimal of the magnitude. */
export function decodeSerial(value: Uint8Array): string {
  const magnitude = decodeUnsignedIntegerValue(value)
  if (value.length > 20 || (magnitude.length === 1 && magnitude[0] === 0)) {
    throw new BytesError('der-malformed', { field: 'serial' })
  }
  return encodeHex(magnitude)
}

/**
 * Signs a certificate. What the template makes is read back before it is signed, so nothing malformed ever is.
 * @throws PkiError `certificate-malformed`
 */
export async function issueCertificate(template: CertificateTemplate, signer: Signer): Promise<Certificate> {
  const algorithm = encodeAlgorithmIdentifier(signer.algorithm)
  const tbs = encodeSequence(
    encodeTlv(contextConstructed(0), encodeUnsignedInteger(Uint8Array.of(2))),
    encodeUnsignedInteger(template.serial),
    algorithm,
    template.issuer,
    encodeSequence(encodeTime(template.notBefore), encodeTime(template.notAfter)),
    template.subject,
    template.publicKey,
    ...(template.extensions.length > 0
      ? [encodeTlv(contextConstructed(3), encodeExtensions(template.extensions))]
      : []),
  )
  const assemble = (signature: Uint8Array): Certificate =>
    decodeCertificate(encodeSequence(tbs, algorithm, encodeBitString(signature)))
  assemble(new Uint8Array(0))
  return assemble(encodeX509Signature(signer.algorithm, await signer.sign(tbs)))
}

/** Whether the certificate's signature is by this key (SubjectPublicKeyInfo). Says nothing else about it. */
export function isSignedBy(unverified: Certificate, issuerPublicKey: Uint8Array): boolean {
  const { signatureAlgorithm, tbs, signature } = unverified
  return verifyX509Signature(issuerPublicKey, signatureAlgorithm, tbs, signature)
}

/** SHA-1 of the key's bits, the usual key identifier (RFC 5280 §4.2.1.2 (1)): a name, not a proof. */
export function keyIdentifier(spki: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha1').update(keyBits(spki)).digest())
}

/** The octets of a SubjectPublicKeyInfo's BIT STRING. @throws BytesError */
export function keyBits(spki: Uint8Array): Uint8Array {
  const reader = new DerReader(decodeTlv(spki, DER.sequence).value)
  reader.take(DER.sequence)
  const bits = decodeBitStringValue(reader.take(DER.bitString).value)
  reader.end()
  return bits
}
