import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { codeOf } from '#failure'
import { bodyBytes, clientThumbprint, createChannel, type HttpApp } from '#http'
import {
  answer,
  canonicalJson,
  channelRequest,
  earlyCertificate,
  enrolmentRequest,
  PROOF_LIMIT,
  proof,
  renewalRequest,
  terminalView,
} from '#messages'
import { answerRequest, type Channels } from './channels.ts'
import type { IssuingProvider } from './context.ts'
import { enrolTerminal, renewCertificate, type TlsClient } from './enrolment.ts'
import { ProviderError } from './failures.ts'
import { createNonceBudget } from './nonce-budget.ts'
import { receive } from './reception.ts'
import { viewTerminal } from './terminal-view.ts'
import { type IdentifiedTerminal, identifyTerminal } from './terminals.ts'

const tags = ['terminals']
/** By the certificate that the terminal enrolled with. */
const security = [{ mutualTls: [] }]

/** What terminals call: under mutual TLS, each known by the thumbprint of its certificate. */
export function addTerminalRoutes(
  app: HttpApp,
  provider: IssuingProvider,
  channels: Channels,
  report: (error: unknown) => void,
): void {
  const identify = (request: FastifyRequest): Promise<IdentifiedTerminal> =>
    identifyTerminal(provider.database, clientThumbprint(request))
  const view = async (request: FastifyRequest) => viewTerminal(provider, await identify(request))

  app.post(
    '/v1/terminals',
    {
      schema: {
        ...{ tags, security, body: enrolmentRequest, response: { 201: terminalView } },
        summary: 'Enrol: spends a one-time code on the TLS, device and institution key of a terminal',
      },
    },
    async (request, reply) => {
      await enrolTerminal(provider, request.body, tlsClient(request))
      return reply.code(201).send(await view(request))
    },
  )
  app.get(
    '/v1/terminals/self',
    {
      schema: {
        ...{ tags, security, response: { 200: terminalView } },
        summary: 'The terminal as the provider knows it: state, place in its chain, certificates, offers',
      },
    },
    view,
  )
  app.post(
    '/v1/terminals/self/certificates',
    {
      schema: {
        ...{ tags, security, body: renewalRequest, response: { 201: terminalView } },
        summary: 'A new terminal certificate, for the same institution key or another',
      },
    },
    async (request, reply) => {
      await renewCertificate(provider, await identify(request), request.body, tlsClient(request))
      return reply.code(201).send(await view(request))
    },
  )
  app.post(
    '/v1/early-certificates',
    {
      schema: {
        ...{ tags, security, body: earlyCertificate },
        summary: 'Sealed certificate ahead of the proof',
        description:
          'The answer is always an empty 202. Accepted and dropped: the look-up ahead of the proof comes later.',
      },
    },
    async (_request, reply) => reply.code(202).send(),
  )
  app.post(
    '/v1/proofs',
    {
      bodyLimit: PROOF_LIMIT,
      // The proof is judged by its very bytes, in the order of the protocol: the schema here is for the description.
      validatorCompiler: () => (value: unknown) => ({ value }),
      schema: {
        ...{ tags, security, body: proof, response: { 200: answer } },
        summary: 'Proof of a tap → tokens, records, evidence',
        description: 'The same bytes get the same answer again. Refusals after the device statement are recorded.',
      },
    },
    async (request, reply) => {
      provider.witness.requireSound() // not even an answer given before is given again
      const accepted = await countVerdict(provider, receive(provider, bodyBytes(request), clientThumbprint(request)))
      return reply.type('application/json').send(Buffer.from(canonicalJson(accepted)) as never)
    },
  )

  const budget = createNonceBudget(provider.clock)
  const opening = new WeakMap<FastifyRequest, IdentifiedTerminal>()
  app.get(
    '/v1/terminals/self/channel',
    {
      websocket: true,
      schema: { tags, security, summary: 'Channel: nonces, state, heartbeat (WebSocket)' },
      preValidation: async (request) => {
        opening.set(request, await identify(request))
      },
    },
    (socket, request) => {
      const terminal = opening.get(request)
      const thumbprint = clientThumbprint(request)
      if (!terminal || thumbprint === undefined) return socket.close(1011)
      const channel = createChannel(socket, {
        clock: provider.clock,
        schema: channelRequest,
        onMessage: (message, from) => answerRequest(provider, from, message, { thumbprint, budget }, report),
      })
      channels.add(channel, terminal, thumbprint)
    },
  )
}

/** @throws ProviderError `terminal-unknown` without a client certificate */
function tlsClient(request: FastifyRequest): TlsClient {
  const thumbprint = clientThumbprint(request)
  const { socket } = request.raw
  const presented = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (thumbprint === undefined || !presented) throw new ProviderError('terminal-unknown')
  return { thumbprint, publicKey: Uint8Array.from(presented.publicKey.export({ format: 'der', type: 'spki' })) }
}

async function countVerdict<T>({ count }: IssuingProvider, reception: Promise<T>): Promise<T> {
  try {
    const accepted = await reception
    count('accepted')
    return accepted
  } catch (error) {
    count(codeOf(error) ?? 'failed')
    throw error
  }
}
