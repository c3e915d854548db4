import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasProgram, skipLoudly } from './pcscd-rig.ts'
import { createHomes, kazasu, launch, root, run, startTown, type TownProcess } from './town-process.ts'

/* How the command comes by a PIN without showing it to other users of the machine. */

const homes = createHomes()
let town: TownProcess
beforeAll(async () => {
  town = await startTown(await homes.empty())
})
afterAll(async () => {
  await town?.stop()
  await homes.clear()
})
const TAP = ['tap', '--json', '--mechanism', 'pin']
const recognised = { result: 'recognised', mechanism: 'pin' }

test('from a file, and from standard input', async () => {
  const path = join(town.home, 'pin.txt')
  await writeFile(path, '1234\n')
  expect(JSON.parse((await kazasu(town.home, ...TAP, '--pin-file', path)).out)).toMatchObject(recognised)
  const { child, ended } = launch([...TAP, '--pin-file', '-'], { home: town.home })
  child.stdin?.end('1234\n')
  expect(JSON.parse((await ended).out)).toMatchObject(recognised)
})

test.each([['12'], ['12a4'], ['']])(
  'a file that holds %j is misuse, as is one that is not there, or two PINs',
  async (text) => {
    const path = join(town.home, 'odd.txt')
    await writeFile(path, text)
    const lines = [
      ['--pin-file', path],
      ['--pin-file', `${path}.not`],
      ['--pin', '1234', '--pin-file', path],
    ]
    for (const line of lines) {
      const { code, err } = await kazasu(town.home, ...TAP, ...line)
      expect([code, err]).toEqual([2, expect.stringMatching(/\S/)])
    }
  },
)

test('the help warns of --pin', () => {
  const { stdout } = spawnSync(process.execPath, [join(root, 'src/bin/kazasu.ts'), 'tap', '--help'], {
    encoding: 'utf8',
  })
  expect(stdout).toMatch(/--pin <digits> +for test cards only: visible to other users/)
})

describe.skipIf(skipLoudly('PIN at a terminal', hasProgram('script') ? [] : ['script']))('at a terminal', () => {
  test('is asked for, again until it is four digits, and never shown', async () => {
    const command = `"${process.execPath}" "${join(root, 'src/bin/kazasu.ts')}" ${TAP.join(' ')}`
    const { child, ended, written } = run('script', ['-qec', command, '/dev/null'], { home: town.home })
    const asked = (times: number) =>
      expect.poll(() => written().split('PIN (3 tries left)').length - 1, { timeout: 30_000 }).toBe(times)
    await asked(1)
    child.stdin?.write('12345\r')
    await asked(2)
    child.stdin?.write('1234\r')
    const { out } = await ended
    expect(out).toMatch(/"result": "recognised"/)
    expect(out.slice(0, out.indexOf('{'))).not.toMatch(/1234|12345/)
  })
})
