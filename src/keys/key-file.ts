import { constants } from 'node:fs'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KeysError } from './failures.ts'

/** Enough for PKCS#8 of RSA-8192 in PEM. */
const LARGEST_KEY_FILE = 16 * 1024

/** Whether a key that is absent is made: `true` only at the first start of a role. */
export interface KeyCreation {
  readonly create?: boolean
}

/**
 * The content of `directory/file`; if it is absent and may be created, of what `make` gives. A created file has mode
 * 0600, is on the disk before this returns, and never replaces one: of two processes, both get the first one's key.
 * @throws KeysError `key-file-missing`, `key-file-malformed` (too large), `key-exposed`
 */
export async function readKeyFile(
  directory: string,
  file: string,
  { create = false }: KeyCreation,
  make: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const path = join(directory, file)
  if (create) {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await refuseExposed(directory)
  }
  const content = await readPrivately(path)
  if (content) return content
  if (!create) throw new KeysError('key-file-missing', { path })
  await writeOnce(directory, path, await make())
  const created = await readPrivately(path)
  if (!created) throw new KeysError('key-file-missing', { path })
  return created
}

/** A name is a file name and nothing more. @throws KeysError `key-name-malformed` */
export function checkKeyName(name: string): string {
  if (!/^[a-z0-9-]{1,64}$/.test(name)) throw new KeysError('key-name-malformed')
  return name
}

async function readPrivately(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new KeysError('key-file-malformed', { path, reason: error.code }, { cause: error })
  })
  if (!file) return undefined
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0) throw new KeysError('key-exposed', { path })
    if (size > LARGEST_KEY_FILE) throw new KeysError('key-file-malformed', { path })
    return Uint8Array.from(await file.readFile())
  } finally {
    await file.close()
  }
}

async function refuseExposed(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    if (((await handle.stat()).mode & 0o077) !== 0) throw new KeysError('key-exposed', { path: directory })
  } finally {
    await handle.close()
  }
}

async function writeOnce(directory: string, path: string, content: Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}.${process.hrtime.bigint()}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    // link, not rename: it fails if the name is taken, and the file appears whole or not at all.
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    content.fill(0)
    await rm(draft, { force: true })
  }
  const folder = await open(directory, 'r')
  await folder.sync().finally(() => folder.close()) // the name must survive a power cut too
}
