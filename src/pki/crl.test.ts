import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeHex, encodeSequence } from '#bytes'
import { DAY, HOUR } from '#clock'
import { codeOf } from '#failure'
import { encodeX509Signature } from './algorithm-identifier.ts'
import {
  type Crl,
  type CrlTemplate,
  crlDistributionName,
  decodeCrl,
  encodeCertificatePem,
  issueCertificate,
  issueCrl,
  jpkiAuthority,
  statusByCrl,
  userAuthenticationCertificate,
  verifyCrl,
} from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const now = Date.parse('2026-11-22T08:00:00Z')
const failure = (run: () => unknown): string => {
  try {
    run()
    return 'accepted'
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}
const signer = createThrowawaySigner('rsa-pkcs1-sha256')
const sameName = createThrowawaySigner('rsa-pkcs1-sha256')
const validity = { notBefore: now - DAY, notAfter: now + 900 * DAY }
const authority = (key: typeof signer) =>
  issueCertificate(
    jpkiAuthority('userAuthentication', { serial: Uint8Array.of(1), publicKey: key.publicKey, ...validity }),
    key,
  )
const issuer = await authority(signer)
const tokyo = { prefecture: 'Tokyo-to', city: 'Kiyose-shi' }
const osaka = { prefecture: 'Osaka-fu', city: 'Sakai-shi' }
const card = (serial: string, locality = tokyo) =>
  issueCertificate(
    userAuthenticationCertificate({
      serial: decodeHex(serial),
      publicKey: createThrowawaySigner('ecdsa-p256-sha256').publicKey,
      ...validity,
      ...{ issuer, locality, commonName: '997794E9AGCIEG13221003A', ocsp: 'http://127.0.0.1/' },
    }),
    signer,
  )
const [revoked, held, good] = await Promise.all([card('0a0b0c'), card('8001'), card('0a0b0d')])
const template: CrlTemplate = {
  issuer,
  thisUpdate: now,
  nextUpdate: now + DAY,
  number: 258n,
  entries: [
    { serial: decodeHex('0a0b0c'), revokedAt: now - HOUR, reason: 'keyCompromise' },
    { serial: decodeHex('8001'), revokedAt: now - HOUR, reason: 'unspecified' },
  ],
}
const crl = await issueCrl(template, signer)
const when = { at: now + HOUR, tolerance: 10 * 60_000 }

describe('a complete CRL', () => {
  test('tells who is revoked, since when and why', () => {
    const list = verifyCrl(crl, issuer, when)
    expect(statusByCrl(revoked, list)).toEqual({
      ...{ state: 'revoked', by: 'crl', producedAt: now },
      ...{ reason: 'keyCompromise', revokedAt: now - HOUR },
    })
    expect(statusByCrl(held, list)).toMatchObject({ state: 'revoked', reason: 'unspecified' })
    expect(statusByCrl(good, list)).toEqual({ state: 'good', by: 'crl', producedAt: now })
    expect(list.crl.number).toBe(258n)
  })

  test('round trip, also empty and with every reason', async () => {
    const reasons = [
      'keyCompromise',
      'superseded',
      'affiliationChanged',
      'cessationOfOperation',
      'certificateHold',
    ] as const
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.bigInt({ min: 1n, max: 2n ** 150n }), { maxLength: 20 }),
        fc.constantFrom(...reasons),
        async (serials, reason) => {
          const hex = (serial: bigint): string => {
            const digits = serial.toString(16)
            return digits.padStart(digits.length + (digits.length % 2), '0')
          }
          const entries = serials.map((serial) => ({ serial: decodeHex(hex(serial)), revokedAt: now, reason }))
          const list = await issueCrl({ ...template, entries }, signer)
          expect([...list.entries.keys()]).toEqual(serials.map(hex))
          expect([...list.entries.values()].every((entry) => entry.reason === reason)).toBe(true)
        },
      ),
      { numRuns: 20 },
    )
  })

  test.each([
    ['dated in the future', now - when.tolerance - 1, 'crl-stale'],
    ['in the future within tolerance', now - when.tolerance, 'accepted'],
    ['as yesterday’s list within tolerance', now + DAY + when.tolerance, 'accepted'],
    ['too old', now + DAY + when.tolerance + 1, 'crl-stale'],
  ])('%s', (_, at, code) => {
    expect(failure(() => verifyCrl(crl, issuer, { ...when, at }))).toBe(code)
  })

  test('of a CA of the same name but another key', async () => {
    const other = await authority(sameName)
    expect(failure(() => verifyCrl(crl, other, when))).toBe('crl-signature')
  })

  test('of a CA that may not sign lists, or of another name', () => {
    expect(failure(() => verifyCrl(crl, { ...issuer, keyUsage: ['keyCertSign'] }, when))).toBe('crl-issuer')
    expect(failure(() => verifyCrl(crl, good, when))).toBe('crl-issuer')
  })

  test('any flipped bit is found', () => {
    for (let at = 0; at < crl.raw.length; at += 3) {
      const changed = Uint8Array.from(crl.raw)
      changed[at]! ^= 0x01
      expect(
        failure(() => verifyCrl(decodeCrl(changed), issuer, when)),
        `byte ${at}`,
      ).toMatch(/^crl-/)
    }
  })

  test('20,000 entries are read', async () => {
    const entries = Array.from({ length: 20_000 }, (_, at) => ({
      ...{ serial: Uint8Array.of(1, at >> 8, at & 0xff), revokedAt: now, reason: 'superseded' as const },
    }))
    expect((await issueCrl({ ...template, entries }, signer)).entries.size).toBe(20_000)
  })
})

describe('a CRL of one distribution point', () => {
  const point = crlDistributionName('userAuthentication', tokyo)
  test('covers the certificates that name it and no others', async () => {
    const list = verifyCrl(await issueCrl({ ...template, distributionPoint: point }, signer), issuer, when)
    const elsewhere = await card('0a0b0c', osaka)
    expect(statusByCrl(revoked, list).state).toBe('revoked')
    expect(statusByCrl(good, list).state).toBe('good')
    expect(failure(() => statusByCrl(elsewhere, list))).toBe('crl-scope')
    expect(failure(() => statusByCrl(issuer, list))).toBe('crl-scope')
  })
})

describe('what is refused', () => {
  /** The list with hexadecimal digits of its signed part replaced by as many others, signed again. */
  async function resigned(from: string, to: string): Promise<Uint8Array> {
    const hex = encodeHex(crl.tbs)
    expect(hex.split(from).length).toBe(2)
    const tbs = decodeHex(hex.replace(from, to))
    const signature = encodeX509Signature(signer.algorithm, await signer.sign(tbs))
    const algorithm = decodeHex('300d06092a864886f70d01010b0500')
    return encodeSequence(tbs, algorithm, concatBytes(decodeHex('0382010100'), signature))
  }

  test.each([
    ['version 1', '020101', '020100', 'crl-malformed'],
    ['a delta whose indicator is not critical', '0603551d140404', '0603551d1b0404', 'crl-unsupported'],
    ['no number', '0603551d140404', '0603551d3f0404', 'crl-malformed'],
    ['removeFromCRL', '0a0101', '0a0108', 'crl-malformed'],
    ['reason 7', '0a0101', '0a0107', 'crl-malformed'],
    ['reason 11', '0a0101', '0a010b', 'crl-malformed'],
    ['a serial twice', '02030a0b0c', '0203008001', 'crl-malformed'],
  ])('%s', async (_, from, to, code) => {
    const bytes = await resigned(from, to)
    expect(failure(() => decodeCrl(bytes))).toBe(code)
  })

  test('a delta, a partial list and an extension twice', async () => {
    const point = crlDistributionName('userAuthentication', tokyo)
    const scoped: Crl = await issueCrl({ ...template, distributionPoint: point }, signer)
    const change = (bytes: Uint8Array, from: string, to: string): Uint8Array => {
      const hex = encodeHex(bytes)
      expect(hex.split(from).length).toBe(2)
      return decodeHex(hex.replace(from, to))
    }
    // issuingDistributionPoint 2.5.29.28 is critical: under the identifier of the delta indicator nobody reads it.
    expect(failure(() => decodeCrl(change(scoped.raw, '0603551d1c0101ff', '0603551d1b0101ff')))).toBe('crl-unsupported')
    // Its one member under [1], onlyContainsUserCerts, instead of [0].
    const [member] = /0603551d1c0101ff04(?:81)?..30(?:81)?..a0/.exec(encodeHex(scoped.raw)) ?? []
    expect(failure(() => decodeCrl(change(scoped.raw, member!, `${member!.slice(0, -2)}a1`)))).toBe('crl-unsupported')
    // The same extension twice.
    expect(failure(() => decodeCrl(change(scoped.raw, '0603551d1c0101ff', '0603551d140101ff')))).toBe('crl-malformed')
  })
})

describe('OpenSSL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kazasu-crl-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): string =>
    execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  writeFileSync(path('ca.pem'), encodeCertificatePem(issuer))

  test('reads and verifies ours', () => {
    writeFileSync(path('ours.crl'), crl.raw)
    const text = openssl('crl', '-inform', 'DER', '-in', path('ours.crl'), '-noout', '-text')
    expect(text).toContain('Serial Number: 0A0B0C')
    expect(text).toContain('Key Compromise')
    expect(text).toMatch(/X509v3 CRL Number: \s+258/)
    const verify = ['crl', '-inform', 'DER', '-in', path('ours.crl'), '-noout', '-CAfile', path('ca.pem')]
    expect(execFileSync('sh', ['-c', 'openssl "$@" 2>&1', 'sh', ...verify], { encoding: 'utf8' })).toContain(
      'verify OK',
    )
  })

  test('makes lists that we read and verify', () => {
    const conf = `[ca]\ndefault_ca=c\n[c]\ndatabase=${path('index')}\ncrlnumber=${path('number')}\ndefault_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n`
    writeFileSync(path('conf'), conf)
    writeFileSync(path('index'), 'R\t301231000000Z\t261122000000Z,superseded\t0A0B0C\tunknown\t/CN=x\n')
    writeFileSync(path('number'), '07\n')
    writeFileSync(path('key'), signer.privateKey.export({ format: 'pem', type: 'pkcs8' }))
    const dates = ['-crl_lastupdate', '20261122070000Z', '-crl_nextupdate', '20261123070000Z']
    const keys = ['-cert', path('ca.pem'), '-keyfile', path('key')]
    openssl('ca', '-gencrl', '-config', path('conf'), ...keys, ...dates, '-out', path('theirs.pem'))
    openssl('crl', '-in', path('theirs.pem'), '-outform', 'DER', '-out', path('theirs.crl'))
    const list = verifyCrl(decodeCrl(readFileSync(path('theirs.crl'))), issuer, when)
    expect(list.crl.number).toBe(7n)
    expect(statusByCrl(revoked, list)).toMatchObject({ state: 'revoked', reason: 'superseded' })
    expect(statusByCrl(good, list).state).toBe('good')
  })
})
