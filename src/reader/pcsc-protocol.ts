import type { ReaderErrorCode } from './failures.ts'

/** What the PC/SC process can do; each call is answered by one {@link Answer} with the same `id`. */
export type Call =
  | { readonly call: 'list' }
  | { readonly call: 'connect'; readonly reader: string }
  | { readonly call: 'transmit'; readonly session: number; readonly command: Uint8Array }
  | { readonly call: 'disconnect'; readonly session: number }

/** What each call gives. */
export interface Results {
  readonly list: readonly Slot[]
  readonly connect: { readonly session: number; readonly atr: Uint8Array; readonly extendedLength: boolean }
  readonly transmit: Uint8Array
  readonly disconnect: undefined
}

export interface Slot {
  readonly name: string
  readonly card: 'none' | 'present' | 'mute'
}

export type Numbered = Call & { readonly id: number }

export type Answer =
  | { readonly id: number; readonly result: Results[keyof Results] }
  | { readonly id: number; readonly code: ReaderErrorCode; readonly reason: string }
