import { z } from 'zod'
import { encodeBase64url } from '#bytes'
import type { HttpApp } from '#http'
import { identifier } from '#messages'
import type { Certificate } from '#pki'
import type { IssuingAuthority } from './certificates.ts'
import type { InstitutionRoot } from './institution-certificates.ts'
import { type CertificateKind, KINDS } from './migrations.ts'
import type { Registry } from './registry.ts'
import { anchors, cvcList, cvcQuery, institutionChain, viewCvc } from './representations.ts'

const tags = ['public']

/** What everybody may know: anchors, certificates of institutions, and the list of all that the root has signed. */
export function addAnchorRoutes(
  app: HttpApp,
  parts: {
    readonly root: InstitutionRoot
    readonly registry: Registry
    readonly authorities: Readonly<Record<CertificateKind, IssuingAuthority>>
    /** Asked at each request: responders are renewed. */
    readonly responder: (kind: CertificateKind) => Certificate
  },
): void {
  const { root, registry, authorities, responder } = parts
  const cvca = encodeBase64url(root.cvca.raw)
  const certificates = (certificateOf: (kind: CertificateKind) => Certificate) =>
    KINDS.map((kind) => ({ kind, certificate: encodeBase64url(certificateOf(kind).raw) }))

  app.get(
    '/v1/anchors',
    {
      schema: {
        tags,
        summary: 'Certificates that trust begins with: take them over a way you trust',
        response: { 200: anchors },
      },
    },
    async () => ({
      v: 1 as const,
      organisation: 'JPKI-KAZASU-TEST',
      certificateAuthorities: certificates((kind) => authorities[kind].certificate),
      ocspResponders: certificates(responder),
      cvca,
    }),
  )
  app.get(
    '/v1/institutions/:provider/certificate',
    {
      schema: {
        tags,
        summary: 'Newest DV certificate of an approved provider, and the root above it',
        params: z.strictObject({ provider: identifier }),
        response: { 200: institutionChain },
      },
    },
    async ({ params: { provider } }) => {
      const dv = encodeBase64url((await registry.certificateOf(provider)).raw)
      return { v: 1 as const, provider, dv, cvca }
    },
  )
  app.get(
    '/v1/card-verifiable-certificates',
    {
      schema: {
        tags,
        summary: 'Append-only list of every card verifiable certificate signed or about to be signed',
        querystring: cvcQuery,
        response: { 200: cvcList },
      },
    },
    async ({ query: { after, limit } }) => {
      const lines = await root.list(after, limit)
      const next = lines.length === limit ? (lines.at(-1)?.id ?? null) : null
      return { v: 1 as const, certificates: lines.map(viewCvc), next }
    },
  )
}
