import type { KeyObject } from 'node:crypto'
import { type CommandApdu, type ResponseApdu, status } from '#apdu'
import type { Random } from '#clock'
import type { HolderKey } from './application.ts'
import type { CardFile } from './files.ts'
import { type InstitutionState, UNAUTHENTICATED } from './institution-state.ts'
import type { CardState } from './state.ts'

/** What the virtual card has inside. */
export interface CardContents {
  readonly files: ReadonlyMap<number, CardFile>
  readonly keys: Readonly<Partial<Record<HolderKey, KeyObject>>>
  readonly state: CardState
  readonly random: Random
}

/** What the card knows until it loses power; `verified` and `institution` belong to the selected application. */
export interface Session {
  readonly application: 'jpki' | undefined
  readonly currentFile: number | undefined
  readonly verified: readonly HolderKey[]
  readonly institution: InstitutionState
}

export const POWERED_UP: Session = {
  application: undefined,
  currentFile: undefined,
  verified: [],
  institution: UNAUTHENTICATED,
}

/**
 * A command with what it may look at. `session` is what is left if nothing is said: anything under way of institution
 * authentication has been taken out of it already and stands in `institution`.
 */
export interface Received {
  readonly apdu: CommandApdu
  readonly contents: CardContents
  readonly session: Session
  readonly institution: InstitutionState
}

/** An answer, and the session after it where that is another than the one received. */
export interface Outcome {
  readonly response: ResponseApdu
  readonly session?: Session
}

/** An answer that is a status word and changes nothing. */
export const answer = (sw: number): Outcome => ({ response: status(sw) })

/** 6Cxx: ask again with the right Le. No error, so whatever was under way goes on (ISO/IEC 7816-4 §5.1.3). */
export const wrongLe = (length: number, { session, institution }: Received): Outcome => ({
  response: status(0x6c00 | (length & 0xff)),
  session: { ...session, institution },
})
