import { createPrivateKey, type KeyObject } from 'node:crypto'
import {
  ApduError,
  type CardDevice,
  CHAINING,
  type CommandApdu,
  decodeCommand,
  encodeResponse,
  type ResponseApdu,
  SW,
  status,
} from '#apdu'
import { decodeBase64url, decodeHex } from '#bytes'
import type { Random } from '#clock'
import { assemble, type OpenChain } from './chaining.ts'
import { answerComputeSignature } from './compute-signature.ts'
import { createFiles } from './files.ts'
import { answerGetChallenge } from './get-challenge.ts'
import { deliver, isGetResponse } from './get-response.ts'
import { answerAnnounce, answerAuthenticate, answerSignAuthorised } from './institution-authentication.ts'
import { next } from './institution-state.ts'
import type { Personalisation } from './personalisation.ts'
import { answerReadBinary } from './read-binary.ts'
import { answerSelect } from './select.ts'
import { answer, type CardContents, type Outcome, POWERED_UP, type Received, type Session } from './session.ts'
import type { CardState } from './state.ts'
import { answerVerify } from './verify.ts'
import { answerSetSigner, answerVerifyCertificate } from './verify-certificate.ts'

/** 仮想カード – what a virtual card is made of: who it is, its non-volatile memory, its random generator. */
export interface VirtualCardParts {
  readonly personalisation: Personalisation
  readonly state: CardState
  readonly random: Random
}

/**
 * A card with the JPKI application: files, PINs, `80 2A` and institution authentication. It shows the logic of a card,
 * not its tamper resistance. Any bytes get an answer; a memory that fails answers 6F00 and grants nothing.
 */
export function createVirtualCard(parts: VirtualCardParts): CardDevice {
  return new VirtualCard(parts)
}

type Handler = (received: Received) => Outcome | Promise<Outcome>

/** Commands by class and instruction (without the chaining bit); some by P1 P2 as well. */
const HANDLERS: Readonly<Record<string, Handler | Readonly<Record<string, Handler>>>> = {
  '00a4': answerSelect,
  '00b0': answerReadBinary,
  '0020': answerVerify,
  '0084': answerGetChallenge,
  '0082': answerAuthenticate,
  '00c0': () => answer(SW.conditionsOfUse), // nothing waits
  '802a': answerComputeSignature,
  '0022': { '81b6': answerSetSigner, '81a4': answerAnnounce },
  '002a': { '00be': answerVerifyCertificate, '9e9a': answerSignAuthorised },
}

/** Commands that exist outside the JPKI application, too. */
const ANYWHERE: readonly string[] = ['00a4', '0084', '00c0']

class VirtualCard implements CardDevice {
  readonly #atr: Uint8Array
  readonly #contents: CardContents
  #session: Session | undefined
  #waiting: Uint8Array = new Uint8Array(0)
  #chain: OpenChain | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ personalisation, state, random }: VirtualCardParts) {
    const { userAuthentication, signature } = personalisation
    const keys = {
      'user-authentication': importKey(userAuthentication.privateKey),
      ...(signature ? { signature: importKey(signature.privateKey) } : {}),
    }
    this.#atr = decodeHex(personalisation.atr)
    this.#contents = { files: createFiles(personalisation), keys, state, random }
  }

  powerUp(): Promise<Uint8Array> {
    return this.#inTurn(() => this.#start(POWERED_UP))
  }

  reset(): Promise<Uint8Array> {
    return this.#inTurn(() => {
      const before = this.#session?.institution ?? POWERED_UP.institution
      return this.#start({ ...POWERED_UP, institution: next(before, { kind: 'left' }) })
    })
  }

  async powerDown(): Promise<void> {
    await this.#inTurn(() => {
      this.#forgetParts()
      this.#session = undefined
    })
  }

  process(command: Uint8Array): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      const part = parse(command)
      try {
        return encodeResponse(await this.#respond(part))
      } finally {
        // The card's own copy of a PIN, whether or not it came to be looked at.
        if (typeof part !== 'number' && part.ins === 0x20) part.data.fill(0)
      }
    })
  }

  #start(session: Session): Uint8Array {
    this.#forgetParts()
    this.#session = session
    return this.#atr.slice()
  }

  #forgetParts(): void {
    this.#waiting.fill(0)
    this.#waiting = new Uint8Array(0)
    this.#chain = undefined
  }

  /** One thing at a time, as on a chip. */
  #inTurn<T>(task: () => T | Promise<T>): Promise<T> {
    const turn = this.#turn.then(task)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #respond(part: CommandApdu | number): Promise<ResponseApdu> {
    const session = this.#session
    if (!session) return status(SW.unknown) // no power
    if (typeof part !== 'number' && isGetResponse(part) && this.#waiting.length > 0) {
      const delivery = deliver({ data: this.#waiting, sw: SW.ok }, part.le)
      this.#waiting = delivery.waiting
      return delivery.response
    }
    const chain = this.#chain
    this.#forgetParts()
    const assembly = typeof part === 'number' ? ({ kind: 'refused', sw: part } as const) : assemble(chain, part)
    if (assembly.kind === 'open') {
      this.#chain = assembly.chain
      return status(SW.ok)
    }
    // What is under way is taken out before anything is looked at or computed: no failure leaves it behind.
    const { institution } = session
    this.#session = { ...session, institution: next(institution, { kind: 'other' }) }
    if (assembly.kind === 'refused') return status(assembly.sw)
    const received = { apdu: assembly.apdu, contents: this.#contents, session: this.#session, institution }
    const outcome = await this.#handle(received)
    this.#session = outcome.session ?? this.#session
    const delivery = deliver(outcome.response, assembly.apdu.le)
    this.#waiting = delivery.waiting
    return delivery.response
  }

  async #handle(received: Received): Promise<Outcome> {
    const handler = handlerOf(received)
    if (typeof handler === 'number') return answer(handler)
    try {
      return await handler(received)
    } catch {
      return answer(SW.unknown) // memory or computation failed; a card has nobody to tell why
    }
  }
}

function importKey(pkcs8: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(decodeBase64url(pkcs8)), format: 'der', type: 'pkcs8' })
}

/** The command, or the status word for what is none that this card could take. */
function parse(bytes: Uint8Array): CommandApdu | number {
  const refused = refusedClass(bytes[0] ?? 0)
  if (refused !== undefined && bytes.length >= 4) return refused
  try {
    return decodeCommand(bytes)
  } catch (error) {
    if (error instanceof ApduError) return SW.wrongLength
    throw error
  }
}

/** Classes 00 and 80, with or without chaining; neither logical channels nor secure messaging (ISO/IEC 7816-4 §5.4.1). */
function refusedClass(cla: number): number | undefined {
  if ((cla & ~(CHAINING | 0x80)) === 0) return undefined
  if ((cla & 0xc0) === 0x40) return SW.logicalChannelUnsupported // channels 4 to 19
  if ((cla & 0x60) !== 0) return SW.class
  return (cla & 0x0c) !== 0 ? SW.secureMessagingUnsupported : SW.logicalChannelUnsupported
}

function handlerOf({ apdu, session }: Received): Handler | number {
  const name = hex(apdu.cla, apdu.ins)
  const entry = HANDLERS[name]
  if (!entry) return SW.instruction
  if (session.application === undefined && !ANYWHERE.includes(name)) return SW.conditionsOfUse
  if (typeof entry === 'function') return entry
  return entry[hex(apdu.p1, apdu.p2)] ?? SW.wrongP1P2
}

const hex = (high: number, low: number): string => ((high << 8) | low).toString(16).padStart(4, '0')
