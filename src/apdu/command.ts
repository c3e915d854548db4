import { concatBytes } from '#bytes'
import { ApduError } from './failures.ts'

/** A command APDU (ISO/IEC 7816-3 §12.1). `le` is the number of bytes wanted: 1–65536, `undefined` for none. */
export interface CommandApdu {
  readonly cla: number
  readonly ins: number
  readonly p1: number
  readonly p2: number
  readonly data: Uint8Array
  readonly le?: number
}

/** Chaining bit of the class byte: more of the same command follows (ISO/IEC 7816-4 §5.1.1). */
export const CHAINING = 0x10

const EMPTY = new Uint8Array(0)

/** A command from its header bytes, `data` and `le`. */
export function command(header: string, data: Uint8Array = EMPTY, le?: number): CommandApdu {
  const [cla = 0, ins = 0, p1 = 0, p2 = 0] = Buffer.from(header.replace(/\s/g, ''), 'hex')
  return { cla, ins, p1, p2, data, ...(le === undefined ? {} : { le }) }
}

/** True if the command cannot be sent as a short APDU. */
export function needsExtended({ data, le }: CommandApdu): boolean {
  return data.length > 255 || (le ?? 0) > 256
}

/**
 * Bytes of a command: short form where data ≤ 255 and Le ≤ 256, extended otherwise.
 * @throws ApduError `command-malformed` if data or Le exceed 65535 / 65536
 */
export function encodeCommand(apdu: CommandApdu): Uint8Array {
  const { cla, ins, p1, p2, data, le } = apdu
  if (data.length > 65535 || (le !== undefined && (le < 1 || le > 65536))) throw new ApduError('command-malformed')
  const header = Uint8Array.of(cla, ins, p1, p2)
  if (needsExtended(apdu)) {
    const lc = data.length > 0 ? Uint8Array.of(0, data.length >> 8, data.length & 0xff) : EMPTY
    const lead = data.length > 0 ? EMPTY : Uint8Array.of(0)
    const want = le === undefined ? EMPTY : concatBytes(lead, Uint8Array.of((le >> 8) & 0xff, le & 0xff))
    return concatBytes(header, lc, data, want)
  }
  const lc = data.length > 0 ? Uint8Array.of(data.length) : EMPTY
  return concatBytes(header, lc, data, le === undefined ? EMPTY : Uint8Array.of(le & 0xff))
}

/**
 * The command that `bytes` spell, in any of the seven cases 1, 2S–4S, 2E–4E. Lc = 0 is refused.
 * @throws ApduError `command-malformed`
 */
export function decodeCommand(bytes: Uint8Array): CommandApdu {
  const malformed = (): never => {
    throw new ApduError('command-malformed', { length: bytes.length })
  }
  const [cla, ins, p1, p2, p3] = bytes
  if (cla === undefined || ins === undefined || p1 === undefined || p2 === undefined) return malformed()
  const header = { cla, ins, p1, p2 }
  if (p3 === undefined) return { ...header, data: EMPTY }
  const short = (byte: number): number => byte || 256
  if (bytes.length === 5) return { ...header, data: EMPTY, le: short(p3) }
  if (p3 !== 0) {
    const data = bytes.slice(5, 5 + p3)
    if (bytes.length === 5 + p3) return { ...header, data }
    return bytes.length === 6 + p3 ? { ...header, data, le: short(bytes[5 + p3] ?? 0) } : malformed()
  }
  const extended = (at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  const long = (value: number): number => value || 65536
  if (bytes.length === 7) return { ...header, data: EMPTY, le: long(extended(5)) }
  const lc = extended(5)
  if (bytes.length < 8 || lc === 0) return malformed()
  const data = bytes.slice(7, 7 + lc)
  if (bytes.length === 7 + lc) return { ...header, data }
  return bytes.length === 9 + lc ? { ...header, data, le: long(extended(7 + lc)) } : malformed()
}

/** Short commands with the chaining bit that together carry the data of `apdu` (ISO/IEC 7816-4 §5.3.3). */
export function chainCommand(apdu: CommandApdu): readonly CommandApdu[] {
  const parts: CommandApdu[] = []
  for (let offset = 0; offset < apdu.data.length; offset += 255) {
    const last = offset + 255 >= apdu.data.length
    const { le, ...rest } = apdu
    const data = apdu.data.subarray(offset, offset + 255)
    parts.push(
      last
        ? { ...rest, data, ...(le === undefined ? {} : { le: Math.min(le, 256) }) }
        : { ...rest, cla: apdu.cla | CHAINING, data },
    )
  }
  return parts
}
