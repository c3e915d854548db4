import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'

/*
 * pcscd and vpcd use one socket and fixed ports of the whole host: two runs would talk to each other's readers. So each
 * run gets a network, a /run and process numbers of its own (Linux namespaces), which takes all its processes along when
 * it ends, however it ends. Where namespaces are not permitted, runs wait for each other at a lock.
 *
 * Vitest stays outside. What happens inside is a module of scenarios, run one after the other by run-scenarios.ts.
 */

const root = join(import.meta.dirname, '..')
export const SHIM = join(root, '.setup', 'vpcd-nodelay.so')
export const DRIVER = '/usr/lib/pcsc/drivers/serial/libifdvpcd.so.0.8'
export const LOCK = '/tmp/kazasu-pcscd.lock'

const namespaces = ['unshare', ...(userInfo().uid === 0 ? [] : ['--map-root-user'])].concat(
  ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ['sh', '-c', 'ip link set lo up && mount -t tmpfs tmpfs /run && exec "$@"', 'sh'],
)
const [unshare = '', ...unshareArgs] = namespaces
/** `namespace`, or `lock` where that is not permitted; `KAZASU_PCSCD_ISOLATION=lock` to try the latter. */
export const isolation: 'namespace' | 'lock' =
  process.env.KAZASU_PCSCD_ISOLATION !== 'lock' && spawnSync(unshare, [...unshareArgs, 'true']).status === 0
    ? 'namespace'
    : 'lock'

/** Whether a program is on the path or among the administrator's. */
export function hasProgram(name: string): boolean {
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin`.split(delimiter)
  return folders.some((folder) => existsSync(join(folder, name)))
}

/** What of all that the rig and `programs` need is not here; empty if nothing is missing. */
export function missingForPcscd(...programs: readonly string[]): readonly string[] {
  const files = [DRIVER, SHIM].filter((file) => !existsSync(file))
  const right = isolation === 'lock' && userInfo().uid !== 0 ? ['root or permission for namespaces'] : []
  return [...['pcscd', 'ip', ...programs].filter((name) => !hasProgram(name)), ...files, ...right]
}

/** Says loudly that a suite does not run, and why; gives whether that is so. */
export function skipLoudly(suite: string, missing: readonly string[]): boolean {
  if (missing.length > 0) console.warn(`SKIPPED: suite "${suite}" – missing: ${missing.join(', ')} (npm test as root)`)
  return missing.length > 0
}

/** Something that must come true inside the rig, by node:assert; may give figures to print. */
export type Scenario = () => Promise<unknown>
export type Scenarios = Readonly<Record<string, Scenario>>

/** How each scenario ended, by its name. */
export type Outcomes = Readonly<Record<string, { readonly failure?: string; readonly figures?: unknown }>>

/** A rig at work; `marker` stands in the environment of each of its processes. */
export interface Rig {
  readonly marker: string
  readonly outcomes: Promise<Outcomes>
  /** Ends it as a power cut would. */
  kill(): void
}

/** Runs the `scenarios` that `test/<module>` exports, each at most 60 s, all at most `limit` milliseconds. */
export function startRig(module: string, limit = 110_000): Rig {
  const marker = crypto.randomUUID()
  const apart = isolation === 'namespace' ? namespaces : ['flock', LOCK]
  // No process outlives this one: the rig dies with its parent, and the namespace with the rig.
  const [command = '', ...args] = ['setpriv', '--pdeathsig=KILL', ...apart, 'setpriv', '--pdeathsig=KILL']
  const script = [process.execPath, join(import.meta.dirname, 'run-scenarios.ts'), join(import.meta.dirname, module)]
  const child = spawn(command, [...args, ...script], {
    cwd: root,
    env: { ...process.env, KAZASU_RIG: marker, KAZASU_PCSCD_ISOLATION: isolation },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limit,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  async function outcomes(): Promise<Outcomes> {
    const [code, signal] = await once(child, 'close')
    if (code !== 0) throw new Error(`${module} ended with ${code ?? signal}:\n${stderr.slice(-4000)}`)
    return JSON.parse(stdout)
  }
  return { marker, outcomes: outcomes(), kill: () => child.kill('SIGKILL') }
}

/** Makes a test of each scenario of a module. */
export function testInRig(module: string, scenarios: Scenarios): void {
  let outcomes: Outcomes = {}
  beforeAll(async () => {
    outcomes = await startRig(module).outcomes
  })
  test.each(Object.keys(scenarios))('%s', (name) => {
    const outcome = outcomes[name]
    if (outcome?.figures) console.info(name, outcome.figures)
    expect(outcome, 'the scenario ran').toBeDefined()
    expect(outcome?.failure).toBeUndefined()
  })
}
