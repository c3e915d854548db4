import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { createFileCardState, createVirtualCard, decodePersonalisation } from '#card'
import { systemClock, systemRandom } from '#clock'
import { readFileIfPresent } from '#files'
import { servePcd } from '#reader'
import { TownError } from '#town'
import { addAdministration } from './administration.ts'
import { adviseOn } from './advice.ts'
import { addBenches } from './bench.ts'
import { diagnose } from './doctor.ts'
import { clearTown } from './foundation.ts'
import { accessPage, findRunning, type Home, lockHome, openHome, pageAddress } from './home.ts'
import { askPin, pinDigits, pinInFile } from './pin.ts'
import { tapJson, tapText } from './print.ts'
import { RESIDENTS } from './residents.ts'
import { addTerminalCommands } from './terminal-commands.ts'
import { type RunningTownHandle, startTown, type TownSettings } from './town.ts'
import { payVisit, type Visit } from './visit.ts'

const out = (text: string): void => void process.stdout.write(`${text}\n`)
const note = (text: string): void => void process.stderr.write(`${text}\n`)

/** Done, refused, misused. */
const EXIT = { done: 0, refused: 1, misused: 2 } as const

interface ReaderOptions {
  readonly pcsc?: boolean | string
  readonly vpcd?: { readonly host: string; readonly port: number }
}
interface StartOptions extends ReaderOptions {
  readonly port: number
  readonly database?: string
  readonly tap: boolean
}
interface TapOptions extends ReaderOptions {
  readonly json?: boolean
  readonly card: string
  readonly mechanism: 'institution' | 'pin'
  readonly pin?: string
  readonly pinFile?: string
  readonly lang: 'ja' | 'en'
}

/** Runs the command line; gives the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.done
  const program = new Command('kazasu')
    .description('かざす – hold up a My Number Card and be recognised. Test authority, invented people, virtual cards.')
    .option('--home <folder>', 'where everything is kept (KAZASU_HOME)', process.env.KAZASU_HOME ?? '.kazasu')
    .exitOverride()
  const home = (): Home => openHome(program.opts<{ home: string }>().home)

  readerOptions(program.command('start'))
    .description('start the test town: authority, provider, a clinic with its terminal, residents with cards')
    .option('--port <port>', 'port of the page', portNumber, 8780)
    .option('--database <url>', 'postgresql://… instead of the embedded database', databaseUrl)
    .option('--no-tap', 'do not perform a tap at the start')
    .action(async (options: StartOptions) => start(home(), options))

  readerOptions(program.command('tap'))
    .description('hold up a card once: in the running town, or in one that is started for it and stopped again')
    .option('--json', 'print the result as JSON')
    .option('--card <name>', 'whose card', 'hanako')
    .addOption(
      new Option('--mechanism <name>', 'what the card does').choices(['institution', 'pin']).default('institution'),
    )
    .option('--pin <digits>', 'for test cards only: visible to other users of this machine', pinDigits)
    .addOption(
      new Option(
        '--pin-file <file>',
        'where the PIN stands, - for standard input; else it is asked for at the terminal',
      )
        .argParser(pinInFile)
        .conflicts('pin'),
    )
    .addOption(new Option('--lang <language>', 'of the consent text').choices(['ja', 'en']).default('ja'))
    .action(async (options: TapOptions) => {
      const outcome = await tapOnce(home(), options)
      out(options.json ? JSON.stringify(tapJson(outcome), null, 2) : tapText(outcome))
      if (outcome.result !== 'recognised') code = EXIT.refused
    })

  const card = program.command('card').description('the residents’ virtual cards')
  card
    .command('list')
    .description('whose cards there are')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) => {
      const cards = RESIDENTS.map(({ name, holder, about }) => ({ name, holder, about }))
      out(
        json
          ? JSON.stringify(cards, null, 2)
          : cards.map((one) => `${one.name.padEnd(8)} ${one.holder.ja} – ${one.about.ja} / ${one.about.en}`).join('\n'),
      )
    })
  card
    .command('serve')
    .description('plug a card into a virtual reader (vpcd), until interrupted')
    .argument('<name>', 'whose card')
    .requiredOption('--vpcd <host:port>', 'where vpcd listens', vpcdAddress)
    .action((name: string, options: Required<Pick<ReaderOptions, 'vpcd'>>) => serveCard(home(), name, options.vpcd))

  const town = program.command('town').description('the test town as a whole')
  town
    .command('reset')
    .description('forget the town: database, keys, cards')
    .option('--database <url>', 'postgresql://… if the town was started with it: its schemas are dropped', databaseUrl)
    .action(async ({ database }: { database?: string }) => {
      const running = await findRunning(home())
      if (running) throw new TownError('town-running', { page: running.town, pid: running.pid })
      const lock = await lockHome(home())
      try {
        await clearTown(home(), database)
      } finally {
        await lock.release()
      }
      out(`${home().directory}: 消しました / removed`)
    })
  town
    .command('status')
    .description('what runs, and where')
    .action(async () => {
      const running = await findRunning(home())
      if (!running) throw new TownError('town-not-running')
      out(JSON.stringify({ ...running, page: pageAddress(await accessPage(home(), running)) }, null, 2))
    })

  addAdministration(program, home, systemClock, out)
  addTerminalCommands(program, { out, port: portNumber, untilInterrupted })

  program
    .command('doctor')
    .description('what this machine can and cannot do, and what to do about it')
    .option('--json', 'print as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await diagnose(systemClock)
      out(
        json
          ? JSON.stringify(findings, null, 2)
          : findings
              .map((one) => `${one.ok ? '✓' : '✗'} ${one.what}${one.ok ? '' : `\n    → ${one.remedy}`}`)
              .join('\n'),
      )
      if (findings.some((one) => !one.ok && one.needed)) code = EXIT.refused
    })

  addBenches(program, out, note)

  try {
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    return report(error)
  }
}

function readerOptions(command: Command): Command {
  return command
    .option('--pcsc [reader]', 'use pcscd, and the reader whose name begins so (the first if none is named)')
    .addOption(
      new Option('--vpcd <host:port>', 'through pcscd, the virtual cards plugged into vpcd there')
        .argParser(vpcdAddress)
        .implies({ pcsc: true }),
    )
}

function settingsOf(
  home: Home,
  options: ReaderOptions & { readonly port: number; readonly database?: string },
): TownSettings {
  const reader = options.pcsc === true ? '' : options.pcsc
  return {
    ...{ home, clock: systemClock, random: systemRandom, port: options.port, say: (line) => note(`  · ${line}`) },
    ...(options.database === undefined ? {} : { databaseUrl: options.database }),
    ...(typeof reader === 'string' ? { pcsc: { reader, ...(options.vpcd ? { vpcd: options.vpcd } : {}) } } : {}),
  }
}

async function start(home: Home, options: StartOptions): Promise<void> {
  const interrupted = untilInterrupted()
  note('カザス 試験の町を起動しています / starting the Kazasu test town')
  const town = await startTown(settingsOf(home, options))
  try {
    if (options.tap && (options.pcsc === undefined || options.vpcd)) {
      const visit: Visit = { card: 'hanako', mechanism: 'institution', lang: 'ja' }
      out(`\n風見 花子（架空）のカードをさくら診療所の端末にかざしました / an invented resident's card is held up`)
      out(tapText(await payVisit(town, visit, systemClock)))
    }
    out(
      [
        '',
        `この町のページ / the town's page:  ${pageAddress(town)}`,
        `カードリーダー / reader: ${options.pcsc === undefined ? 'このプロセスの中 / in this process (use --pcsc for pcscd)' : 'PC/SC'}`,
        `記録 / state: ${home.directory}   認証局 / authority: ${town.authority}/docs/   提供機関 / provider: ${town.provider}/docs/`,
        '終わるには Ctrl-C / Ctrl-C stops it',
      ].join('\n'),
    )
    await interrupted
    note('\n止めています / stopping')
  } finally {
    await town.close()
  }
}

async function tapOnce(home: Home, options: TapOptions) {
  const { card, mechanism, lang } = options
  const pin = options.pin ?? options.pinFile ?? (process.stdin.isTTY ? askPin : undefined)
  const visit: Visit = { ...{ card, mechanism, lang }, ...(pin === undefined ? {} : { pin }) }
  const running = await findRunning(home)
  if (running) return payVisit(await accessPage(home, running), visit, systemClock)
  const town: RunningTownHandle = await startTown(settingsOf(home, { ...options, port: 0 }))
  try {
    return await payVisit(town, visit, systemClock)
  } finally {
    await town.close()
  }
}

async function serveCard(home: Home, name: string, vpcd: { host: string; port: number }): Promise<void> {
  const interrupted = untilInterrupted()
  const text = await readFileIfPresent(home.path('cards', `${name}.json`))
  if (!text) throw new TownError('card-unknown', { name })
  const device = createVirtualCard({
    personalisation: decodePersonalisation(Buffer.from(text).toString()),
    state: createFileCardState(home.path('cards', `${name}.state.json`)),
    random: systemRandom,
  })
  const service = servePcd({ ...vpcd, device, clock: systemClock })
  note(`${name}: vpcd ${vpcd.host}:${vpcd.port} – Ctrl-C で抜きます / Ctrl-C takes it out`)
  await interrupted
  await service.stop()
}

/**
 * Resolves at SIGINT, SIGTERM, or SIGHUP: a window that is closed stops the town in order, too. Later ones change nothing:
 * Ctrl-C reaches npm and its child alike, and npm passes it on.
 */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError('a number from 0 to 65535')
  return port
}

function databaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('postgresql://…')
  return text
}

function vpcdAddress(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(text) ?? []
  if (host === '') throw new InvalidArgumentError('HOST:PORT, as 127.0.0.1:35963')
  return { host, port: portNumber(port) }
}

/** An error for whoever sits there: what is wrong and what to do; its code last. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.misused
  const { cause, remedy } = adviseOn(error)
  note(`✗ ${cause.ja} / ${cause.en}\n  → ${remedy.ja} / ${remedy.en}`)
  note(`  (${error instanceof Error ? error.message : String(error)})`)
  if (process.env.KAZASU_DEBUG && error instanceof Error) note(error.stack ?? '')
  return EXIT.refused
}
