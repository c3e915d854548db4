import type { FastifyRequest } from 'fastify'

/** Roles that the authority asks for; an administrator makes keys with them. */
export type PersonRole = 'operator' | 'approver' | 'auditor'

/** Whoever called, by the key of theirs, if it has one of `roles`; otherwise the request is refused. */
export type RequirePerson = (request: FastifyRequest, ...roles: readonly PersonRole[]) => { readonly id: string }
