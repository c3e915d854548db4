/*
 * The few messages of PostgreSQL's wire protocol 3.0 that the embedded database's thread reads or makes itself
 * (PostgreSQL documentation, chapter "Frontend/Backend Protocol", section "Message Formats").
 */

const message = (type: string, body: string): Buffer => {
  const bytes = Buffer.from(`${type}....${body}`)
  bytes.writeUInt32BE(bytes.length - 1, 1)
  return bytes
}

/** ReadyForQuery outside a transaction; as `welcome` with AuthenticationOk before it. */
export function encodeReady(kind?: 'welcome'): Uint8Array {
  const ready = message('Z', 'I')
  return Uint8Array.from(kind ? Buffer.concat([message('R', '\0\0\0\0'), ready]) : ready)
}

/** ErrorResponse with severity, SQLSTATE and message. */
export function encodeFailure(severity: 'ERROR' | 'FATAL', sqlState: string, text: string): Uint8Array {
  return Uint8Array.from(message('E', `S${severity}\0V${severity}\0C${sqlState}\0M${text}\0\0`))
}

/**
 * What the ReadyForQuery at the end of `answer` says; `unfinished` if there is none. The last six bytes suffice: every
 * other message that can come last ends in a zero byte (CommandComplete, ErrorResponse) or a format code 0 or 1.
 */
export function transactionStatus(answer: Uint8Array): 'idle' | 'transaction' | 'unfinished' {
  const tail = Buffer.from(answer.subarray(-6)).toString('latin1')
  if (!tail.startsWith('Z\0\0\0\x05')) return 'unfinished'
  return tail.endsWith('I') ? 'idle' : 'transaction'
}

/** Terminate: the client hangs up. */
export function isTerminate(bytes: Uint8Array): boolean {
  return bytes.length === 5 && bytes[0] === 0x58
}
