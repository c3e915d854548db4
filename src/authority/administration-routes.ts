import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import {
  ADMINISTRATION_ROLES,
  type AdministrationDatabase,
  type Administrator,
  createKey,
  listKeys,
  revokeKey,
} from '#administration'
import { type Clock, type Random, timeText } from '#clock'
import type { HttpApp } from '#http'
import { identifier, timeString, version } from '#messages'

const tags = ['administration']
const role = z.enum(ADMINISTRATION_ROLES)
const keyRequest = z.strictObject({
  v: version,
  name: identifier.describe('The person; two-person acts compare persons, not keys'),
  roles: z.array(role).min(1).max(ADMINISTRATION_ROLES.length),
})
const newKey = z.object({ v: version, id: z.string(), key: z.string().describe('Shown this once') })
const keyList = z.object({
  v: version,
  keys: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      roles: z.array(role),
      createdBy: z.string(),
      createdAt: timeString,
      revokedAt: timeString.nullable(),
    }),
  ),
})

/** Keys of persons: made and revoked by administrators, seen by auditors too. */
export function addAdministrationRoutes(
  scope: HttpApp,
  database: AdministrationDatabase,
  holder: (request: FastifyRequest) => Administrator,
  sources: { readonly clock: Clock; readonly random: Random },
): void {
  scope.post(
    '/v1/keys',
    {
      schema: { tags, summary: 'Make a key for a person (administrator)', body: keyRequest, response: { 201: newKey } },
    },
    async (request, reply) => {
      const { name, roles } = request.body
      const made = await createKey(database, holder(request), { name, roles }, sources)
      return reply.code(201).send({ v: 1 as const, ...made })
    },
  )
  scope.get(
    '/v1/keys',
    {
      schema: { tags, summary: 'All keys, without their secrets (administrator, auditor)', response: { 200: keyList } },
    },
    async (request) => ({
      v: 1 as const,
      keys: (await listKeys(database, holder(request))).map(({ createdAt, revokedAt, roles, ...key }) => ({
        ...key,
        roles: [...roles],
        createdAt: timeText(createdAt),
        revokedAt: revokedAt === null ? null : timeText(revokedAt),
      })),
    }),
  )
  scope.post(
    '/v1/keys/:id/revocation',
    {
      schema: {
        tags,
        summary: 'Revoke a key at once (administrator)',
        params: z.strictObject({ id: identifier }),
        body: z.strictObject({ v: version }),
        response: { 200: z.object({ v: version, id: z.string() }) },
      },
    },
    async (request) => {
      await revokeKey(database, holder(request), request.params.id, sources)
      return { v: 1 as const, id: request.params.id }
    },
  )
}
