import type { FastifyRequest } from 'fastify'
import { holdsKey } from '#http'
import { TownError } from './failures.ts'

/** What opens the page's interface: the key of whoever started the town, shown once in an address, then as a cookie. */
export interface Door {
  /** @throws TownError `page-locked` unless the request has the key, as a bearer or as the page's cookie */
  check(request: FastifyRequest): Promise<void>
  /** `Set-Cookie` for whoever came with `unverifiedKey`. @throws TownError `page-locked` */
  admit(request: FastifyRequest, unverifiedKey: string): Promise<string>
}

/** Cookies do not tell ports apart: the name does, so that two towns on one machine leave each other alone. */
const cookieName = ({ port }: FastifyRequest): string => `kazasu-${port ?? 80}`

export function createDoor(key: string): Door {
  const holds = holdsKey(key)

  async function require(unverifiedKey: string | undefined): Promise<void> {
    if (unverifiedKey === undefined || !(await holds(unverifiedKey))) throw new TownError('page-locked')
  }
  return {
    async check(request) {
      const { authorization, cookie = '' } = request.headers
      const bearer = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
      const pairs = cookie.split('; ').map((pair) => pair.split('='))
      await require(bearer ?? pairs.find(([name]) => name === cookieName(request))?.[1])
    },
    async admit(request, unverifiedKey) {
      await require(unverifiedKey)
      return `${cookieName(request)}=${key}; Path=/; HttpOnly; SameSite=Strict`
    },
  }
}
