import type { FastifyRequest } from 'fastify'
import type { AdministrationRole, Administrator } from '#administration'

/** Whoever called, if a key of theirs has one of `roles`; otherwise the request is refused with `role-missing`. */
export type RequirePerson = (request: FastifyRequest, ...roles: readonly AdministrationRole[]) => Administrator
