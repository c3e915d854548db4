import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Kysely } from 'kysely'
import { Gauge } from 'prom-client'
import {
  administrationFailures,
  administrationStatuses,
  authenticate,
  bootstrapAdministration,
  requireRole,
} from '#administration'
import { type Clock, MINUTE, type Random } from '#clock'
import { replaceFile } from '#files'
import {
  authenticateBearer,
  createHttpServer,
  createMemoryIdempotencyStore,
  describeError,
  type HttpApp,
  type HttpServer,
  repeatWrites,
} from '#http'
import { loadSigner } from '#keys'
import type { Certificate, SignatureAlgorithm } from '#pki'
import type { Store } from '#store'
import { addAdministrationRoutes } from './administration-routes.ts'
import { addAnchorRoutes } from './anchor-routes.ts'
import { openCertificateAuthority, openResponderCertificate } from './certificate-authorities.ts'
import { addCertificateRoutes } from './certificate-routes.ts'
import { createCertificateRegister, type IssuingAuthority } from './certificates.ts'
import { authorityFailures, authorityStatuses } from './failures.ts'
import { openInstitutionRoot } from './institution-certificates.ts'
import { type AuthorityTables, authorityMigrations, type CertificateKind } from './migrations.ts'
import { createOcspResponder } from './ocsp-responder.ts'
import type { RequirePerson } from './person.ts'
import { createRegistry } from './registry.ts'
import { addRegistryRoutes } from './registry-routes.ts'
import { openRevocationLists } from './revocation-lists.ts'
import { addRevocationRoutes, OCSP_REQUEST } from './revocation-routes.ts'

export interface AuthoritySettings {
  readonly store: Store
  /** Made at the first start; mode 0700. Two CA keys (RSA), the OCSP responder's and the institution root's (P-256). */
  readonly keysDirectory: string
  /** Folder for the first administrator's key. */
  readonly home: string
  readonly clock: Clock
  readonly random: Random
  readonly log: FastifyBaseLogger
  readonly http: { readonly host?: string; readonly port: number }
  /** Where card certificates say that OCSP is: an address that stays. A name that resolves nowhere unless given. */
  readonly ocspAddress?: string
}

/** The running authority. */
export interface Authority {
  readonly url: string
  /** File of the first administrator's key; written at the first start, to be removed once other keys are made. */
  readonly bootstrapKeyFile: string
  close(): Promise<void>
}

const BOOTSTRAP_FILE = 'administrator.key'

const API = {
  name: 'Kazasu test authority (試験用認証局)',
  version: '1',
  description:
    'Certificates of cards and of institutions for trying and research. **A test authority**: nothing that it signs ' +
    'says anything about a real person or institution. What J-LIS does in reality; its own interfaces are not public.',
}

/**
 * 試験用認証局 – starts the authority of a town or laboratory: two card CAs with OCSP and CRL, the root of institution
 * authentication and its registry, over HTTP. Keys and certificates are made at the first start.
 * @throws AuthorityError `keys-mismatch`; KeysError; StoreError; HttpError
 */
export async function startAuthority(settings: AuthoritySettings): Promise<Authority> {
  const { clock, random, log, store } = settings
  const database = await store.role<AuthorityTables>('authority', authorityMigrations)
  const bootstrapKeyFile = join(settings.home, BOOTSTRAP_FILE)
  await bootstrapAdministration(database, { clock, random }, (key) =>
    replaceFile(bootstrapKeyFile, Buffer.from(`${key}\n`)),
  )
  const role = await openRole(settings, database)
  const server = await createHttpServer({
    ...API,
    ...settings.http,
    ...{ clock, random, log },
    statuses: { ...administrationStatuses, ...authorityStatuses },
    catalogues: [administrationFailures, authorityFailures],
    byteTypes: [OCSP_REQUEST],
    readiness: { store: () => role.lists.current('user-authentication') },
  })
  await addRoutes(server, settings, database, role)
  countCertificates(server, database)
  const stopRenewing = clock.every(MINUTE, () => {
    role.renew().catch((error: unknown) => log.error({ failure: describeError(error) }, 'renewal failed'))
  })
  const url = await server.listen()
  return {
    url,
    bootstrapKeyFile,
    async close() {
      stopRenewing()
      await server.close()
      await database.destroy()
    },
  }
}

type Role = Awaited<ReturnType<typeof openRole>>

/** Keys, certificates and lists; nothing is served yet. */
async function openRole(settings: AuthoritySettings, database: Kysely<AuthorityTables>) {
  const { clock, random, keysDirectory } = settings
  const sources = { clock, random }
  const load = (name: string, algorithm: SignatureAlgorithm) =>
    loadSigner(keysDirectory, name, algorithm, { create: true })
  const openAuthority = async (kind: CertificateKind): Promise<IssuingAuthority> =>
    openCertificateAuthority(database, kind, await load(`ca-${kind}`, 'rsa-pkcs1-sha256'), sources)

  const authorities = {
    'user-authentication': await openAuthority('user-authentication'),
    'digital-signature': await openAuthority('digital-signature'),
  }
  const responderSigner = await load('ocsp-responder', 'ecdsa-p256-sha256')
  const openResponder = (kind: CertificateKind): Promise<Certificate> =>
    openResponderCertificate(database, kind, authorities[kind], responderSigner, sources)
  const openResponders = async (): Promise<Readonly<Record<CertificateKind, Certificate>>> => ({
    'user-authentication': await openResponder('user-authentication'),
    'digital-signature': await openResponder('digital-signature'),
  })
  let responders = await openResponders()
  const responder = (kind: CertificateKind): Certificate => responders[kind]

  const root = await openInstitutionRoot(database, await load('cvca', 'ecdsa-p256-sha256'), clock)
  const ocsp = settings.ocspAddress ?? 'http://authority.kazasu.test/ocsp'
  const register = createCertificateRegister(database, authorities, { ...sources, ocsp })
  const lists = await openRevocationLists(database, authorities, clock)
  return {
    ...{ authorities, responder, root, register, lists },
    registry: createRegistry(database, root, sources),
    ocsp: createOcspResponder({ register, authorities, signer: responderSigner, certificate: responder, clock }),
    async renew() {
      responders = await openResponders()
      await lists.renew()
    },
  }
}

async function addRoutes(
  { app }: HttpServer,
  { clock, random }: AuthoritySettings,
  database: Kysely<AuthorityTables>,
  role: Role,
): Promise<void> {
  addAnchorRoutes(app, role)
  addRevocationRoutes(app, role.ocsp, role.lists)
  await app.register(async (instance) => {
    const scope = instance.withTypeProvider<ZodTypeProvider>() as HttpApp
    const holder = authenticateBearer(instance, (key) => authenticate(database, key))
    repeatWrites(instance, createMemoryIdempotencyStore(clock), (request) => holder(request).key)
    const require: RequirePerson = (request, ...roles) => {
      const administrator = holder(request)
      requireRole(administrator, ...roles)
      return administrator
    }
    addAdministrationRoutes(scope, database, holder, { clock, random })
    addCertificateRoutes(scope, role.register, require, role.lists.reissue)
    addRegistryRoutes(scope, role.registry, require)
  })
}

/** `intended` that does not go away is a signature nobody knows of: look at GET /v1/certificates?state=intended. */
function countCertificates({ metrics }: HttpServer, database: Kysely<AuthorityTables>): void {
  new Gauge({
    name: 'authority_certificates',
    help: 'Certificates of cards by kind and state.',
    labelNames: ['kind', 'state'],
    registers: [metrics],
    async collect() {
      const { countAll } = database.fn
      const rows = await database
        .selectFrom('certificate')
        .select(['kind', 'state', countAll<number>().as('count')])
        .groupBy(['kind', 'state'])
        .execute()
      this.reset()
      for (const { kind, state, count } of rows) this.set({ kind, state }, count)
    },
  })
}
