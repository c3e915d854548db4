import { hash } from 'node:crypto'
import { concatBytes } from '#bytes'

/** Length of every hash in the log, in bytes. */
export const HASH_LENGTH = 32

/** SHA-256. */
export const sha256 = (data: Uint8Array): Uint8Array => Uint8Array.from(hash('sha256', data, 'buffer'))

/** Hash of an entry as a leaf: H(00 ‖ entry) (RFC 9162 §2.1.1). */
export const hashEntry = (entry: Uint8Array): Uint8Array => sha256(concatBytes(Uint8Array.of(0x00), entry))

/** Hash of an inner node: H(01 ‖ left ‖ right) (RFC 9162 §2.1.1). */
export const hashNode = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(concatBytes(Uint8Array.of(0x01), left, right))

/** Root of the log without entries: H() (RFC 9162 §2.1.1). */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array())

/**
 * Leaf of a record: H(00 ‖ H(salt ‖ record)). The 32-byte salt keeps a reader of the log from guessing records;
 * `record` is the record's canonical JSON (RFC 8785).
 */
export const leafHash = (salt: Uint8Array, record: Uint8Array): Uint8Array =>
  hashEntry(sha256(concatBytes(salt, record)))
