import { z } from 'zod'
import type { Clock, Random } from '#clock'
import {
  authenticateBearer,
  createHttpClient,
  createHttpServer,
  type HttpApp,
  type HttpServerOptions,
  holdsKey,
} from '#http'
import { type Eligibility, eligibility } from '#messages'
import type { Store } from '#store'
import { eligibilityFailures, eligibilityStatuses } from './failures.ts'
import { eligibilityMigrations } from './migrations.ts'
import { confirmEligibility, type EligibilityTables, recordMembership } from './register.ts'

export interface EligibilityOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: HttpServerOptions['log']
  readonly http: { readonly port: number }
  /** Bearer keys: the provider's for questions, the insurers' for reports. */
  readonly keys: { readonly ask: string; readonly report: string }
}

export interface RunningEligibility {
  readonly url: string
  close(): Promise<void>
}

const day = z.iso.date()
const membership = z.strictObject({
  subject: z.string().max(64),
  insurer: z.string().regex(/^[ 0-9]{8}$/),
  symbol: z.string().max(20).nullable(),
  number: z.string().min(1).max(20),
  branch: z
    .string()
    .regex(/^\d\d$/)
    .nullable(),
  ratio: z.int().min(0).max(100).nullable(),
  validFrom: day,
  validTo: day.nullable(),
})

/** 資格確認サービス – the insured register as a role of its own. */
export async function startEligibility(options: EligibilityOptions): Promise<RunningEligibility> {
  const { store, clock, random, log, keys } = options
  const database = await store.role<EligibilityTables>('eligibility', eligibilityMigrations)
  const server = await createHttpServer({
    name: 'Kazasu insured register',
    version: '1',
    description: 'Eligibility under the register’s own pairwise IDs. Test data of invented people.',
    clock,
    random,
    log,
    port: options.http.port,
    statuses: eligibilityStatuses,
    catalogues: [eligibilityFailures],
  })
  await server.app.register(async (scope: HttpApp) => {
    authenticateBearer(scope as never, holdsKey(keys.ask))
    scope.post(
      '/v1/eligibility',
      {
        schema: {
          summary: 'Is this person insured today?',
          body: z.strictObject({ subject: z.string().max(64) }),
          response: { 200: eligibility },
        },
      },
      async (request) => confirmEligibility(database, request.body.subject, clock.now()),
    )
  })
  await server.app.register(async (scope: HttpApp) => {
    authenticateBearer(scope as never, holdsKey(keys.report))
    scope.put(
      '/v1/memberships',
      { schema: { summary: 'An insurer reports a membership', body: membership, response: { 204: z.null() } } },
      async (request, reply) => {
        await recordMembership(database, request.body)
        return reply.code(204).send(null)
      },
    )
  })
  return { url: await server.listen(), close: () => server.close() }
}

/** How long a tap waits for the register. */
const PATIENCE = 1500

/** The register as the provider asks it: whatever goes wrong is `unavailable`, so that the tap itself stands. */
export function askEligibility(
  url: string,
  key: string,
  clock: Clock,
): { lookUp(request: { readonly subject: string }): Promise<Eligibility>; close(): Promise<void> } {
  const client = createHttpClient({ baseUrl: url, bearer: key, clock, timeoutMs: PATIENCE })
  return {
    lookUp: ({ subject }) =>
      client.postJson('/v1/eligibility', eligibility, { subject }).catch(() => ({ status: 'unavailable' as const })),
    close: () => client.close(),
  }
}
