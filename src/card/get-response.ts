import type { CommandApdu, ResponseApdu } from '#apdu'

/** What the terminal gets now, and what waits for GET RESPONSE. The driver's side is `exchange` of #apdu. */
export interface Delivery {
  readonly response: ResponseApdu
  readonly waiting: Uint8Array
}

const NOTHING = new Uint8Array(0)

/** Gives as much of an answer as Le allows; 61xx says that more waits, 6100 that it is 256 bytes or more. */
export function deliver(answer: ResponseApdu, le: number | undefined): Delivery {
  const { data } = answer
  if (data.length <= (le ?? 0)) return { response: answer, waiting: NOTHING }
  const waiting = data.slice(le ?? 0)
  const more = 0x6100 | (waiting.length > 255 ? 0 : waiting.length)
  return { response: { data: data.slice(0, le ?? 0), sw: more }, waiting }
}

/** GET RESPONSE `00 C0 00 00 Le`. Where an answer waits it is no step of its own: whatever is under way goes on. */
export function isGetResponse({ cla, ins, p1, p2, data, le }: CommandApdu): boolean {
  return cla === 0x00 && ins === 0xc0 && p1 === 0x00 && p2 === 0x00 && data.length === 0 && le !== undefined
}
