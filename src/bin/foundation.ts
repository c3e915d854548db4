import { rm } from 'node:fs/promises'
import { readFileIfPresent, replaceFile } from '#files'
import { dropRoles, holdsRoles } from '#store'
import { TownError } from '#town'
import type { Home } from './home.ts'

/** Roles of a town that have tables. */
const ROLES = ['authority', 'provider', 'eligibility']
/** What a town puts into its home; nothing else that may lie there is touched. */
const OWN = ['database', 'authority', 'provider', 'terminal', 'eligibility', 'clinic', 'auditor', 'cards', 'logs']

const read = async (home: Home, name: string): Promise<string | undefined> => {
  const bytes = await readFileIfPresent(home.path(name))
  return bytes && Buffer.from(bytes).toString()
}

export const isFounded = async (home: Home): Promise<boolean> => (await read(home, 'founded')) !== undefined

/** Whether a founding began and never ended: nobody has used such a town, so nothing in it is of any worth. */
export const wasLeftUnfounded = async (home: Home): Promise<boolean> =>
  (await read(home, 'founding')) !== undefined && !(await isFounded(home))

/**
 * Says in the home that a town is being founded, and in which database: before anything of it exists, so that whatever
 * a crash leaves is known to be half a town.
 * @throws TownError `database-occupied`; StoreError
 */
export async function beginFounding(home: Home, at: string, databaseUrl?: string): Promise<void> {
  if (databaseUrl !== undefined) {
    const database = withoutPassword(databaseUrl)
    if (await holdsRoles(databaseUrl, ROLES)) throw new TownError('database-occupied', { database })
    await replaceFile(home.path('database-url'), Buffer.from(database))
  } else await rm(home.path('database-url'), { force: true })
  await replaceFile(home.path('founding'), Buffer.from(at))
}

export const endFounding = (home: Home, at: string): Promise<void> => replaceFile(home.path('founded'), Buffer.from(at))

/** @throws TownError `database-elsewhere` unless `databaseUrl` names the database that this home's town was founded in */
export async function requireItsDatabase(home: Home, databaseUrl?: string): Promise<void> {
  const kept = await read(home, 'database-url')
  const named = databaseUrl === undefined ? undefined : withoutPassword(databaseUrl)
  if (kept !== named) throw new TownError('database-elsewhere', { database: kept ?? home.path('database') })
}

/**
 * Removes a town: its schemas on a server, its files. Cut short, it leaves half a town, which the next start removes.
 * @throws TownError `database-elsewhere`; StoreError
 */
export async function clearTown(home: Home, databaseUrl?: string): Promise<void> {
  const remove = (name: string) => rm(home.path(name), { recursive: true, force: true })
  if ((await isFounded(home)) || (await wasLeftUnfounded(home))) await requireItsDatabase(home, databaseUrl)
  await remove('founded')
  if ((await read(home, 'database-url')) !== undefined && databaseUrl !== undefined) await dropRoles(databaseUrl, ROLES)
  for (const name of [...OWN, 'page-key', 'town.json', 'founding', 'database-url']) await remove(name)
}

/** The password of a database is kept nowhere. */
function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  url.password = ''
  url.searchParams.delete('password')
  return url.href
}
