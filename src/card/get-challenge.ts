import { type CardChannel, command, SW } from '#apdu'
import { CardError } from './failures.ts'
import { next } from './institution-state.ts'
import { answer, type Outcome, type Received } from './session.ts'
import { type CardStep, OK, perform } from './step.ts'

/** Length of r, the card's challenge in institution authentication. */
export const CHALLENGE_LENGTH = 16

/** GET CHALLENGE for r; in institution authentication it comes right after the announcement. */
export const challengeStep: CardStep = {
  name: 'get a challenge',
  command: command('00840000', new Uint8Array(0), CHALLENGE_LENGTH),
  expect: OK,
}

/** r, 16 bytes. @throws CardError `answer-incomplete`, `unexpected-status` */
export async function getChallenge(channel: CardChannel): Promise<Uint8Array> {
  const { data } = await perform(channel, challengeStep)
  if (data.length !== CHALLENGE_LENGTH) throw new CardError('answer-incomplete', { step: challengeStep.name })
  return data
}

/** The card's side: random bytes at any time, in any application; they are a challenge only after an announcement. */
export function answerGetChallenge({ apdu, contents, session, institution }: Received): Outcome {
  if (apdu.p1 !== 0 || apdu.p2 !== 0) return answer(SW.wrongP1P2)
  if (apdu.data.length > 0 || apdu.le === undefined || apdu.le > 256) return answer(SW.wrongLength)
  const data = contents.random.bytes(apdu.le)
  const response = { data, sw: SW.ok }
  if (apdu.le !== CHALLENGE_LENGTH) return { response }
  return { response, session: { ...session, institution: next(institution, { kind: 'challenged', r: data }) } }
}
