/** A text in the two languages of every screen and error. */
export interface Bilingual {
  readonly ja: string
  readonly en: string
}

/** What a reader of the failure catalogue is told of one code: why it happens, and what to do now. */
export interface Failure {
  readonly cause: Bilingual
  readonly remedy: Bilingual
}

/** The catalogue of one folder: every code of its error class, no more and no less. */
export type FailureCatalogue<Code extends string> = Readonly<Record<Code, Failure>>

/**
 * An error with a literal code; each folder has one subclass with its own union of codes.
 * `detail` holds facts that help (positions, names, counts) and never a PIN, serial number or personal data.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code
  readonly detail: Readonly<Record<string, unknown>>

  constructor(code: Code, detail: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    const facts = Object.entries(detail).map(([name, value]) => `${name}=${String(value)}`)
    super(facts.length > 0 ? `${code} (${facts.join(', ')})` : code, options)
    this.name = new.target.name
    this.code = code
    this.detail = detail
  }
}

/** The code of any error of ours, `undefined` for a foreign one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof CodedError ? error.code : undefined
}
