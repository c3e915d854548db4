export {
  type Certificate,
  type CertificateTemplate,
  decodeCertificate,
  isSignedBy,
  issueCertificate,
  keyIdentifier,
} from './certificate.ts'
export { type Crl, type CrlTemplate, decodeCrl, issueCrl, statusByCrl, type VerifiedCrl, verifyCrl } from './crl.ts'
export {
  type Chat,
  type Cvc,
  type CvcRole,
  type CvcTemplate,
  certHash,
  decodeCvc,
  encodeCvc,
  isPastHalf,
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
export { issueCvcRequest, type VerifiedCvcRequest, verifyCvcRequest } from './cvc-request.ts'
export { encodeName, type NameAttribute } from './distinguished-name.ts'
export {
  authorityKeyIdentifier,
  type BasicConstraints,
  basicConstraints,
  type Extension,
  extendedKeyUsage,
  type KeyUsage,
  keyUsage,
  subjectKeyIdentifier,
} from './extension.ts'
export { PkiError, type PkiErrorCode, pkiFailures } from './failures.ts'
export {
  crlDistributionPoint,
  decodeDistributionPointNames,
  decodeOtherNames,
  directoryName,
  dnsName,
  ipAddress,
  ocspAccess,
  subjectAlternativeName,
} from './general-name.ts'
export {
  type CardCertificate,
  crlDistributionName,
  eraBirthDate,
  fifthBirthday,
  HOLDER_STATEMENT,
  type HolderStatement,
  type JpkiKind,
  jpkiAuthority,
  jpkiAuthorityName,
  type Locality,
  signatureCertificate,
  userAuthenticationCertificate,
} from './jpki.ts'
export { EXTENSION, JPKI_POLICY, KAZASU_ARC, KAZASU_CHAT, KEY_PURPOSE, TEST_POLICY } from './object-identifiers.ts'
export { type OcspRequirements, type OcspTolerance, verifyOcspResponse } from './ocsp.ts'
export {
  type CertificateId,
  certificateId,
  decodeOcspRequest,
  encodeOcspRequest,
  type OcspRequest,
  sameCertificateId,
} from './ocsp-request.ts'
export {
  decodeOcspResponse,
  encodeOcspRefusal,
  issueOcspResponse,
  type OcspRefusal,
  type OcspResponse,
  type OcspStatus,
  type OcspTemplate,
  type SingleResponse,
} from './ocsp-response.ts'
export {
  graceEnd,
  type PathRequirements,
  type TrustAnchor,
  trustAnchor,
  type VerifiedPath,
  verifyPath,
} from './path.ts'
export { decodeCertificatesPem, encodeCertificatePem } from './pem.ts'
export {
  algorithmOf,
  decodePublicKey,
  encodePublicKey,
  type PublicKey,
} from './public-key.ts'
export {
  type CertificateStatus,
  REVOCATION_REASONS,
  type Revocation,
  type RevocationReason,
  type RevocationSource,
  type RevocationStatus,
} from './revocation.ts'
export { digestInfoSha256, verifyDigestSignature, verifySignature } from './signature.ts'
export type { Mac, SignatureAlgorithm, Signer } from './signer.ts'
export { issueTlsCertificate, newSerial, type TlsIdentity } from './tls-certificate.ts'
