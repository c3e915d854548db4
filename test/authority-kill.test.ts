import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { decodeBase64url, encodeBase64url, encodeHex } from '#bytes'
import { SECOND, systemClock, systemRandom } from '#clock'
import { createHttpClient, type HttpClient } from '#http'
import { decodeCertificate, decodeCrl } from '#pki'
import { hasPostgresql, type PostgresqlRig, startPostgresql } from './postgresql-rig.ts'

const KILLS = process.env.KAZASU_LONG === '1' ? 500 : 6
if (!hasPostgresql && process.env.CI === 'true') throw new Error('PostgreSQL is not installed')

describe.skipIf(!hasPostgresql)('an authority killed at random while it issues and revokes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kazasu-kill-'))
  const publicKey = encodeBase64url(
    Uint8Array.from(
      generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' }),
    ),
  )
  let rig: PostgresqlRig
  let child: ChildProcess | undefined
  let bootstrapKey: string
  let operatorKey: string | undefined
  const acknowledged = { issued: new Map<string, string>(), revoked: new Set<string>() }

  beforeAll(async () => {
    rig = await startPostgresql()
  })
  afterAll(async () => {
    child?.kill('SIGKILL')
    await rig?.stop()
    rmSync(directory, { recursive: true })
  })

  async function start(): Promise<HttpClient> {
    const script = join(import.meta.dirname, 'run-authority.ts')
    const stdio = ['pipe', 'pipe', 'inherit'] as const
    child = spawn(process.execPath, [script, rig.url, join(directory, 'keys')], { stdio: [...stdio] })
    const [line] = await once(createInterface({ input: child.stdout! }), 'line')
    const started = JSON.parse(line)
    bootstrapKey ??= started.bootstrapKey
    const client = (bearer: string) =>
      createHttpClient({ baseUrl: started.url, clock: systemClock, timeoutMs: 20 * SECOND, bearer })
    if (operatorKey === undefined) {
      const root = client(bootstrapKey)
      operatorKey = (await root.postJson('/v1/keys', z.any(), { v: 1, name: 'operator', roles: ['operator'] })).key
      await root.close()
    }
    return client(operatorKey!)
  }

  /** Issues and revokes until the authority is gone; what was answered is noted. */
  async function work(client: HttpClient): Promise<void> {
    const place = { locality: { prefecture: 'Tokyo-to', city: 'Chofu-shi' }, birthDate: '1980-05-05' }
    const body = { v: 1, kind: 'user-authentication', holder: 'resident', publicKey, ...place }
    try {
      for (;;) {
        const { serial, certificate } = await client.postJson('/v1/certificates', z.any(), body)
        acknowledged.issued.set(serial, certificate)
        if (systemRandom.bytes(1)[0]! < 128) continue
        await client.postJson(`/v1/certificates/${serial}/revocation`, z.any(), { v: 1, reason: 'superseded' })
        acknowledged.revoked.add(serial)
      }
    } catch (error) {
      expect(error).toMatchObject({ name: 'HttpError', code: 'unreachable' })
    }
  }

  test(`${KILLS} times: every answered act is there, every revocation is on the list, every signature has its intent`, async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const client = await start()
      const working = Promise.all([work(client), work(client), work(client)])
      await systemClock.sleep(30 + systemRandom.bytes(1)[0]!)
      child!.kill('SIGKILL')
      await working
      await client.close()
    }
    const client = await start()
    const entries = new Map<string, { state: string; certificate: string | null }>()
    for (let after = ''; ; ) {
      const page = await client.getJson(`/v1/certificates?limit=1000${after}`, z.any())
      for (const entry of page.certificates) entries.set(entry.serial, entry)
      if (page.next === null) break
      after = `&after=${page.next}`
    }
    for (const [serial, certificate] of acknowledged.issued) {
      expect(entries.get(serial)?.certificate).toBe(certificate)
      const { serial: signed } = decodeCertificate(decodeBase64url(certificate))
      expect(signed).toBe(encodeHex(decodeBase64url(serial)))
    }
    const list = decodeCrl(await client.getBytes('/crl/user-authentication.crl', 'application/pkix-crl'))
    const revoked = [...entries].filter(([, { state }]) => state === 'revoked')
    expect([...list.entries.keys()].sort()).toEqual(revoked.map(([one]) => encodeHex(decodeBase64url(one))).sort())
    for (const serial of acknowledged.revoked) expect(entries.get(serial)?.state).toBe('revoked')
    for (const { state, certificate } of entries.values()) expect(certificate === null).toBe(state === 'intended')
    expect(acknowledged.issued.size).toBeGreaterThan(0)
    const intended = entries.size - [...entries.values()].filter(({ certificate }) => certificate).length
    console.info(`${acknowledged.issued.size} issued, ${acknowledged.revoked.size} revoked, ${intended} intents left`)
    await client.close()
  })
})
