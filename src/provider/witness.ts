import { join } from 'node:path'
import { consistencyProof, EvidenceError, readRange, treeHead, verifyCheckpoint, verifyConsistency } from '#evidence'
import { readFileIfPresent, replaceFile } from '#files'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'
import { logOrigin, logSize, nodeReader, signedCheckpoint } from './log.ts'

/** 証人 – the last checkpoint that was signed, kept outside the database: it tells when the log was rolled back. */
export interface Witness {
  /** Keeps the checkpoint of the log as it is now, if it has grown. */
  keep(): Promise<void>
}

const FILE = 'log-checkpoint'

/**
 * Compares the log with what was signed before the last stop.
 * @throws ProviderError `log-rolled-back` if the log is shorter, or another one; nothing must be served then
 */
export async function openWitness(provider: Provider, home: string): Promise<Witness> {
  const path = join(home, FILE)
  const note = await readFileIfPresent(path)
  let kept = note ? await compare(provider, Buffer.from(note).toString()) : -1
  return {
    async keep() {
      const size = await logSize(provider.database)
      if (size === kept) return
      await replaceFile(path, Buffer.from(await signedCheckpoint(provider, size)))
      kept = size
    },
  }
}

/** Gives the size that the checkpoint states. */
async function compare(provider: Provider, note: string): Promise<number> {
  try {
    const origin = logOrigin(provider.id)
    const signed = verifyCheckpoint(note, { origin, publicKey: provider.keys.log.publicKey })
    const size = await logSize(provider.database)
    if (size < signed.size) throw new ProviderError('log-rolled-back', { signed: signed.size, found: size })
    const reader = nodeReader(provider.database)
    const now = treeHead(await readRange(size, reader))
    verifyConsistency(signed, now, await consistencyProof(signed.size, size, reader))
    return signed.size
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProviderError('log-rolled-back', { reason: cause.code }, { cause })
  }
}
