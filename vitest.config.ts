import { defineConfig } from 'vitest/config'

if (Number(process.versions.node.split('.')[0]) < 24) {
  throw new Error('Kazasu runs on Node 24, which `npm ci` brings along: use `npm test` or `npx vitest`, not `node`.')
}

/** Minutes of fuzzing and hundreds of kills: `npm run test:long`. */
const long = process.env.KAZASU_LONG === '1'

export default defineConfig({
  test: {
    reporters: ['default', './test/tally.ts'],
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'], testTimeout: 20_000 } },
      {
        extends: true,
        test: {
          name: 'stories',
          include: ['test/**/*.test.ts'],
          testTimeout: long ? 3_600_000 : 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
