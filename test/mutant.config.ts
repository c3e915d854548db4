import { defineConfig } from 'vitest/config'
import type { Mutant } from './mutants.ts'

/** The mutant to run under: JSON in `KAZASU_MUTANT`. Sources are changed as they are read; the files stay as they are. */
const edits: Mutant['edits'] = JSON.parse(process.env.KAZASU_MUTANT ?? '[]')

export default defineConfig({
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform(code, id) {
        const mine = edits.filter(({ file }) => id.endsWith(`/${file}`))
        if (mine.length === 0) return undefined
        process.stderr.write(`mutated ${mine[0]?.file}\n`)
        return mine.reduce((text, { find, replace }) => text.replace(find, () => replace), code)
      },
    },
  ],
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
    // What one mutant made of a source is not to be found by the next.
    fsModuleCache: false,
  },
})
