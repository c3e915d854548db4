import { z } from 'zod'
import { KAZASU_ARC } from '#pki'

/** K.1: presence statement, in the auxiliary data that the terminal's key authenticates. */
export const PRESENCE_STATEMENT = `${KAZASU_ARC}.1`

/** What the card did. */
export const MECHANISMS = ['institution', 'pin', 'internal', 'password'] as const
export type Mechanism = (typeof MECHANISMS)[number]
/** On what ground of law the service relies; `none` is the research profile. */
export const BASES = ['38-2-pin', '38の2-face', '38の2-visual', '38の4', 'none'] as const
export type Basis = (typeof BASES)[number]
/** In what part the card's holder takes part. */
export const ROLES = ['holder', 'subject', 'proxy', 'operator'] as const
export type Role = (typeof ROLES)[number]
/** Nonce classes: what a nonce may be spent on. */
export const NONCE_CLASSES = ['tap', 'activation', 'offline'] as const
export type NonceClass = (typeof NONCE_CLASSES)[number]

/** Identifier of a provider, institution, terminal, client, audience, purpose or text: ASCII by pattern. */
export const identifier = z.string().regex(/^[a-z0-9-]{1,64}$/)
/** `"v":1`, carried by every message and record. */
export const version = z.literal(1)
