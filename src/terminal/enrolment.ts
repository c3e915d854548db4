import { join } from 'node:path'
import { z } from 'zod'
import { encodeBase64url } from '#bytes'
import { type Clock, DAY, type Random } from '#clock'
import { readFileIfPresent, replaceFile } from '#files'
import { certificateThumbprint, createHttpClient, type HttpClient, type TlsCredential } from '#http'
import { createSoftwareSigner, loadPrivateKey, loadSigner } from '#keys'
import { signEnrolment, type TerminalView, terminalView, version } from '#messages'
import { encodeCertificatePem, issueCvcRequest, issueTlsCertificate, newSerial, type Signer } from '#pki'
import { createFileMemory, type DeviceMemory, FIRST_STATE } from './device-memory.ts'
import { TerminalError } from './failures.ts'
import { createOutbox } from './outbox.ts'
import { linkProvider } from './provider-link.ts'

/** What a terminal's folder says of its provider. */
const connection = z.strictObject({
  v: version,
  providerUrl: z.url(),
  /** The one certificate that the provider's server may show, PEM. */
  providerCertificate: z.string(),
})
type Connection = z.infer<typeof connection>

/** The three keys of a terminal are three: none can stand in for another. */
export interface TerminalKeys {
  readonly institution: Signer
  readonly device: Signer
  readonly tls: TlsCredential
}

const P256 = 'ecdsa-p256-sha256'
/** A terminal's own TLS certificate outlives the machine; the provider's registry decides how long it counts. */
const TLS_LIFE = 10 * 365 * DAY

/** Opens the keys in a terminal's folder; `create` makes them once. */
export async function loadTerminalKeys(
  directory: string,
  clock: Clock,
  random: Random,
  create = false,
): Promise<TerminalKeys> {
  const keys = join(directory, 'keys')
  const path = join(directory, 'tls-certificate.pem')
  const tlsKey = await loadPrivateKey(keys, 'tls', P256, { create })
  if (create && !(await readFileIfPresent(path))) {
    const now = clock.now()
    const serial = newSerial(random)
    const identity = { name: 'kazasu terminal', serial, notBefore: now - DAY, notAfter: now + TLS_LIFE }
    const certificate = await issueTlsCertificate(identity, createSoftwareSigner(tlsKey))
    await replaceFile(path, Buffer.from(encodeCertificatePem(certificate)))
  }
  const certificate = await readFileIfPresent(path)
  if (!certificate) throw new TerminalError('not-enrolled')
  return {
    institution: await loadSigner(keys, 'institution', P256, { create }),
    device: await loadSigner(keys, 'device', P256, { create }),
    tls: { key: tlsKey, certificate: Buffer.from(certificate).toString() },
  }
}

/** A client of the provider that a terminal's folder names. @throws TerminalError `not-enrolled` */
export async function connectProvider(directory: string, keys: TerminalKeys, clock: Clock): Promise<HttpClient> {
  const bytes = await readFileIfPresent(join(directory, 'provider.json'))
  if (!bytes) throw new TerminalError('not-enrolled')
  return openClient(connection.parse(JSON.parse(Buffer.from(bytes).toString())), keys, clock)
}

function openClient({ providerUrl, providerCertificate }: Connection, keys: TerminalKeys, clock: Clock): HttpClient {
  return createHttpClient({
    baseUrl: providerUrl,
    serverCertificate: providerCertificate,
    clientCertificate: keys.tls,
    clock,
    timeoutMs: 10_000,
  })
}

/** A terminal that has been enrolled. */
export interface Enrolment {
  readonly terminal: TerminalView
  /**
   * The proof that an earlier enrolment left unanswered: `settled` before this one if the provider was there, so that
   * an accepted tap is known as such in its log; else `dropped`, as no later chain can take it: that tap did not count.
   */
  readonly openProof: 'none' | 'settled' | 'dropped'
}

/**
 * 端末の登録 – makes the terminal's keys in `directory` and has the provider register them, by a one-time code. Where
 * the terminal was enrolled before, its chain of device statements begins anew. Nothing is kept but the keys if the
 * provider refuses, so that a new code can be tried.
 * @throws HttpError `problem` with the provider's refusal; KeysError
 */
export async function enrolTerminal(
  wanted: { readonly directory: string; readonly code: string } & Omit<Connection, 'v'>,
  clock: Clock,
  random: Random,
): Promise<Enrolment> {
  const { directory, code, providerUrl, providerCertificate } = wanted
  const keys = await loadTerminalKeys(directory, clock, random, true)
  const provider: Connection = { v: 1, providerUrl, providerCertificate }
  const client = openClient(provider, keys, clock)
  const memory = createFileMemory(join(directory, 'device.json'))
  try {
    const openProof = await settleOpenProof(memory, directory, keys, clock)
    const certificateRequest = encodeBase64url(await issueCvcRequest('JPTERMINAL00001', keys.institution))
    const tlsThumbprint = certificateThumbprint(keys.tls.certificate)
    const statement = await signEnrolment({ code, tlsThumbprint, certificateRequest }, keys.device)
    const deviceKey = encodeBase64url(keys.device.publicKey)
    const terminal = await client.postJson('/v1/terminals', terminalView, {
      v: 1,
      code,
      deviceKey,
      certificateRequest,
      statement,
    })
    // A code sent again under the same keys changes nothing: a chain that has gone on since then goes on.
    if (terminal.counter === 0) await memory.write(FIRST_STATE)
    await replaceFile(join(directory, 'provider.json'), Buffer.from(JSON.stringify(provider)))
    return { terminal, openProof }
  } finally {
    await client.close()
  }
}

/** What an earlier enrolment left in the outbox is sent to the provider that it is for, while it still counts there. */
async function settleOpenProof(
  memory: DeviceMemory,
  directory: string,
  keys: TerminalKeys,
  clock: Clock,
): Promise<Enrolment['openProof']> {
  const left = await memory.read().catch(() => undefined) // a file that cannot be read is no reason not to begin anew
  if (left !== undefined && left.pending === null) return 'none'
  const client = await connectProvider(directory, keys, clock)
  try {
    await createOutbox(
      memory,
      linkProvider(client, clock, () => undefined),
      clock,
    ).flush()
    return 'settled'
  } catch {
    return 'dropped'
  } finally {
    await client.close()
  }
}
