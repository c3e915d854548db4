import type { TracedExchange } from '#apdu'
import { decodeHex } from '#bytes'

/**
 * Computed time of a real card, for lines that say so: nobody has published a JPKI timing. Contactless Type B at
 * 424 kbit/s, a card as governments bought them in 2016 (JCOP3 J3H145, JCAlgTest), a desktop reader.
 */
const READER = 4
const CARD = 5
const SELECT_APPLICATION = 12
/** 32 carrier cycles per elementary time unit at 424 kbit/s (ISO/IEC 14443-2). */
const ETU = 32 / 13_560
/** Bytes of a frame beside its information, SOF and EOF in units, octets of ten units. */
const FRAME = { overhead: 3, delimiters: 24, octet: 10, information: 253 }
/** From command to answer and back, milliseconds. */
const TURN = 0.3 + 0.5
/** What the card computes; ECDSA P-256 verifies, RSA-2048 with CRT signs. */
const OPERATION = { verify: 51.5, sign: 205, random: 0.7, pin: 6 }

/** What a command is called, by its header. */
export function commandName(exchange: Pick<TracedExchange, 'command'>): string {
  const [, ins = 0, p1 = 0, p2 = 0] = decodeHex(exchange.command.slice(0, 8))
  switch (ins) {
    case 0xa4:
      return p1 === 0x04 ? 'SELECT application' : 'SELECT file'
    case 0xb0:
      return 'READ BINARY'
    case 0xc0:
      return 'GET RESPONSE'
    case 0x22:
      return p2 === 0xb6 ? 'MSE SET DST' : 'MSE SET AT'
    case 0x2a:
      return p2 === 0xbe ? 'PSO VERIFY CERTIFICATE' : 'PSO sign'
    case 0x84:
      return 'GET CHALLENGE'
    case 0x82:
      return 'EXTERNAL AUTHENTICATE'
    case 0x20:
      return 'VERIFY'
    default:
      return `INS ${ins.toString(16).padStart(2, '0')}`
  }
}

/** Milliseconds on the air for a command of `up` bytes and an answer of `down` bytes, in blocks with their R(ACK). */
export function wireTime(up: number, down: number): number {
  const blocks = (length: number): number[] =>
    Array.from({ length: Math.max(1, Math.ceil(length / FRAME.information)) }, (_, i) =>
      Math.min(FRAME.information, length - i * FRAME.information),
    )
  const [sent, received] = [blocks(up), blocks(down)]
  const acknowledgements = sent.length + received.length - 2
  const frames = [...sent, ...received, ...Array.from({ length: acknowledgements }, () => 0)]
  const units = frames.reduce((sum, n) => sum + FRAME.delimiters + (n + FRAME.overhead) * FRAME.octet, 0)
  return units * ETU + (sent.length + received.length - 1) * TURN
}

/** Computed milliseconds of one exchange with a real card. */
export function realCardTime(exchange: Pick<TracedExchange, 'command' | 'sent' | 'received'>): number {
  const base = READER + CARD + wireTime(exchange.sent, exchange.received)
  switch (commandName(exchange)) {
    case 'SELECT application':
      return base + SELECT_APPLICATION
    case 'PSO VERIFY CERTIFICATE':
    case 'EXTERNAL AUTHENTICATE':
      return base + OPERATION.verify
    case 'PSO sign':
      return base + OPERATION.sign
    case 'GET CHALLENGE':
      return base + OPERATION.random
    case 'VERIFY':
      // An empty VERIFY only asks how many tries are left; one with a PIN is cut short in the trace.
      return exchange.command.endsWith('··') ? base + OPERATION.pin : base
    default:
      return base
  }
}
