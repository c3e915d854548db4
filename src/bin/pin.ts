import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { InvalidArgumentError } from 'commander'

const DIGITS = /^\d{4}$/

/** @throws InvalidArgumentError */
export function pinDigits(text: string): string {
  if (!DIGITS.test(text)) throw new InvalidArgumentError('four digits')
  return text
}

/** The PIN in a file, `-` for standard input: unlike an argument, no other user of the machine sees it there. */
export function pinInFile(path: string): string {
  try {
    return pinDigits(readFileSync(path === '-' ? 0 : path, 'utf8').trim())
  } catch (error) {
    throw error instanceof InvalidArgumentError ? error : new InvalidArgumentError('a file that can be read')
  }
}

/** Asks whoever sits at the terminal, without an echo, until four digits come; nothing, Ctrl-C and Ctrl-D give up. */
export async function askPin(triesLeft: number): Promise<string | undefined> {
  for (;;) {
    process.stderr.write(`暗証番号（あと${triesLeft}回） / PIN (${triesLeft} tries left): `)
    const typed = await readSilently()
    process.stderr.write('\n')
    if (typed === '') return undefined
    if (DIGITS.test(typed)) return typed
  }
}

function readSilently(): Promise<string> {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 })
  return new Promise((resolve) => {
    lines.once('SIGINT', () => lines.close())
    lines.once('close', () => resolve(''))
    lines.once('line', (line) => {
      resolve(line.trim())
      lines.close()
    })
  })
}
