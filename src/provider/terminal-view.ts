import { encodeBase64url } from '#bytes'
import { japanDate } from '#clock'
import { codeOf } from '#failure'
import type { TerminalView } from '#messages'
import { type Cvc, decodeCvc } from '#pki'
import type { IssuingProvider } from './context.ts'
import type { IdentifiedTerminal } from './terminals.ts'

/** A terminal as it is told about itself: keys, place in its chain, and what it may ask for. */
export async function viewTerminal(provider: IssuingProvider, terminal: IdentifiedTerminal): Promise<TerminalView> {
  const { id, institution, attended, state, head, counter, operator, lease } = terminal
  const [chain, clients] = await Promise.all([currentChain(provider, id), clientsOf(provider, institution)])
  const offers = provider.policy.filter((row) => row.attended === attended)
  return {
    ...{ v: 1, provider: provider.id, institution, terminal: id, attended, state, head, counter, operator, lease },
    ...{ chain, clients },
    offers: offers.map(({ purpose, mechanism, basis, texts }) => ({ purpose, mechanism, basis, texts: [...texts] })),
  }
}

/** DV and the newest certificate in force that was issued under its reference. */
async function currentChain(provider: IssuingProvider, terminal: string): Promise<TerminalView['chain']> {
  const dv = dvOf(provider)
  const today = japanDate(provider.clock.now())
  if (!dv || dv.expiry < today) return null
  const rows = await provider.database
    .selectFrom('terminal_certificate')
    .select('raw')
    .where('terminal', '=', terminal)
    .where('withdrawn_at', 'is', null)
    .where('expiry', '>=', today)
    .execute()
  const newest = rows
    .map(({ raw }) => decodeCvc(raw))
    .filter(({ car }) => car === dv.chr)
    .toSorted((a, b) => (a.chr < b.chr ? 1 : -1))[0]
  return newest ? [encodeBase64url(dv.raw), encodeBase64url(newest.raw)] : null
}

/** A terminal may ask for its place in the chain while trust is being installed anew. */
function dvOf(provider: IssuingProvider): Cvc | undefined {
  try {
    return provider.trust().dv
  } catch (error) {
    if (codeOf(error) === 'trust-missing') return undefined
    throw error
  }
}

async function clientsOf(
  { database }: IssuingProvider,
  institution: string,
): Promise<{ id: string; audiences: string[] }[]> {
  const rows = await database
    .selectFrom('client')
    .leftJoin('client_audience', 'client_audience.client', 'client.id')
    .select(['client.id', 'audience'])
    .where('institution', '=', institution)
    .orderBy('client.id')
    .orderBy('audience')
    .execute()
  const clients = new Map<string, string[]>()
  for (const { id, audience } of rows) {
    clients.set(id, [...(clients.get(id) ?? []), ...(audience === null ? [] : [audience])])
  }
  return [...clients].map(([id, audiences]) => ({ id, audiences }))
}
