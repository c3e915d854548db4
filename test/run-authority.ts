import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startAuthority } from '#authority'
import { systemClock, systemRandom } from '#clock'
import { createLog } from '#http'
import { openStore } from '#store'

/** An authority in a process of its own, to be killed: `run-authority.ts POSTGRESQL_URL KEYS_DIRECTORY`. */
const [url = '', keysDirectory = ''] = process.argv.slice(2)
const store = await openStore({ kind: 'postgresql', url, connections: 4 })
const log = createLog({ name: 'authority', clock: systemClock, level: 'silent' })
const authority = await startAuthority({
  ...{ store, keysDirectory, clock: systemClock, random: systemRandom, log, http: { port: 0 } },
  home: join(keysDirectory, '..', 'home'),
})
const bootstrapKey = readFileSync(authority.bootstrapKeyFile, 'utf8').trim()
process.stdout.write(`${JSON.stringify({ url: authority.url, bootstrapKey })}\n`)
// Whoever started it is gone: so is this.
process.stdin.on('end', () => process.exit()).resume()
