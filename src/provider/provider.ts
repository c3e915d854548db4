import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { Counter, Gauge, Histogram } from 'prom-client'
import { bootstrapAdministration } from '#administration'
import { type Clock, MINUTE, type Random, SECOND } from '#clock'
import type { AuditPublicKey } from '#evidence'
import { replaceFile } from '#files'
import { createHttpServer, describeError, type HttpApp, type TlsCredential } from '#http'
import { type RevocationSource, TEST_POLICY } from '#pki'
import type { Store } from '#store'
import { administrationOf, guardAdministration } from './access.ts'
import { createChannels } from './channels.ts'
import type { IssuingProvider, LookUpRecord, ProviderKeys } from './context.ts'
import { forget } from './forgetting.ts'
import { logSize } from './log.ts'
import { providerMigrations } from './migrations.ts'
import { type PolicyRow, RESEARCH_POLICY, requireSoundPolicy } from './policy.ts'
import { providerProblems } from './problems.ts'
import { addPublicRoutes } from './public-routes.ts'
import { addRegistrationRoutes } from './registration-routes.ts'
import { type AuthorityAddress, askAuthority } from './revocation.ts'
import type { ProviderTables } from './tables.ts'
import { addTerminalAdministration } from './terminal-administration.ts'
import { addTerminalRoutes } from './terminal-routes.ts'
import { createTrustStore } from './trust.ts'
import { addTrustRoutes } from './trust-routes.ts'
import { openWitness, witnessFile } from './witness.ts'

export interface ProviderOptions {
  /** Provider's id, as it stands in statements. */
  readonly id: string
  readonly store: Store
  /** SQL role and schema; `provider` unless given, so that several providers can share a database. */
  readonly schema?: string
  readonly keys: ProviderKeys
  readonly auditPublicKey: AuditPublicKey
  readonly clock: Clock
  readonly random: Random
  readonly log: FastifyBaseLogger
  /** Where the authority answers, or another source of revocation. */
  readonly revocation: AuthorityAddress | RevocationSource
  readonly lookUpRecord: LookUpRecord
  /** The audience that `lookUpRecord` belongs to. */
  readonly registerAudience: string
  /** The research profile unless given. */
  readonly policy?: readonly PolicyRow[]
  /** Policy that user certificates must state; the test authority's unless given. */
  readonly certificatePolicy?: string
  /** Days that a terminal certificate lasts; 14 unless given. */
  readonly certificateDays?: number
  readonly http: {
    readonly host?: string
    readonly port: number
    readonly tls: TlsCredential
    /** `iss` of tokens if it is not the origin listened on. */
    readonly issuer?: string
  }
  /** Folder for what must lie outside the database: the log's last checkpoint, the first administrator's key. */
  readonly home: string
}

/** A provider at work. */
export interface RunningProvider {
  /** `https://host:port` */
  readonly origin: string
  /** File of the first administrator's key; written at the first start, to be removed once other keys are made. */
  readonly bootstrapKeyFile: string
  /** Answers what is under way, then stops. */
  close(): Promise<void>
}

const CERTIFICATE_DAYS = 14
const BOOTSTRAP_FILE = 'administrator.key'

/**
 * サービス提供機関 – starts the provider: migrations, first administrator, log compared with its witness, routes.
 * @throws ProviderError `log-rolled-back`, `policy-unsound`; StoreError; HttpError `tls-required`
 */
export async function startProvider(options: ProviderOptions): Promise<RunningProvider> {
  const { clock, random, log, keys, home } = options
  const policy = requireSoundPolicy(options.policy ?? RESEARCH_POLICY)
  await mkdir(home, { recursive: true, mode: 0o700 })
  const database = await options.store.role<ProviderTables>(options.schema ?? 'provider', providerMigrations)
  const bootstrapKeyFile = join(home, BOOTSTRAP_FILE)
  await bootstrapAdministration(administrationOf(database), { clock, random }, (key) =>
    replaceFile(bootstrapKeyFile, Buffer.from(`${key}\n`)),
  )

  const report = (error: unknown): void => log.warn({ failure: describeError(error) }, 'outside a request')
  const authority = 'baseUrl' in options.revocation ? askAuthority(options.revocation, { clock, random, report }) : null
  const trust = createTrustStore({ database, clock, keys }, options.certificatePolicy ?? TEST_POLICY.userAuthentication)
  await trust.reload()
  const receptions = new Counter({
    ...{ name: 'kazasu_receptions_total', help: 'Proofs by verdict.', labelNames: ['verdict'], registers: [] },
  })
  const checks = new Histogram({
    ...{ name: 'kazasu_reception_seconds', help: 'Time of a proof by check.', labelNames: ['check'], registers: [] },
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  })
  let witnessMissing = 0
  const witness = await openWitness({ id: options.id, database, keys }, witnessFile(home), () => {
    witnessMissing = 1
    log.error({ home }, 'no checkpoint is kept of a log that has leaves: whether it was rolled back cannot be known')
  })
  let origin = ''
  const provider: IssuingProvider = {
    ...{ id: options.id, database, clock, random, keys, auditKey: options.auditPublicKey },
    ...{ lookUpRecord: options.lookUpRecord, registerAudience: options.registerAudience },
    get issuer() {
      return options.http.issuer ?? origin
    },
    witness,
    policy,
    certificateDays: options.certificateDays ?? CERTIFICATE_DAYS,
    trust: () => trust.current(),
    revocation: authority ?? (options.revocation as RevocationSource),
    count: (verdict) => receptions.inc({ verdict }),
    async time(check, run) {
      const began = clock.monotonic()
      try {
        return await run()
      } finally {
        checks.observe({ check }, (clock.monotonic() - began) / SECOND)
      }
    },
  }
  const server = await createHttpServer({
    ...{ name: 'Kazasu provider', version: '1', clock, random, log, ...providerProblems },
    description: 'サービス提供機関: terminals, proofs of taps, presence tokens, evidence log.',
    ...(options.http.host === undefined ? {} : { host: options.http.host }),
    port: options.http.port,
    tls: { ...options.http.tls, clientCertificates: 'request' },
    readiness: {
      database: () => sql`select 1`.execute(database),
      trust: async () => trust.current(),
      log: async () => witness.requireSound(),
      ...(authority ? { revocation: () => authority.reach() } : {}),
    },
  })
  const channels = createChannels(database, clock, report)
  const registers = [server.metrics]
  server.metrics.registerMetric(receptions)
  server.metrics.registerMetric(checks)
  new Gauge({
    ...{ name: 'kazasu_channels_open', help: 'Terminals connected to this process.', registers },
    collect() {
      this.set(channels.size)
    },
  })
  new Gauge({
    ...{ name: 'kazasu_log_leaves', help: 'Leaves of the evidence log.', registers },
    async collect() {
      this.set(await logSize(database))
    },
  })

  new Gauge({
    ...{
      name: 'kazasu_log_witness_missing',
      help: '1 if leaves were found at the start but no checkpoint.',
      registers,
    },
  }).set(witnessMissing)

  const { app } = server
  addTerminalRoutes(app, provider, channels, report)
  addPublicRoutes(app, provider)
  await app.register(async (plain) => {
    const scope = plain as unknown as HttpApp
    const require = guardAdministration(scope, database, clock)
    addRegistrationRoutes(scope, provider, channels, require)
    addTerminalAdministration(scope, provider, channels, require)
    addTrustRoutes(scope, provider, trust, require)
  })
  const tasks = createTasks(clock, report)
  tasks.every(SECOND, () => witness.watch())
  tasks.every(SECOND, () => trust.reload())
  tasks.every(MINUTE, () => forget(provider))
  if (authority) tasks.every(4 * MINUTE, () => authority.fetchList())
  async function close(): Promise<void> {
    channels.close()
    await server.close()
    await tasks.stop()
    await witness.watch().catch(report)
    await authority?.close()
    await database.destroy()
  }
  try {
    if (authority) await authority.fetchList().catch(report)
    origin = await server.listen()
  } catch (error) {
    await close()
    throw error
  }
  log.info({ provider: options.id, origin }, 'provider started')
  return { origin, bootstrapKeyFile, close }
}

/** Work that comes again: never twice at once, reported when it fails, waited for at the end. */
function createTasks(clock: Clock, report: (error: unknown) => void) {
  const stops: (() => void)[] = []
  const running = new Set<Promise<void>>()
  return {
    every(milliseconds: number, run: () => Promise<unknown>): void {
      let busy = false
      const start = (): void => {
        if (busy) return
        busy = true
        const done = run()
          .then(() => undefined, report)
          .finally(() => {
            busy = false
            running.delete(done)
          })
        running.add(done)
      }
      stops.push(clock.every(milliseconds, start))
    },
    async stop(): Promise<void> {
      for (const stop of stops) stop()
      await Promise.all(running)
    },
  }
}
