import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { readFileIfPresent, replaceFile } from '#files'

/** Where everything is kept: `KAZASU_HOME`, or `.kazasu` in the current folder. */
export interface Home {
  readonly directory: string
  path(...parts: readonly string[]): string
}

export function openHome(directory = process.env.KAZASU_HOME ?? '.kazasu'): Home {
  const root = resolve(directory)
  return { directory: root, path: (...parts) => join(root, ...parts) }
}

const running = z.strictObject({
  v: z.literal(1),
  pid: z.int(),
  /** The town's page. */
  town: z.url(),
  authority: z.url(),
  provider: z.url(),
  terminal: z.url(),
  eligibility: z.url(),
  startedAt: z.string(),
})
/** What a running town says of itself, in `town.json`. */
export type RunningRecord = z.infer<typeof running>

/** The town that runs in this home, `undefined` if none does; a record left by a crash is not believed. */
export async function findRunning(home: Home): Promise<RunningRecord | undefined> {
  const bytes = await readFileIfPresent(home.path('town.json'))
  if (!bytes) return undefined
  const record = running.safeParse(JSON.parse(Buffer.from(bytes).toString()))
  if (!record.success || !isAlive(record.data.pid)) return undefined
  return record.data
}

export async function recordRunning(home: Home, record: RunningRecord): Promise<void> {
  await mkdir(home.directory, { recursive: true, mode: 0o700 })
  await replaceFile(home.path('town.json'), Buffer.from(`${JSON.stringify(record, null, 2)}\n`))
}

export async function forgetRunning(home: Home): Promise<void> {
  await rm(home.path('town.json'), { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
