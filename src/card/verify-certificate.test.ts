import { beforeAll, describe, expect, test } from 'vitest'
import { encodeCommand } from '#apdu'
import { encodeBase64url, encodeHex, encodeTlv } from '#bytes'
import type { Cvc, CvcTemplate } from '#pki'
import { CardError } from './failures.ts'
import {
  certificateLike,
  createSigner,
  createTestPersonalisation,
  DAY,
  powerUp,
  type TestCard,
  TestInstitution,
} from './fixture.ts'
import type { Personalisation } from './personalisation.ts'
import { readFile } from './read-binary.ts'
import { selectJpki } from './select.ts'
import type { PersistedCard } from './state.ts'
import { certificateSteps, presentCertificates } from './verify-certificate.ts'

const institution = new TestInstitution()
let personalisation: Personalisation
let root: Cvc

beforeAll(async () => {
  root = await institution.root()
  personalisation = (await createTestPersonalisation(root, '')).personalisation
})

async function cardWith(memory: Partial<PersistedCard> = {}): Promise<TestCard> {
  const card = await powerUp(personalisation, { memory })
  await selectJpki(card)
  return card
}

/** Status words of MSE:SET DST and PSO:VERIFY CERTIFICATE, in hexadecimal. */
async function present(card: TestCard, certificate: Uint8Array): Promise<string> {
  const answers: string[] = []
  for (const { command } of certificateSteps(certificate)) {
    answers.push(encodeHex(await card.transmit(encodeCommand(command))))
  }
  return answers.join(' ')
}

const dvUnder = (changes: Partial<CvcTemplate>) => () => institution.dv(changes)

describe('a certificate that the card refuses', () => {
  test.each<[string, () => Promise<Cvc>, string]>([
    ['an unknown issuer', dvUnder({ car: 'JPOTHER00001' }), '6a88 6985'],
    ['a wrong signature', () => institution.dv({}, createSigner()), '9000 6300'],
    ['a terminal right under the CVCA', dvUnder({ role: 'terminal' }), '9000 6300'],
    ['an expiry before the date of the card', dvUnder({ effective: DAY.before, expiry: '2026-10-31' }), '9000 6300'],
  ])('with %s', async (_name, make, answers) => {
    const card = await cardWith()
    expect(await present(card, (await make()).raw)).toBe(answers)
    // Nothing of it is kept: its holder is no known signer.
    expect(await present(card, (await institution.terminal()).raw)).toBe('6a88 6985')
    expect(await card.state.read()).toMatchObject({ date: DAY.issue })
  })
  test('a child never outlives its parent, neither a DV its CVCA nor a terminal its DV', async () => {
    const card = await cardWith()
    expect(await present(card, (await institution.dv({ expiry: '2030-01-01' })).raw)).toBe('9000 6300')
    expect(await present(card, (await institution.dv()).raw)).toBe('9000 9000')
    expect(await present(card, (await institution.terminal({ expiry: '2027-07-01' })).raw)).toBe('9000 6300')
    expect(await present(card, (await institution.terminal({ expiry: DAY.soon })).raw)).toBe('9000 9000')
  })
  test('a terminal cannot sign a certificate', async () => {
    const card = await cardWith()
    await presentCertificates(card, await institution.chain())
    const child = await institution.terminal({ car: 'JPTERM00001', chr: 'JPTERM00009' }, institution.terminalKey)
    expect(await present(card, child.raw)).toBe('9000 6300')
  })
  test('a DV cannot sign a DV', async () => {
    const card = await cardWith()
    await presentCertificates(card, [(await institution.dv()).raw])
    const child = await institution.dv({ car: 'JPPROV00001', chr: 'JPPROV00009' }, institution.dvKey)
    expect(await present(card, child.raw)).toBe('9000 6300')
  })
  test('a certificate of another profile: its CHAT, though signed by the CVCA, is not ours', async () => {
    const { body } = await institution.dv()
    const identifier = Buffer.from(body).indexOf(Buffer.from('7f4c', 'hex')) + 5
    const other = body.map((octet, at) => (at === identifier + 5 ? octet ^ 1 : octet))
    const signature = encodeTlv(0x5f37, await institution.rootKey.sign(other))
    expect(await present(await cardWith(), encodeTlv(0x7f21, other, signature))).toBe('9000 6300')
  })
  test.each([
    ['nothing', ''],
    ['no TLV', 'ff'],
    ['something else', '020101'],
    ['a body without a signature', '7f4e00'],
  ])('PSO with %s is malformed data', async (_name, data) => {
    const card = await cardWith()
    const [name] = certificateSteps((await institution.dv()).raw)
    await card.transmit(encodeCommand(name!.command))
    const lc = data === '' ? '' : (data.length / 2).toString(16).padStart(2, '0')
    expect(await card.send(`002a00be${lc}${data}`)).toBe('6a80')
  })
  test.each(['', '83', '8400', '830041', '8301'])('MSE:SET DST with data %j is malformed or unknown', async (data) => {
    const card = await cardWith()
    const lc = data === '' ? '' : (data.length / 2).toString(16).padStart(2, '0')
    expect(await card.send(`002281b6${lc}${data}`)).toBe('6a80')
  })
  test('PSO without MSE:SET DST, or after anything in between, is out of order', async () => {
    const card = await cardWith()
    const [name, verify] = certificateSteps((await institution.dv()).raw).map(({ command }) => encodeCommand(command))
    expect(encodeHex(await card.transmit(verify!))).toBe('6985')
    await card.transmit(name!)
    await readFile(card, 0x06)
    expect(encodeHex(await card.transmit(verify!))).toBe('6985')
  })
})

describe("the card's date", () => {
  test('is moved by a DV, stored before the answer, and never back', async () => {
    const card = await cardWith()
    await presentCertificates(card, [(await institution.dv({ effective: DAY.today })).raw])
    expect((await card.state.read()).date).toBe(DAY.today)
    await presentCertificates(card, [(await institution.dv({ effective: DAY.before })).raw])
    expect((await card.state.read()).date).toBe(DAY.today)
  })
  test('a terminal certificate never moves the date: its signer is a provider', async () => {
    const card = await cardWith()
    const terminal = await institution.terminal({ effective: '2027-06-01' })
    await presentCertificates(card, [(await institution.dv()).raw, terminal.raw])
    expect((await card.state.read()).date).toBe(DAY.today)
  })
  test('a DV re-issued today carries terminal certificates of earlier days', async () => {
    const card = await cardWith()
    const chain = [
      await institution.dv({ effective: DAY.today }),
      await institution.terminal({ effective: DAY.before }),
    ]
    await presentCertificates(
      card,
      chain.map(({ raw }) => raw),
    )
  })
  test('stops what has expired by then', async () => {
    const card = await cardWith({ date: '2027-07-01' })
    expect(await present(card, (await institution.dv()).raw)).toBe('9000 6300')
  })
  test('a certificate is good through its last day', async () => {
    const card = await cardWith({ date: DAY.soon })
    expect(await present(card, (await institution.dv()).raw)).toBe('9000 9000')
  })
  test('if it cannot be stored, the certificate is not accepted', async () => {
    const good = await cardWith()
    const state = { read: good.state.read, write: () => Promise.reject(new Error('torn')) }
    const card = await powerUp(personalisation, { state })
    await selectJpki(card)
    expect(await present(card, (await institution.dv()).raw)).toBe('9000 6f00')
    expect(await present(card, (await institution.terminal()).raw)).toBe('6a88 6985')
  })
})

describe('a link certificate', () => {
  const nextKey = createSigner()
  const link = (changes: Partial<CvcTemplate> = {}, signer = institution.rootKey): Promise<Cvc> =>
    institution.root(
      { chr: 'JPTESTCA00002', publicKey: nextKey.publicKey, effective: DAY.today, expiry: '2032-12-31', ...changes },
      signer,
    )

  test('from the current anchor, one sequence on, becomes the anchor: it may outlive its issuer and moves the date', async () => {
    const card = await cardWith()
    const certificate = await link()
    await presentCertificates(card, [certificate.raw])
    expect(await card.state.read()).toMatchObject({
      date: DAY.today,
      root: encodeBase64url(certificate.raw),
      previousRoot: encodeBase64url(root.raw),
    })
    const dv = await institution.dv({ car: 'JPTESTCA00002' }, nextKey)
    await presentCertificates(card, [dv.raw, (await institution.terminal()).raw])
  })
  test('keeps one previous anchor until its expiry', async () => {
    const card = await cardWith()
    await presentCertificates(card, [(await link()).raw, (await institution.dv()).raw])
    await presentCertificates(card, [
      (await institution.dv({ car: 'JPTESTCA00002', effective: '2029-12-31', expiry: '2030-06-30' }, nextKey)).raw,
    ])
    expect(await present(card, (await institution.dv({ expiry: DAY.late })).raw)).toBe('9000 9000')
    await presentCertificates(card, [
      (await institution.dv({ car: 'JPTESTCA00002', effective: '2030-01-01', expiry: '2030-06-30' }, nextKey)).raw,
    ])
    expect(await present(card, (await institution.dv({ expiry: DAY.late })).raw)).toBe('6a88 6985')
  })
  test('a second one pushes the first anchor out', async () => {
    const thirdKey = createSigner()
    const card = await cardWith()
    await presentCertificates(card, [(await link()).raw])
    const third = await institution.root(
      { car: 'JPTESTCA00002', chr: 'JPTESTCA00003', publicKey: thirdKey.publicKey },
      nextKey,
    )
    await presentCertificates(card, [third.raw])
    expect(await present(card, (await institution.dv()).raw)).toBe('6a88 6985')
  })
  test.each<[string, () => Promise<Cvc>, string]>([
    ['skipping a sequence number', () => link({ chr: 'JPTESTCA00003' }), '9000 6300'],
    ['of another name', () => link({ chr: 'JPOTHER00002' }), '9000 6300'],
    ['signed by somebody else', () => link({}, nextKey), '9000 6300'],
    ['that is the anchor once more', () => institution.root(), '9000 6300'],
    ['expired', () => link({ effective: DAY.before, expiry: DAY.before }), '9000 6300'],
  ])('%s is refused and changes nothing', async (_name, make, answers) => {
    const card = await cardWith()
    const before = await card.state.read()
    expect(await present(card, (await make()).raw)).toBe(answers)
    expect(await card.state.read()).toEqual(before)
  })
  test('an old link replayed after it was taken is refused: only the current anchor may link', async () => {
    const card = await cardWith()
    const certificate = await link()
    await presentCertificates(card, [certificate.raw])
    const after = await card.state.read()
    expect(await present(card, certificate.raw)).toBe('9000 6300')
    expect(await card.state.read()).toEqual(after)
  })
  test('does not carry over a verified chain', async () => {
    const card = await cardWith()
    await presentCertificates(card, [...(await institution.chain()), (await link()).raw])
    expect(await present(card, (await institution.terminal()).raw)).toBe('6a88 6985')
  })
})

describe('the driver', () => {
  test('names what the card refused, with step and status word', async () => {
    const card = await cardWith()
    const unknown = await institution.dv({ car: 'JPOTHER00001' })
    await expect(presentCertificates(card, [unknown.raw])).rejects.toMatchObject({
      code: 'institution-unknown',
      detail: { step: 'name the issuer of a certificate', status: '6a88' },
    })
    const forged = await institution.dv({}, createSigner())
    await expect(presentCertificates(card, [forged.raw])).rejects.toMatchObject({ code: 'institution-refused' })
  })
  test('sends nothing that is no certificate', async () => {
    const card = await cardWith()
    await expect(presentCertificates(card, [certificateLike(100, 1)])).rejects.not.toBeInstanceOf(CardError)
  })
})
