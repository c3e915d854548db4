import type { webcrypto } from 'node:crypto'
import type { CardReader } from '#apdu'
import type { Clock, Random } from '#clock'
import type { ConsentRecord, NonceRequest, NonceRow } from '#messages'
import type { Signer } from '#pki'
import type { Delivered, Outbox } from './outbox.ts'

/** What a terminal may ask a holder for: purpose and mechanism, who learns something, and the text that says so. */
export interface Offer extends Pick<NonceRequest, 'client' | 'purpose' | 'mechanism' | 'basis'> {
  /** Sorted, unique. */
  readonly audiences: readonly string[]
  readonly textId: string
}

/** Consent as given: by whose hand, in which language. */
export type Consent = Pick<ConsentRecord, 'kind' | 'lang' | 'input'>

/** Whoever stands before the terminal: a screen, a test, a command line. */
export interface Desk {
  /** 同意 – who asks what for whom; `undefined` if the holder declines. */
  askConsent(offer: Offer): Promise<Consent | undefined>
  /** "Hold your card here." Called when the terminal begins to wait for a card. */
  askCard(): void
  /** 暗証番号 – four ASCII digits, erased by the terminal after use; `undefined` if the holder gives up. */
  askPin(triesLeft: number): Promise<Uint8Array | undefined>
  /** A step is done; called only after consent. */
  report(step: StepTime): void
  /** The answer to an earlier tap's proof came only now: that holder has left, the institution still wants to know. */
  reportLate?(delivered: Delivered): Promise<void>
  /** Aborted when whoever stands there walks away or cancels. */
  readonly cancelled?: AbortSignal
}

/** One step of a tap and the time it took, milliseconds. */
export interface StepTime {
  readonly name: string
  readonly ms: number
}

/** Where nonces come from. */
export interface NonceSource {
  /** The newest unexpired one for this offer; never given twice. @throws TerminalError `nonce-unavailable`, … */
  take(offer: Offer): Promise<NonceRow>
}

/** 端末 – everything that a tap is made with. */
export interface Terminal {
  readonly provider: string
  readonly institution: string
  readonly id: string
  /** Chain for the card: DV, terminal – each a `7F21`. The newest at the time of asking: a tap takes it once. */
  readonly chain: readonly [Uint8Array, Uint8Array]
  /** Three keys are three: this one and the device key here, the TLS key in the connection to the provider. */
  readonly institutionKey: Signer
  readonly deviceKey: Signer
  /** The provider's key for sealing certificates. */
  readonly sealingKey: webcrypto.CryptoKey
  readonly reader: CardReader
  readonly nonces: NonceSource
  readonly outbox: Outbox
  readonly clock: Clock
  readonly random: Random
  /** How long to wait for a card, milliseconds. */
  readonly cardPatience: number
}
