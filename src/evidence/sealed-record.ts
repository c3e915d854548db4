import { createCipheriv, createDecipheriv, subtle, type webcrypto } from 'node:crypto'
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core'
import { concatBytes, equalBytes } from '#bytes'
import type { Random } from '#clock'
import { EvidenceError } from './failures.ts'
import { HASH_LENGTH, leafHash, sha256 } from './hashes.ts'

/** HPKE (RFC 9180) base mode to the audit key: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. */
const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() })
const INFO = Buffer.from('KAZASU-EVIDENCE-1')

const SALT_LENGTH = 32
const KEY_LENGTH = 32
const TAG_LENGTH = 16
const ENCAPSULATED_LENGTH = 65
/** Each record key encrypts once, so that its nonce may stand still (SP 800-38D §8.2.1). */
const NONCE = new Uint8Array(12)
/** A proof with its certificates and transcript stays below 16 KiB. */
const MAX_RECORD_LENGTH = 64 * 1024

/** The public half of an audit key; the server never has the other one. `id` = H(SubjectPublicKeyInfo). */
export interface AuditPublicKey {
  readonly id: Uint8Array
  readonly key: webcrypto.CryptoKey
}

/** The private half, in the auditor's hands. */
export interface AuditPrivateKey {
  readonly key: webcrypto.CryptoKey
}

/**
 * A record that only the auditor can read. `body` = AES-256-GCM over salt ‖ record with the leaf as additional data;
 * `wrappedKey` = enc ‖ ct, HPKE of the record's own key with the leaf as aad. **Erasing `wrappedKey` erases the
 * record**; the leaf stays in the log and, without the salt, says nothing.
 */
export interface SealedRecord {
  readonly leaf: Uint8Array
  readonly auditKeyId: Uint8Array
  readonly body: Uint8Array
  readonly wrappedKey: Uint8Array
}

declare const opened: unique symbol
/** A record whose leaf was computed again; only {@link openSealedRecord} makes one. */
export interface OpenedRecord {
  readonly record: Uint8Array
  readonly salt: Uint8Array
  readonly leaf: Uint8Array
  readonly [opened]: true
}

/** An audit key from SubjectPublicKeyInfo (DER, P-256). @throws EvidenceError `record-key-invalid` */
export async function importAuditPublicKey(spki: Uint8Array): Promise<AuditPublicKey> {
  return { id: sha256(spki), key: await importKey('spki', spki, []) }
}

/** An audit key from PKCS#8 (DER, P-256). @throws EvidenceError `record-key-invalid` */
export async function importAuditPrivateKey(pkcs8: Uint8Array): Promise<AuditPrivateKey> {
  return { key: await importKey('pkcs8', pkcs8, ['deriveBits']) }
}

async function importKey(form: 'spki' | 'pkcs8', der: Uint8Array, usages: webcrypto.KeyUsage[]) {
  try {
    return await subtle.importKey(form, Uint8Array.from(der), { name: 'ECDH', namedCurve: 'P-256' }, true, usages)
  } catch (cause) {
    throw new EvidenceError('record-key-invalid', {}, { cause })
  }
}

/**
 * Seals a record (its canonical JSON, at most 64 KiB) under a fresh salt and a fresh key. Nothing of either is kept.
 * @throws EvidenceError `record-too-large`
 */
export async function sealRecord(record: Uint8Array, auditKey: AuditPublicKey, random: Random): Promise<SealedRecord> {
  if (record.length > MAX_RECORD_LENGTH) throw new EvidenceError('record-too-large', { length: record.length })
  const salt = random.bytes(SALT_LENGTH)
  const recordKey = random.bytes(KEY_LENGTH)
  const leaf = leafHash(salt, record)
  try {
    const cipher = createCipheriv('aes-256-gcm', recordKey, NONCE).setAAD(leaf)
    const body = concatBytes(cipher.update(salt), cipher.update(record), cipher.final(), cipher.getAuthTag())
    const wrapped = await suite.seal({ recipientPublicKey: auditKey.key, info: INFO }, recordKey, leaf)
    const wrappedKey = concatBytes(new Uint8Array(wrapped.enc), new Uint8Array(wrapped.ct))
    return { leaf, auditKeyId: auditKey.id, body, wrappedKey }
  } finally {
    recordKey.fill(0)
    salt.fill(0)
  }
}

/**
 * Opens a record with the audit key and computes its leaf again.
 * @throws EvidenceError `record-unreadable` (other key, erased, altered), `record-mismatch` (not what the leaf says)
 */
export async function openSealedRecord(
  unverified: Pick<SealedRecord, 'leaf' | 'body' | 'wrappedKey'>,
  auditKey: AuditPrivateKey,
): Promise<OpenedRecord> {
  const { leaf, body, wrappedKey } = unverified
  const plain = await unseal(leaf, body, wrappedKey, auditKey).catch((cause: unknown) => {
    throw new EvidenceError('record-unreadable', {}, { cause })
  })
  const [salt, record] = [plain.subarray(0, SALT_LENGTH), plain.subarray(SALT_LENGTH)]
  if (salt.length !== SALT_LENGTH || leaf.length !== HASH_LENGTH || !equalBytes(leafHash(salt, record), leaf)) {
    throw new EvidenceError('record-mismatch')
  }
  return { record, salt, leaf } as OpenedRecord
}

async function unseal(leaf: Uint8Array, body: Uint8Array, wrappedKey: Uint8Array, { key }: AuditPrivateKey) {
  const enc = wrappedKey.slice(0, ENCAPSULATED_LENGTH)
  const sealedKey = wrappedKey.slice(ENCAPSULATED_LENGTH)
  const recordKey = new Uint8Array(await suite.open({ recipientKey: key, enc, info: INFO }, sealedKey, leaf))
  try {
    const decipher = createDecipheriv('aes-256-gcm', recordKey, NONCE, { authTagLength: TAG_LENGTH })
    decipher.setAAD(leaf).setAuthTag(body.subarray(-TAG_LENGTH))
    return concatBytes(decipher.update(body.subarray(0, -TAG_LENGTH)), decipher.final())
  } finally {
    recordKey.fill(0)
  }
}
