import { z } from 'zod'
import { type Bilingual, CodedError, type Failure } from '#failure'
import { HttpError, httpFailures, httpStatuses } from './failures.ts'

/** The language of `title`; both languages stand in `cause` and `remedy` anyhow. */
export type Language = keyof Bilingual

export const PROBLEM_TYPE = 'application/problem+json'

const bilingualSchema = z.object({ ja: z.string(), en: z.string() })

/** A refusal as it travels: RFC 9457 §3 with our code, its cause and what to do, and the request id found in the log. */
export const problemSchema = z.object({
  type: z.string().describe('urn:kazasu:problem: and the code'),
  title: z.string().describe('The cause in the language asked for by Accept-Language (ja or en)'),
  status: z.int().min(100).max(599),
  code: z.string().max(64),
  detail: z.string().optional().describe('Facts of this case, such as the path of the wrong member'),
  cause: bilingualSchema,
  remedy: bilingualSchema,
  requestId: z.string(),
})
export type Problem = z.output<typeof problemSchema>

/** What a role tells its server about its own errors: which status each code has, and how the codes are explained. */
export interface ProblemSources {
  readonly statuses?: Readonly<Record<string, number>>
  readonly catalogues?: readonly Readonly<Record<string, Failure>>[]
}

/** Makes problem documents. `expected` is false where the error is not one that the role has a status for. */
export type Explain = (
  error: unknown,
  language: Language,
  requestId: string,
) => { readonly problem: Problem; readonly expected: boolean }

/** What Fastify itself refuses, in our codes (fastify.dev/docs/latest/Reference/Errors). */
const FASTIFY_CODES: Readonly<Record<string, HttpError['code']>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media-type-unsupported',
  FST_ERR_NOT_FOUND: 'not-found',
  FST_ERR_BAD_URL: 'malformed-request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed-request',
  FST_ERR_CTP_EMPTY_TYPE: 'media-type-unsupported',
  FST_ERR_MAX_PARAM_LENGTH: 'malformed-request',
}

function ownError(error: unknown): CodedError<string> | undefined {
  if (error instanceof CodedError) return error
  const foreign = error instanceof Error && 'code' in error ? FASTIFY_CODES[String(error.code)] : undefined
  return foreign && new HttpError(foreign)
}

/**
 * @throws HttpError `catalogue-incomplete` if a code has a status but no explanation
 */
export function createExplain({ statuses = {}, catalogues = [] }: ProblemSources): Explain {
  const status = new Map<string, number>(Object.entries({ ...statuses, ...httpStatuses }))
  const failures = new Map<string, Failure>([...catalogues, httpFailures].flatMap((one) => Object.entries(one)))
  for (const code of status.keys()) if (!failures.has(code)) throw new HttpError('catalogue-incomplete', { code })

  return (error, language, requestId) => {
    const known = ownError(error)
    const expected = known !== undefined && status.has(known.code) && known.code !== 'internal'
    const code = expected ? known.code : 'internal'
    const { cause, remedy } = failures.get(code) ?? httpFailures.internal
    const facts = Object.entries(expected ? known.detail : {}).map(([name, value]) => `${name}: ${String(value)}`)
    const problem: Problem = {
      type: `urn:kazasu:problem:${code}`,
      title: cause[language],
      status: status.get(code) ?? 500,
      code,
      ...(facts.length > 0 && { detail: facts.join(', ') }),
      cause,
      remedy,
      requestId,
    }
    return { problem, expected }
  }
}

/** Japanese unless English is preferred (RFC 9110 §12.5.4). */
export function preferredLanguage(acceptLanguage: string | undefined): Language {
  const weight = { ja: 0, en: 0 }
  for (const range of (acceptLanguage ?? '').slice(0, 256).split(',')) {
    const [tag = '', quality] = range.trim().split(/\s*;\s*q\s*=\s*/i)
    const language = tag.toLowerCase().split('-')[0]
    if (language === 'ja' || language === 'en') {
      weight[language] = Math.max(weight[language], quality === undefined ? 1 : Number(quality) || 0)
    }
  }
  return weight.en > weight.ja ? 'en' : 'ja'
}
