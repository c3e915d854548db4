import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { Mac } from '#pki'
import { KeysError } from './failures.ts'
import { checkKeyName, type KeyCreation, readKeyFile } from './key-file.ts'

const KEY_LENGTH = 32

/** HMAC-SHA-256 (RFC 2104) under `key`, 32 bytes, of which a copy is kept. @throws KeysError `key-unsuitable` */
export function createMac(key: Uint8Array): Mac {
  if (key.length !== KEY_LENGTH) throw new KeysError('key-unsuitable', { expected: '32 bytes' })
  const secret = createSecretKey(key)
  return { compute: async (data) => Uint8Array.from(createHmac('sha256', secret).update(data).digest()) }
}

/**
 * The MAC whose key is `directory/name.key` (32 bytes as they are; file 0600 in a directory 0700).
 * @throws KeysError `key-name-malformed`, `key-file-missing`, `key-file-malformed`, `key-exposed`
 */
export async function loadMac(directory: string, name: string, creation: KeyCreation = {}): Promise<Mac> {
  const key = await readKeyFile(directory, `${checkKeyName(name)}.key`, creation, async () => randomBytes(KEY_LENGTH))
  try {
    if (key.length !== KEY_LENGTH) throw new KeysError('key-file-malformed', { name })
    return createMac(key)
  } finally {
    key.fill(0)
  }
}
