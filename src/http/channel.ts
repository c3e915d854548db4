import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { z } from 'zod'
import { type Clock, SECOND } from '#clock'
import { acceptAnswer, mediaType, readLimited } from './answer.ts'
import { type Connector, connectionFailure } from './connection.ts'
import { HttpError } from './failures.ts'
import { decodeJson } from './json.ts'

/** An open WebSocket on which both sides send strict JSON; a side that does not answer pings is given up. */
export interface Channel {
  /** @throws HttpError `channel-closed` */
  send(message: unknown): void
  close(): void
  /** Resolves with the close code (RFC 6455 §7.4) when the channel is over, however that came. */
  readonly closed: Promise<number>
}

/** Bytes of one message. */
const MESSAGE_LIMIT = 64 * 1024
/** A peer that was silent from one beat to the next but one is gone: at most 30 s after it went. */
const BEAT = 15 * SECOND

const MALFORMED = 1007

interface ChannelOptions<Schema extends z.ZodType> {
  readonly clock: Clock
  readonly schema: Schema
  /** Called with each message in order. */
  readonly onMessage: (message: z.output<Schema>) => void
}

/** Makes a channel of a WebSocket that is open: on the server, the handler's first argument. */
export function createChannel<Schema extends z.ZodType>(
  socket: WebSocket,
  { clock, schema, onMessage }: ChannelOptions<Schema>,
): Channel {
  let alive = true
  const stopBeat = clock.every(BEAT, () => {
    if (!alive) return socket.terminate()
    alive = false
    socket.ping()
  })
  const closed = new Promise<number>((resolve) => {
    socket.once('close', (code) => {
      stopBeat()
      resolve(code)
    })
  })
  socket.on('error', () => socket.terminate())
  socket.on('pong', () => {
    alive = true
  })
  socket.on('message', (data: Buffer, isBinary) => {
    alive = true
    const message = isBinary ? undefined : readMessage(data, schema)
    if (message) onMessage(message.value)
    else socket.close(MALFORMED)
  })
  return {
    send(message) {
      if (socket.readyState !== WebSocket.OPEN) throw new HttpError('channel-closed')
      socket.send(JSON.stringify(message))
    },
    close: () => socket.close(1000),
    closed,
  }
}

function readMessage<Schema extends z.ZodType>(
  data: Buffer,
  schema: Schema,
): { readonly value: z.output<Schema> } | undefined {
  try {
    return { value: schema.parse(decodeJson(data)) }
  } catch {
    return undefined
  }
}

/** Opens the client's end. The connection is made, and its certificate checked, before the upgrade is asked for. */
export async function openClientChannel<Schema extends z.ZodType>(
  options: ChannelOptions<Schema> & {
    readonly connect: Connector
    readonly base: URL
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly timeoutMs: number
  },
): Promise<Channel> {
  const { base, connect } = options
  const connection = await new Promise<Duplex>((resolve, reject) => {
    const { protocol, hostname, port, host } = base
    connect({ protocol, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port, host }, (error, socket) =>
      socket ? resolve(socket) : reject(connectionFailure(error)),
    )
  })
  const socket = new WebSocket(`${base.protocol === 'https:' ? 'wss' : 'ws'}://${base.host}${options.path}`, {
    createConnection: () => connection,
    headers: { ...options.headers },
    maxPayload: MESSAGE_LIMIT,
    handshakeTimeout: options.timeoutMs,
    perMessageDeflate: false,
  })
  return await new Promise<Channel>((resolve, reject) => {
    socket.once('open', () => resolve(createChannel(socket, options)))
    socket.once('unexpected-response', (_request, response) => {
      readRefusal(response).then(reject, reject)
    })
    socket.once('error', (error) => reject(connectionFailure(error)))
  })
}

/** Rejects with the `problem` that was answered instead of an upgrade. */
async function readRefusal(response: IncomingMessage): Promise<HttpError> {
  const body = await readLimited(response, MESSAGE_LIMIT)
  const { status } = acceptAnswer({ status: response.statusCode ?? 0, type: mediaType(response.headers), body })
  return new HttpError('answer-malformed', { status })
}
