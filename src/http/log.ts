import { type DestinationStream, type Logger, pino } from 'pino'
import { type Clock, timeText } from '#clock'
import { CodedError } from '#failure'

/** What a log line may say of an error: name, code and where; never a foreign message, which may quote a value. */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = 'code' in error ? String(error.code) : undefined
  return {
    name: error.name,
    ...(code !== undefined && { code }),
    ...(error instanceof CodedError && { detail: error.detail }),
    at: (error.stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 12),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  }
}

const SECRET = ['authorization', 'headers', 'body', 'query', 'pin', 'password', 'key', 'cookie']

/**
 * A log of JSON lines, with `time` from `clock` in RFC 3339. Members that may hold secrets are removed wherever they
 * stand up to one level deep, and errors are reduced to what {@link describeError} gives.
 */
export function createLog(options: {
  readonly name: string
  readonly clock: Clock
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Standard output unless another place is given. */
  readonly destination?: DestinationStream
}): Logger {
  const settings = {
    base: { name: options.name },
    level: options.level ?? 'info',
    timestamp: () => `,"time":"${timeText(options.clock.now())}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    redact: { paths: SECRET.flatMap((name) => [name, `*.${name}`]), remove: true },
  }
  return options.destination ? pino(settings, options.destination) : pino(settings)
}
