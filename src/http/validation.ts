import type { FastifySchemaCompiler } from 'fastify'
import type { ZodError, ZodType } from 'zod'
import { HttpError } from './failures.ts'

/** A path may hold member names that the sender chose (records); what looks like none of ours is not repeated. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

/** Where the first wrong member stands, as a JSON pointer (RFC 6901), without any piece of a value. */
export function wrongPath(error: ZodError): string {
  const path = error.issues[0]?.path ?? []
  return (
    path.map((part) => `/${typeof part === 'number' || NAME.test(String(part)) ? String(part) : '*'}`).join('') || '/'
  )
}

/** Validates a request part with its zod schema; the refusal names the part and the path, and nothing that was sent. */
export const validatorCompiler: FastifySchemaCompiler<ZodType> =
  ({ schema, httpPart }) =>
  (data) => {
    const result = schema.safeParse(data)
    if (result.success) return { value: result.data }
    const error = new HttpError('malformed-request', { in: httpPart ?? 'body', path: wrongPath(result.error) })
    return { error }
  }
