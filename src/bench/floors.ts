import { generateKeyPairSync, sign, verify } from 'node:crypto'
import type { Generated } from 'kysely'
import type { Random } from '#clock'
import type { HttpClient } from '#http'
import type { Store } from '#store'
import type { BenchCase } from './rounds.ts'

/*
 * What a tap cannot cost less than on this machine, each with nothing of ours around it.
 */

/** The signature that the card makes: RSA-2048, PKCS#1 v1.5, SHA-256, by node:crypto with a parsed key. */
export function floorOfSigning(random: Random): BenchCase {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const data = random.bytes(51)
  return {
    name: 'floor: RSA-2048 sign',
    async run() {
      sign('sha256', data, privateKey)
      return undefined
    },
  }
}

/** What the card verifies before it signs: two certificates and the institution key's signature, P-256. */
export function floorOfVerifying(random: Random): BenchCase {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = random.bytes(200)
  const dsaEncoding = 'ieee-p1363'
  const signature = sign('sha256', data, { key: privateKey, dsaEncoding })
  return {
    name: 'floor: 3 ECDSA P-256 verifies',
    async run() {
      for (let i = 0; i < 3; i++) verify('sha256', data, { key: publicKey, dsaEncoding }, signature)
      return undefined
    },
  }
}

/** An exchange that carries nothing, over the client and the server that a proof goes through. */
export function floorOfExchange(provider: HttpClient): BenchCase {
  return {
    name: 'floor: empty HTTPS round trip',
    async run() {
      await provider.warm()
      return undefined
    },
  }
}

interface FloorTables {
  bench_row: { id: Generated<number>; body: Uint8Array }
}

/** One row committed, in the same kind of database. */
export async function floorOfCommit(store: Store, random: Random): Promise<BenchCase> {
  const database = await store.role<FloorTables>('bench', {
    '0001-row': 'create table bench_row (id bigint generated always as identity primary key, body bytea not null)',
  })
  const body = random.bytes(1024)
  return {
    name: 'floor: one database commit',
    async run() {
      await database.insertInto('bench_row').values({ body }).execute()
      return undefined
    },
  }
}
