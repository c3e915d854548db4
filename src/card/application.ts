import { decodeHex } from '#bytes'

/** 公的個人認証AP – the JPKI application's identifier (as OpenSC’s card-jpki.c selects it); only the whole of it matches. */
export const JPKI_AID = decodeHex('D392F000260100000001')
/** GlobalPlatform issuer security domain: selecting it leads back to the state after power-up. */
export const ISSUER_DOMAIN_AID = decodeHex('A0000001510000')

/** Elementary files of the JPKI application; the last five bits of each are its short identifier. */
export const FILE = {
  /** 署名用電子証明書 – holds name, address, birth and sex: opened by the password only */
  signatureCertificate: 0x0001,
  /** 署名用認証局の自己署名証明書 – from the same card, so no trust anchor */
  signatureAuthority: 0x0002,
  /** トークン情報 – 160 bytes, CK_TOKEN_INFO */
  tokenInfo: 0x0006,
  /** which certificates are present: 8F for each, signature first */
  presence: 0x0008,
  /** 利用者証明用電子証明書 – free to read on a card */
  userCertificate: 0x000a,
  /** 利用者証明用認証局の自己署名証明書 – from the same card, so no trust anchor */
  userAuthority: 0x000b,
  /** 機構の公開鍵 – reference of the key that terminals' certificates are checked against */
  institutionRoot: 0x0016,
  /** 利用者証明用秘密鍵 */
  userKey: 0x0017,
  /** 利用者証明用暗証番号 */
  userPin: 0x0018,
  /** 署名用秘密鍵 */
  signatureKey: 0x001a,
  /** 署名用暗証番号 */
  signaturePassword: 0x001b,
} as const

/** The holder's two keys: 利用者証明用 and 署名用. Each has a credential of its own, with a counter of its own. */
export type HolderKey = 'user-authentication' | 'signature'

/** What opens a key: the files of both, tries before it locks, and the form a credential has (ASCII). */
export interface Credential {
  readonly key: number
  readonly pin: number
  readonly tries: number
  readonly shortest: number
  readonly longest: number
  /** Whether capital letters are allowed beside digits. */
  readonly letters: boolean
}

export const CREDENTIALS: Readonly<Record<HolderKey, Credential>> = {
  'user-authentication': { key: FILE.userKey, pin: FILE.userPin, tries: 3, shortest: 4, longest: 4, letters: false },
  signature: {
    key: FILE.signatureKey,
    pin: FILE.signaturePassword,
    tries: 5,
    shortest: 6,
    longest: 16,
    letters: true,
  },
}

/** What is wrong with the form of a credential, if anything. Bytes, so that no unerasable text of a PIN is made. */
export function formFault(key: HolderKey, pin: Uint8Array): 'length' | 'characters' | undefined {
  const { shortest, longest, letters } = CREDENTIALS[key]
  if (pin.length < shortest || pin.length > longest) return 'length'
  const allowed = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (letters && byte >= 0x41 && byte <= 0x5a)
  return pin.every(allowed) ? undefined : 'characters'
}

/** P2 (or P1 of READ BINARY) that names a file by its short identifier (ISO/IEC 7816-4 §11.2.1). */
export const shortReference = (file: number): number => 0x80 | (file & 0x1f)
