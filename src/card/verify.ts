import {
  type CardChannel,
  command,
  decodeResponse,
  encodeCommand,
  exchange,
  SW,
  status,
  triesLeft,
  triesLeftStatus,
} from '#apdu'
import { concatBytes, equalBytes } from '#bytes'
import { CREDENTIALS, formFault, type HolderKey, shortReference } from './application.ts'
import { CardError } from './failures.ts'
import { referenced } from './files.ts'
import { answer, type Outcome, type Received } from './session.ts'
import { refusalOf } from './step.ts'

/** 暗証番号の照合結果 – what came of a PIN that was sent. `blocked`: no try is left, now or from before. */
export type PinOutcome =
  | { readonly outcome: 'verified' }
  | { readonly outcome: 'wrong'; readonly triesLeft: number }
  | { readonly outcome: 'blocked' }

const AUTHENTICATION_BLOCKED = 0x6983

const header = (key: HolderKey): string => `002000${shortReference(CREDENTIALS[key].pin).toString(16)}`

/**
 * Tries that are left; 0 = blocked. Costs none: a VERIFY without a body asks (measured on test cards).
 * @throws CardError `file-missing` (no such credential on this card), `unexpected-status`
 */
export async function readTriesLeft(channel: CardChannel, key: HolderKey): Promise<number> {
  const { sw } = await exchange(channel, command(header(key)))
  const left = triesLeft(sw)
  if (left !== undefined) return left
  if (sw === SW.ok) return CREDENTIALS[key].tries // verified in this session, and a success restores the counter
  if (sw === SW.blocked || sw === AUTHENTICATION_BLOCKED) return 0
  throw refusalOf({ name: 'ask for the tries left', refusals: MISSING }, sw)
}

const MISSING = { [SW.referenceNotFound]: 'file-missing', [SW.fileNotFound]: 'file-missing' } as const

/**
 * Sends a PIN, once: 4 digits, or 6–16 letters and digits (made upper case here) for the signature key; ASCII bytes
 * that the caller erases. A PIN of another form is refused here and costs no try.
 * @throws CardError `pin-malformed`, `file-missing`, `unexpected-status`
 */
export async function verifyPin(channel: CardChannel, key: HolderKey, pin: Uint8Array): Promise<PinOutcome> {
  const sent = CREDENTIALS[key].letters ? pin.map(upperCase) : Uint8Array.from(pin)
  let bytes: Uint8Array | undefined
  try {
    if (formFault(key, sent)) throw new CardError('pin-malformed')
    bytes = encodeCommand(command(header(key), sent))
    const { sw } = decodeResponse(await channel.transmit(bytes))
    const left = triesLeft(sw)
    if (sw === SW.ok) return { outcome: 'verified' }
    if (left === 0 || sw === SW.blocked || sw === AUTHENTICATION_BLOCKED) return { outcome: 'blocked' }
    if (left !== undefined) return { outcome: 'wrong', triesLeft: left }
    throw refusalOf({ name: 'verify the PIN', refusals: MISSING }, sw)
  } finally {
    sent.fill(0)
    bytes?.fill(0)
  }
}

const upperCase = (byte: number): number => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)

/**
 * The card's side. The counter falls, and is stored, before the comparison: power cut at any moment never gains a try.
 * A query always answers 63Cx, verified or blocked, as OpenSC demands; an attempt on a blocked PIN answers 6984.
 */
export async function answerVerify({ apdu, contents, session }: Received): Promise<Outcome> {
  if (apdu.p1 !== 0x00) return answer(SW.wrongP1P2)
  const key = referenced('pin', apdu.p2, session, contents.files)
  if (typeof key === 'number') return answer(key)
  if (apdu.le !== undefined) return answer(SW.wrongLength)
  const card = await contents.state.read()
  if (apdu.data.length === 0) return answer(triesLeftStatus(card.tries[key]))
  if (card.tries[key] === 0) return answer(SW.blocked)
  // ASSUMPTION(A-02): a PIN that cannot be one costs no try; it says nothing about the one that is stored.
  const fault = formFault(key, apdu.data)
  if (fault) return answer(fault === 'length' ? SW.wrongLength : SW.wrongData)
  const left = card.tries[key] - 1
  await contents.state.write({ ...card, tries: { ...card.tries, [key]: left } })
  // ASSUMPTION(A-04): a wrong PIN takes back what the right one opened before.
  const verified = session.verified.filter((other) => other !== key)
  if (!isSecret(card.pins[key] ?? '', apdu.data)) {
    return { response: status(triesLeftStatus(left)), session: { ...session, verified } }
  }
  await contents.state.write({ ...card, tries: { ...card.tries, [key]: CREDENTIALS[key].tries } })
  return { response: status(SW.ok), session: { ...session, verified: [...verified, key] } }
}

/** In time that does not depend on either value: both are brought to one length, which is compared with them. */
function isSecret(stored: string, presented: Uint8Array): boolean {
  const secret = new TextEncoder().encode(stored)
  const [a, b] = [padded(secret), padded(presented)]
  try {
    return equalBytes(a, b)
  } finally {
    for (const bytes of [secret, a, b]) bytes.fill(0)
  }
}

const padded = (pin: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(pin.length), pin, new Uint8Array(Math.max(0, CREDENTIALS.signature.longest - pin.length)))
