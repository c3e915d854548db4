import { createWriteStream } from 'node:fs'
import type { Home } from './home.ts'

/** Where a role's log lines go: `logs/ROLE.log` in the home, mode 600. */
export function logFile(
  home: Home,
  role: string,
  closing: (() => Promise<unknown>)[],
): NodeJS.WritableStream & {
  write(line: string): boolean
} {
  const stream = createWriteStream(home.path('logs', `${role}.log`), { flags: 'a', mode: 0o600 })
  closing.push(() => new Promise((resolve) => stream.end(() => resolve(undefined))))
  return stream
}
