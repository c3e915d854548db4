import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { encodeBase64url } from '#bytes'

/** A private key (PEM or a key object) and its certificate (PEM, or DER as bytes). */
export interface TlsCredential {
  readonly key: string | KeyObject
  readonly certificate: string | Uint8Array
}

/** The form that Node's TLS takes. */
export function tlsMaterial({ key, certificate }: TlsCredential): { readonly key: string; readonly cert: string } {
  return {
    key: typeof key === 'string' ? key : key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: typeof certificate === 'string' ? certificate : new X509Certificate(certificate).toString(),
  }
}

/** SHA-256 of a certificate's DER, base64url: `x5t#S256` (RFC 8705 §3.1). */
export function certificateThumbprint(certificate: string | Uint8Array): string {
  const der = typeof certificate === 'string' ? new X509Certificate(certificate).raw : certificate
  return encodeBase64url(createHash('sha256').update(der).digest())
}

const thumbprints = new WeakMap<TLSSocket, string>()

/**
 * Thumbprint of the certificate that the client presented in TLS, `undefined` without one. Possession of its key is
 * proven (RFC 8446 §4.4.3), nothing else: whose it is, the role's own registry says (RFC 8705 §2.2, self-signed).
 */
export function clientThumbprint(request: FastifyRequest): string | undefined {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket)) return undefined
  const known = thumbprints.get(socket)
  if (known !== undefined) return known
  const presented = socket.getPeerX509Certificate()
  if (!presented) return undefined
  const thumbprint = certificateThumbprint(presented.raw)
  thumbprints.set(socket, thumbprint)
  return thumbprint
}
