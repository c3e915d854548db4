import type { FastifyRequest } from 'fastify'
import {
  type AdministrationDatabase,
  type AdministrationRole,
  type Administrator,
  authenticate,
  requireRole,
} from '#administration'
import type { Clock } from '#clock'
import { authenticateBearer, createMemoryIdempotencyStore, type HttpApp, repeatWrites } from '#http'
import type { Database } from './tables.ts'

/** Whoever called, if a role of theirs is among `roles`. @throws AdministrationError `role-missing` */
export type Require = (request: FastifyRequest, ...roles: readonly AdministrationRole[]) => Administrator

/** The administration's tables are among ours. */
export const administrationOf = (database: Database): AdministrationDatabase =>
  database as unknown as AdministrationDatabase

/** Closes `scope` to everybody without a key; repeated writes with an Idempotency-Key happen once. */
export function guardAdministration(scope: HttpApp, database: Database, clock: Clock): Require {
  const plain = scope as unknown as Parameters<typeof authenticateBearer>[0]
  const holderOf = authenticateBearer(plain, (key) => authenticate(administrationOf(database), key))
  repeatWrites(plain, createMemoryIdempotencyStore(clock), (request) => holderOf(request).key)
  return (request, ...roles) => {
    const holder = holderOf(request)
    requireRole(holder, ...roles)
    return holder
  }
}
