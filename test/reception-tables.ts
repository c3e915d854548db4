import { expect } from 'vitest'
import { CodedError } from '#failure'
import type { Provider } from '../src/provider/context.ts'
import { receive } from '../src/provider/reception.ts'
import type { Database } from '../src/provider/tables.ts'
import type { ForgedTap } from './forged-tap.ts'
import type { TestTerminal } from './tap-rig.ts'

/** Everything a tap can move, as the provider's tables have it. */
export async function readTables(database: Database, terminal: string) {
  const count = async (
    table: 'leg' | 'person' | 'link' | 'pairwise_id' | 'log_leaf' | 'seen' | 'terminal',
  ): Promise<number> => {
    const { n } = await database
      .selectFrom(table)
      .select((row) => row.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    return Number(n)
  }
  const { size } = await database.selectFrom('log_head').select('size').executeTakeFirstOrThrow()
  const quota = await database
    .selectFrom('quota')
    .select((row) => row.fn.sum<number>('taps').as('taps'))
    .executeTakeFirstOrThrow()
  const spent = await database.selectFrom('nonce').select('nonce').where('state', '=', 'accepted').execute()
  const chain = await database
    .selectFrom('terminal')
    .select(['head', 'counter', 'state', 'suspend_epoch'])
    .where('id', '=', terminal)
    .executeTakeFirstOrThrow()
  return {
    ...{ chain, size, leaves: await count('log_leaf'), seen: await count('seen'), spent: spent.length },
    ...{ legs: await count('leg'), persons: await count('person'), links: await count('link') },
    ...{ ids: await count('pairwise_id'), taps: Number(quota.taps ?? 0) },
  }
}

/** Code and detail of the refusal that `work` ends with. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; detail: object }> {
  try {
    await work
  } catch (error) {
    if (error instanceof CodedError) return { code: error.code, detail: error.detail }
    throw error
  }
  throw new Error('accepted')
}

/** The refusal stands in the chain, the log and `seen`; nothing else moved, and the same bytes get it again. */
export async function expectRecorded(
  provider: Provider,
  clinic: TestTerminal,
  forged: ForgedTap,
  code: string,
  detail: object = {},
): Promise<void> {
  const { database } = provider
  const { id } = clinic.terminal
  const before = await readTables(database, id)
  expect(await refusalOf(receive(provider, forged.body, clinic.thumbprint))).toMatchObject({ code, detail })
  const after = await readTables(database, id)
  expect(after).toEqual({
    ...before,
    chain: { ...before.chain, head: forged.statementHash, counter: forged.claims.counter },
    size: before.size + 1,
    leaves: before.leaves + 1,
    seen: before.seen + 1,
  })
  const row = await database
    .selectFrom('seen')
    .selectAll()
    .where('statement_hash', '=', forged.statementHash)
    .executeTakeFirstOrThrow()
  expect(row).toMatchObject({ verdict: 'refused', code, leaf_index: before.size, claims: null, answer: null })
  expect((await refusalOf(receive(provider, forged.body, clinic.thumbprint))).code).toBe(code)
  expect(await readTables(database, id)).toEqual(after)
}

/** Refused, and every table is as it was. */
export async function expectUnmoved(
  provider: Provider,
  clinic: TestTerminal,
  body: Uint8Array,
  code: string,
  thumbprint: string | undefined = clinic.thumbprint,
): Promise<void> {
  const before = await readTables(provider.database, clinic.terminal.id)
  expect((await refusalOf(receive(provider, body, thumbprint))).code).toBe(code)
  expect(await readTables(provider.database, clinic.terminal.id)).toEqual(before)
}

/** Accepted, once: one leg, one leaf, one nonce. */
export async function expectAccepted(provider: Provider, clinic: TestTerminal, forged: ForgedTap) {
  const { database } = provider
  const before = await readTables(database, clinic.terminal.id)
  const answer = await receive(provider, forged.body, clinic.thumbprint)
  const after = await readTables(database, clinic.terminal.id)
  expect(after).toMatchObject({
    ...{ size: before.size + 1, seen: before.seen + 1, spent: before.spent + 1, legs: before.legs + 1 },
    ...{ taps: before.taps + 1, chain: { head: forged.statementHash, counter: forged.claims.counter } },
  })
  return answer
}
