export { EligibilityError, type EligibilityErrorCode, eligibilityFailures } from './failures.ts'
export { hasInsurerCheckDigit, type Membership } from './register.ts'
export { askEligibility, type EligibilityOptions, type RunningEligibility, startEligibility } from './server.ts'
