import { decodeBase64url, encodeBase64url } from '#bytes'
import {
  announce,
  authenticate,
  getChallenge,
  presentCertificates,
  readTriesLeft,
  readUserCertificate,
  selectJpki,
  signAuthorised,
  signDigest,
  verifyPin,
} from '#card'
import { type Time, timeText } from '#clock'
import { type ConsentRecord, composeA, consentHash, type NonceRow, sealCertificate, statementHash } from '#messages'
import { digestInfoSha256 } from '#pki'
import { TerminalError } from './failures.ts'
import type { TapEnd } from './outcome.ts'
import { composeProof } from './proof.ts'
import type { TapSession } from './session.ts'

/** What is known so far. Each step adds to it; none changes what is there. */
export interface TapState {
  readonly consent?: ConsentRecord
  readonly presentFrom?: Time
  readonly presentTo?: Time
  readonly certificate?: Uint8Array
  readonly sealed?: Uint8Array
  readonly triesLeft?: number
  readonly nonce?: NonceRow
  /** D */
  readonly d?: Uint8Array
  readonly r?: Uint8Array
  readonly seSig?: Uint8Array
  readonly cardSignature?: Uint8Array
  readonly ended?: TapEnd
}

/** One step of a tap. `run` gives what it found. */
export interface TapStep {
  readonly name: string
  run(session: TapSession, state: TapState): Promise<TapState>
}

/** Groups in order; lanes of a group side by side; steps of a lane in order. */
export type Sequence = readonly (readonly (readonly TapStep[])[])[]

/** What an earlier step found. @throws TerminalError `sequence-broken` */
export function found<Name extends keyof TapState>(state: TapState, name: Name): NonNullable<TapState[Name]> {
  const value = state[name]
  if (value === undefined) throw new TerminalError('sequence-broken', { missing: name })
  return value as NonNullable<TapState[Name]>
}

/** 同意 – message 2: nothing leaves the terminal before the holder's OK. */
export const askConsent: TapStep = {
  name: 'consent',
  async run({ terminal, desk, offer }) {
    const given = await desk.askConsent(offer)
    if (!given) return { ended: { result: 'declined' } }
    const salt = encodeBase64url(terminal.random.bytes(16))
    const { textId, purpose, audiences } = offer
    const at = timeText(terminal.clock.now())
    return { consent: { v: 1, ...given, textId, purpose, audiences: [...audiences], at, salt } }
  },
}

/** Waits for a card and opens it for this tap alone. */
export const meetCard: TapStep = {
  name: 'card',
  async run(session) {
    const { terminal, desk } = session
    desk.askCard()
    const impatient = new AbortController()
    const given = AbortSignal.any([impatient.signal, session.over, ...(desk.cancelled ? [desk.cancelled] : [])])
    const waiting = terminal.clock
      .sleep(terminal.cardPatience, impatient.signal)
      .then(() => impatient.abort())
      .catch(() => undefined)
    try {
      await terminal.reader.waitForCard(given)
    } catch (error) {
      if (desk.cancelled?.aborted) return { ended: { result: 'declined' } }
      throw impatient.signal.aborted ? new TerminalError('card-timeout') : error
    } finally {
      impatient.abort()
      await waiting
    }
    const presentFrom = terminal.clock.now()
    await session.openCard()
    return { presentFrom }
  },
}

export const selectApplication: TapStep = {
  name: 'select',
  async run(session) {
    await selectJpki(session.card())
    return {}
  },
}

export const readCertificate: TapStep = {
  name: 'certificate',
  async run(session) {
    return { certificate: await readUserCertificate(session.card()) }
  },
}

/** 機関認証 – the card verifies the provider's and the terminal's certificate. */
export const presentChain: TapStep = {
  name: 'chain',
  async run(session) {
    await presentCertificates(session.card(), session.terminal.chain)
    return {}
  },
}

/** Tries left are known, and shown, before a PIN is asked for. */
export const readTries: TapStep = {
  name: 'tries',
  async run(session) {
    const triesLeft = await readTriesLeft(session.card(), 'user-authentication')
    return triesLeft === 0 ? { ended: { result: 'pin-blocked' } } : { triesLeft }
  },
}

export const askPin: TapStep = {
  name: 'pin',
  async run(session, state) {
    const pin = await session.desk.askPin(found(state, 'triesLeft'))
    if (!pin) return { ended: { result: 'declined' } }
    session.holdPin(pin)
    return {}
  },
}

/** The newest nonce: younger than the holder's OK, and than the digits where there are any. */
export const takeNonce: TapStep = {
  name: 'nonce',
  async run({ terminal, offer }, state) {
    found(state, 'consent')
    return { nonce: await terminal.nonces.take(offer) }
  },
}

/** S and D; the provider composes the same from its own rows. */
export const composeStatement: TapStep = {
  name: 'statement',
  async run({ terminal }, state) {
    const { nonce, role, mechanism, basis, purpose, prior } = found(state, 'nonce')
    const { provider, institution, id } = terminal
    const consent = encodeBase64url(consentHash(found(state, 'consent')))
    const place = { provider, institution, terminal: id, role, mechanism, basis, purpose, nonce, consent }
    return { d: statementHash({ v: 1, ...place, ...(prior === undefined ? {} : { prior }) }) }
  },
}

export const announceStatement: TapStep = {
  name: 'announce',
  async run(session, state) {
    await announce(session.card(), { terminalCertificate: session.terminal.chain[1], d: found(state, 'd') })
    return {}
  },
}

/** r, the card's own nonce. */
export const drawChallenge: TapStep = {
  name: 'challenge',
  async run(session) {
    return { r: await getChallenge(session.card()) }
  },
}

/** seSig – the institution key signs A = r ‖ D in its frame, and nothing else ever. */
export const authoriseStatement: TapStep = {
  name: 'authorise',
  async run({ terminal }, state) {
    return { seSig: await terminal.institutionKey.sign(composeA({ r: found(state, 'r'), d: found(state, 'd') })) }
  },
}

export const authenticateInstitution: TapStep = {
  name: 'authenticate',
  async run(session, state) {
    await authenticate(session.card(), found(state, 'seSig'))
    return {}
  },
}

/** The card signs T, which it composes itself. */
export const signWithoutPin: TapStep = {
  name: 'sign',
  async run(session) {
    return { cardSignature: await signAuthorised(session.card()) }
  },
}

export const verifyHoldersPin: TapStep = {
  name: 'verify',
  async run(session) {
    const verdict = await verifyPin(session.card(), 'user-authentication', session.pin())
    switch (verdict.outcome) {
      case 'verified':
        return {}
      case 'wrong':
        return { ended: { result: 'wrong-pin', triesLeft: verdict.triesLeft } }
      case 'blocked':
        return { ended: { result: 'pin-blocked' } }
    }
  },
}

/** The card signs D, its PIN being verified. */
export const signStatement: TapStep = {
  name: 'sign',
  async run(session, state) {
    const digestInfo = digestInfoSha256(found(state, 'd'))
    return { cardSignature: await signDigest(session.card(), 'user-authentication', digestInfo) }
  },
}

/** The user certificate leaves the terminal only so. */
export const sealUserCertificate: TapStep = {
  name: 'seal',
  async run({ terminal }, state) {
    const nonce = decodeBase64url(found(state, 'nonce').nonce)
    return { sealed: await sealCertificate(found(state, 'certificate'), nonce, terminal.sealingKey) }
  },
}

/** The card is done with: no PIN and no authorisation outlives this. */
export const powerOff: TapStep = {
  name: 'power-off',
  async run(session) {
    await session.releaseCard()
    return { presentTo: session.terminal.clock.now() }
  },
}

/** Messages 5 and 6: the device states what it saw, the proof is written ahead, sent, and answered. */
export const proveToProvider: TapStep = {
  name: 'prove',
  async run({ terminal }, state) {
    const delivered = await terminal.outbox.submit((place) => composeProof(terminal, state, place))
    return delivered.accepted
      ? { ended: { result: 'recognised', answer: delivered.answer } }
      : { ended: { result: 'refused', problem: delivered.problem } }
  },
}
