import { z } from 'zod'
import type { HttpApp } from '#http'
import { type CertificateKind, KINDS } from './migrations.ts'
import type { OcspResponder } from './ocsp-responder.ts'
import type { RevocationLists } from './revocation-lists.ts'

const tags = ['revocation']
export const OCSP_REQUEST = 'application/ocsp-request'
const OCSP_RESPONSE = 'application/ocsp-response'
const CRL = 'application/pkix-crl'
/** Base64 of the largest request that is read. */
const LARGEST_PATH = 8192

/** OCSP by POST and GET (RFC 6960 appendix A) and the CRLs (RFC 5280 §4.2.1.13), open to everybody as signed answers. */
export function addRevocationRoutes(app: HttpApp, responder: OcspResponder, lists: RevocationLists): void {
  const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array)

  app.post(
    '/ocsp',
    {
      schema: { tags, summary: 'OCSP request (application/ocsp-request)', consumes: [OCSP_REQUEST], body: z.unknown() },
    },
    async (request, reply) => {
      const body = bytes.safeParse(request.body)
      const answer = await responder.answer(body.success ? body.data : new Uint8Array(0))
      return reply.type(OCSP_RESPONSE).send(Buffer.from(answer))
    },
  )
  app.get(
    '/ocsp/*',
    {
      schema: {
        tags,
        summary: 'OCSP request as base64, percent-encoded, in the path',
        params: z.strictObject({ '*': z.string().max(LARGEST_PATH) }),
      },
    },
    async (request, reply) => {
      const answer = await responder.answer(Buffer.from(request.params['*'], 'base64'))
      return reply.type(OCSP_RESPONSE).send(Buffer.from(answer))
    },
  )

  const serveList = (kind: CertificateKind): void => {
    app.get(
      `/crl/${kind}.crl`,
      { schema: { tags, summary: `Complete CRL of the ${kind} CA` } },
      async (_request, reply) => {
        const { der, nextUpdate } = await lists.current(kind)
        reply.header('expires', new Date(nextUpdate).toUTCString())
        return reply.type(CRL).send(Buffer.from(der))
      },
    )
  }
  KINDS.forEach(serveList)
}
