import { execFileSync } from 'node:child_process'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import {
  concatBytes,
  contextConstructed,
  DER,
  decodeHex,
  encodeBitString,
  encodeHex,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
} from '#bytes'
import { codeOf } from '#failure'
import { encodeAlgorithmIdentifier } from './algorithm-identifier.ts'
import { decodeTime, encodeTime } from './asn1-time.ts'
import { encodeExtensions } from './extension.ts'
import {
  basicConstraints,
  type Certificate,
  type CertificateTemplate,
  decodeCertificate,
  decodeCertificatesPem,
  type Extension,
  encodeCertificatePem,
  encodeName,
  isSignedBy,
  issueCertificate,
  keyUsage,
} from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const signer = createThrowawaySigner('ecdsa-p256-sha256')
const name = encodeName(['C', 'JP'], ['O', 'KAZASU-TEST'], ['CN', '試験'])
const template: CertificateTemplate = {
  serial: Uint8Array.of(0x81, 2, 3),
  issuer: name,
  subject: name,
  notBefore: Date.UTC(2026, 0, 1),
  notAfter: Date.UTC(2031, 0, 1),
  publicKey: signer.publicKey,
  extensions: [basicConstraints({ ca: true, pathLength: 0 }), keyUsage('keyCertSign', 'cRLSign')],
}
const folder = mkdtempSync(join(tmpdir(), 'kazasu-x509-'))
afterAll(() => rmSync(folder, { recursive: true }))
const openssl = (args: readonly string[], input: Uint8Array): string =>
  execFileSync('openssl', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })

describe('issue and decode', () => {
  test('every field comes back', async () => {
    const certificate = await issueCertificate(template, signer)
    expect(certificate).toMatchObject({
      serial: '810203',
      issuer: name,
      subject: name,
      notBefore: template.notBefore,
      notAfter: template.notAfter,
      publicKey: signer.publicKey,
      signatureAlgorithm: 'ecdsa-p256-sha256',
      basicConstraints: { ca: true, pathLength: 0 },
      keyUsage: ['keyCertSign', 'cRLSign'],
    })
    expect(isSignedBy(certificate, signer.publicKey)).toBe(true)
    expect(isSignedBy(certificate, createThrowawaySigner('ecdsa-p256-sha256').publicKey)).toBe(false)
  })

  test.each(['rsa-pkcs1-sha256', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384'] as const)(
    'node:crypto and OpenSSL read the same and verify it (%s)',
    async (algorithm) => {
      const key = createThrowawaySigner(algorithm)
      const { raw } = await issueCertificate({ ...template, publicKey: key.publicKey }, key)
      const node = new X509Certificate(raw)
      expect(node.verify(createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' }))).toBe(true)
      expect(node.serialNumber).toBe('810203')
      expect(node.ca).toBe(true)
      const text = openssl(['x509', '-inform', 'DER', '-noout', '-text'], raw)
      expect(text).toContain('CA:TRUE, pathlen:0')
      expect(text).toContain('Certificate Sign, CRL Sign')
    },
  )

  test('certificates made by OpenSSL are read', () => {
    const config = join(folder, 'req.cnf')
    writeFileSync(config, '[req]\ndistinguished_name=dn\n[dn]\n')
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/C=JP/O=X', '-days', '10']
    const key = join(folder, 'key.pem')
    const pem = openssl(
      [...request, '-config', config, '-keyout', key, '-addext', 'basicConstraints=critical,CA:true'],
      new Uint8Array(0),
    )
    const [certificate] = decodeCertificatesPem(`a text before\n${pem}\nand after`)
    expect(certificate?.basicConstraints).toEqual({ ca: true })
    expect(isSignedBy(certificate!, certificate!.publicKey)).toBe(true)
    expect(decodeCertificatesPem(encodeCertificatePem(certificate!))).toEqual([certificate])
  })

  test('a PEM block without an end or with stray characters is refused', async () => {
    const pem = encodeCertificatePem(await issueCertificate(template, signer))
    expect(() => decodeCertificatesPem(pem.replace('END', 'FIN'))).toThrow('certificate-malformed')
    expect(() => decodeCertificatesPem(pem.replace('MII', 'M*I'))).toThrow('certificate-malformed')
  })
})

/** A certificate assembled by hand, each part replaceable. Its signature is no concern of the decoder. */
function assemble(change: Partial<Record<string, Uint8Array>> = {}): Uint8Array {
  const algorithm = encodeAlgorithmIdentifier('ecdsa-p256-sha256')
  const part = (key: string, usual: Uint8Array): Uint8Array => change[key] ?? usual
  const tbs = encodeSequence(
    part('version', encodeTlv(contextConstructed(0), encodeUnsignedInteger(Uint8Array.of(2)))),
    part('serial', encodeUnsignedInteger(Uint8Array.of(1))),
    part('inner', algorithm),
    part('issuer', name),
    part('validity', encodeSequence(encodeTime(template.notBefore), encodeTime(template.notAfter))),
    part('subject', name),
    signer.publicKey,
    part('unique', new Uint8Array(0)),
    part('extensions', encodeTlv(contextConstructed(3), encodeExtensions(template.extensions))),
  )
  return concatBytes(
    encodeSequence(tbs, algorithm, part('signature', encodeBitString(Uint8Array.of(1)))),
    part('after', new Uint8Array(0)),
  )
}
const extensions = (...list: readonly Extension[]): Uint8Array =>
  encodeTlv(contextConstructed(3), encodeExtensions(list))
const extension = (objectIdentifier: string, hex: string): Uint8Array =>
  extensions({ objectIdentifier, critical: true, value: decodeHex(hex) })
const time = (tag: number, text: string): Uint8Array =>
  encodeSequence(encodeTlv(tag, Buffer.from(text)), encodeTime(template.notAfter))

describe('what the decoder refuses', () => {
  test('the untouched assembly is read', () => {
    expect(decodeCertificate(assemble()).serial).toBe('01')
    expect(decodeCertificate(assemble({ extensions: new Uint8Array(0) })).keyUsage).toBeUndefined()
  })

  test.each<[string, Partial<Record<string, Uint8Array>>]>([
    ['version 1, left out', { version: new Uint8Array(0) }],
    ['version 2', { version: encodeTlv(contextConstructed(0), encodeUnsignedInteger(Uint8Array.of(1))) }],
    ['serial 0', { serial: decodeHex('020100') }],
    ['a negative serial', { serial: decodeHex('0201ff') }],
    ['a padded serial', { serial: decodeHex('02020001') }],
    ['an empty serial', { serial: decodeHex('0200') }],
    ['a serial of 21 octets', { serial: encodeTlv(DER.integer, new Uint8Array(21).fill(1)) }],
    ['another inner algorithm', { inner: encodeAlgorithmIdentifier('ecdsa-p384-sha384') }],
    ['NULL parameters inside only', { inner: encodeSequence(decodeHex('06082a8648ce3d0403020500')) }],
    ['an empty issuer', { issuer: encodeSequence() }],
    ['a name with an empty set', { subject: encodeSequence(encodeTlv(DER.set)) }],
    ['a name that is no SEQUENCE of sets', { subject: encodeSequence(encodeSequence()) }],
    ['unique identifiers', { unique: encodeTlv(0x81, Uint8Array.of(0, 1)) }],
    ['trailing bytes', { after: Uint8Array.of(0) }],
    ['a signature with unused bits', { signature: decodeHex('03020180') }],
    ['UTCTime without Z', { validity: time(DER.utcTime, '260101000000') }],
    ['UTCTime without seconds', { validity: time(DER.utcTime, '2601010000Z') }],
    ['UTCTime with an offset', { validity: time(DER.utcTime, '260101000000+0900') }],
    ['month 13', { validity: time(DER.utcTime, '261301000000Z') }],
    ['30 February', { validity: time(DER.utcTime, '260230000000Z') }],
    ['hour 24', { validity: time(DER.utcTime, '260101240000Z') }],
    ['GeneralizedTime before 2050', { validity: time(DER.generalizedTime, '20260101000000Z') }],
    ['GeneralizedTime with a fraction', { validity: time(DER.generalizedTime, '20510101000000.5Z') }],
    ['an extension twice', { extensions: extensions(keyUsage('cRLSign'), keyUsage('cRLSign')) }],
    ['an empty list of extensions', { extensions: encodeTlv(contextConstructed(3), encodeSequence()) }],
    ['critical FALSE written out', { extensions: decodeHex('a30f300d300b0603551d13010100040130') }],
    ['BOOLEAN 01', { extensions: extension('2.5.29.19', '3003010101') }],
    ['cA FALSE written out', { extensions: extension('2.5.29.19', '3003010100') }],
    ['a path length without cA', { extensions: extension('2.5.29.19', '3003020100') }],
    ['a negative path length', { extensions: extension('2.5.29.19', '30060101ff0201ff') }],
    ['no key usage at all', { extensions: extension('2.5.29.15', '03020700') }],
    ['key usage with a trailing zero bit', { extensions: extension('2.5.29.15', '030206c0'.replace('06c0', '0680')) }],
    ['key usage with 8 unused bits', { extensions: extension('2.5.29.15', '03020880') }],
    ['key usage with surplus bits set', { extensions: extension('2.5.29.15', '030207ff') }],
    ['a tenth key usage', { extensions: extension('2.5.29.15', '0303060040') }],
    ['an empty list of purposes', { extensions: extension('2.5.29.37', '3000') }],
    ['a policy twice', { extensions: extension('2.5.29.32', '300c300406022a03300406022a03') }],
    ['trailing bytes in an extension', { extensions: extension('2.5.29.19', '300000') }],
    ['an indefinite length', { extensions: extension('2.5.29.19', '30800000') }],
  ])('%s', (_, change) => {
    expect(() => decodeCertificate(assemble(change))).toThrow('certificate-malformed')
  })

  test('more than 64 kB', () => {
    const large = extensions({ objectIdentifier: '1.2.3', critical: false, value: new Uint8Array(1 << 16) })
    expect(() => decodeCertificate(assemble({ extensions: large }))).toThrow('tlv-too-large')
  })

  test('every truncation, with a code', () => {
    const whole = assemble()
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeCertificate(whole.subarray(0, length))).toThrow('certificate-malformed')
    }
  })

  test('mutations are read or refused with a code, never anything else', () => {
    const whole = assemble()
    const outcome = (bytes: Uint8Array): string => {
      try {
        decodeCertificate(bytes)
        return 'read'
      } catch (error) {
        return codeOf(error) ?? String(error)
      }
    }
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length - 1), fc.nat(255), (i, a, j, b) => {
        const changed = Uint8Array.from(whole)
        changed[i] = a
        changed[j] = b
        expect(['read', 'certificate-malformed']).toContain(outcome(changed))
      }),
      { numRuns: 5000 },
    )
  })

  test('nothing malformed is ever signed', async () => {
    let signatures = 0
    const sign = (data: Uint8Array): Promise<Uint8Array> => {
      signatures++
      return signer.sign(data)
    }
    const bad = { ...template, serial: Uint8Array.of(0) }
    await expect(issueCertificate(bad, { ...signer, sign })).rejects.toThrow('certificate-malformed')
    expect(signatures).toBe(0)
  })
})

describe('times', () => {
  test.each([
    ['1950-01-01T00:00:00Z', '170d3530303130313030303030305a'],
    ['1999-12-31T23:59:59Z', '170d3939313233313233353935395a'],
    ['2049-12-31T23:59:59Z', '170d3439313233313233353935395a'],
    ['2050-01-01T00:00:00Z', '180f32303530303130313030303030305a'],
    ['9999-12-31T23:59:59Z', '180f39393939313233313233353935395a'],
  ])('%s', (text, hex) => {
    const at = Date.parse(text)
    expect(encodeHex(encodeTime(at))).toBe(hex)
    const raw = decodeHex(hex)
    expect(decodeTime({ tag: raw[0]!, value: raw.subarray(2), raw })).toBe(at)
  })
})

describe('key usage', () => {
  test('any set of bits comes back', async () => {
    const all = [
      'digitalSignature',
      'nonRepudiation',
      'keyEncipherment',
      'keyCertSign',
      'cRLSign',
      'decipherOnly',
    ] as const
    await fc.assert(
      fc.asyncProperty(fc.subarray([...all], { minLength: 1 }), async (usages) => {
        const certificate: Certificate = await issueCertificate(
          { ...template, extensions: [keyUsage(...usages)] },
          signer,
        )
        expect(certificate.keyUsage).toEqual(usages)
      }),
      { numRuns: 30 },
    )
  })
})
