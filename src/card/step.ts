import { type CardChannel, type CommandApdu, exchange, type ResponseApdu, SW, statusText } from '#apdu'
import { CardError, type CardErrorCode } from './failures.ts'

/** One step of a card sequence, as data: printable, testable, replayable. */
export interface CardStep {
  readonly name: string
  readonly command: CommandApdu
  /** Status words that mean the step was done. */
  readonly expect: readonly number[]
  /** What certain other status words mean at this step; the rest are `unexpected-status`. */
  readonly refusals?: Readonly<Record<number, CardErrorCode>>
}

export const OK = [SW.ok] as const

/**
 * Does one step. Errors of the channel (card removed …) pass through.
 * @throws CardError the step's refusal for this status word or `unexpected-status`; `detail` = step and status word
 */
export async function perform(channel: CardChannel, step: CardStep): Promise<ResponseApdu> {
  const response = await exchange(channel, step.command)
  if (step.expect.includes(response.sw)) return response
  throw refusalOf(step, response.sw)
}

/** The error that status word `sw` is at this step. */
export function refusalOf({ name, refusals }: Pick<CardStep, 'name' | 'refusals'>, sw: number): CardError {
  return new CardError(refusals?.[sw] ?? 'unexpected-status', { step: name, status: statusText(sw) })
}
