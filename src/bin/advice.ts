import { administrationFailures } from '#administration'
import { authorityFailures } from '#authority'
import { eligibilityFailures } from '#eligibility'
import { codeOf, type Failure } from '#failure'
import { keysFailures } from '#keys'
import { proofFailures } from '#proof'
import { providerFailures } from '#provider'
import { storeFailures } from '#store'
import { explain } from '#terminal'
import { townFailures } from '#town'

/** What can go wrong in a process that holds every role, beside what a terminal explains itself. */
const catalogue: Readonly<Record<string, Failure>> = {
  ...{ ...storeFailures, ...keysFailures, ...administrationFailures, ...authorityFailures },
  ...{ ...proofFailures, ...providerFailures, ...eligibilityFailures, ...townFailures },
}

/** Cause and remedy, for whoever sits at the command line. */
export const adviseOn = (error: unknown): Failure => catalogue[codeOf(error) ?? ''] ?? explain(error)
