import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Clock } from '#clock'
import { ReaderError } from './failures.ts'
import type { Answer, Call, Results } from './pcsc-protocol.ts'

/** The way to the PC/SC process, which is started with the first call, and again after it died. */
export interface PcscLink {
  /**
   * One call and its result.
   * @throws ReaderError what the process answers; `timeout` if a transmission takes longer than `limit` milliseconds;
   * `service-stopped` if the process dies, or if anything else takes longer: then it hangs and is killed
   */
  call<C extends Call>(call: C, limit: number): Promise<Results[C['call']]>
  close(): Promise<void>
}

/** How long the process may take to power cards off and end, milliseconds. */
const CLOSE_LIMIT = 3000

interface Running {
  readonly child: ChildProcess
  readonly pending: Map<number, PromiseWithResolvers<unknown>>
}

export function createPcscLink(clock: Clock): PcscLink {
  let running: Running | undefined
  let counter = 0

  function start(): Running {
    const script = `./pcsc-process.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const started: Running = { child, pending: new Map() }
    child.unref()
    child.channel?.unref()
    child.on('message', (answer: Answer) => settle(started, answer))
    child.on('exit', () => giveUp(started))
    child.on('error', () => giveUp(started))
    return started
  }

  function giveUp(lost: Running): void {
    if (running === lost) running = undefined
    for (const { reject } of lost.pending.values()) reject(new ReaderError('service-stopped'))
    lost.pending.clear()
  }

  return {
    async call(call, limit) {
      const current = running ?? start()
      running = current
      const { child, pending } = current
      const id = ++counter
      const reply = Promise.withResolvers<unknown>()
      pending.set(id, reply)
      child.channel?.ref() // an open call keeps the program alive, an idle process does not
      const answered = new AbortController()
      const tooLong = async (): Promise<never> => {
        await clock.sleep(limit, answered.signal)
        if (call.call === 'transmit') throw new ReaderError('timeout', { milliseconds: limit })
        child.kill('SIGKILL')
        giveUp(current)
        throw new ReaderError('service-stopped', { hung: call.call })
      }
      try {
        child.send({ ...call, id }, () => {}) // a process that is gone says so by `exit`
        return (await Promise.race([reply.promise, tooLong()])) as Results[(typeof call)['call']]
      } finally {
        answered.abort()
        pending.delete(id)
        if (pending.size === 0) child.channel?.unref()
      }
    },
    async close() {
      const child = running?.child
      running = undefined
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      const ended = new AbortController()
      if (child.connected) child.disconnect()
      await Promise.race([exit, clock.sleep(CLOSE_LIMIT, ended.signal).then(() => child.kill('SIGKILL'))])
      ended.abort()
      await exit
    },
  }
}

function settle({ pending }: Running, answer: Answer): void {
  const reply = pending.get(answer.id)
  if ('result' in answer) reply?.resolve(answer.result)
  else reply?.reject(new ReaderError(answer.code, answer.reason === '' ? {} : { reason: answer.reason }))
}
