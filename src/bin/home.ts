import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { readFileIfPresent, replaceFile } from '#files'
import { type DirectoryLock, lockDirectory } from '#store'

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

/**
 * Takes the home for this process: whoever founds, runs or clears a town holds it, until released or gone.
 * @throws StoreError `store-in-use`
 */
export const lockHome = (home: Home): Promise<DirectoryLock> => lockDirectory(home.path('lock'))

/** The town that runs in this home, `undefined` if none does; a record left by a crash is not believed. */
export async function findRunning(home: Home): Promise<RunningRecord | undefined> {
  const bytes = await readFileIfPresent(home.path('town.json'))
  if (!bytes) return undefined
  const record = running.safeParse(JSON.parse(Buffer.from(bytes).toString()))
  if (!record.success || !isAlive(record.data.pid) || !(await answers(record.data.town))) return undefined
  return record.data
}

/** The page's key and the address that brings it along. It lies in a file of mode 600 of its own. */
export interface PageAccess {
  /** Origin of the page. */
  readonly town: string
  readonly key: string
}

export const pageAddress = ({ town, key }: PageAccess): string => `${town}/?key=${key}`

/** How to reach the page of a running town, for whoever may read its home. */
export async function accessPage(home: Home, { town }: RunningRecord): Promise<PageAccess> {
  const key = Buffer.from((await readFileIfPresent(home.path('page-key'))) ?? []).toString()
  return { town, key: key.trim() }
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

/** Whether anybody listens there: a pid may have been given to another process since. */
function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
