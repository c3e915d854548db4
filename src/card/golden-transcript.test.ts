import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type RecordedExchange, replayChannel } from '#apdu'
import { decodeHex, encodeHex } from '#bytes'
import { composeA, composeT } from '#messages'
import { certHash, decodeCvc, verifyDigestSignature, verifySignature } from '#pki'
import { powerUp } from './fixture.ts'
import { getChallenge } from './get-challenge.ts'
import { announce, authenticate, signAuthorised } from './institution-authentication.ts'
import { decodePersonalisation } from './personalisation.ts'
import { selectJpki } from './select.ts'
import { presentCertificates } from './verify-certificate.ts'

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'golden-transcript.json'), 'utf8'))
const bytes = (name: string): Uint8Array => decodeHex(golden[name])
const exchanges: readonly RecordedExchange[] = golden.exchanges
const personalisation = decodePersonalisation(JSON.stringify(golden.personalisation))
const [r, d, signature, userKey] = [bytes('r'), bytes('d'), bytes('signature'), bytes('userPublicKey')]
const terminal = decodeCvc(bytes('terminal'))

describe('the golden transcript', () => {
  test('its signature verifies over T only, not over D, nor over r, certHash or A', () => {
    const t = composeT({ certHash: certHash(terminal), r, d })
    expect(verifyDigestSignature(userKey, t, signature)).toBe(true)
    for (const other of [d, certHash(terminal), composeT({ certHash: certHash(terminal), r: d.slice(0, 16), d })]) {
      expect(verifyDigestSignature(userKey, other, signature)).toBe(false)
    }
  })
  test('A is r and the auxiliary data, as protocol.md spells them, and seSig is over A', () => {
    const identifier = '06156982d7f1fc81f5dafaa2a19695d7ee84c09fe32801'
    expect(golden.a).toBe(`${golden.r}673b7339${identifier}5320${golden.d}`)
    expect(encodeHex(composeA({ r, d }))).toBe(golden.a)
    expect(verifySignature(terminal.publicKey, terminal.algorithm, bytes('a'), bytes('seSig'))).toBe(true)
  })
  test('its commands are those of protocol.md section 2', () => {
    const tlv = (tag: string, content: string) =>
      `${tag}${(content.length / 2).toString(16).padStart(2, '0')}${content}`
    const name = (text: string) => tlv('83', Buffer.from(text).toString('hex'))
    const withLc = (header: string, data: string) => `${header}${tlv('', data)}`
    const inner = (certificate: string) => certificate.slice(certificate.indexOf('7f4e'))
    expect(exchanges.map(({ command }) => command)).toEqual([
      '00a4040c0ad392f000260100000001',
      withLc('002281b6', name('JPTESTCA00001')),
      withLc('002a00be', inner(golden.dv)),
      withLc('002281b6', name('JPPROV00001')),
      withLc('002a00be', inner(golden.terminal)),
      withLc('002281a4', `800a04007f00070202020203${name('JPTERM00001')}${golden.a.slice(32)}`),
      '0084000010',
      withLc('00820000', golden.seSig),
      '002a9e9a00',
    ])
  })
  test('the driver sends it byte for byte', async () => {
    const channel = replayChannel(exchanges)
    await selectJpki(channel)
    await presentCertificates(channel, [bytes('dv'), bytes('terminal')])
    await announce(channel, { terminalCertificate: bytes('terminal'), d })
    expect(await getChallenge(channel)).toEqual(r)
    await authenticate(channel, bytes('seSig'))
    expect(await signAuthorised(channel)).toEqual(signature)
  })
  test('the virtual card answers it byte for byte', async () => {
    const card = await powerUp(personalisation, { random: { bytes: (length) => r.slice(0, length) } })
    for (const { command, response } of exchanges) expect(await card.send(command)).toBe(response)
  })
})
