export { type Act, type ApprovedAct, approve, findAct, listActs, propose, reject } from './act.ts'
export {
  type AdministrationDatabase,
  type Administrator,
  authenticate,
  bootstrapAdministration,
  createKey,
  type KeyRecord,
  listKeys,
  requireRole,
  revokeKey,
} from './administrator.ts'
export {
  AdministrationError,
  type AdministrationErrorCode,
  administrationFailures,
  administrationStatuses,
} from './failures.ts'
export {
  ADMINISTRATION_ROLES,
  type AdministrationActTable,
  type AdministrationKeyTable,
  type AdministrationRole,
  type AdministrationTables,
  administrationMigration,
} from './tables.ts'
