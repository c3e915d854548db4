export { CREDENTIALS, FILE, type HolderKey, JPKI_AID } from './application.ts'
export { signDigest } from './compute-signature.ts'
export { CardError, type CardErrorCode, cardFailures } from './failures.ts'
export { challengeStep, getChallenge } from './get-challenge.ts'
export {
  announce,
  announceStep,
  authenticate,
  authenticateStep,
  signAuthorised,
  signAuthorisedStep,
} from './institution-authentication.ts'
export {
  type CardOrder,
  createPersonalisation,
  decodePersonalisation,
  encodePersonalisation,
  type IssueCertificate,
  type Personalisation,
} from './personalisation.ts'
export { readCertificate, readFile, readUserCertificate } from './read-binary.ts'
export { selectFile, selectJpki, selectJpkiStep } from './select.ts'
export {
  type CardState,
  createFileCardState,
  createMemoryCardState,
  initialCardState,
  type PersistedCard,
} from './state.ts'
export { type CardStep, perform } from './step.ts'
export { type PinOutcome, readTriesLeft, verifyPin } from './verify.ts'
export { certificateSteps, presentCertificates } from './verify-certificate.ts'
export { createVirtualCard, type VirtualCardParts } from './virtual-card.ts'
