import { mkdir, readFile } from 'node:fs/promises'
import type { CardReader } from '#apdu'
import { startAuthority } from '#authority'
import { encodeBase64url } from '#bytes'
import { createFileCardState, createVirtualCard, decodePersonalisation } from '#card'
import { type Clock, DAY, type Random, timeText } from '#clock'
import { askEligibility, startEligibility } from '#eligibility'
import { importAuditPublicKey } from '#evidence'
import { readFileIfPresent, replaceFile } from '#files'
import { createHttpClient, createLog, describeError } from '#http'
import { createSoftwareSigner, loadMac, loadPrivateKey, loadSealingKey, loadSigner } from '#keys'
import { encodeCertificatePem, issueTlsCertificate, newSerial } from '#pki'
import { type PolicyRow, startProvider } from '#provider'
import { createInProcessReader, openPcsc, type Pcsc, servePcd, type VirtualCardService } from '#reader'
import { openStore } from '#store'
import { startTerminal } from '#terminal'
import { startTownPage, TownError, type Tray } from '#town'
import { beginFounding, clearTown, endFounding, isFounded, requireItsDatabase, wasLeftUnfounded } from './foundation.ts'
import { CLINIC, found, PROVIDER_ID, REGISTER } from './founding.ts'
import {
  accessPage,
  findRunning,
  forgetRunning,
  type Home,
  lockHome,
  pageAddress,
  type RunningRecord,
  recordRunning,
} from './home.ts'
import { logFile } from './log-file.ts'
import { renewTrust } from './renewal.ts'
import { RESIDENTS } from './residents.ts'

export interface TownSettings {
  readonly home: Home
  readonly clock: Clock
  readonly random: Random
  /** Port of the page; 0 takes a free one. */
  readonly port: number
  /** Use pcscd: the reader of this name (`''` = the first), and vpcd's address for virtual cards if it is a virtual one. */
  readonly pcsc?: { readonly reader: string; readonly vpcd?: { readonly host: string; readonly port: number } }
  /** `postgresql://…`; the embedded database unless given. */
  readonly databaseUrl?: string
  /** What terminals may ask for; the research profile unless given. */
  readonly policy?: readonly PolicyRow[]
  readonly say: (line: string) => void
}

export interface RunningTownHandle extends RunningRecord {
  /** What opens the page. */
  readonly key: string
  close(): Promise<void>
}

/**
 * Starts every role, each behind its own HTTP interface, and founds the town at the first start.
 * @throws TownError `town-running`, `town-unsettled`, `port-taken`, `database-elsewhere`, `database-occupied`;
 * StoreError `store-in-use`; errors of the roles
 */
export async function startTown(settings: TownSettings): Promise<RunningTownHandle> {
  const { home, clock, random, say } = settings
  const running = await findRunning(home)
  if (running) {
    throw new TownError('town-running', { page: pageAddress(await accessPage(home, running)), pid: running.pid })
  }
  const lock = await lockHome(home)
  const closing: (() => Promise<unknown>)[] = [() => lock.release()]
  const close = async (): Promise<void> => {
    for (const end of closing.toReversed()) await end()
  }
  try {
    if (await wasLeftUnfounded(home)) {
      say('前回の準備が途中で終わったので、はじめから作り直します / left half made at the last start: made anew')
      await clearTown(home, settings.databaseUrl)
    }
    if (await isFounded(home)) await requireItsDatabase(home, settings.databaseUrl)
    else await beginFounding(home, timeText(clock.now()), settings.databaseUrl)
    await mkdir(home.path('logs'), { recursive: true, mode: 0o700 })
    return { ...(await open()), close }
  } catch (error) {
    await close()
    throw error
  }

  async function open(): Promise<Omit<RunningTownHandle, 'close'>> {
    const log = (name: string) => createLog({ name, clock, destination: logFile(home, name, closing) })
    say('データベース / database')
    const store = await openStore(
      settings.databaseUrl
        ? { kind: 'postgresql', url: settings.databaseUrl }
        : { kind: 'embedded', directory: home.path('database') },
    )
    closing.push(() => store.close())

    say('認証局・サービス提供機関・資格確認 / authority, provider, insured register')
    const authority = await startAuthority({
      ...{ store, keysDirectory: home.path('authority', 'keys'), clock, random, log: log('authority') },
      ...{ home: home.path('authority'), http: { port: 0 } },
    })
    closing.push(() => authority.close())

    const askKey = await keep(home.path('eligibility', 'ask.key'), encodeBase64url(random.bytes(32)))
    const reportKey = await keep(home.path('eligibility', 'report.key'), encodeBase64url(random.bytes(32)))
    const register = await startEligibility({
      ...{ store, clock, random, log: log('eligibility'), http: { port: 0 } },
      keys: { ask: askKey, report: reportKey },
    })
    closing.push(() => register.close())
    const lookUp = askEligibility(register.url, askKey, clock)
    closing.push(() => lookUp.close())

    const tls = await openServerCertificate(home, clock, random)
    const { keys, auditPublicKey } = await openProviderKeys(home)
    const provider = await startProvider({
      ...{ id: PROVIDER_ID, store, keys, auditPublicKey, clock, random, log: log('provider') },
      revocation: { baseUrl: authority.url },
      lookUpRecord: lookUp.lookUp,
      registerAudience: REGISTER,
      ...(settings.policy ? { policy: settings.policy } : {}),
      http: { port: 0, tls },
      home: home.path('provider'),
    })
    closing.push(() => provider.close())

    const townLog = log('town')
    const keyIn = async (path: string): Promise<string> => (await readFile(path, 'utf8')).trim()
    const providerDesk = async () => ({
      ...{ url: provider.origin, certificate: tls.certificate, key: await keyIn(provider.bootstrapKeyFile) },
    })
    const renewTrustNow = async (): Promise<void> =>
      renewTrust({
        ...{ clock, providerId: PROVIDER_ID, provider: await providerDesk() },
        authority: { url: authority.url, key: await keyIn(home.path('authority', 'clerk.key')) },
      })
    if (!(await isFounded(home))) {
      await found({
        ...{ home, clock, random, say },
        authority: { url: authority.url, key: await keyIn(authority.bootstrapKeyFile) },
        provider: await providerDesk(),
        eligibility: { url: register.url, reportKey },
      })
      await endFounding(home, timeText(clock.now()))
    } else {
      await moveProvider(home, provider.origin, tls.certificate)
      await renewTrustNow()
    }
    const stopRenewing = clock.every(DAY, () => {
      renewTrustNow().catch((failure: unknown) =>
        townLog.error({ failure: describeError(failure) }, 'the trust of the provider was not renewed'),
      )
    })
    closing.push(async () => stopRenewing())

    say('端末 / terminal')
    const tray = await setUpTray(settings, closing)
    const terminal = await startTerminal({
      ...{ directory: home.path('terminal'), reader: tray.reader, clock, random, log: log('terminal') },
      http: { port: 0 },
    })
    closing.push(() => terminal.close())
    const local = createHttpClient({ baseUrl: terminal.url, bearer: terminal.localKey, clock, timeoutMs: 10_000 })
    closing.push(() => local.close())
    const key = await keep(home.path('page-key'), encodeBase64url(random.bytes(32)))
    const page = await startTownPage({
      ...{ clinic: CLINIC, tray, terminal: local, clock, random, log: townLog, port: settings.port, key },
    })
    closing.push(() => page.close())
    const record: RunningRecord = {
      ...{ v: 1, pid: process.pid, town: page.url, authority: authority.url, provider: provider.origin },
      ...{ terminal: terminal.url, eligibility: register.url, startedAt: timeText(clock.now()) },
    }
    await recordRunning(home, record)
    closing.push(() => forgetRunning(home))
    return { ...record, key }
  }
}

/** A secret kept in a file of mode 600: what is there, or `fresh` from now on. @throws TownError `town-unsettled` */
async function keep(path: string, fresh: string | undefined): Promise<string> {
  const kept = await readFileIfPresent(path)
  if (kept) return Buffer.from(kept).toString().trim()
  if (fresh === undefined) throw new TownError('town-unsettled', { missing: path })
  await replaceFile(path, Buffer.from(`${fresh}\n`))
  return fresh
}

/** The provider listens on another port at each start; the terminal's folder says where. */
async function moveProvider(home: Home, providerUrl: string, providerCertificate: string): Promise<void> {
  const connection = { v: 1, providerUrl, providerCertificate }
  await replaceFile(home.path('terminal', 'provider.json'), Buffer.from(JSON.stringify(connection)))
}

async function openServerCertificate(home: Home, clock: Clock, random: Random) {
  const key = await loadPrivateKey(home.path('provider', 'keys'), 'tls', 'ecdsa-p256-sha256', { create: true })
  const path = home.path('provider', 'tls-certificate.pem')
  const kept = await readFileIfPresent(path)
  if (kept) return { key, certificate: Buffer.from(kept).toString() }
  const now = clock.now()
  const certificate = encodeCertificatePem(
    await issueTlsCertificate(
      {
        ...{ name: 'Kazasu test provider', ips: ['127.0.0.1'], dns: ['localhost'] },
        serial: newSerial(random),
        ...{ notBefore: now - DAY, notAfter: now + 10 * 365 * DAY },
      },
      createSoftwareSigner(key),
    ),
  )
  await replaceFile(path, Buffer.from(certificate))
  return { key, certificate }
}

async function openProviderKeys(home: Home) {
  const directory = home.path('provider', 'keys')
  const create = { create: true }
  const sign = (name: string) => loadSigner(directory, name, 'ecdsa-p256-sha256', create)
  // The auditor's private key lies in another folder: nothing of the provider reads it.
  const auditor = await loadSigner(home.path('auditor', 'keys'), 'audit', 'ecdsa-p256-sha256', create)
  return {
    auditPublicKey: await importAuditPublicKey(auditor.publicKey),
    keys: {
      ...{ token: await sign('token'), log: await sign('log'), dv: await sign('dv') },
      sealing: await loadSealingKey(directory, 'sealing', create),
      link: await loadMac(directory, 'link', create),
      witness: await loadMac(directory, 'witness', create),
      pairwise: await loadMac(directory, 'pairwise-1', create),
      pairwiseVersion: 1,
    },
  }
}

/** The residents' cards, and the reader they are laid on. */
async function setUpTray(settings: TownSettings, closing: (() => Promise<unknown>)[]) {
  const { home, clock, random, pcsc } = settings
  const device = async (name: string) =>
    createVirtualCard({
      personalisation: decodePersonalisation(await readFile(home.path('cards', `${name}.json`), 'utf8')),
      state: createFileCardState(home.path('cards', `${name}.state.json`)),
      random,
    })
  const cards = RESIDENTS.map(({ name, holder, about }) => ({ name, holder, about }))
  const known = (name: string): string => {
    if (!cards.some((card) => card.name === name)) throw new TownError('card-unknown', { name })
    return name
  }
  let lying: string | undefined
  if (!pcsc) {
    const reader = createInProcessReader('in-process')
    const tray: Tray = {
      ...{ cards, transport: 'in-process' },
      lying: () => lying,
      async lay(name) {
        const card = await device(known(name))
        await reader.remove()
        reader.insert(card)
        lying = name
      },
      async take() {
        lying = undefined
        await reader.remove()
      },
    }
    return { ...tray, reader }
  }
  const system = await openPcsc({ clock })
  closing.push(() => system.close())
  const reader = await chooseReader(system, pcsc.reader)
  const { vpcd } = pcsc
  let service: VirtualCardService | undefined
  closing.push(async () => service?.stop())
  const tray: Tray = {
    ...{ cards: vpcd ? cards : [], transport: 'pcsc' },
    lying: () => lying,
    async lay(name) {
      if (!vpcd) throw new TownError('card-unknown', { name })
      const card = await device(known(name))
      await service?.stop()
      if (service) await reader.waitForRemoval()
      service = servePcd({ ...vpcd, device: card, clock })
      lying = name
    },
    async take() {
      lying = undefined
      await service?.stop()
      service = undefined
    },
  }
  return { ...tray, reader }
}

/** The reader called `wanted`, or the first whose name begins so: a device shows each of its slots as a reader of its own. */
async function chooseReader(system: Pcsc, wanted: string): Promise<CardReader> {
  const names = await system.list()
  return system.reader(names.find((name) => name === wanted) ?? names.find((name) => name.startsWith(wanted)) ?? wanted)
}
