import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PROBLEM_TYPE, problemSchema } from './problem.ts'

/** What a role is called in its description. */
export interface ApiTitle {
  readonly name: string
  readonly version: string
  readonly description: string
}

/** What is true of every operation, said once here instead of at every route. */
const shared = {
  responses: {
    Problem: {
      description: 'Refused: a problem document (RFC 9457)',
      content: { [PROBLEM_TYPE]: { schema: z.toJSONSchema(problemSchema) } },
    },
  },
}

/** How a caller says who it is. The type of the package ends at OpenAPI 3.0, which has no mutual TLS. */
const securitySchemes = { bearer: { type: 'http', scheme: 'bearer' }, mutualTls: { type: 'mutualTLS' } } as never

interface Described {
  readonly components?: object
  readonly paths?: Readonly<Record<string, Readonly<Record<string, { responses?: object }>>>>
}

function addShared(document: Described): Described {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path)) {
      operation.responses = { ...operation.responses, default: { $ref: '#/components/responses/Problem' } }
    }
  }
  return { ...document, components: { ...document.components, ...shared } }
}

/**
 * Describes the routes that are added to `app` afterwards: OpenAPI 3.1 at `/openapi.json` and a page at `/docs/`,
 * whose files all come from this server.
 */
export async function describeApi(app: FastifyInstance, { name, version, description }: ApiTitle): Promise<void> {
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: name, version, description }, components: { securitySchemes } },
    transform: jsonSchemaTransform,
    transformObject: (document) => addShared(jsonSchemaTransformObject(document) as Described),
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { docExpansion: 'list' } })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
