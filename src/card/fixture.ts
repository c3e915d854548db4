import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { CardChannel, CardDevice } from '#apdu'
import { decodeHex, encodeBase64url, encodeHex, encodeTlv } from '#bytes'
import { type Random, systemRandom } from '#clock'
import { composeA } from '#messages'
import { type Cvc, type CvcTemplate, issueCvc, type Signer } from '#pki'
import { getChallenge } from './get-challenge.ts'
import { announce, authenticate } from './institution-authentication.ts'
import { createPersonalisation, type Personalisation } from './personalisation.ts'
import { selectJpki } from './select.ts'
import { type CardState, createMemoryCardState, initialCardState, type PersistedCard } from './state.ts'
import { presentCertificates } from './verify-certificate.ts'
import { createVirtualCard } from './virtual-card.ts'

/** For tests: the day a card was issued, and the days of certificates around it. */
export const DAY = {
  before: '2026-10-01',
  issue: '2026-11-01',
  today: '2026-11-22',
  soon: '2027-06-30',
  late: '2029-12-31',
}

export const PIN = '1234'
export const PASSWORD = 'ABC123'
export const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

/** A key of its own, for tests. */
export function createSigner(kind: 'ec' | 'rsa' = 'ec'): Signer {
  const { publicKey, privateKey } =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    algorithm: kind === 'ec' ? 'ecdsa-p256-sha256' : 'rsa-pkcs1-sha256',
    publicKey: spki(publicKey),
    sign: async (data) => Uint8Array.from(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

const spki = (key: KeyObject): Uint8Array => Uint8Array.from(key.export({ type: 'spki', format: 'der' }))

/** Certificates that a test needs, all by real keys; `issue` makes more of them. */
export class TestInstitution {
  readonly rootKey = createSigner()
  readonly dvKey = createSigner()
  readonly terminalKey: Signer

  constructor(kind: 'ec' | 'rsa' = 'ec') {
    this.terminalKey = createSigner(kind)
  }

  root(changes: Partial<CvcTemplate> = {}, signer: Signer = this.rootKey): Promise<Cvc> {
    const own = { car: 'JPTESTCA00001', chr: 'JPTESTCA00001', role: 'cvca', pinless: true } as const
    return issueCvc(
      { ...own, publicKey: this.rootKey.publicKey, effective: DAY.before, expiry: DAY.late, ...changes },
      signer,
    )
  }

  dv(changes: Partial<CvcTemplate> = {}, signer: Signer = this.rootKey): Promise<Cvc> {
    const own = { car: 'JPTESTCA00001', chr: 'JPPROV00001', role: 'dv', pinless: true } as const
    return issueCvc(
      { ...own, publicKey: this.dvKey.publicKey, effective: DAY.today, expiry: DAY.soon, ...changes },
      signer,
    )
  }

  terminal(changes: Partial<CvcTemplate> = {}, signer: Signer = this.dvKey): Promise<Cvc> {
    const own = { car: 'JPPROV00001', chr: 'JPTERM00001', role: 'terminal', pinless: true } as const
    return issueCvc(
      { ...own, publicKey: this.terminalKey.publicKey, effective: DAY.issue, expiry: DAY.soon, ...changes },
      signer,
    )
  }

  async chain(): Promise<readonly Uint8Array[]> {
    return [(await this.dv()).raw, (await this.terminal()).raw]
  }
}

/** Something that looks like a certificate to a card and its driver: a DER SEQUENCE of `length` bytes in all. */
export const certificateLike = (length: number, filler: number): Uint8Array =>
  encodeTlv(0x30, new Uint8Array(length - 4).fill(filler))

/** A personalisation with real RSA-2048 keys. */
export async function createTestPersonalisation(root: Cvc, password: string | undefined = PASSWORD) {
  const publicKeys: Uint8Array[] = []
  const personalisation = await createPersonalisation({
    holder: 'test',
    pin: PIN,
    ...(password === '' ? {} : { password }),
    institutionRoots: { current: encodeBase64url(root.raw) },
    date: DAY.issue,
    async issue({ publicKey }) {
      publicKeys.push(publicKey)
      const filler = publicKeys.length
      return { certificate: certificateLike(1500, filler), caCertificate: certificateLike(1000, filler + 0x10) }
    },
  })
  return { personalisation, publicKeys }
}

/** A card that is powered, with its driver's channel and a short way to send hexadecimal. */
export interface TestCard extends CardChannel {
  readonly device: CardDevice
  readonly state: CardState
  /** Response in hexadecimal to a command in hexadecimal. */
  send(command: string): Promise<string>
}

export async function powerUp(
  personalisation: Personalisation,
  changes: { state?: CardState; random?: Random; extendedLength?: boolean; memory?: Partial<PersistedCard> } = {},
): Promise<TestCard> {
  const state = changes.state ?? createMemoryCardState({ ...initialCardState(personalisation), ...changes.memory })
  const device = createVirtualCard({ personalisation, state, random: changes.random ?? systemRandom })
  await device.powerUp()
  const transmit = (command: Uint8Array): Promise<Uint8Array> => device.process(command)
  return {
    device,
    state,
    transmit,
    extendedLength: changes.extendedLength ?? true,
    send: async (command) => encodeHex(await transmit(decodeHex(command))),
  }
}

/** Everything up to the challenge. */
export async function announced(card: CardChannel, chain: readonly Uint8Array[], d: Uint8Array): Promise<void> {
  await selectJpki(card)
  await presentCertificates(card, chain)
  await announce(card, { terminalCertificate: chain.at(-1) ?? new Uint8Array(0), d })
}

/** Everything up to the signature; gives r. */
export async function authorised(
  card: CardChannel,
  chain: readonly Uint8Array[],
  d: Uint8Array,
  key: Signer,
): Promise<Uint8Array> {
  await announced(card, chain, d)
  const r = await getChallenge(card)
  await authenticate(card, await key.sign(composeA({ r, d })))
  return r
}
