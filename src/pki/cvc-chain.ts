import { type Cvc, type CvcRole, PINLESS } from './cvc.ts'
import { PkiError } from './failures.ts'
import { KAZASU_CHAT } from './object-identifiers.ts'
import { verifySignature } from './signature.ts'

declare const verified: unique symbol

/** A certificate with a signature chain to an anchor, made by this file only. */
export interface VerifiedCvc {
  readonly cvc: Cvc
  /** The right bits that the holder and every issuer up to the anchor have. */
  readonly rights: number
  /** Whether the right to use the user-authentication key without a PIN is effective. */
  readonly pinless: boolean
  readonly [verified]: 'cvc'
}

/** Which authorisation is meant: the CHAT's object identifier and the right bits that it defines. */
export interface CvcProfile {
  readonly objectIdentifier: string
  readonly rights: number
}

/** This project's profile: one right, use without a PIN. */
export const kazasuProfile: CvcProfile = { objectIdentifier: KAZASU_CHAT, rights: PINLESS }

/** Who may sign whom (protocol.md section 2). */
const ISSUER_ROLE: Readonly<Record<Exclude<CvcRole, 'cvca'>, CvcRole>> = { dv: 'cvca', terminal: 'dv' }

/**
 * Takes a CVCA as trust anchor. It is trusted because the caller holds it: installed, or kept after
 * {@link verifyCvcLink}. A self-signed one must still verify; its dates do not matter, those of its children do.
 * @throws PkiError `cvc-role`, `cvc-chat`, `cvc-signature`
 */
export function trustCvca(cvc: Cvc, profile: CvcProfile = kazasuProfile): VerifiedCvc {
  if (cvc.car === cvc.chr) checkSignature(cvc, cvc)
  if (cvc.chat.role !== 'cvca') throw new PkiError('cvc-role')
  return grant(cvc, profile.rights, profile)
}

/**
 * One step down: DV under CVCA, terminal under DV. `date` (`YYYY-MM-DD`) is a lower bound of today, as a card has it:
 * expiry is checked against it, the effective date is not.
 * @throws PkiError `cvc-issuer-unknown`, `cvc-signature`, `cvc-role`, `cvc-chat`, `cvc-dates`, `cvc-outlives-issuer`,
 * `cvc-expired` – the first that applies, in this order
 */
export function verifyCvc(
  unverified: Cvc,
  issuer: VerifiedCvc,
  date: string,
  profile: CvcProfile = kazasuProfile,
): VerifiedCvc {
  checkIssuer(unverified, issuer.cvc)
  const { role } = unverified.chat
  if (role === 'cvca' || ISSUER_ROLE[role] !== issuer.cvc.chat.role) throw new PkiError('cvc-role')
  const granted = grant(unverified, issuer.rights, profile)
  checkDates(unverified, date, issuer.cvc.expiry)
  return granted
}

/**
 * A link certificate: the next CVCA, signed by the current one. It may outlive its issuer and may not gain rights, so
 * that {@link trustCvca} of the stored link gives the same rights again.
 * @throws PkiError as {@link verifyCvc}, `cvc-sequence`, `cvc-rights`
 */
export function verifyCvcLink(
  unverified: Cvc,
  current: VerifiedCvc,
  date: string,
  profile: CvcProfile = kazasuProfile,
): VerifiedCvc {
  checkIssuer(unverified, current.cvc)
  if (unverified.chat.role !== 'cvca' || current.cvc.chat.role !== 'cvca') throw new PkiError('cvc-role')
  if (unverified.chr !== successor(current.cvc.chr)) throw new PkiError('cvc-sequence')
  const granted = grant(unverified, profile.rights, profile)
  if ((granted.rights & ~current.rights) !== 0) throw new PkiError('cvc-rights')
  checkDates(unverified, date)
  return granted
}

/**
 * DV and terminal under one of the anchors, at a true `today` (`YYYY-MM-DD` in Japan): neither expired nor early.
 * @throws PkiError as {@link verifyCvc}, `cvc-not-yet-effective`
 */
export function verifyCvcChain(
  unverified: { readonly dv: Cvc; readonly terminal: Cvc },
  anchors: readonly VerifiedCvc[],
  today: string,
  profile: CvcProfile = kazasuProfile,
): { readonly dv: VerifiedCvc; readonly terminal: VerifiedCvc } {
  const anchor = anchors.find(({ cvc }) => cvc.chr === unverified.dv.car)
  if (!anchor) throw new PkiError('cvc-issuer-unknown')
  const dv = verifyCvc(unverified.dv, anchor, today, profile)
  const terminal = verifyCvc(unverified.terminal, dv, today, profile)
  for (const { cvc } of [dv, terminal]) if (cvc.effective > today) throw new PkiError('cvc-not-yet-effective')
  return { dv, terminal }
}

function checkIssuer(unverified: Cvc, issuer: Cvc): void {
  if (unverified.car !== issuer.chr) throw new PkiError('cvc-issuer-unknown')
  checkSignature(unverified, issuer)
}

function checkSignature(unverified: Cvc, issuer: Cvc): void {
  if (!verifySignature(issuer.publicKey, issuer.algorithm, unverified.body, unverified.signature)) {
    throw new PkiError('cvc-signature')
  }
}

/** Rights are ANDed down the chain; bits that the profile does not define are refused, not carried. */
function grant(cvc: Cvc, issuerRights: number, profile: CvcProfile): VerifiedCvc {
  const { objectIdentifier, octet } = cvc.chat
  const own = octet & 0x3f
  if (objectIdentifier !== profile.objectIdentifier || (own & ~profile.rights) !== 0) throw new PkiError('cvc-chat')
  const rights = own & issuerRights
  return { cvc, rights, pinless: (rights & PINLESS) !== 0 } as VerifiedCvc
}

function checkDates(cvc: Cvc, date: string, issuerExpiry = cvc.expiry): void {
  if (cvc.effective > cvc.expiry) throw new PkiError('cvc-dates')
  if (cvc.expiry > issuerExpiry) throw new PkiError('cvc-outlives-issuer')
  if (cvc.expiry < date) throw new PkiError('cvc-expired')
}

/** The next reference of the same holder; `undefined` after 99999. */
function successor(chr: string): string | undefined {
  const next = Number(chr.slice(-5)) + 1
  return next > 99_999 ? undefined : chr.slice(0, -5) + String(next).padStart(5, '0')
}
