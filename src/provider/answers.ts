import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { sql } from 'kysely'
import { concatBytes } from '#bytes'
import { MINUTE } from '#clock'
import { type Answer, answer, canonicalJson, decodeCanonical } from '#messages'
import type { Provider } from './context.ts'
import { ProviderError } from './failures.ts'

const NONCE = new Uint8Array(12)
const TAG_LENGTH = 16

/**
 * Key of a stored answer, from the bytes of the proof that it answers: the provider keeps only their hash, so whoever
 * reads the database cannot read answers, and whoever sends the same bytes again gets the same answer.
 */
function answerKey(proofBytes: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', proofBytes, '', 'KAZASU-ANSWER-1', 32))
}

export function sealAnswer(value: Answer, proofBytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', answerKey(proofBytes), NONCE)
  return concatBytes(cipher.update(canonicalJson(value)), cipher.final(), cipher.getAuthTag())
}

/**
 * The stored answer. One that this version can no longer read counts as erased: the tap stands all the same.
 * @throws ProviderError `answer-erased`
 */
export function openAnswer(sealed: Uint8Array, proofBytes: Uint8Array): Answer {
  try {
    return decodeAnswer(sealed, proofBytes)
  } catch (cause) {
    throw new ProviderError('answer-erased', {}, { cause })
  }
}

function decodeAnswer(sealed: Uint8Array, proofBytes: Uint8Array): Answer {
  const decipher = createDecipheriv('aes-256-gcm', answerKey(proofBytes), NONCE, { authTagLength: TAG_LENGTH })
  decipher.setAuthTag(sealed.subarray(-TAG_LENGTH))
  return decodeCanonical(answer, concatBytes(decipher.update(sealed.subarray(0, -TAG_LENGTH)), decipher.final()))
}

/** Erases answers, and the claims they were made from, 10 minutes after the tokens ended; verdict and index remain. */
export async function eraseAnswers({ database, clock }: Provider): Promise<void> {
  await database
    .updateTable('seen')
    .set({ answer: null, claims: null })
    .where('claims', 'is not', null)
    .where(sql<number>`(claims->'institution'->>'exp')::bigint`, '<', Math.floor((clock.now() - 10 * MINUTE) / 1000))
    .execute()
}
