import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { algorithmOf, decodePublicKey, type SignatureAlgorithm, type Signer } from '#pki'
import { KeysError } from './failures.ts'
import { checkKeyName, type KeyCreation, readKeyFile } from './key-file.ts'

const HASH = { 'ecdsa-p256-sha256': 'sha256', 'ecdsa-p384-sha384': 'sha384', 'rsa-pkcs1-sha256': 'sha256' } as const

const generate = promisify(generateKeyPair)

/**
 * A signer with a key in this process's memory: P-256, P-384 or RSA of 2048–8192 bits. Signs on the thread pool.
 * @throws KeysError `key-unsuitable`
 */
export function createSoftwareSigner(privateKey: KeyObject): Signer {
  const publicKey = publicKeyOf(privateKey)
  const algorithm = algorithmFor(publicKey)
  return {
    algorithm,
    publicKey,
    sign: (data) =>
      new Promise((resolve, reject) => {
        sign(HASH[algorithm], data, { key: privateKey, dsaEncoding: 'ieee-p1363' }, (error, signature) =>
          error ? reject(error) : resolve(Uint8Array.from(signature)),
        )
      }),
  }
}

/** A signer with a new key that lives as long as the process; RSA has 2048 bits. */
export async function generateSoftwareSigner(algorithm: SignatureAlgorithm): Promise<Signer> {
  return createSoftwareSigner(await generatePrivateKey(algorithm))
}

/**
 * The signer whose key is `directory/name.pem` (PKCS#8, RFC 7468 §10; file 0600 in a directory 0700).
 * @throws KeysError `key-name-malformed`, `key-file-missing`, `key-file-malformed`, `key-exposed`, `key-unsuitable`
 */
export async function loadSigner(
  directory: string,
  name: string,
  algorithm: SignatureAlgorithm,
  creation: KeyCreation = {},
): Promise<Signer> {
  const signer = createSoftwareSigner(await loadPrivateKey(directory, name, algorithm, creation))
  if (signer.algorithm !== algorithm) throw new KeysError('key-unsuitable', { name, expected: algorithm })
  return signer
}

/**
 * The key itself of `directory/name.pem`, for what takes no {@link Signer}: node:tls.
 * @throws KeysError as {@link loadSigner}
 */
export async function loadPrivateKey(
  directory: string,
  name: string,
  algorithm: SignatureAlgorithm,
  creation: KeyCreation = {},
): Promise<KeyObject> {
  const file = `${checkKeyName(name)}.pem`
  const pem = await readKeyFile(directory, file, creation, async () =>
    Buffer.from((await generatePrivateKey(algorithm)).export({ format: 'pem', type: 'pkcs8' })),
  )
  try {
    return createPrivateKey({ key: Buffer.from(pem), format: 'pem' })
  } catch (cause) {
    throw new KeysError('key-file-malformed', { name }, { cause })
  } finally {
    pem.fill(0)
  }
}

async function generatePrivateKey(algorithm: SignatureAlgorithm): Promise<KeyObject> {
  const { privateKey } =
    algorithm === 'rsa-pkcs1-sha256'
      ? await generate('rsa', { modulusLength: 2048 })
      : await generate('ec', { namedCurve: algorithm === 'ecdsa-p256-sha256' ? 'P-256' : 'P-384' })
  return privateKey
}

function publicKeyOf(privateKey: KeyObject): Uint8Array {
  return Uint8Array.from(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }))
}

function algorithmFor(spki: Uint8Array): SignatureAlgorithm {
  try {
    return algorithmOf(decodePublicKey(spki))
  } catch (cause) {
    throw new KeysError('key-unsuitable', {}, { cause })
  }
}
