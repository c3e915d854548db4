import { z } from 'zod'
import { bytesText, timeString } from './forms.ts'
import { BASES, identifier, MECHANISMS, NONCE_CLASSES, ROLES, version } from './identifiers.ts'

/** What a nonce is asked for, before any card: everything that the statement will say of the occasion. */
export const nonceRequest = z.strictObject({
  client: identifier,
  purpose: identifier,
  mechanism: z.enum(MECHANISMS),
  basis: z.enum(BASES),
  role: z.enum(ROLES),
  bundle: identifier.optional(),
})
export type NonceRequest = z.infer<typeof nonceRequest>

/** The row as the provider hands it out. */
export const nonceRow = z.strictObject({
  v: version,
  nonce: bytesText(32),
  ...nonceRequest.shape,
  class: z.enum(NONCE_CLASSES),
  prior: bytesText(32).optional(),
  expiresAt: timeString,
})
export type NonceRow = z.infer<typeof nonceRow>

/** Terminal → provider, over the open channel. */
export const channelRequest = z.strictObject({
  v: version,
  type: z.literal('nonces'),
  request: nonceRequest,
  count: z.int().min(1).max(8),
})
export type ChannelRequest = z.infer<typeof channelRequest>

/** Provider → terminal, over the open channel. */
export const channelEvent = z.discriminatedUnion('type', [
  z.strictObject({ v: version, type: z.literal('nonces'), rows: z.array(nonceRow).max(8) }),
  z.strictObject({ v: version, type: z.literal('refused'), request: nonceRequest, code: identifier }),
  z.strictObject({ v: version, type: z.literal('state'), state: z.enum(['enrolled', 'active', 'suspended']) }),
  z.strictObject({ v: version, type: z.literal('heartbeat'), at: timeString }),
])
export type ChannelEvent = z.infer<typeof channelEvent>
