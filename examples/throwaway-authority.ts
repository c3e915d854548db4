import { encodeBase64url } from '#bytes'
import type { IssueCertificate } from '#card'
import { DAY, japanDate, systemClock, systemRandom } from '#clock'
import { generateSoftwareSigner } from '#keys'
import { issueCertificate, issueCvc, jpkiAuthority, userAuthenticationCertificate } from '#pki'

// An authority that nobody trusts and that ends with the process: enough to make a card for trying.
const now = systemClock.now()
const validity = { notBefore: now - DAY, notAfter: now + 365 * DAY }
const serial = (): Uint8Array => systemRandom.bytes(16).map((byte, i) => (i === 0 ? (byte & 0x3f) | 0x40 : byte))

const caKey = await generateSoftwareSigner('rsa-pkcs1-sha256')
const caPublic = { serial: serial(), publicKey: caKey.publicKey, ...validity }
const issuer = await issueCertificate(jpkiAuthority('userAuthentication', caPublic), caKey)

/** A user-authentication certificate (利用者証明用電子証明書) for the fresh key of a card. */
export const issue: IssueCertificate = async ({ publicKey }) => {
  const holder = {
    commonName: 'EXAMPLE0000000000000000',
    locality: { prefecture: 'Kuso-ken', city: 'Kazami-shi' },
    ocsp: 'http://authority.kazasu.test/ocsp',
  }
  const template = userAuthenticationCertificate({ serial: serial(), publicKey, issuer, ...validity, ...holder })
  return { certificate: (await issueCertificate(template, caKey)).raw, caCertificate: issuer.raw }
}

const rootKey = await generateSoftwareSigner('ecdsa-p256-sha256')
const reference = 'JPEXAMPLE00001'
const dates = { effective: japanDate(now), expiry: japanDate(now + 365 * DAY) }
const root = await issueCvc(
  { car: reference, chr: reference, role: 'cvca', pinless: true, publicKey: rootKey.publicKey, ...dates },
  rootKey,
)

/** 機構の公開鍵 – the root of institution authentication that the card carries. */
export const institutionRoots = { current: encodeBase64url(root.raw) }
