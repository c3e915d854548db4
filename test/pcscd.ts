import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#clock'
import { openPcsc } from '#reader'
import { DRIVER, isolation, SHIM } from './pcscd-rig.ts'

/** A pcscd of the rig with virtual readers. */
export interface Pcscd {
  /** Starts it again after {@link Pcscd.kill}. */
  start(): Promise<void>
  /** Ends it as a crash does: its socket is left behind. */
  kill(): Promise<void>
  /** Makes it hang, or go on. */
  freeze(hang: boolean): void
  stop(): Promise<void>
}

const FOLDER = '/run/pcscd'
/** Where temporary files belong: in a namespace they are gone with it. */
export const scratch = isolation === 'namespace' ? '/run' : tmpdir()

/**
 * Starts pcscd with a virtual reader per name: `NAME 00 00` listens for its card on the port given, `NAME 00 01` on the
 * next. Ready when it resolves. To be called inside the rig.
 */
export async function startPcscd(readers: Readonly<Record<string, number>>): Promise<Pcscd> {
  if (await isRunning()) throw new Error('another pcscd is running on this machine')
  const folder = mkdtempSync(join(scratch, 'kazasu-pcscd-'))
  const configuration = join(folder, 'readers')
  mkdirSync(configuration)
  const entries = Object.entries(readers).map(([name, port]) => {
    // The driver keeps its state in static variables: two readers need two copies of it, a link would be the same file.
    const driver = join(folder, `libifdvpcd-${port}.so`)
    copyFileSync(DRIVER, driver)
    return `FRIENDLYNAME "${name}"\nDEVICENAME /dev/null:${port}\nLIBPATH ${driver}\nCHANNELID ${port}\n`
  })
  writeFileSync(join(configuration, 'vpcd'), entries.join('\n'))
  let daemon: ChildProcess

  async function start(): Promise<void> {
    // What a pcscd that was killed leaves behind would keep the next one from starting.
    for (const left of ['pcscd.comm', 'pcscd.pid']) rmSync(join(FOLDER, left), { force: true })
    mkdirSync(FOLDER, { recursive: true })
    // Where no namespace takes it along, it dies with its parent.
    daemon = spawn('setpriv', ['--pdeathsig=KILL', '/usr/sbin/pcscd', '-f', '-c', configuration], {
      env: { ...process.env, LD_PRELOAD: SHIM },
      stdio: 'ignore',
    })
    const pcsc = await openPcsc({ clock: systemClock })
    // It answers first and knows its readers, two slots each, a little later.
    const slots = async (): Promise<number> => (await pcsc.list().catch(() => [])).length
    for (let tries = 0; (await slots()) < 2 * entries.length; tries++) {
      if (tries === 500 || daemon.exitCode !== null) throw new Error('pcscd does not start')
      await systemClock.sleep(10)
    }
    await pcsc.close()
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return
    const exit = once(daemon, 'exit')
    daemon.kill(signal)
    await exit
  }

  await start()
  return {
    start,
    kill: () => end('SIGKILL'),
    freeze: (hang) => daemon.kill(hang ? 'SIGSTOP' : 'SIGCONT'),
    async stop() {
      await end('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function isRunning(): Promise<boolean> {
  const socket = connect(join(FOLDER, 'pcscd.comm'))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
