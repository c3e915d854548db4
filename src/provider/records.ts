import { type Eligibility, eligibility } from '#messages'
import type { Provider } from './context.ts'
import { findPerson, pairwiseIdOf } from './identities.ts'

/**
 * What the register of insured persons knows, if the holder agreed that it be asked. Asked while the certificate's
 * status is being checked; a person never seen before is in no register.
 */
export async function lookUpEligibility(
  provider: Provider,
  link: Uint8Array,
  audiences: readonly string[],
): Promise<Eligibility | undefined> {
  if (!audiences.includes(provider.registerAudience)) return undefined
  const [person, register] = await Promise.all([
    findPerson(provider.database, link),
    provider.database
      .selectFrom('service')
      .select('id_epoch')
      .where('audience', '=', provider.registerAudience)
      .executeTakeFirst(),
  ])
  if (!person || !register) return { status: 'none' }
  const audience = { use: 'asp' as const, audienceId: provider.registerAudience, epoch: register.id_epoch }
  return lookUpAgain(provider, await pairwiseIdOf(provider, person, audience))
}

/** The same question by the ID that the register knows the person by; what is no answer counts as none. */
export async function lookUpAgain(provider: Provider, subject: string | null): Promise<Eligibility | undefined> {
  if (subject === null) return undefined
  const found = await provider.lookUpRecord({ subject, at: provider.clock.now() }).catch(() => undefined)
  const record = eligibility.safeParse(found)
  return record.success ? record.data : { status: 'unavailable' }
}
