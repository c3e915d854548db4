import { ReaderError, type ReaderErrorCode } from './failures.ts'

/**
 * `smartcard` gives PC/SC errors as texts only (its pcsc_errors.h). A card that leaves the field in the middle of a
 * command shows as "Transaction failed" until the service has noticed that it is gone; a service that dies during a call
 * as "Communication error", one that died before as "Invalid handle".
 */
const CODES: Readonly<Record<string, ReaderErrorCode>> = {
  'Card was removed': 'card-removed',
  'Transaction failed': 'card-removed',
  'No smart card present': 'no-card',
  'Card was reset': 'card-reset',
  'Card is unresponsive': 'card-mute',
  'Card is unpowered': 'card-mute',
  'Protocol mismatch': 'card-unsupported',
  'Card is not supported': 'card-unsupported',
  'Unknown card type': 'card-unsupported',
  'Invalid ATR': 'card-unsupported',
  'Sharing violation': 'sharing-violation',
  'Operation timed out': 'timeout',
  'No readers available': 'reader-gone',
  'Unknown reader': 'reader-gone',
  'Reader unavailable': 'reader-gone',
  'PC/SC service not running': 'service-stopped',
  'PC/SC service stopped': 'service-stopped',
  'Communication error': 'service-stopped',
  'Invalid handle': 'service-stopped',
}

/** Any error of the PC/SC binding as one of ours. */
export function readerError(error: unknown): ReaderError {
  if (error instanceof ReaderError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new ReaderError(CODES[reason] ?? 'reader-failed', { reason })
}
