import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from './failures.ts'

/** Held until `release`, or until the process is gone. */
export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Takes `directory` (created with mode 0700) for this process alone; a lock whose process is gone is taken over.
 *
 * Locks are numbered: the highest number is the one in force, and a stale one is never removed but outbidden by
 * creating the next number, which only one process can. So two that take over at the same time cannot both win.
 * @throws StoreError `store-in-use` with the holder's `pid`
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = (number: number): string => join(directory, `lock.${number}`)
  const draft = join(directory, `lock-draft.${process.pid}.${process.hrtime.bigint()}`)
  await writeFile(draft, await identity(process.pid), { mode: 0o600 })
  try {
    for (;;) {
      const last = (await numbers(directory)).at(-1) ?? 0
      const holder = last === 0 ? '' : await readFile(path(last), 'utf8').catch(() => undefined)
      if (holder === undefined) continue // outbidden and removed meanwhile
      const pid = Number(holder.split(' ')[0])
      if (holder !== '' && holder === (await identity(pid))) throw new StoreError('store-in-use', { pid, directory })
      const mine = last + 1
      // A link appears with its content or not at all: nobody reads a half-written lock.
      const created = await link(draft, path(mine)).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false
          throw error
        },
      )
      if (!created) continue
      const all = await numbers(directory)
      if (all.at(-1) !== mine) {
        await rm(path(mine), { force: true }) // we had looked too long ago
        continue
      }
      for (const older of all.slice(0, -1)) await rm(path(older), { force: true })
      return { release: () => writeFile(path(mine), '') }
    }
  } finally {
    await rm(draft, { force: true })
  }
}

async function numbers(directory: string): Promise<number[]> {
  return (await readdir(directory))
    .flatMap((name) => /^lock\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** `pid start-time`: a pid that was given to another process later is not mistaken. Empty: no such process. */
async function identity(pid: number): Promise<string> {
  try {
    // proc(5): field 22 is the start time; field 2, the name, may hold spaces and parentheses.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return isAlive(pid) ? `${pid} unknown` : ''
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false // kill(0) and kill(-n) mean process groups
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
