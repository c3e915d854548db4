import type { TracedExchange } from '#apdu'
import type { Problem } from '#http'
import type { Answer } from '#messages'
import type { StepTime } from './terminal.ts'

/** How a tap can end, other than by an error. */
export type TapEnd =
  /** カードの提示を確認 – the provider accepted the proof. */
  | { readonly result: 'recognised'; readonly answer: Answer }
  /** The holder did not agree, or gave up. */
  | { readonly result: 'declined' }
  | { readonly result: 'wrong-pin'; readonly triesLeft: number }
  | { readonly result: 'pin-blocked' }
  /** The provider refused the proof and says why. */
  | { readonly result: 'refused'; readonly problem: Problem }

/** What a tap leaves behind: its steps with their times, and the exchanges with the card, masked when they were traced. */
export interface TapRecord {
  readonly steps: readonly StepTime[]
  readonly trace: readonly TracedExchange[]
}

export type TapOutcome = TapEnd & TapRecord
