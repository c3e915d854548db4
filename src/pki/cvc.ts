import { createHash } from 'node:crypto'
import {
  BytesError,
  DerReader,
  decodeObjectIdentifierValue,
  decodeTlv,
  encodeObjectIdentifier,
  encodeTlv,
} from '#bytes'
import { type CvcAlgorithm, decodeCvcPublicKey, encodeCvcPublicKey } from './cvc-public-key.ts'
import { PkiError } from './failures.ts'
import { KAZASU_CHAT } from './object-identifiers.ts'
import type { Signer } from './signer.ts'

/** Country verifying CA (the authority's institution root), document verifier (a provider), terminal. */
export type CvcRole = 'cvca' | 'dv' | 'terminal'

/** Certificate holder authorisation template: what its issuer says that the holder may be and do. */
export interface Chat {
  /** Dotted; {@link KAZASU_CHAT} in this profile. Checked by verification, not by decoding. */
  readonly objectIdentifier: string
  readonly role: CvcRole
  /** Bit 1: use of the user-authentication key without a PIN – claimed; effective only as far as the issuers have it. */
  readonly pinless: boolean
  /** The one octet of `53`. */
  readonly octet: number
}

/** カード検証可能証明書 – card verifiable certificate (BSI TR-03110-3 appendix C). Decoded, not verified. */
export interface Cvc {
  /** The whole `7F21` TLV. */
  readonly raw: Uint8Array
  /** The `7F4E` TLV: what is signed. */
  readonly body: Uint8Array
  /** Certification authority reference: the issuer's `chr`. */
  readonly car: string
  /** Certificate holder reference: `JP`, up to 9 of [A-Z0-9], 5 digits. */
  readonly chr: string
  readonly algorithm: CvcAlgorithm
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly chat: Chat
  /** `YYYY-MM-DD`, first day. */
  readonly effective: string
  /** `YYYY-MM-DD`, last day. */
  readonly expiry: string
  /** By the issuer's key over `body`. ECDSA: r‖s. */
  readonly signature: Uint8Array
}

/** What an issuer decides. `effective` and `expiry` are `YYYY-MM-DD`, 2000–2099. */
export interface CvcTemplate {
  readonly car: string
  readonly chr: string
  readonly role: CvcRole
  readonly pinless: boolean
  readonly publicKey: Uint8Array
  readonly effective: string
  readonly expiry: string
}

interface CvcFields extends Pick<Cvc, 'car' | 'chr' | 'publicKey' | 'effective' | 'expiry'> {
  readonly chat: Pick<Chat, 'objectIdentifier' | 'octet'>
}
type CvcBody = Omit<Cvc, 'raw' | 'signature'>

/** An RSA-4096 certificate has about 1,150 bytes; a card has to hold it. */
export const LARGEST_CVC = 2048
const REFERENCE = /^JP[A-Z0-9]{0,9}[0-9]{5}$/
/** Bits 8–7 of the CHAT (TR-03110-4 §2.2.3): 01, a non-official DV, does not exist in this profile. */
const ROLES: readonly (CvcRole | undefined)[] = ['terminal', undefined, 'dv', 'cvca']
export const PINLESS = 0x01

/**
 * Reads a `7F21`: every field once and in order, nothing else, whole input, domain parameters in a CVCA's key only.
 * Order of the two dates, profile of the CHAT and signature are for verification to judge.
 * @throws PkiError `cvc-malformed`, `cvc-role` (role 01), `public-key-unsupported`
 */
export function decodeCvc(unverified: Uint8Array): Cvc {
  return strictly(() => {
    const raw = Uint8Array.from(unverified)
    const limits = { size: LARGEST_CVC, count: 2 }
    const reader = new DerReader(decodeTlv(raw, 0x7f21, limits).value)
    const body = decodeBody(reader.take(0x7f4e).raw)
    const signature = reader.take(0x5f37).value
    reader.end()
    return { raw, ...body, signature }
  })
}

/**
 * Signs a card verifiable certificate of this profile. Nothing is signed that {@link decodeCvc} would refuse.
 * @throws PkiError `cvc-malformed`, `cvc-dates`, `public-key-unsupported`
 */
export async function issueCvc(template: CvcTemplate, signer: Signer): Promise<Cvc> {
  const octet = (ROLES.indexOf(template.role) << 6) | (template.pinless ? PINLESS : 0)
  const body = encodeBody({ ...template, chat: { objectIdentifier: KAZASU_CHAT, octet } })
  strictly(() => decodeBody(body))
  if (template.effective > template.expiry) throw new PkiError('cvc-dates')
  const signature = await signer.sign(body)
  return decodeCvc(encodeTlv(0x7f21, body, encodeTlv(0x5f37, signature)))
}

/** SHA-256 of the `7F4E` TLV: how messages and the card's signature name a certificate. */
export function certHash(cvc: Cvc): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(cvc.body).digest())
}

/** Whether more than half of the days that a certificate counts are over on `today` (`YYYY-MM-DD`): time to renew it. */
export function isPastHalf({ effective, expiry }: Pick<Cvc, 'effective' | 'expiry'>, today: string): boolean {
  const [first = 0, last = 0, now = 0] = [effective, expiry, today].map((date) => Date.parse(`${date}T00:00:00Z`))
  return now - first > last - now
}

/** The `7F21` of the fields, byte for byte what {@link decodeCvc} reads. */
export function encodeCvc(fields: CvcFields & Pick<Cvc, 'signature'>): Uint8Array {
  return encodeTlv(0x7f21, encodeBody(fields), encodeTlv(0x5f37, fields.signature))
}

function encodeBody(fields: CvcFields): Uint8Array {
  const { chat } = fields
  return encodeTlv(
    0x7f4e,
    encodeTlv(0x5f29, Uint8Array.of(0)),
    encodeTlv(0x42, Buffer.from(fields.car, 'latin1')),
    encodeCvcPublicKey(fields.publicKey, chat.octet >> 6 === ROLES.indexOf('cvca')),
    encodeTlv(0x5f20, Buffer.from(fields.chr, 'latin1')),
    encodeTlv(0x7f4c, encodeObjectIdentifier(chat.objectIdentifier), encodeTlv(0x53, Uint8Array.of(chat.octet))),
    encodeTlv(0x5f25, encodeDate(fields.effective)),
    encodeTlv(0x5f24, encodeDate(fields.expiry)),
  )
}

function decodeBody(body: Uint8Array): CvcBody {
  const reader = new DerReader(decodeTlv(body, 0x7f4e).value)
  const profile = reader.take(0x5f29).value
  if (profile.length !== 1 || profile[0] !== 0) throw new PkiError('cvc-malformed', { field: '5F29' })
  const car = decodeReference(reader.take(0x42).value)
  const key = reader.take(0x7f49)
  const chr = decodeReference(reader.take(0x5f20).value)
  const chat = decodeChat(reader.take(0x7f4c).value)
  const effective = decodeDate(reader.take(0x5f25).value)
  const expiry = decodeDate(reader.take(0x5f24).value)
  reader.end() // no extensions (65) in this profile
  return { body, car, chr, ...decodeCvcPublicKey(key, chat.role === 'cvca'), chat, effective, expiry }
}

/** A reference of this profile: `JP`, up to 9 of [A-Z0-9], 5 digits. @throws PkiError `cvc-malformed` */
export function decodeReference(value: Uint8Array): string {
  const text = Buffer.from(value).toString('latin1')
  if (!REFERENCE.test(text)) throw new PkiError('cvc-malformed', { field: 'reference' })
  return text
}

function decodeChat(value: Uint8Array): Chat {
  const reader = new DerReader(value)
  const objectIdentifier = decodeObjectIdentifierValue(reader.take(0x06).value)
  const bits = reader.take(0x53).value
  reader.end()
  const [octet] = bits
  if (octet === undefined || bits.length !== 1) throw new PkiError('cvc-malformed', { field: '53' })
  const role = ROLES[octet >> 6]
  if (!role) throw new PkiError('cvc-role')
  return { objectIdentifier, role, pinless: (octet & PINLESS) !== 0, octet }
}

/** Six unpacked decimal digits YYMMDD of 20YY (TR-03110-3 D.2.1.3). */
function encodeDate(date: string): Uint8Array {
  const digits = /^20(\d\d)-(\d\d)-(\d\d)$/.exec(date)?.slice(1).join('')
  if (!digits) throw new PkiError('cvc-malformed', { field: 'date' })
  return Uint8Array.from(digits, Number)
}

function decodeDate(value: Uint8Array): string {
  const digits = [...value]
  const [yy, mm, dd] = [0, 2, 4].map((at) => digits.slice(at, at + 2).join(''))
  const date = `20${yy}-${mm}-${dd}`
  // A day that does not exist (Feb 30) is read as another one, or not at all.
  const time = Date.parse(`${date}T00:00:00Z`)
  const real = digits.length === 6 && digits.every((digit) => digit <= 9) && !Number.isNaN(time)
  if (!real || new Date(time).toISOString().slice(0, 10) !== date)
    throw new PkiError('cvc-malformed', { field: 'date' })
  return date
}

/** What the bytes of a CVC cannot be is `cvc-malformed`. */
export function strictly<T>(decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause
    throw new PkiError('cvc-malformed', { reason: cause.code }, { cause })
  }
}
