import { DER, encodeTlv, type Tlv } from '#bytes'
import { SECOND, type Time } from '#clock'
import { PkiError } from './failures.ts'

/** X.509 Time: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5); fractions of seconds are cut. */
export function encodeTime(time: Time): Uint8Array {
  const digits = new Date(time).toISOString().replace(/[-T:]|\.\d+Z$/g, '')
  const year = Number(digits.slice(0, 4))
  return year >= 1950 && year < 2050
    ? encodeTlv(DER.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : encodeGeneralizedTime(time)
}

/** GeneralizedTime whatever the year, as OCSP wants it (RFC 6960 §4.2.2.1). */
export function encodeGeneralizedTime(time: Time): Uint8Array {
  const digits = new Date(time).toISOString().replace(/[-T:]|\.\d+Z$/g, '')
  return encodeTlv(DER.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'))
}

/**
 * Reads the Time of a certificate or CRL; GeneralizedTime before 2050 is refused.
 * @throws PkiError `time-malformed`
 */
export function decodeTime(unverified: Tlv): Time {
  if (unverified.tag === DER.utcTime) {
    const text = Buffer.from(unverified.value).toString('latin1')
    return parseDigits((Number(text.slice(0, 2)) < 50 ? '20' : '19') + text)
  }
  const time = decodeGeneralizedTime(unverified)
  if (new Date(time).getUTCFullYear() < 2050) throw new PkiError('time-malformed')
  return time
}

/**
 * Reads a GeneralizedTime of whole seconds with `Z`.
 * @throws PkiError `time-malformed`
 */
export function decodeGeneralizedTime(unverified: Tlv): Time {
  if (unverified.tag !== DER.generalizedTime) throw new PkiError('time-malformed')
  return parseDigits(Buffer.from(unverified.value).toString('latin1'))
}

/** Whole seconds: X.509 knows no smaller unit, so a certificate is valid to the end of its last second. */
export const wholeSeconds = (time: Time): Time => Math.floor(time / SECOND) * SECOND

function parseDigits(text: string): Time {
  const iso = /^\d{14}Z$/.test(text)
    ? text.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6.000Z')
    : undefined
  const time = Date.parse(iso ?? '')
  if (Number.isNaN(time) || new Date(time).toISOString() !== iso) throw new PkiError('time-malformed')
  return time
}
