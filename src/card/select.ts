import { type CardChannel, command, exchange, SW } from '#apdu'
import { decodeHex, encodeTlv, equalBytes } from '#bytes'
import { ISSUER_DOMAIN_AID, JPKI_AID } from './application.ts'
import type { CardErrorCode } from './failures.ts'
import { next } from './institution-state.ts'
import { answer, type Outcome, type Received, type Session } from './session.ts'
import { type CardStep, OK, perform, refusalOf } from './step.ts'

/** What a card says that does not have the application. */
const ABSENT: Readonly<Record<number, CardErrorCode>> = Object.fromEntries(
  [SW.fileNotFound, 0x6a81, SW.wrongP1P2, SW.wrongData, SW.instruction, SW.class, 0x6999].map((sw) => [
    sw,
    'not-a-my-number-card',
  ]),
)

/** SELECT of 公的個人認証AP by its whole identifier, no FCI wanted. */
export const selectJpkiStep: CardStep = {
  name: 'select the JPKI application',
  command: command('00A4040C', JPKI_AID),
  expect: OK,
  refusals: ABSENT,
}

/**
 * Selects the JPKI application; a PIN verified in another application is lost thereby.
 * @throws CardError `not-a-my-number-card`, `unexpected-status`
 */
export async function selectJpki(channel: CardChannel): Promise<void> {
  await perform(channel, selectJpkiStep)
}

/**
 * Makes an elementary file the current one: for cards that do not take short identifiers.
 * @throws CardError `file-missing`, `unexpected-status`
 */
export async function selectFile(channel: CardChannel, file: number): Promise<void> {
  const identifier = Uint8Array.of(file >> 8, file & 0xff)
  const { sw } = await exchange(channel, command('00A4020C', identifier))
  if (sw !== SW.ok) throw refusalOf({ name: 'select a file', refusals: { [SW.fileNotFound]: 'file-missing' } }, sw)
}

/** The card's side. Applications match by the whole identifier only. */
export function answerSelect(received: Received): Outcome {
  const { apdu, session } = received
  if (apdu.p1 === 0x00) return selectByIdentifier(received)
  if (apdu.p2 !== 0x00 && apdu.p2 !== 0x0c) return answer(SW.wrongP1P2)
  if (apdu.p1 === 0x02) return selectElementary(received)
  if (apdu.p1 !== 0x04) return answer(SW.wrongP1P2)
  if (equalBytes(apdu.data, ISSUER_DOMAIN_AID)) return selected(received, enter(session, undefined), ISSUER_DOMAIN_AID)
  if (equalBytes(apdu.data, JPKI_AID)) return selected(received, enter(session, 'jpki'), JPKI_AID)
  return answer(SW.fileNotFound)
}

/** Another application means another security state; the one that is selected already keeps it. */
function enter(session: Session, application: Session['application']): Session {
  const inside = { ...session, application, currentFile: undefined }
  if (application === session.application) return inside
  return { ...inside, verified: [], institution: next(session.institution, { kind: 'left' }) }
}

function selected({ apdu }: Received, session: Session, aid: Uint8Array): Outcome {
  const data = apdu.p2 === 0x00 ? encodeTlv(0x6f, encodeTlv(0x84, aid)) : new Uint8Array(0)
  return { response: { data, sw: SW.ok }, session }
}

/** There is no master file. Inside an application the card says 9000 and stays where it is (measured on test cards). */
function selectByIdentifier({ apdu, session }: Received): Outcome {
  if (session.application === undefined) return answer(SW.wrongP1P2)
  return answer(equalBytes(apdu.data, MASTER_FILE) ? SW.fileNotFound : SW.ok)
}

const MASTER_FILE = decodeHex('3F00')

function selectElementary({ apdu, contents, session }: Received): Outcome {
  const [high, low] = apdu.data
  if (high === undefined || low === undefined || apdu.data.length !== 2) return answer(SW.wrongLength)
  const currentFile = (high << 8) | low
  if (session.application === undefined || !contents.files.has(currentFile)) return answer(SW.fileNotFound)
  const data = apdu.p2 === 0x00 ? encodeTlv(0x6f, encodeTlv(0x83, apdu.data)) : new Uint8Array(0)
  return { response: { data, sw: SW.ok }, session: { ...session, currentFile } }
}
