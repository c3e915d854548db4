import type { VerifiedCvc } from '#pki'

/** What MSE:SET AT announced: whose key will authenticate, and for which presence statement (D). */
export interface Announcement {
  readonly terminal: VerifiedCvc
  readonly d: Uint8Array
}

/** Survives commands out of order: the verified chain (DV, terminal), and whether this power-up had its one success. */
interface Kept {
  readonly chain: readonly VerifiedCvc[]
  readonly spent: boolean
}

/** 機関認証 – where institution authentication stands (protocol.md section 2). */
export type InstitutionState = Kept &
  (
    | { readonly at: 'idle' }
    | { readonly at: 'signer-chosen'; readonly signer: VerifiedCvc }
    | { readonly at: 'announced'; readonly announcement: Announcement }
    | { readonly at: 'challenged'; readonly announcement: Announcement; readonly r: Uint8Array }
    | { readonly at: 'authorised'; readonly announcement: Announcement; readonly r: Uint8Array }
  )

/** What a command did to it. */
export type InstitutionEvent =
  | { readonly kind: 'signer-chosen'; readonly signer: VerifiedCvc }
  | { readonly kind: 'verified'; readonly certificate: VerifiedCvc }
  | { readonly kind: 'announced'; readonly announcement: Announcement }
  | { readonly kind: 'challenged'; readonly r: Uint8Array }
  | { readonly kind: 'authenticated' }
  /** Any other command, and any error. */
  | { readonly kind: 'other' }
  /** Another application was selected, or the card was reset without losing power. */
  | { readonly kind: 'left' }

/** After power-up. */
export const UNAUTHENTICATED: InstitutionState = { at: 'idle', chain: [], spent: false }

/**
 * The transitions; what stands in no cell leads to `idle` with the chain kept:
 *
 * | event ↓ / state →   | idle          | signer-chosen | announced     | challenged    | authorised    |
 * |---------------------|---------------|---------------|---------------|---------------|---------------|
 * | signer-chosen       | signer-chosen | signer-chosen | signer-chosen | signer-chosen | signer-chosen |
 * | verified            |               | idle + chain  |               |               |               |
 * | announced           | announced     | announced     | announced     | announced     | announced     |
 * | challenged          |               |               | challenged    |               |               |
 * | authenticated       |               |               |               | authorised, spent |           |
 * | other               | idle          | idle          | idle          | idle          | idle          |
 * | left                | idle − chain  | idle − chain  | idle − chain  | idle − chain  | idle − chain  |
 *
 * A power-up is no transition: it starts from {@link UNAUTHENTICATED}.
 */
export function next(state: InstitutionState, event: InstitutionEvent): InstitutionState {
  const { chain, spent } = state
  switch (event.kind) {
    case 'signer-chosen':
      return { at: 'signer-chosen', chain, spent, signer: event.signer }
    case 'verified':
      if (state.at !== 'signer-chosen') break
      return { at: 'idle', chain: extended(chain, event.certificate), spent }
    case 'announced':
      return { at: 'announced', chain, spent, announcement: event.announcement }
    case 'challenged':
      if (state.at !== 'announced') break
      return { at: 'challenged', chain, spent, announcement: state.announcement, r: event.r }
    case 'authenticated':
      if (state.at !== 'challenged') break
      return { at: 'authorised', chain, spent: true, announcement: state.announcement, r: state.r }
    case 'left':
      return { at: 'idle', chain: [], spent }
  }
  return { at: 'idle', chain, spent }
}

/** A terminal stands behind its DV; a DV begins a new chain; after a link the chain is to be presented again. */
function extended(chain: readonly VerifiedCvc[], certificate: VerifiedCvc): readonly VerifiedCvc[] {
  const { role } = certificate.cvc.chat
  if (role === 'terminal') return [...chain.slice(0, 1), certificate]
  return role === 'dv' ? [certificate] : []
}
