import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { CardReader, RecordedExchange } from '#apdu'
import { encodeHex } from '#bytes'
import {
  announce,
  authenticate,
  createMemoryCardState,
  createVirtualCard,
  FILE,
  getChallenge,
  initialCardState,
  presentCertificates,
  readCertificate,
  readTriesLeft,
  selectJpki,
  signAuthorised,
  signDigest,
  verifyPin,
} from '#card'
import { systemClock as clock, type Random } from '#clock'
import { composeA } from '#messages'
import { digestInfoSha256, type Signer } from '#pki'
import { createInProcessReader, createReplayReader, openPcsc, servePcd } from '#reader'
import { ascii, createTestPersonalisation, PASSWORD, PIN, TestInstitution } from '../src/card/fixture.ts'
import { startPcscd } from './pcscd.ts'
import type { Scenarios } from './pcscd-rig.ts'

/* The same session through pcscd and in this process must be the same to the last byte. */

/** The same bytes in each run: what makes two sessions comparable. */
function createCountedRandom(): Random {
  let count = 0
  return {
    bytes: (length) => Uint8Array.from(createHash('shake256', { outputLength: length }).update(`${count++}`).digest()),
  }
}

/** ECDSA signatures differ each time; what was signed once is answered again. */
function remember(signer: Signer): Signer {
  const made = new Map<string, Uint8Array>()
  return {
    ...signer,
    async sign(data) {
      const known = made.get(encodeHex(data)) ?? (await signer.sign(data))
      made.set(encodeHex(data), known)
      return known
    },
  }
}

interface Session {
  readonly atr: string
  readonly exchanges: readonly RecordedExchange[]
}

type Work = (card: Parameters<typeof selectJpki>[0]) => Promise<unknown>

async function record(reader: CardReader, extendedLength: boolean, work: Work): Promise<Session & { ms: number }> {
  await reader.waitForCard()
  const card = await reader.connect()
  const exchanges: RecordedExchange[] = []
  const start = clock.monotonic()
  try {
    await work({
      extendedLength,
      async transmit(command) {
        const sent = encodeHex(command)
        const response = await card.transmit(command)
        exchanges.push({ command: sent, response: encodeHex(response) })
        return response
      },
    })
  } finally {
    await card.disconnect()
  }
  return { atr: encodeHex(card.atr), exchanges, ms: clock.monotonic() - start }
}

/** Institution authentication and the PIN mechanism in one sitting: certificates, signatures, a wrong PIN. */
function wholeSitting(chain: readonly Uint8Array[], terminal: Signer): Work {
  const d = createHash('sha256').update('statement').digest()
  return async (card) => {
    await selectJpki(card)
    await presentCertificates(card, chain)
    await announce(card, { terminalCertificate: chain.at(-1) ?? new Uint8Array(0), d })
    const r = await getChallenge(card)
    await authenticate(card, await terminal.sign(composeA({ r, d })))
    assert.equal((await signAuthorised(card)).length, 256)
    assert.equal((await readCertificate(card, FILE.userCertificate)).length, 1500)
    assert.deepEqual(await verifyPin(card, 'user-authentication', ascii('0000')), { outcome: 'wrong', triesLeft: 2 })
    assert.equal(await readTriesLeft(card, 'user-authentication'), 2)
    assert.deepEqual(await verifyPin(card, 'user-authentication', ascii(PIN)), { outcome: 'verified' })
    assert.equal((await signDigest(card, 'user-authentication', digestInfoSha256(d))).length, 256)
    assert.deepEqual(await verifyPin(card, 'signature', ascii(PASSWORD)), { outcome: 'verified' })
    assert.equal((await readCertificate(card, FILE.signatureCertificate)).length, 1500)
    assert.equal((await signDigest(card, 'signature', digestInfoSha256(d))).length, 256)
  }
}

const compare = (kind: 'ec' | 'rsa', extendedLength: boolean) => async () => {
  const institution = new TestInstitution(kind)
  const { personalisation } = await createTestPersonalisation(await institution.root())
  const work = wholeSitting(await institution.chain(), remember(institution.terminalKey))
  const newCard = () =>
    createVirtualCard({
      personalisation,
      state: createMemoryCardState(initialCardState(personalisation)),
      random: createCountedRandom(),
    })

  const inProcess = createInProcessReader('desk', { extendedLength })
  inProcess.insert(newCard())
  const near = await record(inProcess, extendedLength, work)

  const pcscd = await startPcscd({ DESK: 35963 })
  const lying = servePcd({ host: '127.0.0.1', port: 35963, device: newCard(), clock })
  const pcsc = await openPcsc({ clock })
  try {
    const far = await record(await pcsc.reader('DESK 00 00'), extendedLength, work)
    assert.ok(near.exchanges.length >= 15)
    assert.deepEqual(far.exchanges, near.exchanges)
    assert.equal(far.atr, near.atr)
    const replay = createReplayReader('recording', { atr: Buffer.from(far.atr, 'hex'), exchanges: far.exchanges })
    assert.deepEqual((await record(replay, extendedLength, work)).exchanges, near.exchanges)
    const commands = near.exchanges.length
    const perCommand = (far.ms - near.ms) / commands
    assert.ok(perCommand < 20, `${perCommand} ms per command`) // about 1 ms
    return { commands, nearMs: near.ms, farMs: far.ms }
  } finally {
    await pcsc.close()
    await lying.stop()
    await pcscd.stop()
  }
}

export const scenarios: Scenarios = {
  'with the terminal key on P-256, extended length': compare('ec', true),
  'with the terminal key on P-256, short commands': compare('ec', false),
  'with an RSA terminal key, extended length': compare('rsa', true),
  'with an RSA terminal key, short commands and chaining': compare('rsa', false),
}
