import { decodeBase64url, encodeBase64url } from '#bytes'
import type { HttpApp } from '#http'
import type { Cvc } from '#pki'
import type { RequirePerson } from './person.ts'
import type { Application, Registry } from './registry.ts'
import {
  applicationAnswer,
  applicationId,
  applicationList,
  applicationRequest,
  plainRequest,
  todayRequest,
  viewApplication,
} from './representations.ts'

const tags = ['institutions']
const readers = ['operator', 'approver', 'auditor'] as const

/** Applications and what becomes of them: entered by an operator, approved by a second person. */
export function addRegistryRoutes(scope: HttpApp, registry: Registry, require: RequirePerson): void {
  const answer = ({ application, certificate }: { application: Application; certificate: Cvc | undefined }) => ({
    v: 1 as const,
    application: viewApplication(application),
    certificate: certificate ? encodeBase64url(certificate.raw) : null,
  })

  scope.post(
    '/v1/applications',
    {
      schema: {
        tags,
        summary: 'Enter an application (operator)',
        body: applicationRequest,
        response: { 201: applicationAnswer },
      },
    },
    async (request, reply) => {
      const { id: person } = require(request, 'operator')
      const { provider, name, days, request: unverified } = request.body
      const application = await registry.submit({ provider, name, days, request: decodeBase64url(unverified) }, person)
      return reply.code(201).send(answer({ application, certificate: undefined }))
    },
  )
  scope.get(
    '/v1/applications',
    {
      schema: {
        ...{ tags, response: { 200: applicationList } },
        summary: 'Applications, newest first (operator, approver, auditor)',
      },
    },
    async (request) => {
      require(request, ...readers)
      return { v: 1 as const, applications: (await registry.list()).map(viewApplication) }
    },
  )
  scope.get(
    '/v1/applications/:id',
    {
      schema: {
        tags,
        summary: 'One application and its newest certificate (operator, approver, auditor)',
        params: applicationId,
        response: { 200: applicationAnswer },
      },
    },
    async (request) => {
      require(request, ...readers)
      return answer(await registry.find(request.params.id))
    },
  )
  scope.post(
    '/v1/applications/:id/approval',
    {
      schema: {
        tags,
        summary: 'Approve and issue the first DV certificate (approver, not the person who entered it)',
        params: applicationId,
        body: todayRequest,
        response: { 200: applicationAnswer },
      },
    },
    async (request) => {
      const { id: person } = require(request, 'approver')
      return answer(await registry.approve(request.params.id, person, request.body.today))
    },
  )
  scope.post(
    '/v1/applications/:id/certificates',
    {
      schema: {
        tags,
        summary: 'A new DV certificate for the same key, effective today (operator)',
        params: applicationId,
        body: todayRequest,
        response: { 201: applicationAnswer },
      },
    },
    async (request, reply) => {
      require(request, 'operator')
      return reply.code(201).send(answer(await registry.renew(request.params.id, request.body.today)))
    },
  )
  scope.post(
    '/v1/applications/:id/withdrawal',
    {
      schema: {
        tags,
        summary: 'End an application or an approval (operator or approver)',
        params: applicationId,
        body: plainRequest,
        response: { 200: applicationAnswer },
      },
    },
    async (request) => {
      const { id: person } = require(request, 'operator', 'approver')
      await registry.withdraw(request.params.id, person)
      return answer(await registry.find(request.params.id))
    },
  )
}
