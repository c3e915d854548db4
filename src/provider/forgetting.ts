import { DAY, HOUR } from '#clock'
import { eraseAnswers } from './answers.ts'
import type { Provider } from './context.ts'
import { forgetNonces } from './nonces.ts'
import { forgetSpentTokens } from './verification.ts'

/** Removes what is needed no longer; what stays, and why, says docs/privacy.md. */
export async function forget(provider: Provider): Promise<void> {
  await forgetNonces(provider)
  await forgetSpentTokens(provider)
  await eraseAnswers(provider)
  await forgetQuotas(provider)
  await forgetCodes(provider)
}

/** Who was where in which hour is counted for that hour only. */
async function forgetQuotas({ database, clock }: Provider): Promise<void> {
  const hour = Math.floor(clock.now() / HOUR)
  await database
    .deleteFrom('quota')
    .where('hour', '<', hour - 1)
    .execute()
}

/** Codes outlive their end by a day, so that a late one is called expired by whoever looks. */
async function forgetCodes({ database, clock }: Provider): Promise<void> {
  await database
    .deleteFrom('enrolment')
    .where('expires_at', '<', clock.now() - DAY)
    .execute()
}
