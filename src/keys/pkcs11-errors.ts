import { KeysError, type KeysErrorCode } from './failures.ts'

/** PKCS#11 v2.40 §5.1: return values that a person can do something about. */
const MEANINGS: readonly (readonly [RegExp, KeysErrorCode])[] = [
  [/^CKR_PIN_LOCKED$/, 'token-pin-locked'],
  [/^CKR_(PIN_(INCORRECT|INVALID|LEN_RANGE|EXPIRED)|USER_PIN_NOT_INITIALIZED)$/, 'token-pin-wrong'],
  [/^CKR_(TOKEN_NOT_(PRESENT|RECOGNIZED)|SLOT_ID_INVALID)$/, 'token-missing'],
  [/^CKR_(DEVICE_(REMOVED|ERROR)|SESSION_(CLOSED|HANDLE_INVALID)|USER_NOT_LOGGED_IN)$/, 'token-lost'],
  [/^CKR_(KEY_TYPE_INCONSISTENT|KEY_SIZE_RANGE|KEY_FUNCTION_NOT_PERMITTED)$/, 'key-unsuitable'],
]

/** What a PKCS#11 library threw, in our terms; `detail.reason` is the CKR_ name. */
export function pkcs11Failure(error: unknown, detail: Readonly<Record<string, unknown>> = {}): KeysError {
  if (error instanceof KeysError) return error
  const reason = /CKR_\w+/.exec(error instanceof Error ? error.message : '')?.[0] ?? 'unknown'
  const code = MEANINGS.find(([pattern]) => pattern.test(reason))?.[1] ?? 'token-failed'
  return new KeysError(code, { ...detail, reason }, { cause: error })
}
