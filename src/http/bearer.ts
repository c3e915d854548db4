import type { FastifyInstance, FastifyRequest } from 'fastify'
import { equalBytes } from '#bytes'
import { HttpError } from './failures.ts'

/** `verify` for a scope that one key opens, compared in constant time; there is nothing to learn of its holder. */
export function holdsKey(key: string): (unverifiedKey: string) => Promise<object | undefined> {
  const expected = Buffer.from(key)
  return async (unverifiedKey) => {
    const presented = Buffer.from(unverifiedKey)
    return equalBytes(presented, expected) ? {} : undefined
  }
}

/** RFC 6750 §2.1, with a length that no key of ours comes near. */
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i

/**
 * Lets nobody call the routes of `scope` without a key that `verify` knows: 401 `unauthenticated` before any body is
 * read. Gives the function by which handlers learn whose key it was. Use a scope of its own (`app.register`), so that
 * other routes stay open.
 */
export function authenticateBearer<Holder extends object>(
  scope: FastifyInstance,
  verify: (unverifiedKey: string) => Promise<Holder | undefined>,
): (request: FastifyRequest) => Holder {
  const holders = new WeakMap<FastifyRequest, Holder>()
  scope.addHook('onRoute', (route) => {
    route.schema = { security: [{ bearer: [] }], ...route.schema }
  })
  scope.addHook('onRequest', async (request) => {
    const key = BEARER.exec(request.headers.authorization ?? '')?.[1]
    const holder = key === undefined ? undefined : await verify(key)
    if (!holder) throw new HttpError('unauthenticated')
    holders.set(request, holder)
  })
  return (request) => {
    const holder = holders.get(request)
    if (!holder) throw new HttpError('unauthenticated')
    return holder
  }
}
