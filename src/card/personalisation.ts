import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { encodeBase64url } from '#bytes'
import { bytesTextUpTo } from '#messages'
import { formFault, type HolderKey } from './application.ts'
import { CardError } from './failures.ts'

const base64url = bytesTextUpTo(8192)
const keyMaterial = z.strictObject({
  /** PKCS#8, DER, b64u; it leaves the card's file only into the virtual card. */
  privateKey: base64url,
  /** DER, b64u. */
  certificate: base64url,
  caCertificate: base64url,
})

const personalisation = z
  .strictObject({
    v: z.literal(1),
    /** A name for people who handle test cards; the card never says it. */
    holder: z.string().min(1).max(64),
    /** CK_TOKEN_INFO label: which kind of token this is. */
    tokenLabel: z.string().regex(/^[A-Z0-9 ]{1,32}$/),
    /** Answer to reset, hex. */
    atr: z.string().regex(/^3[bf]([0-9a-f]{2}){1,32}$/i),
    userAuthentication: keyMaterial,
    /** Absent for children under 15 and for whoever did not want it. */
    signature: keyMaterial.optional(),
    /** 機構の公開鍵 – CVCA certificates (`7F21`, b64u): the one in force and, if any, the one before. */
    institutionRoots: z.strictObject({ current: base64url, previous: base64url.optional() }),
    /** 利用者証明用暗証番号 – 4 digits. */
    pin: z.string().refine(hasForm('user-authentication'), 'not 4 digits'),
    /** 署名用暗証番号 – 6–16 of A–Z and 0–9. */
    password: z.string().refine(hasForm('signature'), 'not 6-16 of A-Z0-9').optional(),
    /** `YYYY-MM-DD` of issue: where the card's own date begins. */
    date: z.iso.date(),
  })
  .refine((card) => (card.signature === undefined) === (card.password === undefined), 'signature key and password')

/** What a virtual card is made from; JSON. It holds private keys and PINs: it *is* the card, for test cards only. */
export type Personalisation = z.infer<typeof personalisation>

/** Asks whoever issues certificates for one to a fresh key. All DER. */
export type IssueCertificate = (request: {
  readonly key: HolderKey
  readonly publicKey: Uint8Array
}) => Promise<{ readonly certificate: Uint8Array; readonly caCertificate: Uint8Array }>

/** What is decided about a new card; a card without `password` has no signature key. */
export interface CardOrder {
  readonly holder: string
  readonly pin: string
  readonly password?: string
  readonly institutionRoots: Personalisation['institutionRoots']
  /** `YYYY-MM-DD`. */
  readonly date: string
  /** Default `JPKIAPICCTOKEN2`, the card of today. */
  readonly tokenLabel?: string
  /** Hex; default: the contact answer to reset that OpenSC knows the card by. */
  readonly atr?: string
  readonly issue: IssueCertificate
}

/**
 * Makes a new card: RSA-2048 keys (e = 65537), certificates from `issue`.
 * @throws CardError `personalisation-malformed`; whatever `issue` rejects with
 */
export async function createPersonalisation(order: CardOrder): Promise<Personalisation> {
  const { issue, atr = '3be000ff8131fe4514', tokenLabel = 'JPKIAPICCTOKEN2', ...decided } = order
  const userAuthentication = await makeKey('user-authentication', issue)
  const signature = order.password === undefined ? {} : { signature: await makeKey('signature', issue) }
  return parse({ v: 1, atr, tokenLabel, ...decided, userAuthentication, ...signature })
}

/**
 * The card that a file's text holds.
 * @throws CardError `personalisation-malformed` naming the first wrong member, never its value
 */
export function decodePersonalisation(unverified: string): Personalisation {
  let value: unknown
  try {
    value = JSON.parse(unverified)
  } catch {
    throw new CardError('personalisation-malformed', { member: '(whole)' }) // no cause: it would quote the text
  }
  return parse(value)
}

/** Text for a file of mode 600. */
export const encodePersonalisation = (card: Personalisation): string => JSON.stringify(card)

function parse(unverified: unknown): Personalisation {
  const result = personalisation.safeParse(unverified)
  if (result.success) return result.data
  throw new CardError('personalisation-malformed', { member: result.error.issues[0]?.path.join('.') || '(whole)' })
}

const generate = promisify(generateKeyPair)

async function makeKey(key: HolderKey, issue: IssueCertificate): Promise<Personalisation['userAuthentication']> {
  const pair = await generate('rsa', {
    modulusLength: 2048,
    publicExponent: 65537,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  })
  const { certificate, caCertificate } = await issue({ key, publicKey: Uint8Array.from(pair.publicKey) })
  return {
    privateKey: encodeBase64url(pair.privateKey),
    certificate: encodeBase64url(certificate),
    caCertificate: encodeBase64url(caCertificate),
  }
}

function hasForm(key: HolderKey): (pin: string) => boolean {
  return (pin) => formFault(key, new TextEncoder().encode(pin)) === undefined
}
