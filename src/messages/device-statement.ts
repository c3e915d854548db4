import { z } from 'zod'
import type { Signer } from '#pki'
import { bytesText, decodeCanonical, sha256, timeString } from './forms.ts'
import { identifier, MECHANISMS, version } from './identifiers.ts'
import { signJws, verifyJws } from './jws.ts'

const DEVICE_STATEMENT = 'kazasu-device+jwt'

/** What the registered device says of one leg, in order: counter and `prev` make its statements a chain. */
export const deviceStatement = z.strictObject({
  v: version,
  terminal: identifier,
  nonce: bytesText(32),
  statementHash: bytesText(32),
  /** H of the sealed certificate's bytes. */
  certificateHash: bytesText(32),
  cardSignatureHash: bytesText(32),
  /** H(JCS(transcript)), null in mechanism `pin`. */
  transcriptHash: bytesText(32).nullable(),
  mechanism: z.enum(MECHANISMS),
  consentHash: bytesText(32),
  operator: identifier.nullable(),
  lease: identifier.nullable(),
  counter: z.int().min(1),
  /** H of the last device statement's compact form; 32 zero bytes in the first. */
  prev: bytesText(32),
  presentFrom: timeString,
  presentTo: timeString,
  at: timeString,
})
export type DeviceStatement = z.infer<typeof deviceStatement>

/** A device statement whose signature by the registered device key was checked. */
export interface VerifiedDeviceStatement {
  readonly claims: DeviceStatement
  /** H of the compact form: how the next statement names this one. */
  readonly hash: Uint8Array
}

/** Compact JWS of a device statement. */
export function signDeviceStatement(statement: DeviceStatement, deviceKey: Signer): Promise<string> {
  return signJws({ typ: DEVICE_STATEMENT }, statement, deviceKey)
}

/**
 * @param deviceKey SPKI of the terminal's registered device key
 * @throws MessagesError `signature-invalid`, `malformed`, `not-canonical`
 */
export async function verifyDeviceStatement(
  unverified: string,
  deviceKey: Uint8Array,
): Promise<VerifiedDeviceStatement> {
  const payload = await verifyJws(unverified, DEVICE_STATEMENT, deviceKey)
  return { claims: decodeCanonical(deviceStatement, payload), hash: deviceStatementHash(unverified) }
}

/** H of a device statement's compact form, 32 bytes. */
export function deviceStatementHash(compact: string): Uint8Array {
  return sha256(new TextEncoder().encode(compact))
}
