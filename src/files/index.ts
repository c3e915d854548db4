import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file as a whole: after the promise resolves the new content survives a crash of the process and a loss of
 * power; before it, the old content does. Written beside it, synchronised, renamed, directory synchronised.
 * @param mode of a new file; 0600 unless given
 */
export async function replaceFile(path: string, content: Uint8Array, mode = 0o600): Promise<void> {
  const beside = `${path}.${process.pid}.new` // two processes that share a folder do not write into one another's
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(beside, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Content of a file, `undefined` if there is none. */
export async function readFileIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
