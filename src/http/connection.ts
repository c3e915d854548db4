import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { equalBytes } from '#bytes'
import type { Clock } from '#clock'
import { HttpError } from './failures.ts'
import { isLoopback } from './host.ts'
import { type TlsIdentity, tlsMaterial } from './tls.ts'

/** How a client reaches a server. */
export interface ConnectionOptions {
  /** `https://host:port`, plain `http` on loopback only; a path is put before every path asked for. */
  readonly baseUrl: string
  /** The one certificate that the server may show, PEM or DER; without it the system's roots decide. */
  readonly serverCertificate?: string | Uint8Array
  readonly clientCertificate?: TlsIdentity
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
  const { protocol, hostname } = new URL(options.baseUrl)
  const pin = options.serverCertificate === undefined ? undefined : new X509Certificate(options.serverCertificate)
  if (protocol !== 'https:' && (protocol !== 'http:' || pin || options.clientCertificate || !isLoopback(hostname))) {
    throw new HttpError('tls-required', { protocol })
  }
  const connect = buildConnector({
    timeout: options.timeoutMs,
    minVersion: 'TLSv1.3',
    // A pin is stricter than any path: name, issuer and usage need not be looked at, the bytes are equal or not.
    rejectUnauthorized: pin === undefined,
    ...(options.clientCertificate && tlsMaterial(options.clientCertificate)),
  })
  if (!pin) return connect
  return (target, callback) =>
    connect(target, (error, socket) => {
      if (!socket) return callback(error ?? new HttpError('unreachable'), null)
      const mismatch = pinMismatch(socket, pin, options.clock)
      if (!mismatch) return callback(null, socket)
      socket.destroy()
      callback(mismatch, null)
    })
}

function pinMismatch(socket: Socket, pin: X509Certificate, clock: Clock): HttpError | undefined {
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (!shown || !equalBytes(shown.raw, pin.raw)) return new HttpError('tls-mismatch', { reason: 'another certificate' })
  const now = clock.now()
  const inDate = shown.validFromDate.getTime() <= now && now <= shown.validToDate.getTime()
  return inDate ? undefined : new HttpError('tls-mismatch', { reason: 'out of date' })
}

/** Failures of undici, TLS and the operating system, in our codes. */
export function connectionFailure(cause: unknown): HttpError {
  if (cause instanceof HttpError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const detail = code === '' ? {} : { reason: code }
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return new HttpError('timed-out', detail, { cause })
  if (/^ERR_(TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO|EPROTO/.test(code))
    return new HttpError('tls-mismatch', detail, { cause })
  if (/^HPE_|HEADERS_OVERFLOW|CONTENT_LENGTH/.test(code)) return new HttpError('answer-malformed', detail, { cause })
  return new HttpError('unreachable', detail, { cause })
}
