import { X509Certificate } from 'node:crypto'
import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { equalBytes } from '#bytes'
import type { Clock } from '#clock'
import { HttpError } from './failures.ts'
import { isLoopback } from './host.ts'
import { type TlsCredential, tlsMaterial } from './tls.ts'

/** How a client reaches a server. */
export interface ConnectionOptions {
  /** `https://host:port`, plain `http` on loopback only; a path is put before every path asked for. */
  readonly baseUrl: string
  /** The one certificate that the server may show, PEM or DER; without it the system's roots decide. */
  readonly serverCertificate?: string | Uint8Array
  readonly clientCertificate?: TlsCredential
  readonly clock: Clock
  /** Milliseconds for a whole exchange. */
  readonly timeoutMs: number
}

/** Opens TCP or TLS 1.3 connections to the one server of a client; nothing is sent before the certificate is checked. */
export type Connector = buildConnector.connector

/**
 * @throws HttpError `tls-required` for plain HTTP beyond loopback, or where a certificate is pinned
 */
export function createConnector(options: ConnectionOptions): Connector {
  const { protocol, hostname, port } = new URL(options.baseUrl)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const pin = options.serverCertificate === undefined ? undefined : new X509Certificate(options.serverCertificate)
  if (protocol !== 'https:' && (protocol !== 'http:' || pin || options.clientCertificate || !isLoopback(hostname))) {
    throw new HttpError('tls-required', { protocol })
  }
  const material = options.clientCertificate && tlsMaterial(options.clientCertificate)
  let session: Buffer | undefined

  function openTls(): TLSSocket {
    const offered = session
    const socket = connectTls({
      ...{ host, port: Number(port || 443), minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] },
      // A pin is stricter than any path: name, issuer and usage need not be looked at, the bytes are equal or not.
      rejectUnauthorized: pin === undefined,
      ...(isIP(host) === 0 && { servername: host }),
      ...(offered && { session: offered }),
      ...material,
    })
    let trusted = false
    socket.prependOnceListener('secureConnect', () => {
      // On a resumed session no certificate is shown; its ticket came from a connection that passed this check.
      const mismatch =
        pin && pinMismatch(pin, socket.isSessionReused() ? pin : socket.getPeerX509Certificate(), options.clock)
      trusted = mismatch === undefined
      if (mismatch) socket.destroy(mismatch)
    })
    socket.on('session', (fresh) => {
      if (trusted) session = fresh
    })
    return socket
  }

  return (_target, callback) => {
    const secure = protocol === 'https:'
    const socket = secure ? openTls() : connectTcp({ host, port: Number(port || 80) })
    const settled = new AbortController()
    options.clock.sleep(options.timeoutMs, settled.signal).then(
      () => socket.destroy(new HttpError('timed-out', { timeoutMs: options.timeoutMs })),
      () => undefined,
    )
    const settle = (error: Error | null): void => {
      if (settled.signal.aborted) return
      settled.abort()
      if (error) callback(error, null)
      else callback(null, socket)
    }
    socket.setNoDelay(true)
    socket.once('error', settle)
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      if (!socket.destroyed) settle(null)
    })
    socket.once('close', () => settle(new HttpError('unreachable')))
  }
}

function pinMismatch(pin: X509Certificate, shown: X509Certificate | undefined, clock: Clock): HttpError | undefined {
  if (!shown || !equalBytes(shown.raw, pin.raw)) return new HttpError('tls-mismatch', { reason: 'another certificate' })
  const now = clock.now()
  const inDate = shown.validFromDate.getTime() <= now && now <= shown.validToDate.getTime()
  return inDate ? undefined : new HttpError('tls-mismatch', { reason: 'out of date' })
}

/** Failures of undici, TLS and the operating system, in our codes. */
export function connectionFailure(cause: unknown): HttpError {
  if (cause instanceof HttpError) return cause
  const { code, name } = cause as { code?: string; name?: string }
  const reason = code ?? name ?? 'unknown'
  const kind = KINDS.find(([pattern]) => pattern.test(reason))?.[1] ?? 'unreachable'
  return new HttpError(kind, { reason }, { cause })
}

const KINDS: readonly (readonly [RegExp, HttpError['code']])[] = [
  [/TIMEOUT|ETIMEDOUT/, 'timed-out'],
  [/^ERR_(TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO|EPROTO/, 'tls-mismatch'],
  [/^HPE_|^HTTPParserError|HEADERS_OVERFLOW|CONTENT_LENGTH/, 'answer-malformed'],
]
