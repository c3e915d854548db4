import { concatBytes } from '#bytes'
import { type CommandApdu, chainCommand, encodeCommand, needsExtended } from './command.ts'
import { ApduError } from './failures.ts'
import { decodeResponse, type ResponseApdu } from './response.ts'

/** What any channel to a card offers: whole commands out, whole responses back. */
export interface CardChannel {
  /** Sends the bytes of one command APDU and gives the bytes of its response. Rejects when the card is gone. */
  transmit(command: Uint8Array): Promise<Uint8Array>
  /** False if the reader cannot pass extended-length APDUs; chaining and 256-byte reads are used then. */
  readonly extendedLength: boolean
}

/** An open, exclusive session with a card in a reader. */
export interface CardConnection extends CardChannel {
  /** Answer to reset of the card. */
  readonly atr: Uint8Array
  /** Ends the session and powers the card off, so that no verified PIN and no authorisation outlives it. */
  disconnect(): Promise<void>
}

/** A reader slot. */
export interface CardReader {
  readonly name: string
  /** Resolves when a card is present; rejects when `signal` is aborted. */
  waitForCard(signal?: AbortSignal): Promise<void>
  /** Resolves when no card is present; rejects when `signal` is aborted. */
  waitForRemoval(signal?: AbortSignal): Promise<void>
  /** Opens an exclusive session with the card that is present. */
  connect(): Promise<CardConnection>
}

/** The other end: something that behaves as a card when powered. What readers drive and what the virtual card is. */
export interface CardDevice {
  /** Cold start; all volatile state is lost. Gives the answer to reset. */
  powerUp(): Promise<Uint8Array>
  /** Warm reset; volatile state is lost, but it counts as the same power-up. */
  reset(): Promise<Uint8Array>
  powerDown(): Promise<void>
  /** One command APDU in, one response APDU out. Never rejects for what a command says: it answers a status word. */
  process(command: Uint8Array): Promise<Uint8Array>
}

/** Largest answer that is put together from parts: the largest extended Le. */
const ANSWER_LIMIT = 65536
/** Parts an answer may come in; 65536 bytes in parts of 256. */
const PART_LIMIT = 256

/**
 * Sends one command and gives its whole answer: chaining where extended length is not to be had, GET RESPONSE for 61xx,
 * the same command again with the right Le for 6Cxx (ISO/IEC 7816-4 §5.1.3), both within a budget.
 * @throws ApduError `response-malformed`, `response-endless`, `response-too-large`
 */
export async function exchange(channel: CardChannel, apdu: CommandApdu): Promise<ResponseApdu> {
  const chain = needsExtended(apdu) && !channel.extendedLength ? shorten(apdu) : [apdu]
  let sent: CommandApdu = apdu
  let response: ResponseApdu = { data: new Uint8Array(0), sw: 0x9000 }
  for (const part of chain) {
    sent = part
    response = decodeResponse(await channel.transmit(encodeCommand(part)))
    if (part !== chain.at(-1) && response.sw !== 0x9000) return response
  }
  if (response.sw >> 8 === 0x6c) {
    response = decodeResponse(await channel.transmit(encodeCommand({ ...sent, le: response.sw & 0xff || 256 })))
    if (response.sw >> 8 === 0x6c) throw new ApduError('response-endless')
  }
  const parts = [response.data]
  let size = response.data.length
  while (response.sw >> 8 === 0x61) {
    if (parts.length >= PART_LIMIT) throw new ApduError('response-endless')
    const le = response.sw & 0xff || 256
    response = decodeResponse(await channel.transmit(Uint8Array.of(sent.cla & 0x0f, 0xc0, 0, 0, le & 0xff)))
    parts.push(response.data)
    size += response.data.length
    if (size > ANSWER_LIMIT) throw new ApduError('response-too-large')
  }
  return { data: concatBytes(...parts), sw: response.sw }
}

function shorten(apdu: CommandApdu): readonly CommandApdu[] {
  if (apdu.data.length > 255) return chainCommand(apdu)
  return [{ ...apdu, le: Math.min(apdu.le ?? 256, 256) }]
}
