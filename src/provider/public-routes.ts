import { z } from 'zod'
import type { HttpApp } from '#http'
import { bytesText, evidenceReceipt, identifier, presenceClaims, version } from '#messages'
import type { Provider } from './context.ts'
import { keySet } from './key-set.ts'
import { consistency, logSize, nodeReader, evidenceReceipt as receiptOf } from './log.ts'
import { verifyToken } from './verification.ts'

const size = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

const verifyRequest = z
  .strictObject({
    v: version.optional(),
    token: z.string().max(8192).describe('Compact JWS; a service opens its JWE first'),
    audience: identifier.optional().describe('Who asks: `aud` must be equal to it. Mandatory with `consume`'),
    consume: z.boolean().optional().describe('Spend the token: true only for the first who asks so'),
  })
  .refine(({ consume, audience }) => !consume || audience !== undefined, { path: ['audience'] })
const verdict = z.discriminatedUnion('active', [
  z.strictObject({ v: version, active: z.literal(true), claims: presenceClaims }),
  z.strictObject({ v: version, active: z.literal(false), code: z.enum(['token-invalid', 'token-spent']) }),
])

/** What everybody may ask: keys, whether a token counts, and proofs of the log. */
export function addPublicRoutes(app: HttpApp, provider: Provider): void {
  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        ...{ tags: ['tokens'], summary: 'Public keys: tokens, log checkpoints, sealing of certificates (JWK Set)' },
        response: { 200: z.object({ keys: z.array(z.record(z.string(), z.string())) }) },
      },
    },
    async () => (await keySet(provider)) as { keys: Record<string, string>[] },
  )
  app.post(
    '/v1/verify',
    {
      schema: {
        ...{ tags: ['tokens'], body: verifyRequest, response: { 200: verdict } },
        summary: 'Whether a presence token counts; with `consume` for one single use',
        description:
          '`active` says: signed by this provider’s token key, `iss` is this provider, not expired, never consumed, and ' +
          '– if `audience` is given – made for that audience and no other. Without `audience` compare `aud` yourself. ' +
          'With `consume` the token is spent in the same moment, so that of all who ask at most one is told `active`. ' +
          'It says nothing of who presents the token: compare its `cnf` with the key that the presenter proves. A card ' +
          'was presented; who presented it is not known.',
      },
    },
    async (request) => ({ v: 1 as const, ...(await verifyToken(provider, request.body)) }),
  )

  const tags = ['log']
  app.get(
    '/v1/log/checkpoint',
    { schema: { tags, summary: 'Signed checkpoint (text/plain, C2SP tlog-checkpoint)' } },
    async (_request, reply) => {
      const note = await provider.witness.sign(await logSize(provider.database), nodeReader(provider.database))
      return reply.type('text/plain; charset=utf-8').send(note)
    },
  )
  app.get(
    '/v1/log/entries/:index',
    {
      schema: {
        ...{ tags, params: z.strictObject({ index: size }), response: { 200: evidenceReceipt } },
        summary: 'Leaf hash and its inclusion proof under a checkpoint signed now',
      },
    },
    async ({ params }) => receiptOf(provider, params.index, await logSize(provider.database)),
  )
  app.get(
    '/v1/log/consistency',
    {
      schema: {
        ...{ tags, summary: 'Proof that the log of `from` leaves is the beginning of the log of `to`' },
        querystring: z.strictObject({ from: size, to: size }),
        response: { 200: z.strictObject({ v: version, from: z.int(), to: z.int(), proof: z.array(bytesText(32)) }) },
      },
    },
    async ({ query: { from, to } }) => ({
      v: 1 as const,
      from,
      to,
      proof: [...(await consistency(provider, from, to))],
    }),
  )
}
