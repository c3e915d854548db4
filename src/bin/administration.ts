import type { Command } from 'commander'
import { z } from 'zod'
import type { Clock } from '#clock'
import { readFileIfPresent } from '#files'
import { createHttpClient, type HttpClient } from '#http'
import { TownError } from '#town'
import { findRunning, type Home } from './home.ts'

const terminals = z.looseObject({
  terminals: z.array(
    z.looseObject({
      id: z.string(),
      institution: z.string(),
      state: z.string(),
      counter: z.int(),
      lastSeenAt: z.string().nullable(),
    }),
  ),
})
const certificates = z.looseObject({
  certificates: z.array(
    z.looseObject({
      serial: z.string(),
      holder: z.string(),
      kind: z.string(),
      state: z.string(),
      notAfter: z.string(),
    }),
  ),
})

/** The desk’s own words to a role: over its REST interface, with the key of whoever may. */
async function asRole<T>(
  home: Home,
  clock: Clock,
  role: 'authority' | 'provider',
  person: string,
  act: (client: HttpClient) => Promise<T>,
): Promise<T> {
  const running = await findRunning(home)
  if (!running) throw new TownError('town-not-running')
  const read = async (...path: readonly string[]) =>
    Buffer.from((await readFileIfPresent(home.path(...path))) ?? new Uint8Array(0))
      .toString()
      .trim()
  const certificate = role === 'provider' ? { serverCertificate: await read('provider', 'tls-certificate.pem') } : {}
  const bearer = await read(role, `${person}.key`)
  const client = createHttpClient({ baseUrl: running[role], bearer, clock, timeoutMs: 10_000, ...certificate })
  try {
    return await act(client)
  } finally {
    await client.close()
  }
}

/** `kazasu provider …` and `kazasu authority …`. */
export function addAdministration(program: Command, home: () => Home, clock: Clock, out: (text: string) => void): void {
  const provider = program.command('provider').description('サービス提供機関 – terminals of the running town')
  const operator = <T>(act: (client: HttpClient) => Promise<T>) => asRole(home(), clock, 'provider', 'operator', act)
  provider
    .command('terminals')
    .description('terminals and their states')
    .option('--json', 'print as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await operator((client) => client.getJson('/v1/terminals', terminals))
      if (json) return out(JSON.stringify(found.terminals, null, 2))
      for (const { id, institution, state, counter, lastSeenAt } of found.terminals) {
        out(
          `${id.padEnd(20)} ${institution.padEnd(20)} ${state.padEnd(10)} ${counter} statements, last seen ${lastSeenAt ?? '–'}`,
        )
      }
    })
  for (const [name, act, description] of [
    ['suspend', 'suspension', 'stop a terminal at once (lost, stolen, in doubt)'],
    ['activate', 'activation', 'let an enrolled or suspended terminal work'],
  ] as const) {
    provider
      .command(name)
      .argument('<terminal>', 'id of the terminal')
      .description(description)
      .action(async (terminal: string) => {
        const path = `/v1/terminals/${encodeURIComponent(terminal)}/${act}`
        await operator((client) => client.postJson(path, z.unknown(), { v: 1 }))
        out(`${terminal}: ${name === 'suspend' ? '停止しました / suspended' : '利用を開始しました / active'}`)
      })
  }

  provider
    .command('enrolment-code')
    .argument('<terminal>', 'id that the terminal is to have')
    .requiredOption('--institution <id>', 'where it will stand')
    .option('--attended', 'staff stand beside it')
    .description('a one-time code for `kazasu terminal enrol`, good for 15 minutes')
    .action(
      async (terminal: string, { institution, attended = false }: { institution: string; attended?: boolean }) => {
        const { code } = await operator((client) =>
          client.postJson('/v1/enrolment-codes', z.looseObject({ code: z.string() }), {
            ...{ v: 1, terminal, institution, attended, minutes: 15 },
          }),
        )
        out(code)
      },
    )

  const authority = program.command('authority').description('試験用認証局 – certificates of the running town’s cards')
  const clerk = <T>(act: (client: HttpClient) => Promise<T>) => asRole(home(), clock, 'authority', 'clerk', act)
  const certificatesOf = (holder?: string) =>
    clerk((client) =>
      client.getJson(
        `/v1/certificates${holder === undefined ? '' : `?holder=${encodeURIComponent(holder)}`}`,
        certificates,
      ),
    )
  authority
    .command('certificates')
    .description('certificates by holder; serial numbers stay at the authority')
    .action(async () => {
      const found = await certificatesOf()
      for (const { holder, kind, state, notAfter } of found.certificates) {
        out(`${holder.padEnd(10)} ${kind.padEnd(20)} ${state.padEnd(9)} until ${notAfter}`)
      }
    })
  authority
    .command('revoke')
    .argument('<holder>', 'whose user-authentication certificate')
    .addHelpText('after', '\nRevocation is for good: OCSP and CRL say so when this returns.')
    .description('revoke a resident’s user-authentication certificate')
    .action(async (holder: string) => {
      const { certificates: found } = await certificatesOf(holder)
      const one = found.find(({ kind, state }) => kind === 'user-authentication' && state === 'issued')
      if (!one) throw new TownError('card-unknown', { name: holder })
      await clerk((client) =>
        client.postJson(`/v1/certificates/${one.serial}/revocation`, z.unknown(), { v: 1, reason: 'keyCompromise' }),
      )
      out(`${holder}: 失効しました / revoked`)
    })
}
