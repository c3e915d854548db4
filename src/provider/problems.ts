import { administrationFailures, administrationStatuses } from '#administration'
import { bytesFailures } from '#bytes'
import { evidenceFailures } from '#evidence'
import { keysFailures } from '#keys'
import { messagesFailures } from '#messages'
import { pkiFailures } from '#pki'
import { proofFailures } from '#proof'
import { storeFailures } from '#store'
import { providerFailures, providerStatuses } from './failures.ts'

/** 403 for every code of a catalogue: what was presented does not prove what it should. */
const forbidden = (catalogue: object): Record<string, number> =>
  Object.fromEntries(Object.keys(catalogue).map((code) => [code, 403]))
const unprocessable = (catalogue: object): Record<string, number> =>
  Object.fromEntries(Object.keys(catalogue).map((code) => [code, 422]))

/** How this role's server answers each error, and explains it. */
export const providerProblems = {
  statuses: {
    ...unprocessable(pkiFailures), // trust material that does not verify
    ...forbidden(proofFailures),
    ...administrationStatuses,
    malformed: 400,
    'not-canonical': 400,
    'signature-invalid': 403,
    'certificate-unsealable': 403,
    'store-unreachable': 503,
    'store-busy': 503,
    ...providerStatuses,
  },
  catalogues: [
    ...[bytesFailures, evidenceFailures, keysFailures, pkiFailures, messagesFailures, proofFailures],
    ...[storeFailures, administrationFailures, providerFailures],
  ],
} as const
