import { join } from 'node:path'
import {
  consistencyProof,
  EvidenceError,
  type NodeReader,
  readRange,
  signCheckpoint,
  type TreeHead,
  treeHead,
  verifyCheckpoint,
  verifyConsistency,
} from '#evidence'
import { readFileIfPresent, replaceFile } from '#files'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { logOrigin, logSize, nodeReader } from './log.ts'

/**
 * 証人 – the newest checkpoint that was signed, kept outside the database. No checkpoint leaves before it is kept, and
 * none is signed that does not continue the one kept: so a log that was rolled back – a restored backup, a replica that
 * lagged when it took over – is found at the next signature, at the latest within a second.
 */
export interface Witness {
  /** Leaves that the log has at least. */
  readonly size: number
  /** @throws ProviderError `log-rolled-back` for good, once the log was found to be shorter than kept, or another one */
  requireSound(): void
  /** Signs the log's head of `size` leaves, all of them committed. @throws ProviderError `log-rolled-back` */
  sign(size: number, reader: NodeReader): Promise<string>
  /** Compares the log as it is now, and keeps its checkpoint. @throws ProviderError `log-rolled-back` */
  watch(): Promise<void>
}

/** Where the witness keeps its checkpoint; what was written survives a loss of power. */
export interface WitnessMemory {
  read(): Promise<string | undefined>
  write(note: string): Promise<void>
}

/** A file of its own for every process: what two write at once is one or the other, never a mixture. */
export function witnessFile(home: string): WitnessMemory {
  const path = join(home, 'log-checkpoint')
  return {
    async read() {
      const note = await readFileIfPresent(path)
      return note && Buffer.from(note).toString()
    },
    write: (note) => replaceFile(path, Buffer.from(note)),
  }
}

/**
 * Compares the log with what was signed before the last stop.
 * @param missing told that the log has leaves but nothing is kept: whatever happened to it before is not known
 * @throws ProviderError `log-rolled-back` if the log is shorter, or another one; nothing must be served then
 */
export async function openWitness(
  { id, database, keys }: Pick<Provider, 'id' | 'database' | 'keys'>,
  memory: WitnessMemory,
  missing: () => void,
): Promise<Witness> {
  const origin = logOrigin(id)
  let newest: TreeHead = { size: 0, root: new Uint8Array() }
  let broken: ProviderError | undefined
  const keep = createKeeper(memory)

  const condemn = (detail: Readonly<Record<string, unknown>>, cause?: unknown): ProviderError => {
    broken ??= new ProviderError('log-rolled-back', detail, { cause })
    return broken
  }
  function requireSound(): void {
    if (broken) throw broken
  }

  /** The head of `size` leaves; if it is newer than the newest known, it continues that one. */
  async function proveHead(size: number, reader: NodeReader): Promise<TreeHead> {
    const since = newest
    const later = since.size > 0 && size >= since.size
    try {
      const [range, proof] = await Promise.all([
        readRange(size, reader),
        later ? consistencyProof(since.size, size, reader) : [],
      ])
      const head = treeHead(range)
      if (later) verifyConsistency(since, head, proof)
      return head
    } catch (cause) {
      throw cause instanceof EvidenceError ? condemn({ reason: cause.code }, cause) : cause
    }
  }

  async function sign(size: number, reader: NodeReader): Promise<string> {
    requireSound()
    const head = await proveHead(size, reader)
    const note = await signCheckpoint({ origin, ...head }, keys.log)
    requireSound()
    if (head.size > newest.size) newest = head
    await keep(size, note)
    return note
  }

  const witness: Witness = {
    get size() {
      return newest.size
    },
    requireSound,
    sign,
    async watch() {
      requireSound()
      const since = newest.size
      const size = await logSize(database)
      if (size < since) throw condemn({ signed: since, found: size })
      if (size > since) await sign(size, nodeReader(database))
      else if (size > 0) await proveHead(size, nodeReader(database))
    },
  }

  const note = await memory.read()
  if (note === undefined) {
    if ((await logSize(database)) > 0) missing()
  } else {
    try {
      newest = verifyCheckpoint(note, { origin, publicKey: keys.log.publicKey })
    } catch (cause) {
      throw cause instanceof EvidenceError ? condemn({ reason: cause.code }, cause) : cause
    }
    await witness.watch()
  }
  return witness
}

/** Writes the newest of several notes that come at once; whoever waits, waits for a note as new as its own. */
function createKeeper(memory: WitnessMemory): (size: number, note: string) => Promise<void> {
  let written = 0
  let newest = { size: 0, note: '' }
  let writing: Promise<void> | undefined

  async function writeNewest(): Promise<void> {
    const { size, note } = newest
    await memory.write(note)
    written = size
  }

  return async (size, note) => {
    if (size > newest.size) newest = { size, note }
    while (written < size) {
      writing ??= writeNewest().finally(() => {
        writing = undefined
      })
      await writing
    }
  }
}
