import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import type * as Graphene from 'graphene-pk11'
import { DER, decodeObjectIdentifierValue, decodeTlv, encodeObjectIdentifier } from '#bytes'
import {
  algorithmOf,
  digestInfoSha256,
  encodePublicKey,
  type PublicKey,
  type SignatureAlgorithm,
  type Signer,
} from '#pki'
import { KeysError } from './failures.ts'
import { pkcs11Failure } from './pkcs11-errors.ts'

/** A PKCS#11 token, logged in: an HSM, a TPM or SoftHSM2. Keys are known by their label. */
export interface Pkcs11Token {
  /**
   * Signer with the key pair `label`, which must be of this algorithm.
   * @throws KeysError `token-key-missing`, `token-key-ambiguous`, `key-unsuitable`, `token-lost`, `token-failed`
   */
  signer(label: string, algorithm: SignatureAlgorithm): Promise<Signer>
  /**
   * Makes a key pair in the token, whose private half can never leave it, and gives its signer. RSA has 2048 bits.
   * @throws KeysError `token-key-exists`, `token-lost`, `token-failed`
   */
  generate(label: string, algorithm: SignatureAlgorithm): Promise<Signer>
  /** Ends its sessions; its signers are of no more use. */
  close(): void
}

/** `module`: path of the library. `pin`: UTF-8, for the caller to overwrite afterwards. */
export interface Pkcs11Place {
  readonly module: string
  readonly tokenLabel: string
  readonly pin: Uint8Array
}

const CURVES = {
  'ecdsa-p256-sha256': { name: 'p256', objectIdentifier: '1.2.840.10045.3.1.7', pointLength: 65, hash: 'sha256' },
  'ecdsa-p384-sha384': { name: 'p384', objectIdentifier: '1.3.132.0.34', pointLength: 97, hash: 'sha384' },
} as const
const OS_LOCKING_OK = 0x02 // PKCS#11 §3.7: calls come from several threads

/**
 * Opens the one present token with this label (slot numbers change; labels stay) and logs in, once: a wrong PIN is
 * not tried again, lest the token lock.
 * @throws KeysError `pkcs11-missing`, `pkcs11-module-unusable`, `token-missing`, `token-ambiguous`,
 * `token-pin-wrong`, `token-pin-locked`, `token-failed`
 */
export async function openPkcs11({ module, tokenLabel, pin }: Pkcs11Place): Promise<Pkcs11Token> {
  const graphene: typeof Graphene = await import('graphene-pk11').catch((cause) => {
    throw new KeysError('pkcs11-missing', {}, { cause })
  })
  const library = loadModule(graphene, module)
  const sessions: Graphene.Session[] = []
  const closeAll = (): void => {
    for (const session of sessions.splice(0)) session.close() // the last one ends the login (§5.6)
  }
  try {
    const slot = findToken(library, tokenLabel)
    const openSession = (): Graphene.Session => {
      const session = slot.open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION)
      sessions.push(session)
      return session
    }
    const first = openSession()
    logIn(graphene, first, pin)
    return useToken(graphene, first, openSession, closeAll)
  } catch (error) {
    closeAll()
    throw pkcs11Failure(error)
  }
}

function useToken(
  graphene: typeof Graphene,
  first: Graphene.Session,
  openSession: () => Graphene.Session,
  close: () => void,
): Pkcs11Token {
  const find = (session: Graphene.Session, label: string): Graphene.SessionObject[] => [
    ...session.find({ class: graphene.ObjectClass.PRIVATE_KEY, label }),
  ]

  function signerOf(label: string, algorithm: SignatureAlgorithm): Signer {
    const [privateKey, second] = find(first, label)
    if (!privateKey) throw new KeysError('token-key-missing', { label })
    if (second) throw new KeysError('token-key-ambiguous', { label })
    const id = privateKey.getAttribute({ id: null }).id ?? Buffer.alloc(0)
    const [publicObject] = first.find({ class: graphene.ObjectClass.PUBLIC_KEY, label, id })
    if (!publicObject) throw new KeysError('token-key-missing', { label, half: 'public' })
    const publicKey = readPublicKey(graphene, publicObject)
    if (!publicKey || algorithmOf(publicKey) !== algorithm) {
      throw new KeysError('key-unsuitable', { label, expected: algorithm })
    }
    const session = openSession() // of its own: a signing operation occupies one
    return createTokenSigner(session, privateKey.toType<Graphene.PrivateKey>(), algorithm, encodePublicKey(publicKey))
  }

  return {
    signer: async (label, algorithm) => translated({ label }, () => signerOf(label, algorithm)),
    generate: async (label, algorithm) =>
      translated({ label }, async () => {
        if (find(first, label).length > 0) throw new KeysError('token-key-exists', { label })
        await generateKeyPair(first, label, algorithm)
        return signerOf(label, algorithm)
      }),
    close,
  }
}

async function translated<T>(detail: Readonly<Record<string, unknown>>, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw pkcs11Failure(error, detail)
  }
}

function loadModule(graphene: typeof Graphene, path: string): Graphene.Module {
  try {
    const module = graphene.Module.load(path)
    module.initialize({ flags: OS_LOCKING_OK })
    return module
  } catch (cause) {
    throw new KeysError('pkcs11-module-unusable', { module: path }, { cause })
  }
}

function findToken(module: Graphene.Module, tokenLabel: string): Graphene.Slot {
  const slots = [...module.getSlots(true)].filter((slot) => {
    try {
      return slot.getToken().label === tokenLabel
    } catch {
      return false // removed just now, or not recognised
    }
  })
  const [slot, second] = slots
  if (!slot) throw new KeysError('token-missing', { tokenLabel })
  if (second) throw new KeysError('token-ambiguous', { tokenLabel, count: slots.length })
  return slot
}

function logIn(graphene: typeof Graphene, session: Graphene.Session, pin: Uint8Array): void {
  const { flags } = session.slot.getToken()
  if (flags & graphene.TokenFlag.USER_PIN_LOCKED) throw new KeysError('token-pin-locked')
  try {
    session.login(Buffer.from(pin.buffer, pin.byteOffset, pin.length).toString('utf8'))
  } catch (error) {
    // The login is one of the whole process: another of our sessions has it already.
    if (error instanceof Error && error.message.includes('CKR_USER_ALREADY_LOGGED_IN')) return
    throw pkcs11Failure(error)
  }
}

function generateKeyPair(session: Graphene.Session, label: string, algorithm: SignatureAlgorithm): Promise<unknown> {
  const id = session.generateRandom(16)
  const kind =
    algorithm === 'rsa-pkcs1-sha256'
      ? { modulusBits: 2048, publicExponent: Buffer.of(1, 0, 1) }
      : { paramsECDSA: Buffer.from(encodeObjectIdentifier(CURVES[algorithm].objectIdentifier)) }
  const generate = promisify(session.generateKeyPair.bind(session))
  return generate(
    algorithm === 'rsa-pkcs1-sha256' ? 'RSA_PKCS_KEY_PAIR_GEN' : 'EC_KEY_PAIR_GEN',
    { token: true, verify: true, label, id, ...kind },
    { token: true, private: true, sensitive: true, extractable: false, sign: true, label, id },
  )
}

function readPublicKey(graphene: typeof Graphene, object: Graphene.SessionObject): PublicKey | undefined {
  const { keyType } = object.getAttribute({ keyType: null })
  if (keyType === graphene.KeyType.RSA) {
    const { modulus, publicExponent } = object.getAttribute({ modulus: null, publicExponent: null })
    if (!modulus || !publicExponent) return undefined
    return { kind: 'rsa', modulus: Uint8Array.from(modulus), exponent: Uint8Array.from(publicExponent) }
  }
  const { paramsECDSA, pointEC } = object.getAttribute({ paramsECDSA: null, pointEC: null })
  if (keyType !== graphene.KeyType.EC || !paramsECDSA || !pointEC) return undefined
  const objectIdentifier = decodeObjectIdentifierValue(decodeTlv(paramsECDSA, DER.objectIdentifier).value)
  const curve = Object.values(CURVES).find((known) => known.objectIdentifier === objectIdentifier)
  if (!curve) return undefined
  // CKA_EC_POINT is the point in an OCTET STRING (§2.3.3); some tokens leave that out, so the length tells.
  const point = curve.pointLength === pointEC.length ? pointEC : decodeTlv(pointEC, DER.octetString).value
  return { kind: 'ec', curve: curve.name, point: Uint8Array.from(point) }
}

/** Hashes here and has the digest signed there; one signature after the other, on the thread pool. */
function createTokenSigner(
  session: Graphene.Session,
  key: Graphene.PrivateKey,
  algorithm: SignatureAlgorithm,
  publicKey: Uint8Array,
): Signer {
  const isRsa = algorithm === 'rsa-pkcs1-sha256'
  const hash = isRsa ? 'sha256' : CURVES[algorithm].hash
  let last: Promise<unknown> = Promise.resolve()

  async function signDigest(digest: Uint8Array): Promise<Uint8Array> {
    // CKM_RSA_PKCS takes a DigestInfo, CKM_ECDSA a digest and gives r‖s (PKCS#11 §2.1.6, §2.3.6).
    const operation = session.createSign(isRsa ? 'RSA_PKCS' : 'ECDSA', key)
    const input = Buffer.from(isRsa ? digestInfoSha256(digest) : digest)
    return new Promise((resolve, reject) => {
      operation.once(input, (error, signature) => (error ? reject(error) : resolve(Uint8Array.from(signature))))
    })
  }

  return {
    algorithm,
    publicKey,
    sign(data) {
      const digest = createHash(hash).update(data).digest()
      const signature = last.then(() => translated({}, () => signDigest(digest)))
      last = signature.catch(() => {})
      return signature
    },
  }
}
