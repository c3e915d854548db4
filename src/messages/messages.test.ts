import { generateKeyPairSync, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { decodeBase64url, decodeHex, encodeBase64url, encodeHex } from '#bytes'
import type { Mac, Signer } from '#pki'
import {
  auxiliaryData,
  canonicalJson,
  challengeAnswer,
  challengeRequest,
  checkPairwiseId,
  composeA,
  composeT,
  consentHash,
  consentRecord,
  type DeviceStatement,
  decodeProof,
  derivePairwiseId,
  deviceStatement,
  legAnswer,
  MessagesError,
  parseMessage,
  sha256,
  signDeviceStatement,
  verifyDeviceStatement,
} from './index.ts'

const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof MessagesError) return error.code
    throw error
  }
  return 'accepted'
}
const zeros = encodeBase64url(new Uint8Array(32))
const consent = {
  v: 1,
  kind: 'ok-button',
  textId: 'eligibility-1',
  lang: 'ja',
  audiences: ['clinic-sakura', 'eligibility'],
  purpose: 'eligibility',
  at: '2026-11-22T01:02:03.004Z',
  input: 'touch',
  salt: encodeBase64url(new Uint8Array(16)),
} as const

describe('what the card and the terminal sign', () => {
  test('T is the vector of protocol.md', () => {
    const t = composeT({
      certHash: new Uint8Array(32),
      r: new Uint8Array(16).fill(1),
      d: new Uint8Array(32).fill(2),
    })
    expect(encodeHex(t)).toBe('d974b6215eeaaad8f73eeb92d6a55191e4f0ef8b4c389d1e0ef5596cdfc7515f')
  })
  test('A is r followed by the auxiliary data with K.1 and D', () => {
    const d = new Uint8Array(32).fill(2)
    const r = new Uint8Array(16).fill(1)
    const expected = `673b7339${'0615'}6982d7f1fc81f5dafaa2a19695d7ee84c09fe32801${'5320'}${'02'.repeat(32)}`
    expect(encodeHex(auxiliaryData(d))).toBe(expected)
    expect(encodeHex(composeA({ r, d }))).toBe('01'.repeat(16) + expected)
  })
})

describe('canonical JSON', () => {
  test('a value has one byte string whatever the order of members', () => {
    expect(canonicalJson({ b: 1, a: 'か' })).toEqual(new TextEncoder().encode('{"a":"か","b":1}'))
  })
  test.each([[{ a: '\ud800' }], [undefined], [Number.NaN]])('%j is refused', (value) => {
    expect(() => canonicalJson(value)).toThrow()
  })
})

describe('consent record', () => {
  test('its hash moves with every member', () => {
    const whole = encodeHex(consentHash(parseMessage(consentRecord, consent)))
    const others: Record<string, unknown> = {
      kind: 'attended',
      textId: 'other',
      lang: 'en',
      audiences: ['eligibility'],
      purpose: 'entry',
      at: '2026-11-22T01:02:03.005Z',
      input: 'key',
      covers: zeros,
      salt: encodeBase64url(new Uint8Array(16).fill(1)),
    }
    expect(Object.keys(others).sort()).toEqual(
      Object.keys(consentRecord.shape)
        .filter((name) => name !== 'v')
        .sort(),
    )
    for (const [member, value] of Object.entries(others)) {
      expect(encodeHex(consentHash(parseMessage(consentRecord, { ...consent, [member]: value })))).not.toBe(whole)
    }
  })
  test.each([
    ['unknown member', { ...consent, extra: 1 }],
    ['unsorted audiences', { ...consent, audiences: ['eligibility', 'clinic-sakura'] }],
    ['double audience', { ...consent, audiences: ['eligibility', 'eligibility'] }],
    ['no audience', { ...consent, audiences: [] }],
    ['time without milliseconds', { ...consent, at: '2026-11-22T01:02:03Z' }],
    ['30 February', { ...consent, at: '2026-02-30T01:02:03.004Z' }],
    ['short salt', { ...consent, salt: 'AAAA' }],
    ['padded salt', { ...consent, salt: `${consent.salt}==` }],
    ['wrong version', { ...consent, v: 2 }],
  ])('%s is refused', (_name, value) => expect(refusal(() => parseMessage(consentRecord, value))).toBe('malformed'))
})

describe('messages whose use comes with later roles', () => {
  const r = encodeBase64url(new Uint8Array(16))
  const evidence = { index: 0, checkpoint: 'x', inclusion: [], leaf: zeros }
  test.each([
    ['challenge', challengeRequest, { v: 1, nonce: zeros, r, consentRecord: consent }],
    ['its answer', challengeAnswer, { v: 1, seSig: 'AAAA' }],
    ['answer to a subject’s leg', legAnswer, { v: 1, leg: zeros, evidence }],
  ] as [string, z.ZodType, object][])('%s has exactly its members', (_name, schema, message) => {
    expect(parseMessage(schema, message)).toEqual(message)
    expect(refusal(() => parseMessage(schema, { ...message, extra: 1 }))).toBe('malformed')
    for (const member of Object.keys(message)) {
      expect(
        refusal(() => parseMessage(schema, { ...message, [member]: undefined })),
        member,
      ).toBe('malformed')
    }
  })
})

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signer: Signer = {
  algorithm: 'ecdsa-p256-sha256',
  publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  sign: async (data) => sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
}
const statement: DeviceStatement = {
  v: 1,
  terminal: 't1',
  nonce: zeros,
  statementHash: zeros,
  certificateHash: zeros,
  cardSignatureHash: zeros,
  transcriptHash: null,
  mechanism: 'pin',
  consentHash: zeros,
  operator: null,
  lease: null,
  counter: 1,
  prev: zeros,
  presentFrom: '2026-11-22T01:02:03.004Z',
  presentTo: '2026-11-22T01:02:03.004Z',
  at: '2026-11-22T01:02:03.004Z',
}

describe('device statement', () => {
  test('round trip, named by the hash of its compact form', async () => {
    const compact = await signDeviceStatement(statement, signer)
    const verified = await verifyDeviceStatement(compact, signer.publicKey)
    expect(verified.claims).toEqual(statement)
    expect(verified.hash).toEqual(sha256(new TextEncoder().encode(compact)))
    expect(parseMessage(deviceStatement, verified.claims)).toEqual(statement)
  })
  test('another key, another typ, alg none, spaces and padding are refused', async () => {
    const compact = await signDeviceStatement(statement, signer)
    const [header = '', payload = '', signature = ''] = compact.split('.')
    const none = encodeBase64url(new TextEncoder().encode('{"alg":"none","typ":"kazasu-device+jwt"}'))
    const typ = encodeBase64url(new TextEncoder().encode('{"alg":"ES256","typ":"presence+jwt"}'))
    const retyped = `${typ}.${payload}`
    const resigned = `${retyped}.${encodeBase64url(await signer.sign(new TextEncoder().encode(retyped)))}`
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' })
    for (const [text, key] of [
      [compact, other],
      [resigned, signer.publicKey],
      [`${none}.${payload}.`, signer.publicKey],
      [`${header}.${payload}.${signature}=`, signer.publicKey],
      [`${header}. ${payload}.${signature}`, signer.publicKey],
      [`${header}.${payload}`, signer.publicKey],
    ] as const) {
      await expect(verifyDeviceStatement(text, key)).rejects.toMatchObject({ code: 'signature-invalid' })
    }
  })
  test('of the two signatures that ECDSA has for one, the one with the greater s is none', async () => {
    const compact = await signDeviceStatement(statement, signer)
    const [header, payload, signature = ''] = compact.split('.')
    const bytes = decodeBase64url(signature)
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const other = (order - BigInt(`0x${encodeHex(bytes.subarray(32))}`)).toString(16).padStart(64, '0')
    const twin = encodeBase64url(Uint8Array.from([...bytes.subarray(0, 32), ...decodeHex(other)]))
    expect(
      verify(
        'sha256',
        Buffer.from(`${header}.${payload}`),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        decodeBase64url(twin),
      ),
    ).toBe(true)
    await expect(verifyDeviceStatement(`${header}.${payload}.${twin}`, signer.publicKey)).rejects.toMatchObject({
      code: 'signature-invalid',
    })
  })
  test('a payload that is not canonical is refused although its signature is good', async () => {
    const parts = [
      encodeBase64url(new TextEncoder().encode('{"alg":"ES256","typ":"kazasu-device+jwt"}')),
      encodeBase64url(new TextEncoder().encode(JSON.stringify(statement, null, 1))),
    ].join('.')
    let signature = await signer.sign(new TextEncoder().encode(parts))
    while ((signature[32] ?? 0) >= 0x7f) signature = await signer.sign(new TextEncoder().encode(parts)) // s is small
    const compact = `${parts}.${encodeBase64url(signature)}`
    await expect(verifyDeviceStatement(compact, signer.publicKey)).rejects.toMatchObject({ code: 'not-canonical' })
  })
})

describe('pairwise ID', () => {
  const mac = (fill: number): Mac => ({
    compute: async (data) => sha256(Uint8Array.from([fill, ...data])),
  })
  const input = { use: 'institution', provider: 'p', personKey: zeros, audienceId: 'a', epoch: 0 } as const
  test('every part of its input and the key move it, and its check character holds', async () => {
    const id = await derivePairwiseId(input, mac(1), 1)
    expect(checkPairwiseId(id)).toBe(id)
    const others = await Promise.all([
      derivePairwiseId({ ...input, use: 'asp' }, mac(1), 1),
      derivePairwiseId({ ...input, provider: 'q' }, mac(1), 1),
      derivePairwiseId({ ...input, personKey: 'x' }, mac(1), 1),
      derivePairwiseId({ ...input, audienceId: 'b' }, mac(1), 1),
      derivePairwiseId({ ...input, epoch: 1 }, mac(1), 1),
      derivePairwiseId(input, mac(2), 1),
    ])
    expect(new Set([id, ...others]).size).toBe(7)
  })
  test('every single wrong character is noticed', async () => {
    const id = await derivePairwiseId(input, mac(1), 1)
    for (let at = 0; at < id.length; at++) {
      const wrong = id[at] === 'b' ? 'c' : 'b'
      const text = id.slice(0, at) + wrong + id.slice(at + 1)
      expect(
        refusal(() => checkPairwiseId(text)),
        text,
      ).toBe('pairwise-id-malformed')
    }
  })
})

test('any bytes are a proof or are refused with our own error', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => new TextEncoder().encode(text)),
      ),
      (bytes) => {
        expect(['malformed', 'accepted']).toContain(refusal(() => decodeProof(bytes)))
      },
    ),
  )
  expect(refusal(() => decodeProof(decodeHex('ff')))).toBe('malformed')
  expect(decodeBase64url(zeros)).toEqual(new Uint8Array(32))
})
