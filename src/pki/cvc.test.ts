import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes, decodeHex, encodeHex } from '#bytes'
import { codeOf } from '#failure'
import {
  type Cvc,
  type CvcProfile,
  type CvcTemplate,
  certHash,
  decodeCvc,
  encodeCvc,
  issueCvc,
  trustCvca,
  verifyCvc,
  verifyCvcChain,
  verifyCvcLink,
} from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const failure = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
  return 'accepted'
}

const vectors = join(process.env.KAZASU_VECTORS ?? '../shared/vectors', 'cvc')
const present = existsSync(vectors)
if (!present && process.env.CI === 'true') throw new Error(`no test vectors in ${vectors}`)

describe.skipIf(!present)(`vectors made by OpenPACE (${vectors})`, () => {
  const read = (name: string): Uint8Array => readFileSync(join(vectors, `${name}.cvcert`))
  /** id-IS (TR-03110-4 §2.2.3.1); its bits 1 and 2 are the rights to read fingerprint and iris. */
  const inspection: CvcProfile = { objectIdentifier: '0.4.0.127.0.7.3.1.2.1', rights: 0x03 }
  const names = [
    'cvca',
    'dv',
    'term',
    'term-bad',
    'rcvca-RSA_v1_5_SHA_256',
    'rdv-RSA_v1_5_SHA_256',
    'rterm-RSA_v1_5_SHA_256',
  ]

  test.each(names)('%s is encoded again byte for byte', (name) => {
    expect(encodeHex(encodeCvc(decodeCvc(read(name))))).toBe(encodeHex(read(name)))
  })

  test('fields are what cvc-print says', () => {
    expect(decodeCvc(read('term'))).toMatchObject({
      car: 'JPTSTDV00001',
      chr: 'JPTSTTERM00001',
      algorithm: 'ecdsa-p256-sha256',
      chat: { objectIdentifier: inspection.objectIdentifier, role: 'terminal', octet: 0x01 },
      effective: '2026-11-01',
      expiry: '2026-12-01',
    })
  })

  test.each([
    ['cvca', 'dv', 'term'],
    ['rcvca-RSA_v1_5_SHA_256', 'rdv-RSA_v1_5_SHA_256', 'rterm-RSA_v1_5_SHA_256'],
  ])('%s › %s › %s verifies on 2026-11-15, and not after its last day', (cvca, dv, terminal) => {
    const anchor = trustCvca(decodeCvc(read(cvca)), inspection)
    const chain = { dv: decodeCvc(read(dv)), terminal: decodeCvc(read(terminal)) }
    const at = (date: string) => verifyCvcChain(chain, [anchor], date, inspection)
    expect(at('2026-11-15').terminal.rights).toBe(0x01)
    expect(at('2026-12-01').terminal.rights).toBe(0x01)
    expect(failure(() => at('2026-12-02'))).toBe('cvc-expired')
    expect(failure(() => at('2026-10-31'))).toBe('cvc-not-yet-effective')
  })

  test('one flipped byte is found', () => {
    const anchor = trustCvca(decodeCvc(read('cvca')), inspection)
    const dv = verifyCvc(decodeCvc(read('dv')), anchor, '2026-11-15', inspection)
    expect(failure(() => verifyCvc(decodeCvc(read('term-bad')), dv, '2026-11-15', inspection))).toBe('cvc-signature')
  })

  test('they are not of this profile', () => {
    expect(failure(() => trustCvca(decodeCvc(read('cvca'))))).toBe('cvc-chat')
  })
})

const keys = {
  cvca: createThrowawaySigner('ecdsa-p256-sha256'),
  next: createThrowawaySigner('ecdsa-p256-sha256'),
  dv: createThrowawaySigner('ecdsa-p256-sha256'),
  terminal: createThrowawaySigner('ecdsa-p256-sha256'),
}
const templates = {
  cvca: {
    car: 'JPKAZASU00001',
    chr: 'JPKAZASU00001',
    role: 'cvca',
    pinless: true,
    publicKey: keys.cvca.publicKey,
    effective: '2026-11-01',
    expiry: '2031-11-01',
  },
  dv: {
    car: 'JPKAZASU00001',
    chr: 'JPCLINICS00001',
    role: 'dv',
    pinless: true,
    publicKey: keys.dv.publicKey,
    effective: '2026-11-10',
    expiry: '2027-11-01',
  },
  terminal: {
    car: 'JPCLINICS00001',
    chr: 'JPTERM00700001',
    role: 'terminal',
    pinless: true,
    publicKey: keys.terminal.publicKey,
    effective: '2026-11-01',
    expiry: '2026-12-01',
  },
} as const satisfies Record<string, CvcTemplate>
const issue = {
  cvca: (change: Partial<CvcTemplate> = {}, by = keys.cvca): Promise<Cvc> =>
    issueCvc({ ...templates.cvca, ...change }, by),
  dv: (change: Partial<CvcTemplate> = {}, by = keys.cvca): Promise<Cvc> => issueCvc({ ...templates.dv, ...change }, by),
  terminal: (change: Partial<CvcTemplate> = {}, by = keys.dv): Promise<Cvc> =>
    issueCvc({ ...templates.terminal, ...change }, by),
}
const today = '2026-11-22'
const anchor = trustCvca(await issue.cvca())
const dv = verifyCvc(await issue.dv(), anchor, today)
const terminal = await issue.terminal()

/** The certificate with a field of its body replaced, hex for hex of equal length; its signature no longer matters. */
const forge = (cvc: Cvc, from: string, to: string): Uint8Array => {
  const hex = encodeHex(cvc.raw)
  expect(hex.split(from).length, `${from} once`).toBe(2)
  return decodeHex(hex.replace(from, to))
}

describe('decoding', () => {
  test('every truncation and every trailing byte is refused', () => {
    for (let length = 0; length < terminal.raw.length; length++) {
      expect(failure(() => decodeCvc(terminal.raw.subarray(0, length)))).toBe('cvc-malformed')
    }
    expect(failure(() => decodeCvc(concatBytes(terminal.raw, Uint8Array.of(0))))).toBe('cvc-malformed')
  })

  test('no single changed byte of the body both decodes and verifies', () => {
    for (let at = 0; at < terminal.raw.length; at++) {
      const changed = Uint8Array.from(terminal.raw)
      changed[at]! ^= 0x01
      expect(
        failure(() => verifyCvc(decodeCvc(changed), dv, today)),
        `byte ${at}`,
      ).toMatch(/^(cvc|public-key)-/)
    }
  })

  test('arbitrary bytes are refused with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(failure(() => decodeCvc(bytes))).toBe('cvc-malformed')
      }),
    )
  })

  const effective = '5f2506020601010001'
  test.each([
    ['day 30 of February', effective, '5f2506020600020300'],
    ['29 February of a common year', effective, '5f2506020700020209'],
    ['month 13', effective, '5f2506020601030001'],
    ['day 0', effective, '5f2506020601010000'],
    ['digit above 9', effective, '5f25060206010a0001'],
    ['five digits', effective, '5f25050206010100015f'],
    ['profile 1', '5f290100', '5f290101'],
    ['a lower-case reference', encodeHex(Buffer.from('JPTERM')), encodeHex(Buffer.from('JPTerm'))],
    ['another country', encodeHex(Buffer.from('JPTERM')), encodeHex(Buffer.from('DETERM'))],
    ['an RSA identifier over an EC key', '04007f00070202020203', '04007f00070202020102'],
    ['another hash', '04007f00070202020203', '04007f00070202020205'],
    ['effective date twice', '5f24', '5f25'],
  ])('%s is malformed', (_, from, to) => {
    expect(failure(() => decodeCvc(forge(terminal, from, to)))).toBe('cvc-malformed')
  })

  test('29 February of a leap year is a day', async () => {
    expect((await issue.dv({ expiry: '2028-02-29' })).expiry).toBe('2028-02-29')
  })

  test('role 01 does not exist', () => {
    expect(failure(() => decodeCvc(forge(terminal, '530101', '530141')))).toBe('cvc-role')
  })

  test('domain parameters stand in a CVCA and nowhere else', async () => {
    expect(anchor.cvc.raw.length - (await issue.dv()).raw.length).toBeGreaterThan(200)
    expect(failure(() => decodeCvc(forge(anchor.cvc, '5301c1', '530181')))).toBe('cvc-malformed')
    expect(failure(() => decodeCvc(forge(dv.cvc, '530181', '5301c1')))).toBe('cvc-malformed')
  })

  test('a curve of the sender’s own is refused', () => {
    const a = '8220ffffffff00000001000000000000000000000000fffffffffffffffffffffffc'
    expect(failure(() => decodeCvc(forge(anchor.cvc, a, `${a.slice(0, -1)}d`)))).toBe('cvc-malformed')
  })

  test('RSA keys are carried too', async () => {
    const rsa = createThrowawaySigner('rsa-pkcs1-sha256')
    const root = trustCvca(await issue.cvca({ publicKey: rsa.publicKey }, rsa))
    const cvc = await issueCvc(templates.dv, rsa)
    expect(root.cvc.publicKey).toEqual(rsa.publicKey)
    expect(verifyCvc(cvc, root, today).pinless).toBe(true)
  })
})

describe('issuing', () => {
  test.each([
    ['a long holder', { chr: 'JPABCDEFGHIJ00001' }, 'cvc-malformed'],
    ['an empty reference', { car: '' }, 'cvc-malformed'],
    ['a day that does not exist', { expiry: '2027-02-30' }, 'cvc-malformed'],
    ['a year before 2000', { effective: '1999-12-31' }, 'cvc-malformed'],
    ['the wrong order of dates', { effective: '2027-11-02' }, 'cvc-dates'],
    ['a P-384 key', { publicKey: createThrowawaySigner('ecdsa-p384-sha384').publicKey }, 'public-key-unsupported'],
  ])('%s is never signed', async (_, change, code) => {
    let signatures = 0
    const sign = (data: Uint8Array) => {
      signatures++
      return keys.cvca.sign(data)
    }
    const counting = { ...keys.cvca, sign }
    await expect(issue.dv(change, counting)).rejects.toMatchObject({ code })
    expect(signatures).toBe(0)
  })

  test('what was issued decodes to the template', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('dv', 'terminal', 'cvca' as const),
        fc.stringMatching(/^JP[A-Z0-9]{0,9}[0-9]{5}$/),
        fc.boolean(),
        async (role, chr, pinless) => {
          const cvc = await issueCvc({ ...templates.dv, role, chr, pinless }, keys.cvca)
          expect(cvc).toMatchObject({ chr, publicKey: keys.dv.publicKey, chat: { role, pinless } })
          expect(encodeCvc(cvc)).toEqual(cvc.raw)
          expect(decodeCvc(cvc.raw)).toEqual(cvc)
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('the chain', () => {
  test('DV and terminal verify, and the right is effective', () => {
    const chain = verifyCvcChain({ dv: dv.cvc, terminal }, [anchor], today)
    expect(chain.terminal.pinless).toBe(true)
    expect(certHash(chain.terminal.cvc).length).toBe(32)
  })

  test.each([
    ['anchor', false, true, true],
    ['DV', true, false, true],
    ['terminal', true, true, false],
  ])('a right that the %s lacks is not effective', async (_, root, middle, leaf) => {
    const chain = verifyCvcChain(
      { dv: await issue.dv({ pinless: middle }), terminal: await issue.terminal({ pinless: leaf }) },
      [trustCvca(await issue.cvca({ pinless: root }))],
      today,
    )
    expect(chain.terminal.pinless).toBe(false)
    expect(chain.terminal.rights).toBe(0)
  })

  test.each([
    ['another issuer', () => issue.terminal({ car: 'JPCLINICS00002' }), 'cvc-issuer-unknown'],
    ['signed by the CVCA in the DV’s name', () => issue.terminal({}, keys.cvca), 'cvc-signature'],
    ['self-signed', () => issue.terminal({}, keys.terminal), 'cvc-signature'],
    ['a DV under a DV', () => issue.terminal({ role: 'dv' }), 'cvc-role'],
    ['a CVCA under a DV', () => issue.terminal({ role: 'cvca' }), 'cvc-role'],
    ['expired yesterday', () => issue.terminal({ expiry: '2026-11-21' }), 'cvc-expired'],
    ['outliving the DV', () => issue.terminal({ expiry: '2027-11-02' }), 'cvc-outlives-issuer'],
    ['expiring with the DV', () => issue.terminal({ expiry: '2027-11-01' }), 'accepted'],
    ['expiring today', () => issue.terminal({ expiry: today }), 'accepted'],
    [
      'effective tomorrow, as a card without a clock sees it',
      () => issue.terminal({ effective: '2026-11-23' }),
      'accepted',
    ],
    ['effective before the DV', () => issue.terminal({ effective: '2026-01-01' }), 'accepted'],
  ])('a terminal certificate %s', async (_, make, code) => {
    const cvc = await make()
    expect(failure(() => verifyCvc(cvc, dv, today))).toBe(code)
  })

  test('effective tomorrow is too early for whoever knows today', async () => {
    const early = await issue.terminal({ effective: '2026-11-23' })
    expect(failure(() => verifyCvcChain({ dv: dv.cvc, terminal: early }, [anchor], today))).toBe(
      'cvc-not-yet-effective',
    )
  })

  test('a terminal signs nobody, a CVCA no terminal', async () => {
    const leaf = verifyCvc(terminal, dv, today)
    const under = await issue.terminal({ car: terminal.chr, chr: 'JPTERM00700002' }, keys.terminal)
    expect(failure(() => verifyCvc(under, leaf, today))).toBe('cvc-role')
    const direct = await issue.terminal({ car: anchor.cvc.chr }, keys.cvca)
    expect(failure(() => verifyCvc(direct, anchor, today))).toBe('cvc-role')
  })

  test('reversed dates signed by somebody else’s software are refused after the signature', async () => {
    const issued = await issue.terminal()
    const body = decodeHex(encodeHex(issued.body).replace('5f2506020601010001', '5f2506020700010001'))
    const raw = decodeHex(encodeHex(issued.raw).replace(encodeHex(issued.body), encodeHex(body)))
    const forged = decodeCvc(raw)
    expect(failure(() => verifyCvc(forged, dv, today))).toBe('cvc-signature')
    const signed = { ...forged, signature: await keys.dv.sign(body) }
    expect(failure(() => verifyCvc(signed, dv, today))).toBe('cvc-dates')
  })

  test('undefined right bits are refused', async () => {
    const body = decodeHex(encodeHex(terminal.body).replace('530101', '530103'))
    const signature = await keys.dv.sign(body)
    const wide = decodeCvc(encodeCvc({ ...terminal, chat: { ...terminal.chat, octet: 0x03 }, signature }))
    expect(failure(() => verifyCvc(wide, dv, today))).toBe('cvc-chat')
  })
})

describe('link certificates', () => {
  const link = (change: Partial<CvcTemplate> = {}, by = keys.cvca): Promise<Cvc> =>
    issue.cvca({ chr: 'JPKAZASU00002', publicKey: keys.next.publicKey, expiry: '2036-11-01', ...change }, by)

  test('the next anchor is signed by the current one, may outlive it, and can be trusted again from storage', async () => {
    const next = verifyCvcLink(await link(), anchor, today)
    expect(next.pinless).toBe(true)
    const again = trustCvca(decodeCvc(next.cvc.raw))
    const below = await issue.dv({ car: 'JPKAZASU00002' }, keys.next)
    expect(verifyCvc(below, again, today).pinless).toBe(true)
  })

  test('a link applied once is not applied again', async () => {
    const next = verifyCvcLink(await link(), anchor, today)
    expect(failure(() => verifyCvcLink(next.cvc, next, today))).toBe('cvc-issuer-unknown')
  })

  test.each([
    ['signed by its own key', () => link({}, keys.next), 'cvc-signature'],
    ['skipping a number', () => link({ chr: 'JPKAZASU00003' }), 'cvc-sequence'],
    ['of another holder', () => link({ chr: 'JPKAZASV00002' }), 'cvc-sequence'],
    ['expired', () => link({ expiry: '2026-11-21' }), 'cvc-expired'],
    ['that is a DV', () => issue.dv(), 'cvc-role'],
  ])('a link %s is refused', async (_, make, code) => {
    const cvc = await make()
    expect(failure(() => verifyCvcLink(cvc, anchor, today))).toBe(code)
  })

  test('a link gains no right', async () => {
    const narrow = trustCvca(await issue.cvca({ pinless: false }))
    const wide = await link()
    expect(failure(() => verifyCvcLink(wide, narrow, today))).toBe('cvc-rights')
  })
})
