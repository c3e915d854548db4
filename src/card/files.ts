import { SW } from '#apdu'
import { concatBytes, decodeBase64url } from '#bytes'
import { CREDENTIALS, FILE, type HolderKey } from './application.ts'
import type { Personalisation } from './personalisation.ts'
import type { Session } from './session.ts'

/** An elementary file of the virtual card. Only transparent ones can be read; the others are references. */
export type CardFile =
  | { readonly kind: 'transparent'; readonly content: Uint8Array; readonly opens: 'always' | HolderKey }
  | { readonly kind: 'key' | 'pin'; readonly of: HolderKey }
  | { readonly kind: 'institution-root' }

/** The files of the JPKI application (as public reverse engineering of test cards has it). A card without a signature key lacks 0001, 0002, 001A, 001B. */
export function createFiles(card: Personalisation): ReadonlyMap<number, CardFile> {
  const open = (content: Uint8Array): CardFile => ({ kind: 'transparent', content, opens: 'always' })
  const files = new Map<number, CardFile>([
    [FILE.tokenInfo, open(encodeTokenInfo(card.tokenLabel))],
    // ASSUMPTION(A-01): 00 says that a certificate is absent; only 8F (present) was ever seen.
    [FILE.presence, open(Uint8Array.of(card.signature ? 0x8f : 0x00, 0x8f, 0x00))],
    [FILE.userCertificate, open(decodeBase64url(card.userAuthentication.certificate))],
    [FILE.userAuthority, open(decodeBase64url(card.userAuthentication.caCertificate))],
    [FILE.institutionRoot, { kind: 'institution-root' }],
    [FILE.userKey, { kind: 'key', of: 'user-authentication' }],
    [FILE.userPin, { kind: 'pin', of: 'user-authentication' }],
  ])
  if (!card.signature) return files
  const certificate = decodeBase64url(card.signature.certificate)
  return files
    .set(FILE.signatureCertificate, { kind: 'transparent', content: certificate, opens: 'signature' })
    .set(FILE.signatureAuthority, open(decodeBase64url(card.signature.caCertificate)))
    .set(FILE.signatureKey, { kind: 'key', of: 'signature' })
    .set(FILE.signaturePassword, { kind: 'pin', of: 'signature' })
}

/**
 * Whose key or credential a P2 names: 80 = the current file, 80 + short identifier = that file.
 * Gives the holder's key, or the status word of a refusal.
 */
export function referenced(
  kind: 'key' | 'pin',
  p2: number,
  session: Session,
  files: ReadonlyMap<number, CardFile>,
): HolderKey | number {
  if ((p2 & 0xe0) !== 0x80) return SW.wrongP1P2
  const identifier = p2 === 0x80 ? session.currentFile : p2 & 0x1f
  if (identifier === undefined) return SW.commandNotAllowed // no current EF
  const file = session.application === undefined ? undefined : files.get(identifier)
  if (file?.kind === kind) return file.of
  return p2 === 0x80 ? SW.fileStructure : SW.referenceNotFound
}

/**
 * CK_TOKEN_INFO as the card stores it (PKCS#11 §3.2; 32-bit numbers, big-endian): 160 bytes. The serial number of a
 * real one names the card; this one names nobody.
 */
export function encodeTokenInfo(label: string): Uint8Array {
  const text = (value: string, length: number): Uint8Array => Buffer.from(value.padEnd(length, ' '), 'latin1')
  const number = (value: number): Uint8Array => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
  const { shortest } = CREDENTIALS['user-authentication']
  const { longest } = CREDENTIALS.signature
  const unavailable = 0xffffffff // CK_UNAVAILABLE_INFORMATION
  return concatBytes(
    text(label, 32),
    text('KAZASU TEST CARD', 32),
    text('VIRTUAL', 16),
    text('', 16),
    number(0x0000040d), // RNG, login required, user PIN initialised, token initialised
    ...[unavailable, 0, unavailable, 0, longest, shortest].map(number),
    ...[unavailable, unavailable, unavailable, unavailable].map(number),
    text('03', 2),
    text('01', 2),
    text('', 16),
  )
}
