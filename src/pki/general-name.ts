import { isIPv4 } from 'node:net'
import {
  contextConstructed,
  contextPrimitive,
  DER,
  DerReader,
  decodeObjectIdentifierValue,
  decodeTlv,
  decodeTlvs,
  encodeObjectIdentifier,
  encodeSequence,
  encodeTlv,
} from '#bytes'
import type { Extension } from './extension.ts'
import { PkiError } from './failures.ts'
import { ACCESS_METHOD, EXTENSION } from './object-identifiers.ts'

/** One GeneralName (RFC 5280 §4.2.1.6), DER. */
export const dnsName = (name: string): Uint8Array => encodeTlv(contextPrimitive(2), Buffer.from(name, 'latin1'))
export const directoryName = (name: Uint8Array): Uint8Array => encodeTlv(contextConstructed(4), name)
export const uri = (address: string): Uint8Array => encodeTlv(contextPrimitive(6), Buffer.from(address, 'latin1'))

/** An IPv4 address, or the IPv6 loopback `::1`: all that a machine of this project listens on by number. */
export function ipAddress(address: string): Uint8Array {
  if (address !== '::1' && !isIPv4(address)) throw new PkiError('certificate-malformed', { field: 'IP address' })
  const octets = address === '::1' ? [...new Uint8Array(15), 1] : address.split('.').map(Number)
  return encodeTlv(contextPrimitive(7), Uint8Array.from(octets))
}

/** otherName with a UTF8String in it. */
export function otherName(type: string, text: string): Uint8Array {
  const value = encodeTlv(contextConstructed(0), encodeTlv(DER.utf8String, Buffer.from(text, 'utf8')))
  return encodeTlv(contextConstructed(0), encodeObjectIdentifier(type), value)
}

export function subjectAlternativeName(...names: readonly Uint8Array[]): Extension {
  return { objectIdentifier: EXTENSION.subjectAlternativeName, critical: false, value: encodeSequence(...names) }
}

/** The UTF8String of each otherName in a SubjectAlternativeName's value, by type; other kinds of names are left out. */
export function decodeOtherNames(value: Uint8Array): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  const list = new DerReader(decodeTlv(value, DER.sequence).value)
  while (list.peek !== undefined) {
    const name = list.any()
    if (name.tag !== contextConstructed(0)) continue
    const members = new DerReader(name.value)
    const type = decodeObjectIdentifierValue(members.take(DER.objectIdentifier).value)
    const text = members.enter(contextConstructed(0)).take(DER.utf8String).value
    names.set(type, new TextDecoder('utf-8', { fatal: true }).decode(text))
  }
  return names
}

/** CRLDistributionPoints with one point of one name (RFC 5280 §4.2.1.13). */
export function crlDistributionPoint(name: Uint8Array): Extension {
  const fullName = encodeTlv(contextConstructed(0), name)
  const point = encodeSequence(encodeTlv(contextConstructed(0), fullName))
  return { objectIdentifier: EXTENSION.crlDistributionPoints, critical: false, value: encodeSequence(point) }
}

/** The full names (DER GeneralNames) of all points in a CRLDistributionPoints' value. */
export function decodeDistributionPointNames(value: Uint8Array): readonly Uint8Array[] {
  const names: Uint8Array[] = []
  const points = new DerReader(decodeTlv(value, DER.sequence).value)
  while (points.peek !== undefined) {
    const fullName = points.enter().optional(contextConstructed(0))
    if (!fullName) continue
    const choice = decodeTlv(fullName.value)
    if (choice.tag === contextConstructed(0)) names.push(...decodeTlvs(choice.value).map(({ raw }) => raw))
  }
  return names
}

/** AuthorityInfoAccess with the address of an OCSP responder (RFC 5280 §4.2.2.1). */
export function ocspAccess(address: string): Extension {
  const description = encodeSequence(encodeObjectIdentifier(ACCESS_METHOD.ocsp), uri(address))
  return { objectIdentifier: EXTENSION.authorityInfoAccess, critical: false, value: encodeSequence(description) }
}

export function decodeOcspAccess(value: Uint8Array): readonly string[] {
  const addresses: string[] = []
  const list = new DerReader(decodeTlv(value, DER.sequence).value)
  while (list.peek !== undefined) {
    const description = list.enter()
    const method = decodeObjectIdentifierValue(description.take(DER.objectIdentifier).value)
    const location = description.any()
    description.end()
    const wanted = method === ACCESS_METHOD.ocsp && location.tag === contextPrimitive(6)
    if (wanted) addresses.push(Buffer.from(location.value).toString('latin1'))
  }
  return addresses
}
