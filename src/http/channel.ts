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
  readonly closed: Promise<ChannelEnd>
}

export interface ChannelEnd {
  /** 1000 asked for, 1006 the peer was lost, 1007 a malformed message, 1011 our own handler failed. */
  readonly code: number
  /** What our handler threw. */
  readonly cause?: unknown
}

/** What is done with each message, in order; it may answer on the channel. If it fails, the channel ends with 1011. */
export type OnMessage<Message> = (message: Message, channel: Channel) => void | Promise<void>

/** Bytes of one message. */
const MESSAGE_LIMIT = 64 * 1024
/** A peer that was silent from one beat to the next but one is gone: at most 30 s after it went. */
const BEAT = 15 * SECOND

/** Messages that wait for their turn before no more are read. */
const WAITING_LIMIT = 16

const MALFORMED = 1007
const HANDLER_FAILED = 1011

interface ChannelOptions<Schema extends z.ZodType> {
  readonly clock: Clock
  readonly schema: Schema
  readonly onMessage: OnMessage<z.output<Schema>>
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
  let failure: { readonly cause: unknown } | undefined
  const fail = (cause: unknown): void => {
    failure ??= { cause }
    socket.close(HANDLER_FAILED)
  }
  const channel: Channel = {
    send(message) {
      if (socket.readyState !== WebSocket.OPEN) throw new HttpError('channel-closed')
      socket.send(JSON.stringify(message))
    },
    close: () => socket.close(1000),
    closed: new Promise((resolve) => {
      socket.once('close', (code) => {
        stopBeat()
        resolve(failure ? { code: HANDLER_FAILED, ...failure } : { code })
      })
    }),
  }
  const waiting: z.output<Schema>[] = []
  let busy = false
  /** One handler at a time; a peer that sends faster than it is answered is read no further meanwhile. */
  function enqueue(message: z.output<Schema>): void {
    waiting.push(message)
    if (waiting.length >= WAITING_LIMIT) socket.pause()
    if (!busy) void handleWaiting()
  }
  async function handleWaiting(): Promise<void> {
    busy = true
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (socket.readyState !== WebSocket.OPEN) return
        await onMessage(next, channel)
      }
    } catch (error) {
      fail(error)
    } finally {
      busy = false
      if (socket.isPaused) socket.resume()
    }
  }
  socket.on('error', () => socket.terminate())
  socket.on('pong', () => {
    alive = true
  })
  socket.on('message', (data: Buffer, isBinary) => {
    alive = true
    if (socket.readyState !== WebSocket.OPEN) return
    const message = isBinary ? undefined : readMessage(data, schema)
    if (!message) return socket.close(MALFORMED)
    enqueue(message.value)
  })
  return channel
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
    connect({ protocol, hostname, port, host }, (error, socket) =>
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
