import { z } from 'zod'
import { ADMINISTRATION_ROLES, createKey, listKeys, revokeKey } from '#administration'
import { timeText } from '#clock'
import type { HttpApp } from '#http'
import { bytesTextUpTo, identifier, timeString, version } from '#messages'
import { administrationOf, type Require } from './access.ts'
import type { IssuingProvider } from './context.ts'
import type { TrustStore } from './trust.ts'

const tags = ['administration']

const certificates = z.array(bytesTextUpTo(8192)).max(16).default([])
const cvcs = z.array(bytesTextUpTo(2048)).max(16).default([])
const trustRequest = z.strictObject({
  v: version,
  anchors: certificates.describe('Root certificates for user authentication, DER, base64url'),
  cvcas: cvcs.describe('Roots of institution authentication, 7F21, base64url'),
  dvs: cvcs.describe('Certificates of this provider’s DV key, 7F21, base64url'),
  ocspResponders: certificates.describe('Certificates of OCSP responders, DER, base64url'),
})

const roles = z.array(z.enum(ADMINISTRATION_ROLES)).min(1)
const keyRecord = z.strictObject({
  id: z.string(),
  name: identifier,
  roles,
  createdBy: z.string(),
  createdAt: timeString,
  revokedAt: timeString.nullable(),
})

/** Roots of trust, and keys of administrators. */
export function addTrustRoutes(scope: HttpApp, provider: IssuingProvider, trust: TrustStore, require: Require): void {
  const database = administrationOf(provider.database)

  scope.post(
    '/v1/trust',
    {
      bodyLimit: 512 * 1024,
      schema: {
        ...{ tags, body: trustRequest, response: { 204: z.null() } },
        summary: 'Install trust material as the authority handed it out (administrator)',
        description: 'Take roots over a way that you trust. All of it is verified before any of it is kept.',
      },
    },
    async (request, reply) => {
      require(request, 'administrator')
      await trust.install(request.body)
      return reply.code(204).send(null)
    },
  )
  scope.post(
    '/v1/trust/withdrawals',
    {
      bodyLimit: 512 * 1024,
      schema: {
        ...{ tags, body: trustRequest, response: { 204: z.null() } },
        summary: 'End the trust in exactly these, for good and at once (administrator)',
        description:
          'No tap that was checked under them commits afterwards. Terminal certificates under a withdrawn DV end with ' +
          'it. All of them, or none if one is not in force. What was withdrawn cannot be installed again.',
      },
    },
    async (request, reply) => {
      require(request, 'administrator')
      await trust.withdraw(request.body)
      return reply.code(204).send(null)
    },
  )
  scope.post(
    '/v1/keys',
    {
      schema: {
        ...{ tags, body: z.strictObject({ v: version, name: identifier, roles }) },
        response: { 201: z.strictObject({ v: version, id: z.string(), key: z.string() }) },
        summary: 'A key for a person (administrator); shown once',
      },
    },
    async (request, reply) => {
      const administrator = require(request, 'administrator')
      return reply.code(201).send({ v: 1, ...(await createKey(database, administrator, request.body, provider)) })
    },
  )
  scope.get(
    '/v1/keys',
    {
      schema: {
        ...{ tags, summary: 'Keys (administrator, auditor)' },
        response: { 200: z.object({ v: version, keys: z.array(keyRecord) }) },
      },
    },
    async (request) => {
      const keys = await listKeys(database, require(request, 'administrator', 'auditor'))
      return {
        v: 1 as const,
        keys: keys.map(({ createdAt, revokedAt, ...key }) => ({
          ...{ ...key, roles: [...key.roles], createdAt: timeText(createdAt) },
          revokedAt: revokedAt === null ? null : timeText(revokedAt),
        })),
      }
    },
  )
  scope.delete(
    '/v1/keys/:id',
    {
      schema: {
        ...{ tags, summary: 'Revoke a key at once (administrator)' },
        ...{ params: z.strictObject({ id: identifier }), response: { 204: z.null() } },
      },
    },
    async (request, reply) => {
      await revokeKey(database, require(request, 'administrator'), request.params.id, provider)
      return reply.code(204).send(null)
    },
  )
}
