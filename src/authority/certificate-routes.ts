import { decodeBase64url, encodeBase64url } from '#bytes'
import { parseTime } from '#clock'
import type { HttpApp } from '#http'
import type { CertificateRegister } from './certificates.ts'
import { AuthorityError } from './failures.ts'
import type { CertificateKind } from './migrations.ts'
import type { RequirePerson } from './person.ts'
import {
  certificateList,
  certificateQuery,
  certificateRequest,
  certificateView,
  revocationRequest,
  serialPath,
  viewCertificate,
} from './representations.ts'

const tags = ['certificates']

/** Issue, list and revoke certificates of cards; `revoked` is called after each revocation, before the answer. */
export function addCertificateRoutes(
  scope: HttpApp,
  register: CertificateRegister,
  require: RequirePerson,
  revoked: (kind: CertificateKind) => Promise<unknown>,
): void {
  scope.post(
    '/v1/certificates',
    { schema: { tags, summary: 'Issue (operator)', body: certificateRequest, response: { 201: certificateView } } },
    async (request, reply) => {
      const { id: person } = require(request, 'operator')
      const { publicKey, validity, v: _, ...rest } = request.body
      const period = validity && { notBefore: toTime(validity.notBefore), notAfter: toTime(validity.notAfter) }
      const entry = await register.issue({ ...rest, publicKey: decodeBase64url(publicKey), validity: period }, person)
      return reply.code(201).send(viewCertificate(entry))
    },
  )
  scope.get(
    '/v1/certificates',
    {
      schema: {
        tags,
        summary: 'The register, by serial number (operator, auditor)',
        querystring: certificateQuery,
        response: { 200: certificateList },
      },
    },
    async (request) => {
      require(request, 'operator', 'auditor')
      const { after, ...filter } = request.query
      const entries = await register.list({
        ...filter,
        after: after === undefined ? undefined : decodeBase64url(after),
      })
      const last = entries.length === filter.limit ? entries.at(-1) : undefined
      const next = last ? encodeBase64url(last.serial) : null
      return { v: 1 as const, certificates: entries.map(viewCertificate), next }
    },
  )
  scope.post(
    '/v1/certificates/:serial/revocation',
    {
      schema: {
        tags,
        summary: 'Revoke for good (operator); OCSP and CRL say so when this answers',
        params: serialPath,
        body: revocationRequest,
        response: { 200: certificateView },
      },
    },
    async (request) => {
      const { id: person } = require(request, 'operator')
      const entry = await register.revoke(decodeBase64url(request.params.serial), request.body.reason, person)
      await revoked(entry.kind)
      return viewCertificate(entry)
    },
  )
}

function toTime(text: string): number {
  const time = parseTime(text)
  if (time === undefined) throw new AuthorityError('validity-refused')
  return time
}
