import { decodeBase64url, encodeBase64url } from '#bytes'
import { type Clock, SECOND } from '#clock'
import { HttpError, type Problem } from '#http'
import type { Answer } from '#messages'
import type { DeviceMemory, DeviceState } from './device-memory.ts'
import { TerminalError } from './failures.ts'
import type { ProviderLink } from './provider-link.ts'

/** Where the next device statement stands in the terminal's chain. */
export interface Place {
  readonly counter: number
  /** b64u hash of the statement before it. */
  readonly prev: string
}

/** A proof as it will be sent, and the hash of its device statement. */
export interface WrittenProof {
  readonly body: Uint8Array
  readonly statementHash: string
}

/** What the provider made of a proof. */
export type Delivered =
  | { readonly accepted: true; readonly answer: Answer }
  | { readonly accepted: false; readonly problem: Problem }

/**
 * Write-ahead outbox with one proof in flight. A proof is on disk before it is sent, and the same bytes are sent until
 * the provider accepted them or recorded its refusal: only then does the next statement follow. A second statement with
 * the same `prev` would look like a copied device and suspend the terminal, so none is ever made while one is open.
 */
export interface Outbox {
  /** Sends what an earlier tap left open. @throws TerminalError `proof-pending`, `provider-unreachable`; HttpError `problem` */
  flush(): Promise<Delivered | undefined>
  /** Writes, sends and settles a proof. @throws as {@link flush} */
  submit(compose: (place: Place) => Promise<WrittenProof>): Promise<Delivered>
}

const ATTEMPTS = 3
const PAUSE = SECOND

/** Refused for its form, before the device statement was even read: such bytes can never be accepted later. */
const NEVER_READ: readonly string[] = [
  'malformed',
  'not-canonical',
  'malformed-request',
  'body-too-large',
  'signature-invalid',
]

export function createOutbox(memory: DeviceMemory, provider: ProviderLink, clock: Clock): Outbox {
  async function settle(state: DeviceState, pending: NonNullable<DeviceState['pending']>): Promise<void> {
    await memory.write({ ...state, head: pending.statementHash, counter: pending.counter, pending: null })
  }

  async function deliver(state: DeviceState): Promise<Delivered | undefined> {
    const { pending } = state
    if (!pending) return undefined
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await provider.prove(decodeBase64url(pending.body))
        await settle(state, pending)
        return { accepted: true, answer }
      } catch (error) {
        if (!(error instanceof HttpError)) throw error
        if (error.problem && error.problem.status !== 500) return await judge(state, pending, error.problem)
        if (error.code === 'answer-malformed' && (await hasCounted(pending))) {
          await settle(state, pending) // accepted, in words that this version does not understand
          throw error
        }
        if (attempt === ATTEMPTS) throw new TerminalError('provider-unreachable', {}, { cause: error })
        await clock.sleep(PAUSE)
      }
    }
  }

  /** A refusal: recorded – the chain goes on after it –, or one that left everything as it was. */
  async function judge(
    state: DeviceState,
    pending: NonNullable<DeviceState['pending']>,
    problem: Problem,
  ): Promise<Delivered> {
    if (await hasCounted(pending)) await settle(state, pending)
    else if (NEVER_READ.includes(problem.code)) await memory.write({ ...state, pending: null })
    else throw new TerminalError('proof-pending', { code: problem.code })
    return { accepted: false, problem }
  }

  /** Whether the provider's chain of this terminal ends with the proof's statement. */
  async function hasCounted(pending: NonNullable<DeviceState['pending']>): Promise<boolean> {
    return (await provider.standing()).head === pending.statementHash
  }

  async function submit(compose: (place: Place) => Promise<WrittenProof>): Promise<Delivered> {
    const state = await memory.read()
    if (state.pending) throw new TerminalError('proof-pending')
    const place = { counter: state.counter + 1, prev: state.head }
    const { body, statementHash } = await compose(place)
    const pending = { body: encodeBase64url(body), statementHash, counter: place.counter }
    await memory.write({ ...state, pending })
    const delivered = await deliver({ ...state, pending })
    if (!delivered) throw new TerminalError('sequence-broken', { missing: 'delivery' })
    return delivered
  }

  let turn: Promise<unknown> = Promise.resolve()
  /** Whoever reads the state has settled it before the next one reads: else two statements would share a `prev`. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = turn.then(task)
    turn = mine.catch(() => undefined)
    return mine
  }

  return {
    flush: () => inTurn(async () => deliver(await memory.read())),
    submit: (compose) => inTurn(() => submit(compose)),
  }
}
