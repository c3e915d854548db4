import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { encodeHex, encodeSequence } from '#bytes'
import { codeOf } from '#failure'
import {
  basicConstraints,
  type Certificate,
  type CertificateTemplate,
  decodeCertificate,
  decodeOtherNames,
  EXTENSION,
  encodeCertificatePem,
  encodeName,
  encodePublicKey,
  eraBirthDate,
  extendedKeyUsage,
  fifthBirthday,
  graceEnd,
  HOLDER_STATEMENT,
  issueCertificate,
  JPKI_POLICY,
  jpkiAuthority,
  KEY_PURPOSE,
  keyUsage,
  type PathRequirements,
  signatureCertificate,
  TEST_POLICY,
  type TrustAnchor,
  trustAnchor,
  userAuthenticationCertificate,
  verifyPath,
} from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const day = (text: string): number => Date.parse(`${text}T00:00:00Z`)
const outcome = (run: () => { readonly validity?: string } | undefined): string => {
  try {
    return run()?.validity ?? 'accepted'
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

/** Three generations of one name, as JPKI has them. */
const generations = [
  ['2015-10-20', '2025-10-19'],
  ['2019-09-14', '2029-09-14'],
  ['2023-07-16', '2033-07-15'],
].map(([from, to], at) => ({ signer: createThrowawaySigner('rsa-pkcs1-sha256'), from: day(from!), to: day(to!), at }))
const roots = await Promise.all(
  generations.map(({ signer, from, to, at }) =>
    issueCertificate(
      jpkiAuthority('userAuthentication', {
        serial: Uint8Array.of(at + 1),
        publicKey: signer.publicKey,
        notBefore: from,
        notAfter: to,
      }),
      signer,
    ),
  ),
)
const anchors: readonly TrustAnchor[] = roots.map(trustAnchor)
const newest = generations[2]!.signer
const card = createThrowawaySigner('rsa-pkcs1-sha256')
const issued = Date.parse('2025-10-27T03:00:00Z')
const ofCard = {
  serial: Uint8Array.of(0x12, 0x34, 0x56),
  publicKey: card.publicKey,
  notBefore: issued,
  notAfter: fifthBirthday(issued, '1970-02-17'),
  issuer: roots[2]!,
  commonName: '997794E9AGCIEG13221003A',
  locality: { prefecture: 'Tokyo-to', city: 'Kiyose-shi' },
  ocsp: 'http://127.0.0.1:8080/ocsp',
}
const profile = userAuthenticationCertificate(ofCard)
const leaf = await issueCertificate(profile, newest)
const today = Date.parse('2026-11-22T08:00:00Z')
const required: PathRequirements = {
  anchors,
  at: today,
  keyUsage: 'digitalSignature',
  policy: TEST_POLICY.userAuthentication,
}
const verify = (certificate: Certificate, change: Partial<PathRequirements> = {}): string =>
  outcome(() => verifyPath(certificate, { ...required, ...change }))
const issue = (change: Partial<CertificateTemplate>, by = newest): Promise<Certificate> =>
  issueCertificate({ ...profile, ...change }, by)
const without = (objectIdentifier: string) =>
  profile.extensions.filter((each) => each.objectIdentifier !== objectIdentifier)

describe('a user certificate', () => {
  test('verifies under the root whose key signed it, though three share its name', () => {
    const path = verifyPath(leaf, required)
    expect(path.anchor).toBe(anchors[2])
    expect(path.validity).toBe('current')
    expect(new Set(anchors.map(({ subject }) => encodeHex(subject))).size).toBe(1)
  })

  test.each([0, 1, 2])('generation %i is found by its key', async (at) => {
    const older = await issue({ notBefore: day('2024-01-01') }, generations[at]!.signer)
    expect(verifyPath(older, { ...required, at: day('2025-01-01') }).anchor).toBe(anchors[at])
  })

  test.each<[string, Partial<CertificateTemplate>, string]>([
    ['of another issuer’s name', { issuer: encodeName(['C', 'JP'], ['O', 'JPKI']) }, 'certificate-issuer-unknown'],
    [
      'whose issuer differs in case only',
      { issuer: Buffer.from(Buffer.from(profile.issuer).toString('latin1').replace('KAZASU', 'kazasu'), 'latin1') },
      'certificate-issuer-unknown',
    ],
    ['of the signature policy', { extensions: signatureCertificateExtensions() }, 'certificate-policy'],
    ['without a policy', { extensions: without(EXTENSION.certificatePolicies) }, 'certificate-policy'],
    ['without key usage', { extensions: without(EXTENSION.keyUsage) }, 'certificate-key-usage'],
    [
      'for key agreement',
      { extensions: [...without(EXTENSION.keyUsage), keyUsage('keyAgreement')] },
      'certificate-key-usage',
    ],
    [
      'that is a CA',
      { extensions: [...profile.extensions, basicConstraints({ ca: true })] },
      'certificate-not-end-entity',
    ],
    [
      'that may sign certificates',
      { extensions: [...without(EXTENSION.keyUsage), keyUsage('digitalSignature', 'keyCertSign')] },
      'certificate-not-end-entity',
    ],
    [
      'with an unknown critical extension',
      { extensions: [...profile.extensions, { objectIdentifier: '1.2.3', critical: true, value: encodeSequence() }] },
      'certificate-critical-extension',
    ],
    [
      'with critical name constraints',
      {
        extensions: [...profile.extensions, { objectIdentifier: '2.5.29.30', critical: true, value: encodeSequence() }],
      },
      'certificate-critical-extension',
    ],
    [
      'with an unknown extension that is not critical',
      { extensions: [...profile.extensions, { objectIdentifier: '1.2.3', critical: false, value: encodeSequence() }] },
      'current',
    ],
    [
      'for critical other purposes',
      { extensions: [...profile.extensions, { ...extendedKeyUsage(KEY_PURPOSE.ocspSigning), critical: true }] },
      'certificate-key-usage',
    ],
    [
      'with an exponent of 3',
      {
        publicKey: encodePublicKey({
          kind: 'rsa',
          modulus: new Uint8Array(256).fill(0xff),
          exponent: Uint8Array.of(3),
        }),
      },
      'public-key-unsupported',
    ],
  ])('%s', async (_, change, code) => {
    expect(verify(await issue(change))).toBe(code)
  })

  function signatureCertificateExtensions() {
    return signatureCertificate(ofCard, {
      name: '数賀 かざす',
      nameSubstitutes: '000000',
      birthDate: eraBirthDate('1970-02-17'),
      sex: '9',
      address: '東京都清瀬市',
      addressSubstitutes: '000000',
    }).extensions
  }

  test('signed by another key in the CA’s name', async () => {
    expect(verify(await issue({}, card))).toBe('certificate-signature')
  })

  test('with any bit of its signed part flipped is refused', () => {
    for (let at = 0; at < leaf.tbs.length; at += 7) {
      const raw = Uint8Array.from(leaf.raw)
      raw[at + 4]! ^= 0x04
      expect(
        outcome(() => verifyPath(decodeCertificate(raw), required)),
        `byte ${at}`,
      ).toMatch(/^certificate-(malformed|signature|issuer-unknown)$/)
    }
  })

  test('a purpose that is asked for must be named', async () => {
    const purpose = { extendedKeyUsage: KEY_PURPOSE.clientAuthentication }
    expect(verify(leaf, purpose)).toBe('certificate-key-usage')
    const client = await issue({
      extensions: [...profile.extensions, extendedKeyUsage(KEY_PURPOSE.clientAuthentication)],
    })
    expect(verify(client, purpose)).toBe('current')
  })

  test('a test card is no card to a verifier of the real policy, nor without anchors', () => {
    expect(verify(leaf, { policy: JPKI_POLICY.userAuthentication })).toBe('certificate-policy')
    expect(verify(leaf, { anchors: [] })).toBe('certificate-issuer-unknown')
  })

  test('a self-signed leaf is its own anchor’s no child', async () => {
    const self = await issueCertificate({ ...profile, subject: profile.issuer, publicKey: card.publicKey }, card)
    expect(verify(self)).toBe('certificate-signature')
    expect(verify(anchors[2]!)).toBe('certificate-not-end-entity')
  })
})

describe('validity', () => {
  const { notAfter } = leaf
  test.each([
    ['a millisecond before it begins', issued - 1, 'certificate-not-yet-valid'],
    ['as it begins', issued, 'current'],
    ['in its last second', notAfter + 999, 'current'],
    ['a second later', notAfter + 1000, 'certificate-expired'],
  ])('%s', (_, at, code) => {
    expect(verify(leaf, { at })).toBe(code)
  })

  test.each([
    ['current', notAfter],
    ['grace', notAfter + 1000],
    ['grace', graceEnd(notAfter, 30)],
    ['certificate-expired', graceEnd(notAfter, 30) + 1],
  ])('with 30 days of grace: %s at %i', (code, at) => {
    expect(verify(leaf, { at, graceDays: 30 })).toBe(code)
  })

  test('grace ends with a day in Japan', () => {
    expect(new Date(graceEnd(Date.parse('2030-02-17T14:59:59Z'), 1)).toISOString()).toBe('2030-02-18T14:59:59.999Z')
    expect(new Date(graceEnd(Date.parse('2030-02-17T15:00:00Z'), 0)).toISOString()).toBe('2030-02-18T14:59:59.999Z')
  })

  test('a root that ended is refused, but not for a leaf in grace that ended before it', async () => {
    const old = await issue({ notBefore: day('2020-11-01'), notAfter: day('2025-10-18') }, generations[0]!.signer)
    expect(verify(old, { at: day('2025-11-01'), graceDays: 90 })).toBe('grace')
    const outliving = await issue({ notBefore: day('2020-11-01'), notAfter: day('2026-12-31') }, generations[0]!.signer)
    expect(verify(outliving)).toBe('certificate-issuer-expired')
  })

  test('errors tell no date and no serial', async () => {
    try {
      verifyPath(leaf, { ...required, at: notAfter + 1000 })
      expect.unreachable()
    } catch (error) {
      const said = JSON.stringify([String(error), (error as { detail: unknown }).detail])
      for (const secret of ['123456', '2030', '02-17', String(notAfter)]) expect(said).not.toContain(secret)
    }
  })
})

describe('anchors', () => {
  const signer = createThrowawaySigner('ecdsa-p256-sha256')
  const root = jpkiAuthority('signature', {
    serial: Uint8Array.of(1),
    publicKey: signer.publicKey,
    notBefore: day('2026-01-01'),
    notAfter: day('2036-01-01'),
  })
  test.each<[string, Partial<CertificateTemplate>]>([
    ['not a CA', { extensions: [keyUsage('keyCertSign')] }],
    ['without keyCertSign', { extensions: [basicConstraints({ ca: true }), keyUsage('cRLSign')] }],
    ['without key usage', { extensions: [basicConstraints({ ca: true })] }],
    ['of two names', { subject: encodeName(['CN', 'another']) }],
    [
      'with an unknown critical extension',
      { extensions: [...root.extensions, { objectIdentifier: '1.2.3', critical: true, value: encodeSequence() }] },
    ],
  ])('%s', async (_, change) => {
    const certificate = await issueCertificate({ ...root, ...change }, signer)
    expect(() => trustAnchor(certificate)).toThrow('anchor-unsuitable')
  })

  test('signed by somebody else', async () => {
    const certificate = await issueCertificate(root, createThrowawaySigner('ecdsa-p256-sha256'))
    expect(() => trustAnchor(certificate)).toThrow('anchor-unsuitable')
  })
})

describe('the JPKI profile', () => {
  test('OpenSSL agrees with the path and shows the profile', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kazasu-path-'))
    afterAll(() => rmSync(folder, { recursive: true }))
    const [ca, ee] = [join(folder, 'ca.pem'), join(folder, 'ee.pem')]
    writeFileSync(ca, roots.map(encodeCertificatePem).join(''))
    writeFileSync(ee, encodeCertificatePem(leaf))
    const run = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8' })
    const at = String(today / 1000)
    const policy = ['-policy_check', '-explicit_policy', '-policy', TEST_POLICY.userAuthentication]
    expect(run('verify', '-x509_strict', '-attime', at, ...policy, '-CAfile', ca, ee)).toContain('OK')
    const text = run('x509', '-in', ee, '-noout', '-text')
    expect(text).toContain('Subject: C = JP, CN = 997794E9AGCIEG13221003A')
    expect(text).toContain('O = JPKI-KAZASU-TEST, OU = JPKI for user authentication')
    expect(text).toContain('Not After : Feb 17 14:59:59 2030 GMT')
    expect(text).toContain('OCSP - URI:http://127.0.0.1:8080/ocsp')
    expect(text).toContain('OU = CRL Distribution Points, OU = Tokyo-to, CN = Kiyose-shi')
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/)
  })

  test('a signature certificate states its holder in the alternative name', async () => {
    const holder = {
      name: '数賀　かざす',
      nameSubstitutes: '000000',
      birthDate: eraBirthDate('1970-02-17'),
      sex: '2',
      address: '東京都清瀬市中里五丁目',
      addressSubstitutes: '00000000001',
    } as const
    const certificate = await issueCertificate(signatureCertificate(ofCard, holder), newest)
    const names = decodeOtherNames(certificate.extensions.get(EXTENSION.subjectAlternativeName)!.value)
    expect([...names.keys()].map((type) => type.slice(-1)).join('')).toBe('143526')
    for (const [field, type] of Object.entries(HOLDER_STATEMENT)) {
      expect(names.get(type)).toBe(holder[field as keyof typeof holder])
    }
    expect(certificate.keyUsage).toEqual(['digitalSignature', 'nonRepudiation'])
  })

  test.each([
    ['the test card', '2025-10-27T03:00:00Z', '1970-02-17', undefined, '2030-02-17T14:59:59.000Z'],
    ['issued on a birthday', '2025-10-27T03:00:00Z', '1970-10-27', undefined, '2030-10-27T14:59:59.000Z'],
    [
      'issued the day before, still that day in Japan',
      '2025-10-26T14:59:59Z',
      '1970-10-27',
      undefined,
      '2029-10-27T14:59:59.000Z',
    ],
    [
      'issued a second later, the birthday in Japan',
      '2025-10-26T15:00:00Z',
      '1970-10-27',
      undefined,
      '2030-10-27T14:59:59.000Z',
    ],
    ['capped by the card', '2025-10-27T03:00:00Z', '1970-02-17', '2028-06-01', '2028-06-01T14:59:59.000Z'],
    ['a card that outlives it', '2025-10-27T03:00:00Z', '1970-02-17', '2035-02-17', '2030-02-17T14:59:59.000Z'],
    ['born on 29 February, common year', '2025-10-27T03:00:00Z', '1972-02-29', undefined, '2030-02-28T14:59:59.000Z'],
    ['born on 29 February, leap year', '2023-10-27T03:00:00Z', '1972-02-29', undefined, '2028-02-29T14:59:59.000Z'],
  ])('fifth birthday: %s', (_, at, birthDate, cardExpiry, end) => {
    expect(new Date(fifthBirthday(Date.parse(at), birthDate, cardExpiry)).toISOString()).toBe(end)
  })

  test.each([
    ['2019-05-01', '520190501'],
    ['2019-04-30', '420190430'],
    ['1989-01-07', '319890107'],
    ['1926-12-24', '219261224'],
    ['1912-07-29', '119120729'],
    ['1867-01-01', '018670101'],
  ])('birth date %s is %s', (date, text) => {
    expect(eraBirthDate(date)).toBe(text)
  })
})
