import { z } from 'zod'
import { decodeBase64url } from '#bytes'
import { type Clock, japanDate } from '#clock'
import { createHttpClient } from '#http'
import { decodeCvc, isPastHalf } from '#pki'

/** Authority and provider at work, and the keys of the people who speak to them. */
export interface TrustParties {
  readonly clock: Clock
  readonly providerId: string
  /** `key` of an operator. */
  readonly authority: { readonly url: string; readonly key: string }
  /** `key` of an administrator. */
  readonly provider: { readonly url: string; readonly certificate: string; readonly key: string }
}

const certified = z.looseObject({ certificate: z.string() })
const applications = z.looseObject({
  applications: z.array(z.looseObject({ id: z.string(), provider: z.string(), state: z.string() })),
})
const anchors = z.looseObject({ ocspResponders: z.array(z.object({ kind: z.string(), certificate: z.string() })) })

/**
 * 機関認証用証明書の更新 – has the authority renew the provider's DV certificate once half of its life is over, and the
 * provider take over what the authority hands out today. Whatever was renewed and not taken over, as in a crash, is
 * taken over now.
 * @throws HttpError
 */
export async function renewTrust({ clock, providerId, ...parties }: TrustParties): Promise<void> {
  const call = { clock, timeoutMs: 10_000 }
  const authority = createHttpClient({ ...call, baseUrl: parties.authority.url, bearer: parties.authority.key })
  const { url: baseUrl, certificate: serverCertificate, key: bearer } = parties.provider
  const provider = createHttpClient({ ...call, baseUrl, serverCertificate, bearer })
  try {
    const today = japanDate(clock.now())
    const { applications: known } = await authority.getJson('/v1/applications', applications)
    const approved = known.find((one) => one.provider === providerId && one.state === 'approved')
    if (!approved) return
    const path = `/v1/applications/${encodeURIComponent(approved.id)}`
    const kept = await authority.getJson(path, certified)
    const { certificate } = isPastHalf(decodeCvc(decodeBase64url(kept.certificate)), today)
      ? await authority.postJson(`${path}/certificates`, certified, { v: 1, today })
      : kept
    const { ocspResponders } = await authority.getJson('/v1/anchors', anchors)
    const responders = ocspResponders.filter(({ kind }) => kind === 'user-authentication')
    await provider.postJson('/v1/trust', z.unknown(), {
      ...{ v: 1, anchors: [], cvcas: [], dvs: [certificate] },
      ocspResponders: responders.map((one) => one.certificate),
    })
  } finally {
    await Promise.all([authority.close(), provider.close()])
  }
}
