import type { Time } from '#clock'
import type { NonceRow } from '#messages'
import type { TrustAnchor, VerifiedCvc } from '#pki'

/** A nonce as the provider's row keeps it: what the terminal was told, and for whom it was issued. */
export interface IssuedNonce extends Omit<NonceRow, 'v' | 'expiresAt'> {
  readonly provider: string
  readonly institution: string
  readonly terminal: string
  readonly issuedAt: Time
  readonly expiresAt: Time
}

/** What is registered of the terminal that sent the proof. */
export interface RegisteredTerminal {
  /** b64u of the certHash of every certificate of this terminal that was not withdrawn. */
  readonly certHashes: readonly string[]
  /** Operator and lease that are in force, null where none is needed. */
  readonly operator: string | null
  readonly lease: string | null
}

/** The policy row that the nonce was issued under, with what belongs to client and terminal. */
export interface ReceptionPolicy {
  readonly attended: boolean
  /** Texts accepted for this purpose and mechanism. */
  readonly texts: readonly { readonly textId: string; readonly lang: string }[]
  /** Audiences that the nonce's client may ask for. */
  readonly audiences: readonly string[]
  /** 猶予 – days after its last one on which a certificate still counts; 0 for not at all. */
  readonly graceDays: number
}

/** What the provider trusts and what it can open. */
export interface Trust {
  /** Root certificates for user authentication. Three may share one name: they are told apart by key. */
  readonly anchors: readonly TrustAnchor[]
  /** Certificate policy that a user-authentication certificate must state, dotted. */
  readonly certificatePolicy: string
  readonly cvcAnchors: readonly VerifiedCvc[]
  /** b64u SPKI of every DV key that is this provider's own. */
  readonly dvKeys: readonly string[]
  /** Holder part of this provider's DV references: `JP` and its mnemonic, without the sequence number. */
  readonly dvHolder: string
  /** Opens a sealed certificate. @throws MessagesError `certificate-unsealable` */
  unseal(sealed: Uint8Array, nonce: Uint8Array): Promise<Uint8Array>
}
