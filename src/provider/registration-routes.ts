import { z } from 'zod'
import type { HttpApp } from '#http'
import { bytesText, identifier, version } from '#messages'
import type { Require } from './access.ts'
import type { Channels } from './channels.ts'
import type { Provider } from './context.ts'
import {
  createClient,
  createInstitution,
  createService,
  listClients,
  listInstitutions,
  listServices,
  registerPerson,
  setInstitutionState,
} from './registration.ts'

const tags = ['registry']
const name = z
  .string()
  .min(1)
  .max(128)
  .regex(/^\P{Cc}+$/u)
const institution = z.strictObject({
  id: identifier,
  name,
  code: z
    .string()
    .regex(/^\d{10}$/)
    .nullable()
    .describe('10-digit code, an attribute'),
  state: z.enum(['active', 'suspended']),
})
const thumbprint = bytesText(32)
const confirmation = z
  .union([z.strictObject({ jkt: thumbprint }), z.strictObject({ 'x5t#S256': thumbprint })])
  .describe('Key that will present the tokens: DPoP key or TLS certificate thumbprint')
const client = z.strictObject({
  id: identifier,
  institution: identifier,
  confirmation,
  audiences: z.array(identifier).max(16).describe('The institution itself and services'),
})
const key = z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: bytesText(32), y: bytesText(32) })
const service = z.strictObject({ audience: identifier, name, sealingKey: key.extend({ kid: z.string() }) })

const request = <Shape extends z.ZodRawShape>(shape: z.ZodObject<Shape>) => shape.extend({ v: version })
const empty = z.strictObject({ v: version })
const readers = ['operator', 'auditor', 'administrator'] as const

/** Institutions, their software, services, and the IDs by which services know persons. */
export function addRegistrationRoutes(scope: HttpApp, provider: Provider, channels: Channels, require: Require): void {
  const { database } = provider

  scope.post(
    '/v1/institutions',
    {
      schema: {
        ...{ tags, body: request(institution.omit({ state: true })), response: { 201: request(institution) } },
        summary: 'Register an institution (operator)',
      },
    },
    async (asked, reply) => {
      require(asked, 'operator')
      const { v: _, ...wanted } = asked.body
      return reply.code(201).send({ v: 1, ...(await createInstitution(database, wanted)) })
    },
  )
  scope.get(
    '/v1/institutions',
    {
      schema: {
        ...{ tags, summary: 'Institutions' },
        response: { 200: z.object({ v: version, institutions: z.array(institution) }) },
      },
    },
    async (asked) => {
      require(asked, ...readers)
      return { v: 1 as const, institutions: await listInstitutions(database) }
    },
  )
  for (const [path, state, summary] of [
    ['suspension', 'suspended', 'Stop all taps at an institution at once (operator)'],
    ['resumption', 'active', 'Let an institution work again (operator)'],
  ] as const) {
    scope.post(
      `/v1/institutions/:id/${path}`,
      {
        schema: { tags, summary, params: z.strictObject({ id: identifier }), body: empty, response: { 204: z.null() } },
      },
      async (asked, reply) => {
        require(asked, 'operator')
        await setInstitutionState(database, asked.params.id, state)
        await channels.refresh()
        return reply.code(204).send(null)
      },
    )
  }

  scope.post(
    '/v1/clients',
    {
      schema: {
        ...{ tags, body: request(client), response: { 201: request(client) } },
        summary: 'Register software of an institution (operator)',
      },
    },
    async (asked, reply) => {
      require(asked, 'operator')
      const { v: _, ...wanted } = asked.body
      const { audiences, ...made } = await createClient(database, wanted)
      return reply.code(201).send({ v: 1, ...made, audiences: [...audiences] })
    },
  )
  scope.get(
    '/v1/clients',
    {
      schema: {
        ...{ tags, summary: 'Registered software' },
        response: { 200: z.object({ v: version, clients: z.array(client) }) },
      },
    },
    async (asked) => {
      require(asked, ...readers)
      const clients = await listClients(database)
      return { v: 1 as const, clients: clients.map((one) => ({ ...one, audiences: [...one.audiences] })) }
    },
  )

  scope.post(
    '/v1/services',
    {
      schema: {
        ...{ tags, body: z.strictObject({ v: version, audience: identifier, name, sealingKey: key }) },
        response: { 201: request(service) },
        summary: 'Register a service that gets tokens of its own (operator)',
      },
    },
    async (asked, reply) => {
      require(asked, 'operator')
      const { audience, name, sealingKey } = asked.body
      const made = await createService(database, { audience, name, key: sealingKey })
      return reply.code(201).send({ v: 1, ...made })
    },
  )
  scope.get(
    '/v1/services',
    {
      schema: {
        ...{ tags, summary: 'Services' },
        response: { 200: z.object({ v: version, services: z.array(service) }) },
      },
    },
    async (asked) => {
      require(asked, ...readers)
      return { v: 1 as const, services: await listServices(database) }
    },
  )

  scope.post(
    '/v1/registrations',
    {
      schema: {
        ...{ tags, body: z.strictObject({ v: version, publicKeyHash: bytesText(32), audience: identifier }) },
        response: { 201: z.strictObject({ v: version, subject: z.string() }) },
        summary: 'The ID by which a service will know the person of a key (operator)',
        description: 'For a service that has met the person with that certificate by its own means.',
      },
    },
    async (asked, reply) => {
      require(asked, 'operator')
      return reply.code(201).send({ v: 1, subject: await registerPerson(provider, asked.body) })
    },
  )
}
