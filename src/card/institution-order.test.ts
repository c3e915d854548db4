import { beforeAll, describe, expect, test } from 'vitest'
import { statusText } from '#apdu'
import { encodeHex, encodeTlv } from '#bytes'
import { composeA } from '#messages'
import { announced, ascii, authorised, createTestPersonalisation, PIN, powerUp, TestInstitution } from './fixture.ts'
import { getChallenge } from './get-challenge.ts'
import { announce, authenticate, signAuthorised } from './institution-authentication.ts'
import type { Personalisation } from './personalisation.ts'
import { readUserCertificate } from './read-binary.ts'
import { selectJpki } from './select.ts'
import { presentCertificates } from './verify-certificate.ts'

const D = new Uint8Array(32).fill(0xd1)
const SIGN = '002a9e9a00'
const CHALLENGE = '0084000010'
const institution = new TestInstitution()
let personalisation: Personalisation
let chain: readonly Uint8Array[]

beforeAll(async () => {
  personalisation = (await createTestPersonalisation(await institution.root())).personalisation
  chain = await institution.chain()
})

const authenticateApdu = (signature: Uint8Array): string => `00820000${encodeHex(encodeTlv(0, signature)).slice(2)}`
const seSig = (r: Uint8Array): Promise<Uint8Array> => institution.terminalKey.sign(composeA({ r, d: D }))

async function challenged() {
  const card = await powerUp(personalisation)
  await announced(card, chain, D)
  return { card, r: await getChallenge(card) }
}

async function readyToSign() {
  const card = await powerUp(personalisation)
  return { card, r: await authorised(card, chain, D, institution.terminalKey) }
}

describe('order: what is not next in the sequence drops what is under way', () => {
  const others: readonly (readonly [string, string, string])[] = [
    ['a read', '00b08a0000', '9000'],
    ['a read that fails', '00b0810000', '6982'],
    ['SELECT of a file', '00a4020c020006', '9000'],
    ['SELECT of the same application', '00a4040c0ad392f000260100000001', '9000'],
    ['SELECT of an unknown application', '00a4040c05a000000001', '6a82'],
    ['a query of the PIN', '00200098', '63c3'],
    ['a right PIN', `0020009804${encodeHex(ascii(PIN))}`, '9000'],
    ['a random challenge', '0084000004', '9000'],
    ['80 2A', '802a029720000000000000000000000000000000000000000000000000000000000000000000', '6982'],
    ['an unknown command', '00fe0000', '6d00'],
    ['an unknown class', 'ff000000', '6e00'],
    ['bytes that are no command', '00', '6700'],
    ['GET RESPONSE with nothing to get', '00c0000000', '6985'],
    ['MSE with other parameters', '00228142', '6a86'],
    ['PSO with other parameters', '002a0000', '6a86'],
  ]
  test.each(others.filter(([name]) => name !== 'a wrong chain'))(
    '%s between announcement, challenge and authentication, and before the signature',
    async (_name, command, sw) => {
      const after = await powerUp(personalisation)
      await announced(after, chain, D)
      expect((await after.send(command)).slice(-4)).toBe(sw)
      const r = await getChallenge(after)
      expect(await after.send(authenticateApdu(await seSig(r)))).toBe('6985')

      const between = await challenged()
      expect((await between.card.send(command)).slice(-4)).toBe(sw)
      expect(await between.card.send(authenticateApdu(await seSig(between.r)))).toBe('6985')

      const before = await readyToSign()
      expect((await before.card.send(command)).slice(-4)).toBe(sw)
      expect(await before.card.send(SIGN)).toBe('6985')
    },
  )
  test('reads keep the chain: the certificates need not be presented again', async () => {
    const { card } = await challenged()
    await readUserCertificate(card)
    await announce(card, { terminalCertificate: chain[1] ?? D, d: D })
    await authenticate(card, await seSig(await getChallenge(card)))
    expect(await signAuthorised(card)).toHaveLength(256)
  })
  test.each([
    ['another application', (card: Awaited<ReturnType<typeof powerUp>>) => card.send('00a4040c07a0000001510000')],
    ['a warm reset', (card: Awaited<ReturnType<typeof powerUp>>) => card.device.reset()],
    ['a power cut', (card: Awaited<ReturnType<typeof powerUp>>) => card.device.powerUp()],
  ])('%s drops the chain as well', async (_name, leave) => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    await presentCertificates(card, chain)
    await leave(card)
    await selectJpki(card)
    await expect(announce(card, { terminalCertificate: chain[1] ?? D, d: D })).rejects.toMatchObject({
      detail: { status: statusText(0x6985) },
    })
  })
  test('authentication and signature from nothing are out of order', async () => {
    const card = await powerUp(personalisation)
    await selectJpki(card)
    expect(await card.send(authenticateApdu(new Uint8Array(64)))).toBe('6985')
    expect(await card.send(SIGN)).toBe('6985')
    expect(await card.send(CHALLENGE)).toMatch(/9000$/)
  })
})
