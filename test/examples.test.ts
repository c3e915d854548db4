import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const run = promisify(execFile)

describe('examples', () => {
  test('read-certificate.ts makes a card and reads its certificate', async () => {
    const { stdout } = await run(process.execPath, ['examples/read-certificate.ts'], { cwd: root })
    expect(stdout).toMatch(/^user certificate: 1\d\d\d bytes\n$/)
  })

  test('read-certificate.ts is ten lines beside its imports', () => {
    const lines = readFileSync(join(root, 'examples/read-certificate.ts'), 'utf8').split('\n')
    expect(lines.filter((line) => line !== '' && !/^(?:import|\/\/) ?/.test(line)).length).toBeLessThanOrEqual(10)
  })
})
