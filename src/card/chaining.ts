import { CHAINING, type CommandApdu, SW } from '#apdu'
import { concatBytes } from '#bytes'

/** A command that has not come to its end: the header of its parts, and what they brought so far. */
export type OpenChain = CommandApdu

/** What a part makes: more to come, a whole command, or a refusal that drops what came before. */
export type Assembly =
  | { readonly kind: 'open'; readonly chain: OpenChain }
  | { readonly kind: 'whole'; readonly apdu: CommandApdu }
  | { readonly kind: 'refused'; readonly sw: number }

/** What an extended command can carry; a chain carries no more. */
const LONGEST = 65535
/** PSO, MSE and EXTERNAL AUTHENTICATE: the commands with data of more than 255 bytes. */
const CHAINABLE: readonly number[] = [0x2a, 0x22, 0x82]

/** Joins the parts of a chained command (ISO/IEC 7816-4 §5.3.3): same header throughout, nothing in between. */
export function assemble(chain: OpenChain | undefined, part: CommandApdu): Assembly {
  const cla = part.cla & ~CHAINING
  const last = cla === part.cla
  if (!chain && last) return { kind: 'whole', apdu: part }
  if (chain && !(chain.cla === cla && chain.ins === part.ins && chain.p1 === part.p1 && chain.p2 === part.p2)) {
    return { kind: 'refused', sw: SW.lastCommandExpected }
  }
  if (!CHAINABLE.includes(part.ins)) return { kind: 'refused', sw: SW.chainingUnsupported }
  const data = concatBytes(chain?.data ?? new Uint8Array(0), part.data)
  if (data.length > LONGEST) return { kind: 'refused', sw: SW.wrongLength }
  return last ? { kind: 'whole', apdu: { ...part, data } } : { kind: 'open', chain: { ...part, cla, data } }
}
