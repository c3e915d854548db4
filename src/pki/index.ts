export {
  type Chat,
  type Cvc,
  type CvcRole,
  type CvcTemplate,
  certHash,
  decodeCvc,
  encodeCvc,
  issueCvc,
} from './cvc.ts'
export {
  type CvcProfile,
  kazasuProfile,
  trustCvca,
  type VerifiedCvc,
  verifyCvc,
  verifyCvcChain,
  verifyCvcLink,
} from './cvc-chain.ts'
export { type CvcAlgorithm, TERMINAL_AUTHENTICATION } from './cvc-public-key.ts'
export { PkiError, type PkiErrorCode, pkiFailures } from './failures.ts'
export { KAZASU_ARC, KAZASU_CHAT } from './object-identifiers.ts'
export {
  algorithmOf,
  decodePublicKey,
  encodePublicKey,
  type PublicKey,
} from './public-key.ts'
export { digestInfoSha256, verifyDigestSignature, verifySignature } from './signature.ts'
export type { Mac, SignatureAlgorithm, Signer } from './signer.ts'
