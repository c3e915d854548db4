import { type CardChannel, command, exchange, type ResponseApdu, SW, statusText } from '#apdu'
import { concatBytes } from '#bytes'
import { FILE, shortReference } from './application.ts'
import { CardError, type CardErrorCode } from './failures.ts'
import { answer, type Outcome, type Received } from './session.ts'
import { refusalOf } from './step.ts'

const EMPTY = new Uint8Array(0)
/** Offsets have 15 bits (ISO/IEC 7816-4 §11.3.3), so no file that can be read whole is larger. */
const LARGEST_FILE = 0x7fff

const REFUSALS: Readonly<Record<number, CardErrorCode>> = {
  [SW.fileNotFound]: 'file-missing',
  [SW.securityStatus]: 'pin-required',
}

/** 利用者証明用電子証明書 – DER. @throws CardError as {@link readCertificate} */
export const readUserCertificate = (channel: CardChannel): Promise<Uint8Array> =>
  readCertificate(channel, FILE.userCertificate)

/**
 * A certificate (DER) in a file of the selected application, without the filler that may follow it: one APDU where
 * extended length is to be had, 256 bytes at a time otherwise.
 * @throws CardError `file-missing`, `pin-required`, `file-malformed`, `answer-incomplete`, `unexpected-status`
 */
export async function readCertificate(channel: CardChannel, file: number): Promise<Uint8Array> {
  const content = await readFile(channel, file, certificateLength)
  const length = certificateLength(content)
  if (length === undefined || length > LARGEST_FILE) throw new CardError('file-malformed')
  if (content.length < length) throw new CardError('answer-incomplete', { have: content.length, want: length })
  return content.slice(0, length)
}

/** Length of the DER SEQUENCE that `content` starts with, in whatever form its length is written. */
function certificateLength(content: Uint8Array): number | undefined {
  if (content[0] !== 0x30) return undefined
  const first = content[1] ?? 0
  if (first < 0x80) return 2 + first
  const octets = content.subarray(2, 2 + (first & 0x7f))
  return octets.length > 3 ? undefined : 2 + octets.length + octets.reduce((sum, octet) => sum * 256 + octet, 0)
}

/**
 * A whole file of the selected application, or as much of it as `wanted` says its beginning asks for.
 * @throws CardError `file-missing`, `pin-required`, `answer-incomplete`, `unexpected-status`
 */
export async function readFile(
  channel: CardChannel,
  file: number,
  wanted: (beginning: Uint8Array) => number | undefined = () => undefined,
): Promise<Uint8Array> {
  if (channel.extendedLength) {
    const whole = await exchange(channel, command(`00B0${byte(shortReference(file))}00`, EMPTY, 65536))
    if (whole.data.length > 0 && isRead(whole)) return whole.data
    if (REFUSALS[whole.sw]) throw refusalOf({ name: 'read a file', refusals: REFUSALS }, whole.sw)
  }
  // Not every reader or card takes extended length: the short identifier makes the file current, then by offset.
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < LARGEST_FILE; ) {
    const header =
      offset === 0 ? `00B0${byte(shortReference(file))}00` : `00B0${byte(offset >> 8)}${byte(offset & 0xff)}`
    const part = await exchange(channel, command(header, EMPTY, 256))
    if (part.sw === SW.offsetOutside && offset > 0) break
    if (!isRead(part)) throw refusalOf({ name: 'read a file', refusals: REFUSALS }, part.sw)
    parts.push(part.data)
    offset += part.data.length
    if (part.data.length < 256 || offset >= (wanted(parts[0] ?? EMPTY) ?? Infinity)) break
  }
  const content = concatBytes(...parts)
  if (content.length === 0) throw new CardError('answer-incomplete', { status: statusText(SW.ok) })
  return content
}

const isRead = ({ sw }: ResponseApdu): boolean => sw === SW.ok || sw === SW.endOfFile
const byte = (value: number): string => value.toString(16).padStart(2, '0')

/** The card's side: 15-bit offset in the current file, or short identifier in P1 and 8-bit offset in P2. */
export function answerReadBinary({ apdu, contents, session }: Received): Outcome {
  const { p1, p2, le } = apdu
  if (apdu.data.length > 0 || le === undefined) return answer(SW.wrongLength)
  const byShort = (p1 & 0x80) !== 0
  if (byShort && ((p1 & 0x60) !== 0 || (p1 & 0x1f) === 0)) return answer(SW.wrongP1P2)
  const identifier = byShort ? p1 & 0x1f : session.currentFile
  if (identifier === undefined) return answer(SW.commandNotAllowed)
  const file = session.application === undefined ? undefined : contents.files.get(identifier)
  if (!file) return answer(SW.fileNotFound)
  if (file.kind !== 'transparent') return answer(SW.fileStructure)
  if (file.opens !== 'always' && !session.verified.includes(file.opens)) return answer(SW.securityStatus)
  const offset = byShort ? p2 : (p1 << 8) | p2
  if (offset >= file.content.length) return answer(SW.offsetOutside)
  const data = file.content.slice(offset, offset + le)
  // Le = 00 or 0000 means "all there is"; fewer bytes than an exact Le are an early end.
  const early = data.length < le && le !== 256 && le !== 65536
  return { response: { data, sw: early ? SW.endOfFile : SW.ok }, session: { ...session, currentFile: identifier } }
}
