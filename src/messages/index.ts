export {
  type Answer,
  answer,
  type EvidenceReceipt,
  evidenceReceipt,
  type LegAnswer,
  legAnswer,
} from './answer.ts'
export { type ChallengeAnswer, type ChallengeRequest, challengeAnswer, challengeRequest } from './challenge.ts'
export { type ConsentRecord, consentHash, consentRecord } from './consent.ts'
export {
  type DeviceStatement,
  deviceStatement,
  deviceStatementHash,
  signDeviceStatement,
  type VerifiedDeviceStatement,
  verifyDeviceStatement,
} from './device-statement.ts'
export { type Eligibility, eligibility } from './eligibility.ts'
export {
  type EnrolmentParts,
  type EnrolmentRequest,
  enrolmentCodeHash,
  enrolmentRequest,
  type Offer,
  offer,
  type RenewalRequest,
  renewalRequest,
  signEnrolment,
  type TerminalView,
  terminalView,
  verifyEnrolment,
} from './enrolment.ts'
export { MessagesError, type MessagesErrorCode, messagesFailures } from './failures.ts'
export {
  bytesText,
  bytesTextUpTo,
  canonicalJson,
  decodeCanonical,
  hashText,
  parseJson,
  parseMessage,
  sha256,
  timeString,
} from './forms.ts'
export {
  BASES,
  type Basis,
  identifier,
  MECHANISMS,
  type Mechanism,
  NONCE_CLASSES,
  type NonceClass,
  PRESENCE_STATEMENT,
  ROLES,
  type Role,
  version,
} from './identifiers.ts'
export { signJws, verifyJws } from './jws.ts'
export {
  type ChannelEvent,
  type ChannelRequest,
  channelEvent,
  channelRequest,
  type NonceRequest,
  type NonceRow,
  nonceRequest,
  nonceRow,
} from './nonce.ts'
export {
  checkPairwiseId,
  derivePairwiseId,
  linkOf,
  type PairwiseInput,
  type PairwiseUse,
  publicKeyHash,
  witnessOf,
} from './pairwise-id.ts'
export { decodeProof, type EarlyCertificate, earlyCertificate, PROOF_LIMIT, type Proof, proof } from './proof.ts'
export { importSealingKey, sealCertificate, unsealCertificate } from './sealed-certificate.ts'
export {
  auxiliaryData,
  composeA,
  composeT,
  legHash,
  type PresenceStatement,
  presenceStatement,
  statementHash,
} from './statement.ts'
export { PRESENCE_TOKEN, type PresenceClaims, presenceClaims, TOKEN_LIFE } from './token.ts'
export { type Transcript, transcript } from './transcript.ts'
