import {
  BytesError,
  concatBytes,
  DER,
  DerReader,
  decodeTlv,
  decodeUnsignedIntegerValue,
  encodeSequence,
  encodeUnsignedInteger,
  equalBytes,
} from '#bytes'
import { type Signer, verifySignature } from '#pki'
import { EvidenceError } from './failures.ts'
import { HASH_LENGTH, sha256 } from './hashes.ts'
import { decodeBase64, decodeNote, encodeBase64, encodeNote } from './note.ts'
import type { TreeHead } from './tree.ts'

/** A tree head of the log `origin` (C2SP tlog-checkpoint), as read: nothing is verified. */
export interface Checkpoint extends TreeHead {
  readonly origin: string
}

declare const verified: unique symbol
/** A checkpoint with a valid signature of its log; only {@link verifyCheckpoint} makes one. */
export interface VerifiedCheckpoint extends Checkpoint {
  readonly [verified]: 'checkpoint'
}

/** The text that is signed: origin, size and root, a line each. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  if (!/^[^\s+]+$/u.test(origin) || !Number.isSafeInteger(size) || size < 0 || root.length !== HASH_LENGTH) {
    throw new EvidenceError('checkpoint-malformed', { part: 'text' })
  }
  return `${origin}\n${size}\n${encodeBase64(root)}\n`
}

/**
 * A signed checkpoint: signature type 02, ECDSA P-256 with SHA-256 over the text, DER; the key name is the origin, the
 * key id the first 4 bytes of H(SubjectPublicKeyInfo) (C2SP signed-note, "Signature types").
 */
export async function signCheckpoint(checkpoint: Checkpoint, signer: Signer): Promise<string> {
  if (signer.algorithm !== 'ecdsa-p256-sha256') throw new EvidenceError('checkpoint-signature', { part: 'algorithm' })
  const text = checkpointText(checkpoint)
  const signature = derSignature(await signer.sign(Buffer.from(text)))
  return encodeNote({ text, signatures: [{ name: checkpoint.origin, keyId: noteKeyId(signer.publicKey), signature }] })
}

/**
 * What a checkpoint says. Extension lines are refused: our logs write none, and nobody could audit them.
 * @throws EvidenceError `checkpoint-malformed`
 */
export function decodeCheckpoint(note: string): Checkpoint {
  return parseText(decodeNote(note).text)
}

function parseText(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...rest] = text.split('\n')
  const checkpoint = { origin, size: Number(size), root: decodeBase64(root) }
  if (rest.length !== 1 || !/^(0|[1-9]\d{0,15})$/.test(size) || checkpointText(checkpoint) !== text) {
    throw new EvidenceError('checkpoint-malformed', { part: 'text' })
  }
  return checkpoint
}

/**
 * The checkpoint of the log `origin`, if `publicKey` (SubjectPublicKeyInfo, P-256) signed it. Signatures of other keys
 * – witnesses, older keys – are ignored; one of this key that is wrong condemns the note.
 * @throws EvidenceError `checkpoint-malformed`, `checkpoint-signature`
 */
export function verifyCheckpoint(
  unverifiedNote: string,
  log: { readonly origin: string; readonly publicKey: Uint8Array },
): VerifiedCheckpoint {
  const { text, signatures } = decodeNote(unverifiedNote)
  const checkpoint = parseText(text)
  const keyId = noteKeyId(log.publicKey)
  const ours = signatures.filter(({ name, keyId: id }) => name === log.origin && equalBytes(id, keyId))
  const sound = ours.every(({ signature }) => {
    const plain = plainSignature(signature)
    return plain && verifySignature(log.publicKey, 'ecdsa-p256-sha256', Buffer.from(text), plain)
  })
  if (ours.length === 0 || !sound || checkpoint.origin !== log.origin) throw new EvidenceError('checkpoint-signature')
  return checkpoint as VerifiedCheckpoint
}

/** First 4 bytes of SHA-256 of the SubjectPublicKeyInfo: the key id of ECDSA keys (C2SP signed-note, type 02). */
export const noteKeyId = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).subarray(0, 4)

/** r‖s as Ecdsa-Sig-Value (RFC 3279 §2.2.3). */
function derSignature(plain: Uint8Array): Uint8Array {
  return encodeSequence(encodeUnsignedInteger(plain.subarray(0, 32)), encodeUnsignedInteger(plain.subarray(32)))
}

/** Ecdsa-Sig-Value as r‖s, `undefined` if it is not strict DER of two numbers of at most 32 octets. */
function plainSignature(der: Uint8Array): Uint8Array | undefined {
  try {
    const numbers = new DerReader(decodeTlv(der, DER.sequence).value)
    const parts = [numbers.take(DER.integer), numbers.take(DER.integer)].map(({ value }) => {
      const magnitude = decodeUnsignedIntegerValue(value)
      return magnitude.length > 32 ? undefined : concatBytes(new Uint8Array(32 - magnitude.length), magnitude)
    })
    numbers.end()
    const [r, s] = parts
    return r && s && concatBytes(r, s)
  } catch (error) {
    if (error instanceof BytesError) return undefined
    throw error
  }
}
