import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockDirectory } from './directory-lock.ts'

describe('the lock of a directory', () => {
  let parent: string
  let directory: string
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'kazasu-lock-'))
    directory = join(parent, 'new')
  })
  afterEach(() => rmSync(parent, { recursive: true }))

  test('excludes a second holder, names the pid, and is free after release', async () => {
    const lock = await lockDirectory(directory)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: 'store-in-use',
      detail: { pid: process.pid },
    })
    await lock.release()
    await (await lockDirectory(directory)).release()
    expect(readdirSync(directory)).toEqual(['lock.2'])
  })

  test.each([
    ['a process that is gone', '4194305 1'],
    ['a pid that was given to another process since', `${process.pid} 1`],
    ['a power cut in the middle of writing', ''],
    ['garbage', 'x'],
    ['a process group instead of a process', '0 unknown'],
  ])('of %s is taken over', async (_name, content) => {
    await (await lockDirectory(directory)).release()
    writeFileSync(join(directory, 'lock.1'), content)
    await lockDirectory(directory)
    await expect(lockDirectory(directory)).rejects.toMatchObject({ code: 'store-in-use' })
  })

  test('goes to one of 50 that take over a stale one at the same time, 20 times', async () => {
    for (let round = 0; round < 20; round++) {
      const place = join(parent, `round-${round}`)
      await (await lockDirectory(place)).release()
      writeFileSync(join(place, 'lock.1'), '4194305 1')
      const tries = await Promise.allSettled(Array.from({ length: 50 }, () => lockDirectory(place)))
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(readdirSync(place)).toHaveLength(1)
    }
  })
})
