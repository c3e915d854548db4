import { type CardChannel, command, SW, status } from '#apdu'
import { BytesError, concatBytes, DerReader, encodeTlv, equalBytes } from '#bytes'
import { auxiliaryData, composeA, composeT } from '#messages'
import { certHash, decodeCvc, TERMINAL_AUTHENTICATION, verifySignature } from '#pki'
import { signatureLength, signSha256Digest } from './compute-signature.ts'
import { CardError } from './failures.ts'
import { next } from './institution-state.ts'
import { answer, type Outcome, type Received, wrongLe } from './session.ts'
import { type CardStep, OK, perform } from './step.ts'

const EMPTY = new Uint8Array(0)
const DIGEST_LENGTH = 32

/**
 * MSE:SET AT: which key will authenticate, and D, the hash of the presence statement.
 * @param terminalCertificate the `7F21` presented last; `d` 32 bytes
 */
export function announceStep(terminalCertificate: Uint8Array, d: Uint8Array): CardStep {
  const { algorithm, chr } = decodeCvc(terminalCertificate)
  return {
    name: 'announce the statement',
    command: command(
      '002281A4',
      concatBytes(
        encodeTlv(0x80, TERMINAL_AUTHENTICATION[algorithm]),
        encodeTlv(0x83, Buffer.from(chr, 'latin1')),
        auxiliaryData(d),
      ),
    ),
    expect: OK,
    refusals: { [SW.securityStatus]: 'institution-not-entitled', [SW.conditionsOfUse]: 'institution-out-of-order' },
  }
}

/** EXTERNAL AUTHENTICATE with seSig, the terminal's signature over A; RSA's 256 bytes go extended or chained. */
export function authenticateStep(seSig: Uint8Array): CardStep {
  return {
    name: 'authenticate the institution',
    command: command('00820000', seSig),
    expect: OK,
    refusals: {
      [SW.authenticationFailed]: 'institution-refused',
      [SW.conditionsOfUse]: 'institution-out-of-order',
    },
  }
}

/** The signature over T, which the card composes itself: there is nothing to send. */
export const signAuthorisedStep: CardStep = {
  name: 'sign without a PIN',
  command: command('002A9E9A', EMPTY, 256),
  expect: OK,
  refusals: { [SW.conditionsOfUse]: 'institution-out-of-order' },
}

/** @throws CardError `institution-not-entitled`, `institution-out-of-order`, `unexpected-status` */
export async function announce(
  channel: CardChannel,
  { terminalCertificate, d }: { readonly terminalCertificate: Uint8Array; readonly d: Uint8Array },
): Promise<void> {
  await perform(channel, announceStep(terminalCertificate, d))
}

/** @throws CardError `institution-refused`, `institution-out-of-order`, `unexpected-status` */
export async function authenticate(channel: CardChannel, seSig: Uint8Array): Promise<void> {
  await perform(channel, authenticateStep(seSig))
}

/** The card's signature over T. @throws CardError `institution-out-of-order`, `answer-incomplete`, … */
export async function signAuthorised(channel: CardChannel): Promise<Uint8Array> {
  const { data } = await perform(channel, signAuthorisedStep)
  if (data.length === 0) throw new CardError('answer-incomplete', { step: signAuthorisedStep.name })
  return data
}

/** The card's side of MSE:SET AT. The statement is not optional: a card never authenticates for nothing in particular. */
export function answerAnnounce({ apdu, session, institution }: Received): Outcome {
  const announced = decodeAnnouncement(apdu.data)
  if (!announced) return answer(SW.wrongData)
  const terminal = institution.chain.at(-1)
  if (terminal?.cvc.chat.role !== 'terminal') return answer(SW.conditionsOfUse)
  if (terminal.cvc.chr !== announced.holder) return answer(SW.referenceNotFound)
  if (!equalBytes(announced.algorithm, TERMINAL_AUTHENTICATION[terminal.cvc.algorithm])) return answer(SW.wrongData)
  if (!terminal.pinless) return answer(SW.securityStatus)
  const event = { kind: 'announced', announcement: { terminal, d: announced.d } } as const
  return { response: status(SW.ok), session: { ...session, institution: next(institution, event) } }
}

/** `80 OID, 83 CHR, 67 { 73 { 06 K.1, 53 D } }`, in this order and nothing else. */
function decodeAnnouncement(data: Uint8Array) {
  try {
    const reader = new DerReader(data)
    const algorithm = reader.take(0x80).value
    const holder = Buffer.from(reader.take(0x83).value).toString('latin1')
    const auxiliary = reader.take(0x67).raw
    reader.end()
    const d = auxiliary.slice(-DIGEST_LENGTH)
    return equalBytes(auxiliary, auxiliaryData(d)) ? { algorithm, holder, d } : undefined
  } catch (error) {
    if (error instanceof BytesError) return undefined
    throw error
  }
}

/** The card's side of EXTERNAL AUTHENTICATE: the signature is over A = r ‖ auxiliary data, made for this r and this D. */
export function answerAuthenticate({ apdu, session, institution }: Received): Outcome {
  if (apdu.p1 !== 0 || apdu.p2 !== 0) return answer(SW.wrongP1P2)
  if (institution.at !== 'challenged' || institution.spent) return answer(SW.conditionsOfUse)
  const { announcement, r } = institution
  const { publicKey, algorithm } = announcement.terminal.cvc
  const genuine = verifySignature(publicKey, algorithm, composeA({ r, d: announcement.d }), apdu.data)
  if (!genuine) return answer(SW.authenticationFailed)
  const event = { kind: 'authenticated' } as const
  return { response: status(SW.ok), session: { ...session, institution: next(institution, event) } }
}

/**
 * The card's side of the PIN-less signature. It takes no data: what is signed is T, made from what the card itself
 * verified, drew and was told before authentication – so nobody can have it sign anything else. By the time this runs
 * the authorisation is out of the session; a failure here does not bring it back.
 */
export function answerSignAuthorised(received: Received): Outcome {
  const { apdu, contents, institution } = received
  if (institution.at !== 'authorised') return answer(SW.conditionsOfUse)
  if (apdu.data.length > 0) return answer(SW.wrongData)
  const key = contents.keys['user-authentication']
  if (!key) return answer(SW.referenceNotFound)
  const length = signatureLength(key)
  if (apdu.le !== undefined && apdu.le < length) return wrongLe(length, received)
  const { announcement, r } = institution
  const t = composeT({ certHash: certHash(announcement.terminal.cvc), r, d: announcement.d })
  return { response: { data: signSha256Digest(key, t), sw: SW.ok } }
}
