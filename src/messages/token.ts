import { z } from 'zod'
import { timeString } from './forms.ts'
import { BASES, identifier, MECHANISMS, ROLES, version } from './identifiers.ts'

/** `typ` of a presence token. */
export const PRESENCE_TOKEN = 'presence+jwt'
/** Longest life of a presence token, seconds. */
export const TOKEN_LIFE = 300

/** カードの提示 – claims of a presence token: this card was presented there, by this mechanism, between these times. */
export const presenceClaims = z.strictObject({
  v: version,
  iss: z.url(),
  /** One audience: the institution, or one service. */
  aud: identifier,
  /** Pairwise ID of the card's person at `aud`. */
  sub: z.string().max(64),
  jti: z.string().max(64),
  iat: z.int(),
  exp: z.int(),
  /** [nonce issued, proof received] */
  presented: z.tuple([timeString, timeString]),
  institution: identifier,
  terminal: identifier,
  mechanism: z.enum(MECHANISMS),
  basis: z.enum(BASES),
  role: z.enum(ROLES),
  purpose: identifier,
  /** How fresh the word about the certificate is: current, expired within grace, or not asked for. */
  certificate: z.enum(['current', 'grace', 'not-checked']),
  /** Key of the client that may present the token (RFC 7800): DPoP thumbprint or certificate thumbprint. */
  cnf: z.union([z.strictObject({ jkt: z.string() }), z.strictObject({ 'x5t#S256': z.string() })]),
})
export type PresenceClaims = z.infer<typeof presenceClaims>
