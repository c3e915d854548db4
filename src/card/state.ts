import { z } from 'zod'
import { readFileIfPresent, replaceFile } from '#files'
import { bytesTextUpTo } from '#messages'
import { CREDENTIALS, type HolderKey } from './application.ts'
import { CardError } from './failures.ts'
import type { Personalisation } from './personalisation.ts'

const certificate = bytesTextUpTo(2048)

/**
 * What the virtual card never forgets: what a real chip keeps in its non-volatile memory.
 * It is the card itself, so the PINs stand in it; nobody but the card may read it.
 */
const persistedCard = z.strictObject({
  v: z.literal(1),
  /** Tries left of each credential. */
  tries: z.strictObject({ 'user-authentication': tries('user-authentication'), signature: tries('signature') }),
  /** 暗証番号 – the credentials, `signature` only on a card with a signature key. */
  pins: z.strictObject({ 'user-authentication': z.string(), signature: z.string().optional() }),
  /** `YYYY-MM-DD`: the newest effective date of a CVCA-signed certificate seen; a lower bound of today. */
  date: z.iso.date(),
  /** The institution root (CVCA) certificate in force, b64u, and the one before it until its expiry. */
  root: certificate,
  previousRoot: certificate.optional(),
})
export type PersistedCard = z.infer<typeof persistedCard>

function tries(key: HolderKey) {
  return z.number().int().min(0).max(CREDENTIALS[key].tries)
}

/** The card's non-volatile memory. */
export interface CardState {
  /** The last value whose `write` came to its end, or the one that a `write` that broke off was about to store. */
  read(): Promise<PersistedCard>
  /** Resolves when the value will outlast a power cut, never before. A rejection leaves the old or the new value whole. */
  write(card: PersistedCard): Promise<void>
}

/** The memory of a card as it leaves the factory. */
export function initialCardState(personalisation: Personalisation): PersistedCard {
  const { pin, password, institutionRoots, date } = personalisation
  return {
    v: 1,
    tries: {
      'user-authentication': CREDENTIALS['user-authentication'].tries,
      signature: CREDENTIALS.signature.tries,
    },
    pins: { 'user-authentication': pin, ...(password === undefined ? {} : { signature: password }) },
    date,
    root: institutionRoots.current,
    ...(institutionRoots.previous === undefined ? {} : { previousRoot: institutionRoots.previous }),
  }
}

/** A memory that lasts as long as the process: for tests and benches. */
export function createMemoryCardState(initial: PersistedCard): CardState {
  let card = initial
  return {
    read: async () => card,
    async write(next) {
      card = next
    },
  }
}

/**
 * A memory in a file of mode 600, replaced whole: written beside, flushed, renamed, directory flushed.
 * `read` before the first `write` is a CardError `card-state-missing`: a lost file must never give back tries.
 */
export function createFileCardState(path: string): CardState {
  return {
    async read() {
      const bytes = await readFileIfPresent(path)
      if (!bytes) throw new CardError('card-state-missing')
      return decodePersistedCard(Buffer.from(bytes).toString())
    },
    write: (card) => replaceFile(path, Buffer.from(JSON.stringify(card))),
  }
}

function decodePersistedCard(text: string): PersistedCard {
  try {
    return persistedCard.parse(JSON.parse(text))
  } catch {
    throw new CardError('card-state-malformed') // no cause: it would quote the PIN
  }
}
