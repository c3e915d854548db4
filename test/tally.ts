import type { Reporter, TestModule } from 'vitest/node'

/**
 * Ends the run with the time of each suite, the names of those that did not run, and, alone on the last line,
 * `N passed, N failed, N skipped`.
 */
export default class Tally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    const times: [number, string][] = []
    const notRun: string[] = []
    for (const module of modules) {
      const before = count.failed
      const skippedBefore = count.skipped
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        count[state === 'pending' ? 'skipped' : state]++
      }
      if (module.state() === 'failed' && count.failed === before) count.failed++ // an import or a hook failed
      if (count.skipped > skippedBefore) notRun.push(`${module.relativeModuleId} (${count.skipped - skippedBefore})`)
      times.push([module.diagnostic().duration, module.relativeModuleId])
    }
    const slowest = times
      .sort((a, b) => b[0] - a[0])
      .map(([ms, name]) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`)
    process.once('exit', () => {
      process.stdout.write(`\nTime per suite:\n${slowest.join('\n')}\n`)
      if (notRun.length > 0) process.stdout.write(`\nNOT RUN: ${notRun.length} suites: ${notRun.join(', ')}\n`)
      process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`)
    })
  }
}
