import { type Certificate, decodeCertificate } from './certificate.ts'
import { PkiError } from './failures.ts'

/** PEM of a certificate (RFC 7468 §5), as `node:tls` and OpenSSL take it. */
export function encodeCertificatePem(certificate: Certificate): string {
  const lines =
    Buffer.from(certificate.raw)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/**
 * The certificates in a PEM text, in order; text between them is ignored.
 * @throws PkiError `certificate-malformed`, also for a block that does not end or is not base64
 */
export function decodeCertificatesPem(text: string): readonly Certificate[] {
  const blocks = text.split('-----BEGIN CERTIFICATE-----').slice(1)
  return blocks.map((block) => {
    const [body, rest] = block.split('-----END CERTIFICATE-----')
    const base64 = (body ?? '').replace(/\s/g, '')
    const der = Buffer.from(base64, 'base64')
    if (rest === undefined || der.toString('base64') !== base64) throw new PkiError('certificate-malformed')
    return decodeCertificate(der)
  })
}
