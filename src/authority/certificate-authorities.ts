import type { Kysely } from 'kysely'
import { equalBytes } from '#bytes'
import { type Clock, DAY, type Random } from '#clock'
import {
  authorityKeyIdentifier,
  basicConstraints,
  type Certificate,
  decodeCertificate,
  EXTENSION,
  encodeName,
  extendedKeyUsage,
  issueCertificate,
  type JpkiKind,
  jpkiAuthority,
  KEY_PURPOSE,
  keyIdentifier,
  keyUsage,
  newSerial,
  type Signer,
  subjectKeyIdentifier,
} from '#pki'
import { storedTime } from '#store'
import type { IssuingAuthority } from './certificates.ts'
import { AuthorityError } from './failures.ts'
import type { AuthorityTables, CertificateKind } from './migrations.ts'

const PROFILE: Readonly<Record<CertificateKind, JpkiKind>> = {
  'user-authentication': 'userAuthentication',
  'digital-signature': 'signature',
}
/** Ten years as the real roots have – and ten years back, so that test certificates may be over already. */
const CA_DAYS = 3650
const RESPONDER_DAYS = 90
/** A responder's certificate is renewed when it has this long left. */
const RESPONDER_LEFT = 30 * DAY

/**
 * The certificate of one CA and its key; at the first start it signs its own certificate.
 * @throws AuthorityError `keys-mismatch`
 */
export async function openCertificateAuthority(
  database: Kysely<AuthorityTables>,
  kind: CertificateKind,
  signer: Signer,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<IssuingAuthority> {
  const stored = await database.selectFrom('ca_certificate').select('der').where('kind', '=', kind).executeTakeFirst()
  if (stored) {
    const certificate = decodeCertificate(stored.der)
    if (!equalBytes(certificate.publicKey, signer.publicKey)) throw new AuthorityError('keys-mismatch', { key: kind })
    return { certificate, signer }
  }
  const period = { notBefore: clock.now() - CA_DAYS * DAY, notAfter: clock.now() + CA_DAYS * DAY }
  const { publicKey } = signer
  const draft = jpkiAuthority(PROFILE[kind], { serial: newSerial(random), publicKey, ...period })
  const certificate = await issueCertificate(draft, signer)
  await database.insertInto('ca_certificate').values({ kind, der: certificate.raw }).execute()
  return { certificate, signer }
}

/**
 * The certificate by which a CA lets `responder` answer OCSP for it (RFC 6960 §4.2.2.2), renewed in good time. It is
 * itself not asked about (id-pkix-ocsp-nocheck), and therefore short.
 */
export async function openResponderCertificate(
  database: Kysely<AuthorityTables>,
  kind: CertificateKind,
  authority: IssuingAuthority,
  responder: Signer,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Certificate> {
  const stored = await database
    .selectFrom('responder_certificate')
    .selectAll()
    .where('kind', '=', kind)
    .where('not_after', '>', storedTime(clock.now() + RESPONDER_LEFT))
    .executeTakeFirst()
  const certificate = stored && decodeCertificate(stored.der)
  if (certificate && equalBytes(certificate.publicKey, responder.publicKey)) return certificate

  const issuer = authority.certificate
  const notAfter = Math.min(clock.now() + RESPONDER_DAYS * DAY, issuer.notAfter)
  const renewed = await issueCertificate(
    {
      serial: newSerial(random),
      issuer: issuer.subject,
      subject: encodeName(['C', 'JP'], ['O', 'JPKI-KAZASU-TEST'], ['CN', `OCSP responder for ${kind} (test)`]),
      publicKey: responder.publicKey,
      notBefore: clock.now(),
      notAfter,
      extensions: [
        basicConstraints({ ca: false }),
        keyUsage('digitalSignature'),
        extendedKeyUsage(KEY_PURPOSE.ocspSigning),
        { objectIdentifier: EXTENSION.ocspNoCheck, critical: false, value: Uint8Array.of(0x05, 0x00) },
        authorityKeyIdentifier(keyIdentifier(issuer.publicKey)),
        subjectKeyIdentifier(keyIdentifier(responder.publicKey)),
      ],
    },
    authority.signer,
  )
  const row = { der: renewed.raw, not_after: storedTime(notAfter) }
  await database
    .insertInto('responder_certificate')
    .values({ kind, ...row })
    .onConflict((conflict) => conflict.column('kind').doUpdateSet(row))
    .execute()
  return renewed
}
