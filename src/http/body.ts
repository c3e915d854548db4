import type { FastifyInstance, FastifyRequest } from 'fastify'
import { decodeJson } from './json.ts'

const bodies = new WeakMap<FastifyRequest, Uint8Array>()

/** The very bytes of the request's body, as they came; empty without a body. For hashes over what was sent. */
export function bodyBytes(request: FastifyRequest): Uint8Array {
  return bodies.get(request) ?? new Uint8Array(0)
}

/**
 * Makes `app` read strict JSON ({@link decodeJson}) and, as `Uint8Array`, the media types of `byteTypes`
 * (`application/ocsp-request` …); everything else is 415.
 */
export function readBodies(app: FastifyInstance, byteTypes: readonly string[] = []): void {
  const keep = (request: FastifyRequest, body: Buffer): Uint8Array => {
    const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
    bodies.set(request, bytes)
    return bytes
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    decodeJson(keep(request, body)),
  )
  if (byteTypes.length > 0) {
    app.addContentTypeParser([...byteTypes], { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
      keep(request, body),
    )
  }
}
