import { DER, DerReader, decodeTlv, encodeObjectIdentifier, encodeSequence, encodeTlv } from '#bytes'

/** Attribute types of names (X.520), by their usual abbreviation. */
const ATTRIBUTE = { C: '2.5.4.6', L: '2.5.4.7', O: '2.5.4.10', OU: '2.5.4.11', CN: '2.5.4.3' } as const

export type NameAttribute = readonly [type: keyof typeof ATTRIBUTE, value: string]

/** A DER Name, one attribute to a set. Country is a PrintableString (RFC 5280 appendix A.1), others as they need. */
export function encodeName(...attributes: readonly NameAttribute[]): Uint8Array {
  return encodeSequence(
    ...attributes.map(([type, value]) =>
      encodeTlv(DER.set, encodeSequence(encodeObjectIdentifier(ATTRIBUTE[type]), directoryString(value))),
    ),
  )
}

function directoryString(value: string): Uint8Array {
  const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)
  return encodeTlv(printable ? DER.printableString : DER.utf8String, Buffer.from(value, 'utf8'))
}

/**
 * Checks that a TLV is a Name: sets of attributes, none empty.
 * @throws BytesError
 */
export function checkName(unverified: Uint8Array): void {
  const sets = new DerReader(decodeTlv(unverified, DER.sequence).value)
  while (sets.peek !== undefined) {
    const set = sets.enter(DER.set)
    do {
      const attribute = set.enter()
      attribute.take(DER.objectIdentifier)
      attribute.any()
      attribute.end()
    } while (set.peek !== undefined)
  }
}
