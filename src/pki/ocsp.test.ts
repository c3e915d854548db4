import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeHex } from '#bytes'
import { DAY, MINUTE, SECOND } from '#clock'
import { codeOf } from '#failure'
import {
  type Certificate,
  certificateId,
  decodeCertificatesPem,
  decodeOcspRequest,
  decodeOcspResponse,
  encodeCertificatePem,
  encodeName,
  encodeOcspRefusal,
  encodeOcspRequest,
  extendedKeyUsage,
  issueCertificate,
  issueOcspResponse,
  jpkiAuthority,
  KEY_PURPOSE,
  keyUsage,
  type OcspRequirements,
  type OcspTemplate,
  type SingleResponse,
  verifyOcspResponse,
} from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const now = Date.parse('2026-11-22T08:00:00Z')
const failure = (run: () => { readonly state: string }): string => {
  try {
    return run().state
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}
const caKey = createThrowawaySigner('rsa-pkcs1-sha256')
const responderKey = createThrowawaySigner('ecdsa-p256-sha256')
const validity = { notBefore: now - DAY, notAfter: now + 30 * DAY }
const issuer = await issueCertificate(
  jpkiAuthority('userAuthentication', { serial: Uint8Array.of(1), publicKey: caKey.publicKey, ...validity }),
  caKey,
)
const issue = (serial: number, extensions: readonly ReturnType<typeof keyUsage>[], by = caKey, dates = validity) =>
  issueCertificate(
    {
      ...{ serial: Uint8Array.of(serial), issuer: issuer.subject, subject: encodeName(['CN', `n${serial}`]), ...dates },
      ...{ publicKey: responderKey.publicKey, extensions },
    },
    by,
  )
const digitalSignature = keyUsage('digitalSignature')
const ocspSigning = extendedKeyUsage(KEY_PURPOSE.ocspSigning)
const responder = await issue(2, [digitalSignature, ocspSigning])
const certificate = await issue(0x77, [digitalSignature])
const other = await issue(0x78, [digitalSignature])

const id = certificateId(certificate, issuer)
const single: SingleResponse = { id, status: { state: 'good' }, thisUpdate: now, nextUpdate: now + MINUTE }
const template: OcspTemplate = { responder, delegated: true, producedAt: now, responses: [single] }
const required: OcspRequirements = {
  ...{ certificate, issuer, at: now + SECOND },
  tolerance: { maxAge: MINUTE, clockSkew: 10 * SECOND },
}
async function respond(change: Partial<OcspTemplate> = {}, by = responderKey) {
  return decodeOcspResponse(await issueOcspResponse({ ...template, ...change }, by))
}
const judge = async (
  change: Partial<OcspTemplate> = {},
  requirements: Partial<OcspRequirements> = {},
  by = responderKey,
): Promise<string> => {
  const response = await respond(change, by)
  return failure(() => verifyOcspResponse(response, { ...required, ...requirements }))
}

describe('requests', () => {
  test('round trip with SHA-1 and SHA-256 ids and a nonce', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('sha1' as const, 'sha256' as const), { minLength: 1, maxLength: 32 }),
        fc.option(fc.uint8Array({ minLength: 1, maxLength: 128 }), { nil: undefined }),
        (hashes, nonce) => {
          const ids = hashes.map((hash) => certificateId(certificate, issuer, hash))
          expect(decodeOcspRequest(encodeOcspRequest({ ids, ...(nonce ? { nonce } : {}) }))).toEqual({
            ids,
            ...(nonce ? { nonce } : {}),
          })
        },
      ),
    )
  })

  test('33 ids, an empty and a 129-byte nonce, an unknown hash, trailing bytes and truncations are refused', () => {
    const good = encodeOcspRequest({ ids: [id] })
    const bad = [
      encodeOcspRequest({ ids: Array(33).fill(id) }),
      encodeOcspRequest({ ids: [id], nonce: new Uint8Array(0) }),
      encodeOcspRequest({ ids: [id], nonce: new Uint8Array(129) }),
      decodeHex(encodeHex(good).replace('06052b0e03021a', '06052b0e03021b')),
      concatBytes(good, Uint8Array.of(0)),
      ...Array.from(good.keys(), (length) => good.subarray(0, length)),
    ]
    for (const bytes of bad) expect(() => decodeOcspRequest(bytes)).toThrow('ocsp-malformed')
  })
})

describe('who may answer', () => {
  test('a delegate of the CA, and the CA itself', async () => {
    expect(await judge()).toBe('good')
    expect(await judge({ responder: issuer, delegated: false }, {}, caKey)).toBe('good')
  })

  test.each<[string, () => Promise<Certificate>]>([
    ['without the purpose OCSPSigning', () => issue(2, [digitalSignature])],
    ['whose key may not sign', () => issue(2, [keyUsage('keyAgreement'), ocspSigning])],
    ['that signed itself', () => issue(2, [digitalSignature, ocspSigning], responderKey as typeof caKey)],
    [
      'expired',
      () => issue(2, [digitalSignature, ocspSigning], caKey, { notBefore: now - DAY, notAfter: now - SECOND }),
    ],
    [
      'not yet valid',
      () => issue(2, [digitalSignature, ocspSigning], caKey, { notBefore: now + DAY, notAfter: now + 2 * DAY }),
    ],
    [
      'with an unknown critical extension',
      () =>
        issue(2, [
          digitalSignature,
          ocspSigning,
          { objectIdentifier: '1.2.3', critical: true, value: Uint8Array.of(5, 0) },
        ]),
    ],
  ])('not a delegate %s', async (_, make) => {
    expect(await judge({ responder: await make() })).toBe('ocsp-responder')
  })

  test('not a delegate that is not sent along, nor another key in its name', async () => {
    expect(await judge({ delegated: false })).toBe('ocsp-responder')
    expect(await judge({}, {}, createThrowawaySigner('ecdsa-p256-sha256'))).toBe('ocsp-signature')
  })

  test('any flipped bit is found', async () => {
    const bytes = await issueOcspResponse(template, responderKey)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes)
      changed[at]! ^= 0x01
      expect(
        failure(() => verifyOcspResponse(decodeOcspResponse(changed), required)),
        `byte ${at}`,
      ).toMatch(/^ocsp-/)
    }
  })
})

describe('what is answered', () => {
  const revoked = { state: 'revoked', revokedAt: now - DAY, reason: 'superseded' } as const
  test.each(['sha1', 'sha256'] as const)('good, revoked and unknown come through (%s)', async (hash) => {
    const named = { ...single, id: certificateId(certificate, issuer, hash) }
    expect(await judge({ responses: [named] })).toBe('good')
    expect(await judge({ responses: [{ ...named, status: { state: 'unknown' } }] })).toBe('unknown')
    const response = await respond({ responses: [{ ...named, status: revoked }] })
    expect(verifyOcspResponse(response, required)).toEqual({ by: 'ocsp', producedAt: now, ...revoked })
  })

  test('a good of another certificate or issuer counts for nothing', async () => {
    const about = (wrong: SingleResponse['id']) => judge({ responses: [{ ...single, id: wrong }] })
    expect(await about(certificateId(other, issuer))).toBe('ocsp-other-certificate')
    expect(await about(certificateId(certificate, responder))).toBe('ocsp-other-certificate')
    expect(await about({ ...id, issuerKeyHash: new Uint8Array(20) })).toBe('ocsp-other-certificate')
    expect(await about({ ...id, issuerNameHash: new Uint8Array(20) })).toBe('ocsp-other-certificate')
  })

  test('of several answers the right one is taken, and two for one certificate are a conflict', async () => {
    const another = { ...single, id: certificateId(other, issuer), status: revoked }
    expect(await judge({ responses: [another, single] })).toBe('good')
    expect(await judge({ responses: [single, { ...single, status: revoked }] })).toBe('ocsp-conflict')
    const bySha256 = { ...single, id: certificateId(certificate, issuer, 'sha256'), status: revoked }
    expect(await judge({ responses: [single, bySha256] })).toBe('ocsp-conflict')
  })

  test('nonces', async () => {
    const nonce = Uint8Array.of(1, 2, 3, 4)
    expect(await judge({ nonce }, { nonce })).toBe('good')
    expect(await judge({ nonce: Uint8Array.of(1, 2, 3, 5) }, { nonce })).toBe('ocsp-nonce')
    expect(await judge({}, { nonce })).toBe('good')
    expect(await judge({}, { nonce, nonceRequired: true })).toBe('ocsp-nonce')
    expect(await judge({ nonce })).toBe('good')
  })

  /** The matrix of tolerances: each bound in and out by a second (times in responses are whole seconds). */
  const at = required.at - SECOND
  const skew = required.tolerance.clockSkew
  test.each<[string, Partial<OcspTemplate>, Partial<SingleResponse>, string]>([
    ['producedAt in the future, tolerated', { producedAt: at + skew }, {}, 'good'],
    ['producedAt in the future', { producedAt: at + skew + SECOND }, {}, 'ocsp-stale'],
    ['producedAt as old as may be', { producedAt: at - MINUTE - skew }, {}, 'good'],
    ['producedAt too old, though nextUpdate is to come', { producedAt: at - MINUTE - skew - SECOND }, {}, 'ocsp-stale'],
    ['thisUpdate in the future, tolerated', {}, { thisUpdate: at + skew }, 'good'],
    ['thisUpdate in the future', {}, { thisUpdate: at + skew + SECOND }, 'ocsp-stale'],
    ['nextUpdate past, tolerated', {}, { thisUpdate: at - DAY, nextUpdate: at - skew }, 'good'],
    ['nextUpdate past', {}, { thisUpdate: at - DAY, nextUpdate: at - skew - SECOND }, 'ocsp-stale'],
    ['no nextUpdate', {}, { nextUpdate: undefined }, 'good'],
    ['nextUpdate before thisUpdate', {}, { thisUpdate: at + SECOND, nextUpdate: at }, 'ocsp-stale'],
  ])('%s', async (_, change, ofSingle, verdict) => {
    expect(await judge({ ...change, responses: [{ ...single, ...ofSingle }] }, { at })).toBe(verdict)
  })

  test.each(['malformedRequest', 'internalError', 'tryLater', 'sigRequired', 'unauthorized'] as const)(
    '%s is no status',
    (refusal) => {
      try {
        decodeOcspResponse(encodeOcspRefusal(refusal))
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({ code: 'ocsp-refused', detail: { refusal } })
      }
    },
  )

  test('no status 4 or 7, no web page, no truncated response', async () => {
    const whole = await issueOcspResponse(template, responderKey)
    const bad = [
      decodeHex('30030a0104'),
      decodeHex('30030a0107'),
      decodeHex('30030a0100'),
      Buffer.from('<!DOCTYPE html>'),
    ]
    for (const bytes of [...bad, ...Array.from(whole.keys(), (length) => whole.subarray(0, length))]) {
      expect(() => decodeOcspResponse(bytes)).toThrow('ocsp-malformed')
    }
  })
})

describe('OpenSSL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kazasu-ocsp-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): string =>
    execFileSync('sh', ['-c', 'openssl "$@" 2>&1', 'sh', ...args], { encoding: 'utf8' })
  writeFileSync(path('ca.pem'), encodeCertificatePem(issuer))
  writeFileSync(path('ee.pem'), encodeCertificatePem(certificate))
  writeFileSync(path('responder.pem'), encodeCertificatePem(responder))
  writeFileSync(path('responder.key'), responderKey.privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const about = ['-issuer', path('ca.pem'), '-cert', path('ee.pem')]

  test.each(['sha1', 'sha256'] as const)('makes requests that we read (%s)', (hash) => {
    openssl('ocsp', `-${hash}`, ...about, '-reqout', path('req.der'))
    const request = decodeOcspRequest(readFileSync(path('req.der')))
    expect(request.ids).toEqual([certificateId(certificate, issuer, hash)])
    expect(request.nonce?.length).toBeGreaterThanOrEqual(16)
  })

  test.each([
    ['delegate', template, responderKey],
    ['CA', { ...template, responder: issuer, delegated: false }, caKey],
  ] as const)('verifies our response by the %s, and reads our request', async (_, given, key) => {
    const revoked = { state: 'revoked', revokedAt: now - DAY, reason: 'affiliationChanged' } as const
    const bytes = await issueOcspResponse({ ...given, responses: [{ ...single, status: revoked }] }, key)
    writeFileSync(path('resp.der'), bytes)
    const time = ['-attime', String(now / 1000), '-validity_period', '1000000000']
    const said = openssl('ocsp', '-respin', path('resp.der'), ...about, '-CAfile', path('ca.pem'), '-no_nonce', ...time)
    expect(said).toContain('Response verify OK')
    expect(said).toContain('ee.pem: revoked')
    expect(said).toContain('Reason: affiliationChanged')
    writeFileSync(path('ours.der'), encodeOcspRequest({ ids: [id], nonce: Uint8Array.of(1, 2, 3) }))
    expect(openssl('ocsp', '-reqin', path('ours.der'), '-req_text')).toContain('Serial Number: 77')
  })

  test('makes responses that we verify', () => {
    const nonce = Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2)
    writeFileSync(path('ours.der'), encodeOcspRequest({ ids: [id, certificateId(other, issuer)], nonce }))
    writeFileSync(
      path('index'),
      `V\t301231000000Z\t\t77\tunknown\t/CN=a\nR\t301231000000Z\t261101000000Z,keyCompromise\t78\tunknown\t/CN=b\n`,
    )
    const signing = ['-rsigner', path('responder.pem'), '-rkey', path('responder.key'), '-CA', path('ca.pem')]
    openssl(
      'ocsp',
      '-index',
      path('index'),
      ...signing,
      '-reqin',
      path('ours.der'),
      '-respout',
      path('theirs.der'),
      '-nmin',
      '5',
    )
    const response = decodeOcspResponse(readFileSync(path('theirs.der')))
    const then = { ...required, nonce, nonceRequired: true, at: response.producedAt }
    // The delegate's own dates are judged at that moment too, so it has to be one of its 31 days.
    const inTime = then.at >= validity.notBefore && then.at <= validity.notAfter
    const judged = (requirements: OcspRequirements): string => failure(() => verifyOcspResponse(response, requirements))
    expect(judged(then)).toBe(inTime ? 'good' : 'ocsp-responder')
    expect(judged({ ...then, certificate: other })).toBe(inTime ? 'revoked' : 'ocsp-responder')
  })
})

const vectors = join(process.env.KAZASU_VECTORS ?? '../shared/vectors', 'openssl-ocsp')
const present = existsSync(vectors)
if (!present && process.env.CI === 'true') throw new Error(`no test vectors in ${vectors}`)

/** Of 2012 and signed over SHA-1; the file's prefix tells the fault, none or ISIC (a trusted issuer's own signature) is good. */
describe.skipIf(!present)(`responses from OpenSSL’s tests (${vectors})`, () => {
  const names = present ? readdirSync(vectors) : []
  const read = (name: string): string => readFileSync(join(vectors, name), 'utf8')
  const parts = (name: string) => /^(?:([A-Z]+)_)?(N?D[123])(?:_Issuer_\w+)?\.(ors|pem)$/.exec(name)
  const cases = names.flatMap((name) => {
    const [, fault, chain, kind] = parts(name) ?? []
    if (!chain || (kind === 'pem' && !name.includes('Issuer'))) return []
    const usual = names.find((each) => each.startsWith(`${chain}_Issuer`))!
    const certificateFile = names.find((each) => each.startsWith(`${chain}_Cert`))!
    const files = kind === 'ors' ? { ors: name, issuer: usual } : { ors: `${chain}.ors`, issuer: name }
    return [{ name, good: fault === undefined || fault === 'ISIC', certificateFile, ...files }]
  })

  test.each(cases)('$name: good is $good', ({ good, certificateFile, ors, issuer: issuerFile }) => {
    if (issuerFile.includes('D3_') && !issuerFile.includes('ND3_')) {
      // The root of D3 has the serial 0, which is refused (RFC 5280 §4.1.2.2): listed, not mended.
      expect(() => decodeCertificatesPem(read(issuerFile))).toThrow('certificate-malformed')
      return
    }
    const [subject] = decodeCertificatesPem(read(certificateFile))
    const [by] = decodeCertificatesPem(read(issuerFile))
    const response = decodeOcspResponse(Buffer.from(read(ors), 'base64'))
    const requirements = {
      ...{ certificate: subject!, issuer: by!, at: response.producedAt },
      tolerance: { maxAge: DAY, clockSkew: MINUTE },
    }
    const verdict = failure(() => verifyOcspResponse(response, { ...requirements, dangerouslyAcceptSha1: true }))
    expect(verdict === 'good', verdict).toBe(good)
    expect(failure(() => verifyOcspResponse(response, requirements))).not.toBe('good')
  })

  test('the table is whole', () => {
    expect(cases.length).toBeGreaterThanOrEqual(44)
  })
})
