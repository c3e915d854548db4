import { apduFailures } from '#apdu'
import { bytesFailures, encodeBase64url } from '#bytes'
import { cardFailures } from '#card'
import { evidenceFailures } from '#evidence'
import { type Bilingual, CodedError, type Failure } from '#failure'
import { HttpError, httpFailures } from '#http'
import { messagesFailures } from '#messages'
import { pkiFailures } from '#pki'
import { readerFailures } from '#reader'
import { TerminalError, terminalFailures } from './failures.ts'
import type { TapOutcome, TapRecord } from './outcome.ts'
import { type ExpectedAnswer, type ProviderVerificationKeys, verifyAnswer } from './receipt.ts'
import { tap } from './tap.ts'
import type { TapResult, TapView } from './tap-view.ts'
import type { Consent, Desk, Offer, StepTime, Terminal } from './terminal.ts'

/** Every failure that can reach the front of a terminal, for people. */
const catalogue: Readonly<Record<string, Failure>> = {
  ...bytesFailures,
  ...apduFailures,
  ...pkiFailures,
  ...evidenceFailures,
  ...messagesFailures,
  ...httpFailures,
  ...cardFailures,
  ...readerFailures,
  ...terminalFailures,
}

/** The one place where a terminal takes taps: one at a time, each waiting for what the holder or clerk does. */
export interface Front {
  offers(): readonly Offer[]
  /** @throws TerminalError `busy`, `not-offered` */
  begin(wanted: { readonly purpose: string; readonly mechanism: string }): TapView
  /** @throws TerminalError `no-tap` */
  view(id: string): TapView
  /** The holder's answer to the question for consent; `undefined` declines. @throws TerminalError `step-not-awaited` */
  consent(id: string, given: Consent | undefined): void
  /** The digits; the array is erased by the tap. @throws TerminalError `step-not-awaited` */
  pin(id: string, digits: Uint8Array | undefined): void
  cancel(id: string): void
  /** Calls `listener` with every change until the returned function is called. */
  watch(listener: (view: TapView) => void): () => void
  /** Cancels what is under way and waits for its end. */
  close(): Promise<void>
}

interface Live {
  view: TapView
  readonly cancelling: AbortController
  awaited?:
    | { readonly for: 'consent'; readonly resolve: (consent: Consent | undefined) => void }
    | {
        readonly for: 'pin'
        readonly resolve: (digits: Uint8Array | undefined) => void
      }
  done: Promise<void>
}

export function createFront(terminal: Terminal, offers: readonly Offer[], keys: ProviderVerificationKeys): Front {
  const listeners = new Set<(view: TapView) => void>()
  let live: Live | undefined

  const newId = (): string => encodeBase64url(terminal.random.bytes(12))

  function tell(view: TapView): void {
    for (const listener of listeners) listener(view)
  }

  function show(tapping: Live, view: TapView): void {
    tapping.view = view
    tell(view)
  }

  function get(id: string): Live {
    if (live?.view.id !== id) throw new TerminalError('no-tap')
    return live
  }

  async function run(tapping: Live, offer: Offer): Promise<void> {
    const { id } = tapping.view
    const steps: StepTime[] = []
    const shown = viewOf(offer)
    const desk: Desk = {
      cancelled: tapping.cancelling.signal,
      askConsent: () =>
        new Promise((resolve) => {
          tapping.awaited = { for: 'consent', resolve }
          show(tapping, { id, stage: 'consent', offer: shown })
        }),
      askCard: () => show(tapping, { id, stage: 'card', offer: shown }),
      askPin: (triesLeft) =>
        new Promise((resolve) => {
          tapping.awaited = { for: 'pin', resolve }
          show(tapping, { id, stage: 'pin', offer: shown, triesLeft })
        }),
      async reportLate(delivered) {
        const end = delivered.accepted
          ? { result: 'recognised' as const, answer: delivered.answer }
          : { result: 'refused' as const, problem: delivered.problem }
        const outcome = await describe({ ...end, steps: [], trace: [] }, expected(), keys)
        tell({ id: newId(), stage: 'ended', offer: shown, outcome }) // a tap of its own: its holder has left
      },
      report(step) {
        steps.push(step)
        // While a card or a PIN is awaited, steps of another lane go on behind that screen.
        const { stage } = tapping.view
        if ((stage === 'card' || stage === 'pin') && step.name !== stage) return
        show(tapping, { id, stage: 'working', offer: shown, steps: [...steps] })
      },
    }
    const outcome = await conclude(offer, tap(terminal, desk, offer), steps)
    show(tapping, { id, stage: 'ended', offer: shown, outcome })
  }

  /** What an answer must be about; a late one may be to another offer of this terminal. */
  const expected = (offer?: Offer): ExpectedAnswer => ({
    institution: terminal.institution,
    terminal: terminal.id,
    ...(offer ? { purpose: offer.purpose, mechanism: offer.mechanism } : {}),
  })

  async function conclude(offer: Offer, tapping: Promise<TapOutcome>, steps: readonly StepTime[]): Promise<TapResult> {
    try {
      return await describe(await tapping, expected(offer), keys)
    } catch (error) {
      return { result: 'failed', problem: explain(error), steps: [...steps], trace: [] }
    }
  }

  return {
    offers: () => offers,
    begin({ purpose, mechanism }) {
      if (live && live.view.stage !== 'ended') throw new TerminalError('busy')
      const offer = offers.find((one) => one.purpose === purpose && one.mechanism === mechanism)
      if (!offer) throw new TerminalError('not-offered', { purpose, mechanism })
      const id = newId()
      const view: TapView = { id, stage: 'working', offer: viewOf(offer), steps: [] }
      const tapping: Live = { view, cancelling: new AbortController(), done: Promise.resolve() }
      live = tapping
      tapping.done = run(tapping, offer)
      return tapping.view
    },
    view: (id) => get(id).view,
    consent(id, given) {
      const tapping = get(id)
      const { awaited } = tapping
      if (awaited?.for !== 'consent') throw new TerminalError('step-not-awaited')
      delete tapping.awaited
      awaited.resolve(given)
    },
    pin(id, digits) {
      const tapping = get(id)
      const { awaited } = tapping
      if (awaited?.for !== 'pin') throw new TerminalError('step-not-awaited')
      delete tapping.awaited
      awaited.resolve(digits)
    },
    cancel: (id) => cancel(get(id)),
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      if (!live) return
      cancel(live)
      await live.done
    },
  }
}

function cancel(tapping: Live): void {
  tapping.cancelling.abort()
  tapping.awaited?.resolve(undefined)
  delete tapping.awaited
}

function viewOf({ purpose, mechanism, basis, audiences, textId }: Offer) {
  return { purpose, mechanism, basis, audiences: [...audiences], textId }
}

/** An error for people: its code with cause and remedy in both languages; what is not ours is `internal`. */
export function explain(error: unknown): { code: string; cause: Bilingual; remedy: Bilingual } {
  if (error instanceof HttpError && error.problem) return error.problem
  if (error instanceof TerminalError && error.cause instanceof HttpError && error.cause.problem)
    return error.cause.problem
  const code = error instanceof CodedError && catalogue[error.code] ? String(error.code) : 'internal'
  const { cause, remedy } = catalogue[code] ?? httpFailures.internal
  return { code, cause, remedy }
}

async function describe(
  outcome: TapOutcome,
  expected: ExpectedAnswer,
  keys: ProviderVerificationKeys,
): Promise<TapResult> {
  const { steps, trace }: TapRecord = outcome
  const record = { steps: [...steps], trace: [...trace] }
  switch (outcome.result) {
    case 'recognised': {
      const { answer } = outcome
      const { claims, root } = await verifyAnswer(answer, expected, keys)
      return {
        result: 'recognised',
        mechanism: claims.mechanism,
        basis: claims.basis,
        pairwiseId: claims.sub,
        returning: answer.records?.visit.returning ?? false,
        certificate: claims.certificate,
        eligibility: answer.records?.eligibility ?? null,
        institutionToken: answer.institutionToken,
        serviceTokens: answer.serviceTokens,
        evidence: { index: answer.evidence.index, root },
        ...record,
      }
    }
    case 'refused':
      return { result: 'refused', problem: outcome.problem, ...record }
    case 'wrong-pin':
      return { result: 'wrong-pin', triesLeft: outcome.triesLeft }
    case 'declined':
    case 'pin-blocked':
      return { result: outcome.result }
  }
}
