import type { Random, Time } from '#clock'
import { type Certificate, issueCertificate, keyIdentifier } from './certificate.ts'
import { encodeName } from './distinguished-name.ts'
import { basicConstraints, extendedKeyUsage, keyUsage, subjectKeyIdentifier } from './extension.ts'
import { dnsName, ipAddress, subjectAlternativeName } from './general-name.ts'
import { KEY_PURPOSE } from './object-identifiers.ts'
import type { Signer } from './signer.ts'

/** A serial number nobody can guess or meet twice: 16 octets, positive as a DER INTEGER (RFC 5280 §4.1.2.2). */
export function newSerial(random: Random): Uint8Array {
  const serial = random.bytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

/** What a TLS end says of itself. */
export interface TlsIdentity {
  /** Common name, for people; servers are found by `dns` and `ips` alone. */
  readonly name: string
  readonly dns?: readonly string[]
  /** IPv4 addresses, or `::1`. */
  readonly ips?: readonly string[]
  /** Positive, up to 20 octets. */
  readonly serial: Uint8Array
  readonly notBefore: Time
  readonly notAfter: Time
}

/**
 * A self-signed certificate for a TLS server and client: the other side pins this very certificate, so no CA stands
 * between two machines that know each other. The key signs nothing but handshakes.
 */
export function issueTlsCertificate(identity: TlsIdentity, signer: Signer): Promise<Certificate> {
  const subject = encodeName(['O', 'KAZASU-TEST'], ['CN', identity.name])
  const names = [...(identity.dns ?? []).map(dnsName), ...(identity.ips ?? []).map(ipAddress)]
  const { serial, notBefore, notAfter } = identity
  return issueCertificate(
    {
      ...{ serial, notBefore, notAfter, issuer: subject, subject, publicKey: signer.publicKey },
      extensions: [
        basicConstraints({ ca: false }),
        keyUsage('digitalSignature'),
        extendedKeyUsage(KEY_PURPOSE.serverAuthentication, KEY_PURPOSE.clientAuthentication),
        subjectKeyIdentifier(keyIdentifier(signer.publicKey)),
        ...(names.length > 0 ? [subjectAlternativeName(...names)] : []),
      ],
    },
    signer,
  )
}
