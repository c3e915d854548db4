export { type Authority, type AuthoritySettings, startAuthority } from './authority.ts'
export { AuthorityError, type AuthorityErrorCode, authorityFailures } from './failures.ts'
