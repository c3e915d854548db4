import { z } from 'zod'
import { MINUTE, timeText } from '#clock'
import type { HttpApp } from '#http'
import { bytesText, identifier, timeString, version } from '#messages'
import type { Require } from './access.ts'
import type { Channels } from './channels.ts'
import type { IssuingProvider } from './context.ts'
import { createEnrolmentCode } from './enrolment.ts'
import { activateTerminal, listTerminals, resyncTerminal, suspendTerminal, withdrawCertificate } from './terminals.ts'

const tags = ['terminal administration']
const path = z.strictObject({ id: identifier })
const empty = z.strictObject({ v: version })

const codeRequest = z.strictObject({
  v: version,
  terminal: identifier,
  institution: identifier,
  attended: z.boolean().describe('Staff stand beside it'),
  minutes: z.int().min(1).max(1440).default(15),
})
const codeAnswer = z.strictObject({ v: version, code: bytesText(16), expiresAt: timeString })

const resyncRequest = z.strictObject({
  v: version,
  head: bytesText(32),
  counter: z.int().min(0),
  deviceInHand: z.literal(true).describe('Head and counter were read off the device itself, by somebody beside it'),
  noCopySuspected: z.literal(true).describe('Why it lost its place is known, and it is not a copied key'),
})

const terminalList = z.object({
  v: version,
  terminals: z.array(
    z.strictObject({
      id: identifier,
      institution: identifier,
      attended: z.boolean(),
      state: z.enum(['enrolled', 'active', 'suspended']),
      counter: z.int(),
      enrolledAt: timeString,
      lastSeenAt: timeString.nullable(),
      certificates: z.array(
        z.strictObject({ certHash: bytesText(32), expiry: z.string(), withdrawnAt: timeString.nullable() }),
      ),
    }),
  ),
})

/** Codes, states and certificates of terminals; every act reaches the terminal's open channel at once. */
export function addTerminalAdministration(
  scope: HttpApp,
  provider: IssuingProvider,
  channels: Channels,
  require: Require,
): void {
  const { database, clock } = provider
  const text = (time: number | null): string | null => (time === null ? null : timeText(time))

  scope.post(
    '/v1/enrolment-codes',
    {
      schema: {
        ...{ tags, body: codeRequest, response: { 201: codeAnswer } },
        summary: 'One-time code for a terminal (operator); shown once, only its hash is kept',
      },
    },
    async (request, reply) => {
      require(request, 'operator')
      const { terminal, institution, attended, minutes } = request.body
      const made = await createEnrolmentCode(provider, { terminal, institution, attended }, minutes * MINUTE)
      return reply.code(201).send({ v: 1, code: made.code, expiresAt: timeText(made.expiresAt) })
    },
  )
  scope.get(
    '/v1/terminals',
    { schema: { tags, summary: 'Terminals and their certificates', response: { 200: terminalList } } },
    async (request) => {
      require(request, 'operator', 'auditor', 'administrator')
      const terminals = await listTerminals(database)
      return {
        v: 1 as const,
        terminals: terminals.map(({ enrolledAt, lastSeenAt, certificates, ...rest }) => ({
          ...{ ...rest, enrolledAt: timeText(enrolledAt), lastSeenAt: text(lastSeenAt) },
          certificates: certificates.map((one) => ({ ...one, withdrawnAt: text(one.withdrawnAt) })),
        })),
      }
    },
  )

  const acts = [
    ['activation', 'Let an enrolled or suspended terminal work (operator)', activateTerminal],
    ['suspension', 'Stop a terminal at once (operator)', suspendTerminal],
  ] as const
  for (const [name, summary, act] of acts) {
    scope.post(
      `/v1/terminals/:id/${name}`,
      { schema: { tags, summary, params: path, body: empty, response: { 204: z.null() } } },
      async (request, reply) => {
        require(request, 'operator')
        await act(database, request.params.id)
        await channels.refresh()
        return reply.code(204).send(null)
      },
    )
  }
  scope.post(
    '/v1/terminals/:id/resynchronisation',
    {
      schema: {
        ...{ tags, params: path, body: resyncRequest, response: { 204: z.null() } },
        summary: 'Set a terminal’s place in its chain to what it reports (operator)',
      },
    },
    async (request, reply) => {
      require(request, 'operator')
      await resyncTerminal(database, request.params.id, request.body)
      return reply.code(204).send(null)
    },
  )
  scope.post(
    '/v1/terminal-certificates/:certHash/withdrawal',
    {
      schema: {
        ...{ tags, params: z.strictObject({ certHash: bytesText(32) }), body: empty, response: { 204: z.null() } },
        summary: 'Withdraw a terminal certificate; taps under way with it cannot commit (operator)',
      },
    },
    async (request, reply) => {
      require(request, 'operator')
      await withdrawCertificate(database, request.params.certHash, clock.now())
      return reply.code(204).send(null)
    },
  )
}
