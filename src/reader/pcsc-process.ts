import { ReaderError } from './failures.ts'
import { loadSmartcard, type PcscCard, type PcscContext, type PcscSlot, SCARD, type Smartcard } from './pcsc-addon.ts'
import { readerError } from './pcsc-errors.ts'
import type { Answer, Numbered, Results, Slot } from './pcsc-protocol.ts'

/*
 * A process of its own for PC/SC. Calls of the native library block: SCardDisconnect waits for the card, everything in a
 * context waits for a command under way in it, all of it for a service that hangs. Here that blocks nobody else. And when
 * the main process dies, however suddenly, this one sees its channel close and powers the cards off before it ends, so
 * that no verified PIN stays behind in a card on the reader.
 */

interface Session {
  readonly card: PcscCard
  readonly context: PcscContext
  /** The command under way, if any; settled otherwise. */
  work: Promise<unknown>
  working: boolean
}

const sessions = new Map<number, Session>()
let watching: PcscContext | undefined

function listSlots({ Context }: Smartcard): readonly Slot[] {
  try {
    watching ??= new Context()
    return watching.listReaders().map(({ name, state }) => ({ name, card: cardState(state) }))
  } catch (error) {
    // A context does not outlive its service: the next call makes a new one.
    watching?.close()
    watching = undefined
    throw error
  }
}

function cardState(state: number): Slot['card'] {
  if (!(state & SCARD.statePresent)) return 'none'
  return state & SCARD.stateMute ? 'mute' : 'present'
}

/** @param session its number from now on: that of the call, which no other process of the same program ever had */
async function connectCard({ Context }: Smartcard, session: number, name: string): Promise<Results['connect']> {
  const context = new Context()
  try {
    const slot: PcscSlot | undefined = context.listReaders().find((each) => each.name === name)
    if (!slot) throw new ReaderError('reader-gone', { reader: name })
    const card = await slot.connect(SCARD.shareExclusive, SCARD.protocolT1)
    sessions.set(session, { card, context, work: Promise.resolve(), working: false })
    return { session, atr: Uint8Array.from(card.atr ?? []), extendedLength: await passesExtendedLength(card) }
  } catch (error) {
    context.close()
    throw error
  }
}

/** PC/SC part 10 §2.2: the reader is asked for its features, and by FEATURE_GET_TLV_PROPERTIES for dwMaxAPDUDataSize. */
async function passesExtendedLength(card: PcscCard): Promise<boolean> {
  const getFeatures = 0x42000000 + 3400
  const getTlvProperties = 0x12
  const maxApduDataSize = 0x0a
  try {
    const features = readTlvs(await card.control(getFeatures))
    const code = features.get(getTlvProperties)
    if (code?.length !== 4) return false
    const size = readTlvs(await card.control(code.readUInt32BE())).get(maxApduDataSize)
    return size?.length === 4 && size.readUInt32LE() > 256
  } catch {
    return false // most readers that say nothing pass short APDUs only
  }
}

function readTlvs(bytes: Uint8Array): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] ?? 0))
    found.set(bytes[at] ?? 0, Buffer.from(bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0))))
  return found
}

async function transmitTo(session: Session, command: Uint8Array): Promise<Uint8Array> {
  const extended = command.length > 5 && command[4] === 0
  const work = session.card.transmit(Buffer.from(command), { maxRecvLength: extended ? 65538 : 258 })
  session.work = work.catch(() => {})
  session.working = true
  try {
    return Uint8Array.from(await work)
  } finally {
    session.working = false
  }
}

/** Does not wait for a command under way, as the native call would, but ends the session when that is done. */
async function disconnectCard(number: number): Promise<undefined> {
  const session = sessions.get(number)
  if (!session) return
  sessions.delete(number)
  if (session.working) void session.work.then(() => powerOff(session))
  else powerOff(session)
}

function powerOff({ card, context }: Session): void {
  try {
    card.disconnect(SCARD.unpowerCard)
  } catch {
    // A card that is gone has no power.
  }
  context.close()
}

function perform(smartcard: Smartcard, call: Numbered): Promise<Results[keyof Results]> | Results['list'] {
  if (call.call === 'list') return listSlots(smartcard)
  if (call.call === 'connect') return connectCard(smartcard, call.id, call.reader)
  if (call.call === 'disconnect') return disconnectCard(call.session)
  const session = sessions.get(call.session)
  if (!session) throw new ReaderError('connection-closed')
  return transmitTo(session, call.command)
}

const loaded = loadSmartcard().catch((cause: Error) => {
  throw new ReaderError('pcsc-missing', { reason: cause.message.split('\n')[0] })
})
loaded.catch(() => {})

process.on('message', async (call: Numbered) => {
  let answer: Answer
  try {
    answer = { id: call.id, result: await perform(await loaded, call) }
  } catch (error) {
    const { code, detail } = readerError(error)
    answer = { id: call.id, code, reason: String(detail.reason ?? '') }
  }
  process.send?.(answer, undefined, {}, () => {})
})

process.on('disconnect', () => {
  for (const session of sessions.values()) if (!session.working) powerOff(session)
  process.exit(0)
})
// Ctrl-C in a terminal goes to the whole group; this process ends when the main one is done with the cards.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
