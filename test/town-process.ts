import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..')
const command = join(root, 'src', 'bin', 'kazasu.ts')

/** How a process ended, and all that it wrote. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** A process of ours, and what it has written so far. */
export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  written(): string
}

export interface RunOptions {
  readonly home: string
  readonly cwd?: string
  /** Added to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Arguments for Node itself. */
  readonly node?: readonly string[]
}

/** Runs a program with `KAZASU_HOME`; its output is collected. */
export function run(program: string, args: readonly string[], { home, cwd = root, env = {} }: RunOptions): Running {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env, KAZASU_HOME: home, NO_COLOR: '1' } })
  const text = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text.out += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text.err += part
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...text }))
  })
  return { child, ended, written: () => text.out + text.err }
}

/** The `kazasu` command as it stands in the checkout, as a child process. */
export const launch = (args: readonly string[], options: RunOptions): Running =>
  run(process.execPath, [...(options.node ?? []), command, ...args], options)

export const kazasu = (home: string, ...args: readonly string[]): Promise<Ended> => launch(args, { home }).ended

/** A town that runs in a process of its own. */
export interface TownProcess extends Running {
  readonly home: string
  /** Of the process that is the town; another than the child's if npm stands between. */
  readonly pid: number
  /** Addresses of its roles. */
  readonly town: string
  readonly authority: string
  readonly provider: string
  /** What opens its page. */
  readonly key: string
  stop(signal?: NodeJS.Signals): Promise<Ended>
}

/** Waits until a started town has said where its page is. @throws what it wrote, if it ends before */
export async function awaitTown(home: string, running: Running): Promise<TownProcess> {
  let over: Ended | undefined
  void running.ended.then((ended) => {
    over = ended
  })
  while (!/town's page: +http/.test(running.written())) {
    if (over) throw new Error(`the town did not start (${over.code}):\n${over.out}${over.err}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    ...running,
    ...JSON.parse(await readFile(join(home, 'town.json'), 'utf8')),
    key: (await readFile(join(home, 'page-key'), 'utf8')).trim(),
    home,
    stop(signal = 'SIGTERM') {
      running.child.kill(signal)
      return running.ended
    },
  }
}

/** `kazasu start` on a free port, without its own first tap. */
export const startTown = (home: string, options: Omit<RunOptions, 'home'> = {}): Promise<TownProcess> =>
  awaitTown(home, launch(['start', '--port', '0', '--no-tap'], { home, ...options }))

/** Folders of one test file; `found` gives a home with a town that has been founded, at the cost of one founding. */
export function createHomes() {
  const made: string[] = []
  async function empty(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'kazasu-town-'))
    made.push(folder)
    return folder
  }
  return {
    empty,
    async copyOf(home: string): Promise<string> {
      const folder = await empty()
      await cp(home, folder, { recursive: true })
      return folder
    },
    clear: () => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))),
  }
}

export const isRecordedRunning = (home: string): boolean => existsSync(join(home, 'town.json'))

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
