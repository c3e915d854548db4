import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { systemClock, systemRandom } from '#clock'
import { createLog } from '#http'
import { openPcsc } from '#reader'
import { enrolTerminal, startTerminal } from '#terminal'

interface EnrolOptions {
  readonly directory: string
  readonly provider: string
  readonly certificate: string
  readonly code: string
}
interface ServeOptions {
  readonly directory: string
  readonly port: number
  readonly reader?: string
}

/** `kazasu terminal …`: a terminal by itself, at a provider anywhere, with a reader of this machine. */
export function addTerminalCommands(
  program: Command,
  parts: {
    readonly out: (text: string) => void
    readonly port: (text: string) => number
    readonly untilInterrupted: () => Promise<void>
  },
): void {
  const { out } = parts
  const terminal = program.command('terminal').description('端末 – a terminal by itself, apart from the town')
  terminal
    .command('enrol')
    .description('make a terminal’s keys and have a provider register them, by a one-time code')
    .requiredOption('--directory <folder>', 'where the terminal’s keys and state are kept')
    .requiredOption('--provider <url>', 'https://host:port')
    .requiredOption('--certificate <file>', 'the provider’s TLS certificate, PEM: the only one that is trusted')
    .requiredOption('--code <code>', 'from an administrator of the provider (`kazasu provider enrolment-code`)')
    .action(async ({ directory, provider, certificate, code }: EnrolOptions) => {
      const providerCertificate = await readFile(certificate, 'utf8')
      const wanted = { directory, code, providerUrl: provider, providerCertificate }
      await enrolTerminal(wanted, systemClock, systemRandom)
      out(`${directory}: 登録しました。次に管理者が利用開始にします。 / enrolled; an administrator activates it now`)
    })
  terminal
    .command('serve')
    .description('run an enrolled terminal with a PC/SC reader: its local interface, until interrupted')
    .requiredOption('--directory <folder>', 'the folder it was enrolled in')
    .option('--port <port>', 'of the local interface', parts.port, 8781)
    .option('--reader <name>', 'the reader whose name begins so (the first unless given)')
    .action(async ({ directory, port, reader }: ServeOptions) => {
      const interrupted = parts.untilInterrupted()
      const system = await openPcsc({ clock: systemClock })
      try {
        const running = await startTerminal({
          ...{
            directory,
            reader: await system.reader(reader),
            clock: systemClock,
            random: systemRandom,
            http: { port },
          },
          log: createLog({ name: 'terminal', clock: systemClock, level: 'warn' }),
        })
        try {
          out(`端末 / terminal: ${running.url}/docs/   鍵 / key: ${directory}/local-key   Ctrl-C で終了 / stops it`)
          await interrupted
        } finally {
          await running.close()
        }
      } finally {
        await system.close()
      }
    })
}
