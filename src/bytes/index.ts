export { decodeBase64url, encodeBase64url } from './base64url.ts'
export { concatBytes, equalBytes } from './compare.ts'
export {
  contextConstructed,
  contextPrimitive,
  DER,
  DerReader,
  decodeBitStringValue,
  decodeObjectIdentifierValue,
  decodeUnsignedIntegerValue,
  encodeBitString,
  encodeObjectIdentifier,
  encodeSequence,
  encodeUnsignedInteger,
  objectIdentifierValue,
} from './der.ts'
export { BytesError, type BytesErrorCode, bytesFailures } from './failures.ts'
export { decodeHex, encodeHex } from './hex.ts'
export { decodeTlv, decodeTlvs, encodeTlv, readTlv, type Tlv, type TlvLimits } from './tlv.ts'
