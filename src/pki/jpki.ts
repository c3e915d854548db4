import { HOUR, japanDate, SECOND, type Time } from '#clock'
import { type Certificate, type CertificateTemplate, keyIdentifier } from './certificate.ts'
import { encodeName, type NameAttribute } from './distinguished-name.ts'
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  type Extension,
  keyUsage,
  subjectKeyIdentifier,
} from './extension.ts'
import { crlDistributionPoint, directoryName, ocspAccess, otherName, subjectAlternativeName } from './general-name.ts'
import { TEST_POLICY } from './object-identifiers.ts'

/** 利用者証明用 and 署名用 – the two kinds of JPKI certificate, each under a CA of its own. */
export type JpkiKind = 'userAuthentication' | 'signature'

const KIND_NAME: Readonly<Record<JpkiKind, string>> = {
  userAuthentication: 'JPKI for user authentication',
  signature: 'JPKI for digital signature',
}
/** Nobody shall take these for J-LIS's: the organisation says so in every name. */
const TEST_ORGANISATION = 'JPKI-KAZASU-TEST'
const PRACTICE_STATEMENT = 'http://cps.kazasu.test/'

/** Where a resident's municipality stands in names: romaji, as 署名用 certificates have it. */
export interface Locality {
  readonly prefecture: string
  readonly city: string
}

interface Issuance {
  readonly serial: Uint8Array
  readonly publicKey: Uint8Array
  readonly notBefore: Time
  readonly notAfter: Time
}

/** What both kinds of card certificate need. */
export interface CardCertificate extends Issuance {
  readonly issuer: Certificate
  /** 23 characters for 利用者証明用; an id, never a name. */
  readonly commonName: string
  readonly locality: Locality
  /** Address of the OCSP responder. */
  readonly ocsp: string
}

/** 基本4情報 as a 署名用 certificate states them. */
export interface HolderStatement {
  readonly name: string
  /** One 0 or 1 per character of the name; 1 = 代替文字, a stand-in for a character outside the set. */
  readonly nameSubstitutes: string
  /** `EYYYYMMDD` as {@link eraBirthDate} makes it. */
  readonly birthDate: string
  /** 1 male, 2 female, 9 not stated. */
  readonly sex: '1' | '2' | '9'
  readonly address: string
  readonly addressSubstitutes: string
}

/** otherName types in a 署名用 certificate's SubjectAlternativeName: the arc of the real ones, which parsers look for. */
export const HOLDER_STATEMENT = {
  name: '1.2.392.200149.8.5.5.1',
  nameSubstitutes: '1.2.392.200149.8.5.5.2',
  sex: '1.2.392.200149.8.5.5.3',
  birthDate: '1.2.392.200149.8.5.5.4',
  address: '1.2.392.200149.8.5.5.5',
  addressSubstitutes: '1.2.392.200149.8.5.5.6',
} as const

/** Name of a test CA; generations share it, as the real roots share theirs. */
export function jpkiAuthorityName(kind: JpkiKind): Uint8Array {
  return encodeName(...authorityAttributes(kind))
}

/** A self-signed root of the test authority, profile of the real ones. */
export function jpkiAuthority(kind: JpkiKind, issuance: Issuance): CertificateTemplate {
  const name = jpkiAuthorityName(kind)
  return {
    ...issuance,
    issuer: name,
    subject: name,
    extensions: [
      subjectKeyIdentifier(keyIdentifier(issuance.publicKey)),
      keyUsage('keyCertSign', 'cRLSign'),
      subjectAlternativeName(directoryName(encodeName(['C', 'JP'], ['O', '公的個人認証サービス（カザス試験用）']))),
      basicConstraints({ ca: true }),
      crlDistributionPoint(directoryName(name)),
    ],
  }
}

/** 利用者証明用電子証明書: nothing personal in it but the 5th birthday at its end. */
export function userAuthenticationCertificate(card: CardCertificate): CertificateTemplate {
  return {
    ...issuanceOf(card),
    issuer: card.issuer.subject,
    subject: encodeName(['C', 'JP'], ['CN', card.commonName]),
    extensions: cardExtensions('userAuthentication', card, [keyUsage('digitalSignature')]),
  }
}

/** 署名用電子証明書: name, date of birth, sex and address in its SubjectAlternativeName. */
export function signatureCertificate(card: CardCertificate, holder: HolderStatement): CertificateTemplate {
  const { prefecture, city } = card.locality
  // The order in which cards have them.
  const order = ['name', 'birthDate', 'sex', 'address', 'nameSubstitutes', 'addressSubstitutes'] as const
  return {
    ...issuanceOf(card),
    issuer: card.issuer.subject,
    subject: encodeName(['C', 'JP'], ['L', prefecture], ['L', city], ['CN', card.commonName]),
    extensions: cardExtensions('signature', card, [
      keyUsage('digitalSignature', 'nonRepudiation'),
      subjectAlternativeName(...order.map((field) => otherName(HOLDER_STATEMENT[field], holder[field]))),
    ]),
  }
}

/** Name of the CRL that covers a municipality's certificates. */
export function crlDistributionName(kind: JpkiKind, { prefecture, city }: Locality): Uint8Array {
  const point: NameAttribute[] = [
    ['OU', 'CRL Distribution Points'],
    ['OU', prefecture],
    ['CN', city],
  ]
  return encodeName(...authorityAttributes(kind).slice(0, 3), ...point)
}

/**
 * The end of a card certificate: 23:59:59 in Japan on the fifth birthday after the day of issue, or on the card's last
 * day if that comes first. Dates are `YYYY-MM-DD` in Japan. ASSUMPTION(A-21): born on 29 February, a common year's
 * birthday is the 28th.
 */
export function fifthBirthday(issued: Time, birthDate: string, cardExpiry?: string): Time {
  const [, month, day] = birthDate.split('-')
  const issueDay = japanDate(issued)
  const birthdayIn = (year: number): string => {
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
    return `${year}-${month}-${month === '02' && day === '29' && !leap ? '28' : day}`
  }
  const year = Number(issueDay.slice(0, 4))
  const fifth = birthdayIn(year + (birthdayIn(year) > issueDay ? 4 : 5))
  const last = cardExpiry !== undefined && cardExpiry < fifth ? cardExpiry : fifth
  return Date.parse(`${last}T00:00:00Z`) + 15 * HOUR - SECOND
}

/** First days of the eras that a `EYYYYMMDD` date begins with, latest first. */
const ERAS = [
  ['5', '2019-05-01'],
  ['4', '1989-01-08'],
  ['3', '1926-12-25'],
  ['2', '1912-07-30'],
  ['1', '1868-01-25'],
] as const

/** `EYYYYMMDD` of a `YYYY-MM-DD`: E the era (1 明治 … 5 令和, 0 before), YYYY the Gregorian year all the same. */
export function eraBirthDate(date: string): string {
  const era = ERAS.find(([, first]) => date >= first)?.[0] ?? '0'
  return era + date.replaceAll('-', '')
}

function authorityAttributes(kind: JpkiKind): readonly NameAttribute[] {
  return [
    ['C', 'JP'],
    ['O', TEST_ORGANISATION],
    ['OU', KIND_NAME[kind]],
    ['OU', 'Kazasu Test Authority'],
  ]
}

function issuanceOf({ serial, publicKey, notBefore, notAfter }: Issuance): Issuance {
  return { serial, publicKey, notBefore, notAfter }
}

function cardExtensions(kind: JpkiKind, card: CardCertificate, own: readonly Extension[]): readonly Extension[] {
  return [
    ...own,
    certificatePolicies(TEST_POLICY[kind], true, PRACTICE_STATEMENT),
    crlDistributionPoint(directoryName(crlDistributionName(kind, card.locality))),
    ocspAccess(card.ocsp),
    authorityKeyIdentifier(keyIdentifier(card.issuer.publicKey)),
    subjectKeyIdentifier(keyIdentifier(card.publicKey)),
  ]
}
