import type { Mechanism } from '#messages'
import { TerminalError } from './failures.ts'
import type { TapOutcome } from './outcome.ts'
import { createTapSession } from './session.ts'
import {
  announceStatement,
  askConsent,
  askPin,
  authenticateInstitution,
  authoriseStatement,
  composeStatement,
  drawChallenge,
  meetCard,
  powerOff,
  presentChain,
  proveToProvider,
  readCertificate,
  readTries,
  type Sequence,
  sealUserCertificate,
  selectApplication,
  signStatement,
  signWithoutPin,
  type TapState,
  takeNonce,
  verifyHoldersPin,
} from './steps.ts'
import type { Desk, Offer, Terminal } from './terminal.ts'

/**
 * The protocol, as data: the groups run one after the other, the lanes of a group side by side, the steps of a lane in
 * order. Whatever leaves the terminal comes after `askConsent`; the nonce is taken after it, and after the PIN's digits.
 */
export const SEQUENCES: Partial<Record<Mechanism, Sequence>> = {
  institution: [
    [[askConsent]],
    [[meetCard, selectApplication, readCertificate, presentChain]],
    [[takeNonce, composeStatement]], // not before the card is there: a nonce lives for a minute, a holder may search longer
    [
      [announceStatement, drawChallenge, authoriseStatement, authenticateInstitution, signWithoutPin],
      [sealUserCertificate],
    ],
    [[powerOff]],
    [[proveToProvider]],
  ],
  pin: [
    [[askConsent]],
    [[meetCard, selectApplication, readCertificate, readTries, askPin]],
    [[takeNonce, composeStatement]],
    [[verifyHoldersPin, signStatement], [sealUserCertificate]],
    [[powerOff]],
    [[proveToProvider]],
  ],
}

/**
 * カードをかざす – one tap: consent, card, proof, answer. Whatever happens, the card is powered off and the PIN erased.
 * @returns what became of it, if that is a result: recognised, declined, wrong PIN, refused by the provider
 * @throws TerminalError, CardError, ReaderError, HttpError – nothing is half done; a proof once sent is sent again
 */
export async function tap(
  terminal: Terminal,
  desk: Desk,
  offer: Offer,
  sequence: Sequence | undefined = SEQUENCES[offer.mechanism],
): Promise<TapOutcome> {
  if (!sequence) throw new TerminalError('mechanism-without-sequence', { mechanism: offer.mechanism })
  const session = createTapSession({ ...terminal }, desk, offer) // one chain, even if a newer one comes meanwhile
  let state: TapState = {}
  try {
    const late = await terminal.outbox.flush() // one proof in flight: an earlier one comes first
    if (late) await desk.reportLate?.(late)
    for (const lanes of sequence) {
      const gains = await Promise.all(lanes.map((lane) => session.run(lane, state)))
      state = Object.assign({}, state, ...gains)
      if (state.ended) return { ...state.ended, ...session.record() }
    }
    throw new TerminalError('sequence-broken', { missing: 'outcome' })
  } finally {
    await session.end()
  }
}
