import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { concatBytes } from '#bytes'
import { HttpError } from './failures.ts'
import { decodeJson } from './json.ts'
import { PROBLEM_TYPE, problemSchema } from './problem.ts'

/** What came back, read whole. */
export interface Answer {
  readonly status: number
  /** Media type without parameters, lower case; empty if none was said. */
  readonly type: string
  readonly body: Uint8Array
}

const ANSWER_LIMIT = 1024 * 1024

/** @throws HttpError `answer-malformed` if the content is encoded, which was not asked for (and may be a bomb) */
export function mediaType(headers: IncomingHttpHeaders): string {
  if (headers['content-encoding'] !== undefined) throw new HttpError('answer-malformed', { reason: 'content-encoding' })
  return (headers['content-type']?.split(';')[0] ?? '').trim().toLowerCase()
}

/** The whole of `body`. @throws HttpError `answer-too-large` as soon as it exceeds `limit` bytes (1 MiB unless given) */
export async function readLimited(body: Readable, limit: number = ANSWER_LIMIT): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  // Leaving the loop destroys the stream, and with it the connection.
  for await (const part of body as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > limit) throw new HttpError('answer-too-large', { limit })
    parts.push(part)
  }
  return concatBytes(...parts)
}

/** @throws HttpError `answer-malformed` */
export function readAnswerJson(body: Uint8Array): unknown {
  try {
    return decodeJson(body)
  } catch (cause) {
    throw new HttpError('answer-malformed', cause instanceof HttpError ? cause.detail : {}, { cause })
  }
}

/**
 * The answer if it is a success.
 * @throws HttpError `problem` carrying the problem document; `answer-malformed` for a redirect or another refusal
 */
export function acceptAnswer(answer: Answer): Answer {
  const { status } = answer
  if (status >= 200 && status < 300) return answer
  const problem = answer.type === PROBLEM_TYPE ? problemSchema.safeParse(readAnswerJson(answer.body)).data : undefined
  if (!problem) throw new HttpError('answer-malformed', { status })
  const { code, requestId } = problem
  throw new HttpError('problem', { status, code, requestId }, { problem })
}

/** @throws HttpError `answer-malformed` for another media type */
export function expectType(answer: Answer, type: string): Answer {
  if (answer.type !== type) throw new HttpError('answer-malformed', { status: answer.status, reason: 'media type' })
  return answer
}
