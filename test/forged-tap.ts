import { decodeBase64url, encodeBase64url } from '#bytes'
import {
  announce,
  authenticate,
  getChallenge,
  type Personalisation,
  presentCertificates,
  selectJpki,
  signAuthorised,
  signDigest,
  verifyPin,
} from '#card'
import { timeText } from '#clock'
import {
  type ConsentRecord,
  canonicalJson,
  composeA,
  composeT,
  consentHash,
  type DeviceStatement,
  deviceStatementHash,
  hashText,
  type NonceRow,
  type PresenceStatement,
  type Proof,
  sealCertificate,
  sha256,
  signDeviceStatement,
  statementHash,
  type Transcript,
} from '#messages'
import { certHash, decodeCvc, digestInfoSha256, type Signer } from '#pki'
import type { Provider } from '../src/provider/context.ts'
import { identifyTerminal } from '../src/provider/terminals.ts'
import type { Place } from '../src/terminal/outbox.ts'
import type { Offer } from '../src/terminal/terminal.ts'
import { powerCard, type TestTerminal } from './tap-rig.ts'

type Change<T> = (honest: T) => T

/**
 * Where a terminal, a card or whoever holds the wire departs from the protocol. Everything that comes later – hashes,
 * signatures – is honest over what is departed to, so that exactly one thing is wrong.
 */
export interface Departure {
  readonly mechanism?: 'institution' | 'pin'
  readonly offer?: Partial<Offer>
  readonly nonce?: NonceRow
  readonly consent?: Change<ConsentRecord>
  readonly statement?: Change<PresenceStatement>
  /** D, as it is announced, signed and stated. */
  readonly announced?: Change<Uint8Array>
  readonly chain?: readonly [Uint8Array, Uint8Array]
  readonly institutionKey?: Signer
  /** What a host has the card sign in a PIN session; without it the card runs the mechanism itself. */
  readonly cardSigns?: (honest: { readonly d: Uint8Array; readonly t: Uint8Array }) => Uint8Array
  readonly certificate?: Change<Uint8Array>
  readonly cardSignature?: Change<Uint8Array>
  readonly transcript?: Change<Transcript | undefined>
  readonly device?: Change<DeviceStatement>
  readonly deviceKey?: Signer
  /** What is sent in the end; nothing is signed over it. */
  readonly proof?: Change<Proof>
  /** Where in the terminal's chain, unless where the provider sees it. */
  readonly place?: Place
}

/** A proof that is ready to be sent. */
export interface ForgedTap {
  readonly body: Uint8Array
  /** b64u, the key of `seen`. */
  readonly statementHash: string
  readonly nonce: NonceRow
  readonly claims: DeviceStatement
  readonly proof: Proof
  readonly d: Uint8Array
  readonly t: Uint8Array
}

const honest = <T>(value: T): T => value
const hash = (bytes: Uint8Array): string => encodeBase64url(sha256(bytes))

/** Taps `card` at `clinic`'s terminal, up to the proof's bytes. The card is a virtual one with everything real. */
export async function forgeTap(
  provider: Provider,
  clinic: TestTerminal,
  card: Personalisation,
  departure: Departure = {},
): Promise<ForgedTap> {
  const { terminal } = clinic
  const { clock, random } = terminal
  const offer: Offer = { ...clinic.offer(departure.mechanism ?? 'institution'), ...departure.offer }
  const consentRecord = (departure.consent ?? honest)({
    v: 1,
    kind: 'ok-button',
    textId: offer.textId,
    lang: 'ja',
    audiences: [...offer.audiences],
    purpose: offer.purpose,
    at: timeText(clock.now()),
    input: 'touch',
    salt: encodeBase64url(random.bytes(16)),
  })
  const nonce = departure.nonce ?? (await terminal.nonces.take(offer))
  const { role, mechanism, basis, purpose } = nonce
  const presentFrom = timeText(clock.now())
  const stated = statementHash(
    (departure.statement ?? honest)({
      ...{ v: 1, provider: terminal.provider, institution: terminal.institution, terminal: terminal.id },
      ...{ role, mechanism, basis, purpose, nonce: nonce.nonce },
      consent: encodeBase64url(consentHash(consentRecord)),
    }),
  )
  const d = (departure.announced ?? honest)(stated)
  const { t, cardSignature: signed, transcript: ran } = await useCard(clinic, card, mechanism, d, departure)
  const cardSignature = (departure.cardSignature ?? honest)(signed)
  const transcript = (departure.transcript ?? honest)(ran)
  const certificate = (departure.certificate ?? honest)(decodeBase64url(card.userAuthentication.certificate))
  const sealed = await sealCertificate(certificate, decodeBase64url(nonce.nonce), terminal.sealingKey)
  const place = departure.place ?? (await placeOf(provider, clinic))
  const claims = (departure.device ?? honest)({
    v: 1,
    terminal: terminal.id,
    nonce: nonce.nonce,
    statementHash: encodeBase64url(d),
    certificateHash: hash(sealed),
    cardSignatureHash: hash(cardSignature),
    transcriptHash: transcript ? hashText(transcript) : null,
    mechanism,
    consentHash: encodeBase64url(consentHash(consentRecord)),
    ...{ operator: null, lease: null, ...place, presentFrom },
    presentTo: timeText(clock.now()),
    at: timeText(clock.now()),
  })
  const deviceStatement = await signDeviceStatement(claims, departure.deviceKey ?? clinic.deviceKey)
  const proof = (departure.proof ?? honest)({
    v: 1,
    nonce: nonce.nonce,
    consentRecord,
    sealedCertificate: encodeBase64url(sealed),
    cardSignature: encodeBase64url(cardSignature),
    ...(transcript ? { transcript } : {}),
    deviceStatement,
  })
  const statement = encodeBase64url(deviceStatementHash(proof.deviceStatement))
  return { body: canonicalJson(proof), statementHash: statement, nonce, claims, proof, d, t }
}

async function placeOf(provider: Provider, clinic: TestTerminal): Promise<Place> {
  const { head, counter } = await identifyTerminal(provider.database, clinic.thumbprint)
  return { prev: head, counter: counter + 1 }
}

/** What the card contributes, and T as it would be for this chain and r. */
async function useCard(
  { terminal, institutionKey }: TestTerminal,
  personalisation: Personalisation,
  mechanism: string,
  d: Uint8Array,
  departure: Departure,
): Promise<{ t: Uint8Array; cardSignature: Uint8Array; transcript: Transcript | undefined }> {
  const device = powerCard(personalisation)
  const channel = { extendedLength: true, transmit: (command: Uint8Array) => device.process(command) }
  const chain = departure.chain ?? terminal.chain
  const key = departure.institutionKey ?? institutionKey
  const tOf = (r: Uint8Array): Uint8Array => composeT({ certHash: certHash(decodeCvc(chain[1])), r, d })
  const transcriptOf = (r: Uint8Array, seSig: Uint8Array): Transcript => {
    const [dv, own] = chain
    return {
      v: 1,
      chain: [encodeBase64url(dv), encodeBase64url(own)],
      r: encodeBase64url(r),
      seSig: encodeBase64url(seSig),
    }
  }
  await device.powerUp()
  await selectJpki(channel)
  if (mechanism === 'institution' && !departure.cardSigns) {
    await presentCertificates(channel, chain)
    await announce(channel, { terminalCertificate: chain[1], d })
    const r = await getChallenge(channel)
    const seSig = await key.sign(composeA({ r, d }))
    await authenticate(channel, seSig)
    return { t: tOf(r), cardSignature: await signAuthorised(channel), transcript: transcriptOf(r, seSig) }
  }
  const r = terminal.random.bytes(16)
  const t = tOf(r)
  await verifyPin(channel, 'user-authentication', new TextEncoder().encode(personalisation.pin))
  const digest = departure.cardSigns?.({ d, t }) ?? d
  const cardSignature = await signDigest(channel, 'user-authentication', digestInfoSha256(digest))
  const transcript = mechanism === 'pin' ? undefined : transcriptOf(r, await key.sign(composeA({ r, d })))
  return { t, cardSignature, transcript }
}
