export { type CardChannel, type CardConnection, type CardDevice, type CardReader, exchange } from './channel.ts'
export {
  CHAINING,
  type CommandApdu,
  chainCommand,
  command,
  decodeCommand,
  encodeCommand,
  needsExtended,
} from './command.ts'
export { ApduError, type ApduErrorCode, apduFailures } from './failures.ts'
export {
  decodeResponse,
  encodeResponse,
  type ResponseApdu,
  SW,
  status,
  statusText,
  triesLeft,
  triesLeftStatus,
} from './response.ts'
export { type RecordedExchange, replayChannel, type TracedExchange, traceChannel } from './trace.ts'
