import { administrationFailures, administrationStatuses } from '#administration'
import { bytesFailures } from '#bytes'
import { evidenceFailures } from '#evidence'
import { keysFailures } from '#keys'
import { messagesFailures } from '#messages'
import { pkiFailures } from '#pki'
import { proofFailures } from '#proof'
import { storeFailures } from '#store'
import { type ProviderErrorCode, providerFailures } from './failures.ts'

/** HTTP status of each code. */
const providerStatuses: Readonly<Record<ProviderErrorCode, number>> = {
  'terminal-unknown': 401,
  'terminal-suspended': 403,
  'terminal-not-active': 403,
  'terminal-changed': 409,
  'lease-expired': 403,
  'institution-suspended': 403,
  'client-unknown': 403,
  'policy-refused': 403,
  'nonce-unknown': 403,
  'nonce-expired': 403,
  'nonce-used': 409,
  'consent-used': 409,
  'proof-mismatch': 409,
  'answer-erased': 410,
  'counter-gap': 409,
  'device-fork': 403,
  'quota-exceeded': 429,
  'certificate-revoked': 403,
  'status-unknown': 403,
  'status-unavailable': 503,
  'status-stale': 503,
  'log-rolled-back': 503,
  'not-found': 404,
  exists: 409,
  'enrolment-code': 403,
  'enrolment-request': 403,
  'trust-missing': 503,
  'dv-refused': 422,
  'key-refused': 422,
  'token-invalid': 403,
  'token-spent': 409,
  'too-many-requests': 429,
  'trust-changed': 503,
  'trust-withdrawn': 409,
  'policy-unsound': 500,
}

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
