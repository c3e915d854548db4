import type { webcrypto } from 'node:crypto'
import type { Clock, Random } from '#clock'
import type { AuditPublicKey } from '#evidence'
import type { Eligibility } from '#messages'
import type { Mac, RevocationSource, Signer } from '#pki'
import type { Trust } from '#proof'
import type { PolicyRow } from './policy.ts'
import type { Database } from './tables.ts'
import type { InstalledTrust } from './trust.ts'
import type { Witness } from './witness.ts'

/** The provider's keys; each has one use. `pairwise` has a version, so that old IDs can still be told apart. */
export interface ProviderKeys {
  readonly token: Signer
  readonly log: Signer
  /** Signs terminal certificates and nothing else. */
  readonly dv: Signer
  /** Opens sealed certificates. */
  readonly sealing: { readonly publicKey: webcrypto.CryptoKey; readonly privateKey: webcrypto.CryptoKey }
  readonly link: Mac
  readonly witness: Mac
  readonly pairwise: Mac
  readonly pairwiseVersion: number
}

/**
 * Port to the register of insured persons: what it knows of `subject`, its own pairwise ID. Answers in its own time
 * limit with `unavailable` rather than rejecting: a tap does not fail because a register is away.
 */
export type LookUpRecord = (request: { readonly subject: string; readonly at: number }) => Promise<Eligibility>

/** What the time of a reception is spent on, in the order of protocol.md section 3. */
export type Check = 'terminal' | 'statement' | 'recall' | 'nonce' | 'proof' | 'status' | 'record' | 'commit' | 'release'

/** What is trusted, as of an epoch: compared again when a tap commits. */
export interface DatedTrust extends Trust {
  readonly epoch: number
}

/** What every part of the provider is given. */
export interface Provider {
  readonly id: string
  /** `iss` of tokens: the origin under which the key set is published. */
  readonly issuer: string
  readonly database: Database
  readonly clock: Clock
  readonly random: Random
  readonly keys: ProviderKeys
  /** The auditor's public key; nobody here can open a record of the log. */
  readonly auditKey: AuditPublicKey
  /** Signs the log's checkpoints, and stops everything if the log was rolled back. */
  readonly witness: Witness
  readonly policy: readonly PolicyRow[]
  /** What is trusted now. @throws ProviderError `trust-missing` */
  readonly trust: () => DatedTrust
  readonly revocation: RevocationSource
  readonly lookUpRecord: LookUpRecord
  /** The audience that `lookUpRecord` belongs to. */
  readonly registerAudience: string
  /** Counts a verdict: `accepted`, or the code of the refusal. */
  readonly count: (verdict: string) => void
  /** Runs one of the checks of a proof and takes its time; for sums over all proofs only. */
  readonly time: <T>(check: Check, run: () => Promise<T>) => Promise<T>
}

/** A provider that also signs terminal certificates: it needs its DV certificate. */
export interface IssuingProvider extends Provider {
  /** How many days a terminal's certificate lasts, if the DV's lasts as long. */
  readonly certificateDays: number
  readonly trust: () => InstalledTrust
}
