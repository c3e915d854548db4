import {
  BytesError,
  contextPrimitive,
  DER,
  DerReader,
  decodeObjectIdentifierValue,
  decodeTlv,
  decodeUnsignedIntegerValue,
  encodeObjectIdentifier,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
} from '#bytes'
import { EXTENSION } from './object-identifiers.ts'

/** One extension of a certificate, CRL or OCSP message: `value` is the content of its OCTET STRING. */
export interface Extension {
  readonly objectIdentifier: string
  readonly critical: boolean
  readonly value: Uint8Array
}

/** Bits of KeyUsage, in order (RFC 5280 §4.2.1.3). */
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof KEY_USAGES)[number]

export interface BasicConstraints {
  readonly ca: boolean
  readonly pathLength?: number
}

/** SEQUENCE OF Extension. */
export function encodeExtensions(extensions: readonly Extension[]): Uint8Array {
  return encodeSequence(
    ...extensions.map(({ objectIdentifier, critical, value }) =>
      encodeSequence(
        encodeObjectIdentifier(objectIdentifier),
        ...(critical ? [encodeTlv(DER.boolean, Uint8Array.of(0xff))] : []),
        encodeTlv(DER.octetString, value),
      ),
    ),
  )
}

/**
 * Reads a SEQUENCE OF Extension: at least one, none twice (RFC 5280 §4.2).
 * @throws BytesError
 */
export function decodeExtensions(unverified: Uint8Array): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>()
  const list = new DerReader(decodeTlv(unverified, DER.sequence).value)
  do {
    const reader = list.enter()
    const objectIdentifier = decodeObjectIdentifierValue(reader.take(DER.objectIdentifier).value)
    const critical = readDefaultFalse(reader)
    const { value } = reader.take(DER.octetString)
    reader.end()
    if (extensions.has(objectIdentifier)) throw new BytesError('der-malformed', { extension: objectIdentifier })
    extensions.set(objectIdentifier, { objectIdentifier, critical, value })
  } while (list.peek !== undefined)
  return extensions
}

/** BOOLEAN DEFAULT FALSE: DER has it as FF or not at all (X.690 §11.1, §11.5). */
export function readDefaultFalse(reader: DerReader): boolean {
  const flag = reader.optional(DER.boolean)?.value
  if (flag && (flag.length !== 1 || flag[0] !== 0xff)) throw new BytesError('der-malformed')
  return flag !== undefined
}

export function basicConstraints({ ca, pathLength }: BasicConstraints): Extension {
  const members = [
    ...(ca ? [encodeTlv(DER.boolean, Uint8Array.of(0xff))] : []),
    ...(pathLength === undefined ? [] : [encodeUnsignedInteger(Uint8Array.of(pathLength))]),
  ]
  return { objectIdentifier: EXTENSION.basicConstraints, critical: true, value: encodeSequence(...members) }
}

export function decodeBasicConstraints(value: Uint8Array): BasicConstraints {
  const reader = new DerReader(decodeTlv(value, DER.sequence).value)
  const ca = readDefaultFalse(reader)
  const length = reader.optional(DER.integer)
  reader.end()
  if (!length) return { ca }
  const [octet = 0, ...more] = decodeUnsignedIntegerValue(length.value)
  // Only a CA may have a length (RFC 5280 §4.2.1.9); paths of more than 255 certificates are nobody's.
  if (!ca || more.length > 0) throw new BytesError('der-malformed')
  return { ca, pathLength: octet }
}

export function keyUsage(...usages: readonly KeyUsage[]): Extension {
  return { objectIdentifier: EXTENSION.keyUsage, critical: true, value: encodeNamedBits(KEY_USAGES, usages) }
}

export function decodeKeyUsage(value: Uint8Array): readonly KeyUsage[] {
  return decodeNamedBits(KEY_USAGES, decodeTlv(value, DER.bitString).value)
}

/** A BIT STRING of named bits: as short as it can be (X.690 §11.2.2). */
export function encodeNamedBits<Name extends string>(names: readonly Name[], set: readonly Name[]): Uint8Array {
  const positions = set.map((name) => names.indexOf(name))
  const last = Math.max(...positions)
  const octets = new Uint8Array((last >> 3) + 1)
  for (const at of positions) octets[at >> 3] = (octets[at >> 3] ?? 0) | (0x80 >> (at & 7))
  return encodeTlv(DER.bitString, Uint8Array.of(7 - (last & 7)), octets)
}

/** The names of the set bits in a BIT STRING's value; at least one, and no bit without a name. */
export function decodeNamedBits<Name extends string>(names: readonly Name[], value: Uint8Array): readonly Name[] {
  const unused = value[0]
  const octets = value.subarray(1)
  const last = octets.length * 8 - 1 - (unused ?? 8)
  const isSet = (at: number): boolean => ((octets[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0
  const surplus = ((octets.at(-1) ?? 0) & ((1 << (unused ?? 0)) - 1)) !== 0
  if (unused === undefined || unused > 7 || surplus || last < 0 || last >= names.length || !isSet(last)) {
    throw new BytesError('der-malformed')
  }
  return names.filter((_, at) => at <= last && isSet(at))
}

/** `qualifier` is the URI of the practice statement (RFC 5280 §4.2.1.4). */
export function certificatePolicies(policy: string, critical: boolean, qualifier?: string): Extension {
  const statement = qualifier
    ? [
        encodeSequence(
          encodeSequence(
            encodeObjectIdentifier('1.3.6.1.5.5.7.2.1'),
            encodeTlv(DER.ia5String, Buffer.from(qualifier, 'latin1')),
          ),
        ),
      ]
    : []
  return {
    objectIdentifier: EXTENSION.certificatePolicies,
    critical,
    value: encodeSequence(encodeSequence(encodeObjectIdentifier(policy), ...statement)),
  }
}

export function decodeCertificatePolicies(value: Uint8Array): readonly string[] {
  const list = new DerReader(decodeTlv(value, DER.sequence).value)
  const policies: string[] = []
  do {
    const information = list.enter()
    const policy = decodeObjectIdentifierValue(information.take(DER.objectIdentifier).value)
    information.optional(DER.sequence)
    information.end()
    if (policies.includes(policy)) throw new BytesError('der-malformed') // must not appear twice (RFC 5280 §4.2.1.4)
    policies.push(policy)
  } while (list.peek !== undefined)
  return policies
}

export function extendedKeyUsage(...purposes: readonly string[]): Extension {
  return {
    objectIdentifier: EXTENSION.extendedKeyUsage,
    critical: false,
    value: encodeSequence(...purposes.map(encodeObjectIdentifier)),
  }
}

export function decodeExtendedKeyUsage(value: Uint8Array): readonly string[] {
  const list = new DerReader(decodeTlv(value, DER.sequence).value)
  const purposes: string[] = []
  do purposes.push(decodeObjectIdentifierValue(list.take(DER.objectIdentifier).value))
  while (list.peek !== undefined)
  return purposes
}

export function subjectKeyIdentifier(identifier: Uint8Array): Extension {
  return {
    objectIdentifier: EXTENSION.subjectKeyIdentifier,
    critical: false,
    value: encodeTlv(DER.octetString, identifier),
  }
}

export function authorityKeyIdentifier(identifier: Uint8Array): Extension {
  return {
    objectIdentifier: EXTENSION.authorityKeyIdentifier,
    critical: false,
    value: encodeSequence(encodeTlv(contextPrimitive(0), identifier)),
  }
}

/** The key identifier; issuer and serial, its rare companions, are not used to find keys here. */
export function decodeAuthorityKeyIdentifier(value: Uint8Array): Uint8Array | undefined {
  const reader = new DerReader(decodeTlv(value, DER.sequence).value)
  return reader.optional(contextPrimitive(0))?.value
}
