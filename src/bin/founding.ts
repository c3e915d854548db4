import { subtle } from 'node:crypto'
import { z } from 'zod'
import { decodeBase64url, encodeBase64url } from '#bytes'
import {
  createFileCardState,
  createPersonalisation,
  encodePersonalisation,
  initialCardState,
  type Personalisation,
} from '#card'
import { type Clock, DAY, japanDate, type Random, timeText } from '#clock'
import { readFileIfPresent, replaceFile } from '#files'
import { createHttpClient, type HttpClient } from '#http'
import { generateSoftwareSigner, keyId, loadSealingKey, loadSigner } from '#keys'
import { publicKeyHash } from '#messages'
import {
  decodeCertificate,
  issueCertificate,
  issueCvcRequest,
  jpkiAuthority,
  newSerial,
  userAuthenticationCertificate,
} from '#pki'
import { enrolTerminal } from '#terminal'
import type { Home } from './home.ts'
import { RESIDENTS, type Resident, validityOf } from './residents.ts'

/** The roles of a new town, running and empty. */
export interface NewTown {
  readonly home: Home
  readonly clock: Clock
  readonly random: Random
  readonly authority: { readonly url: string; readonly key: string }
  readonly provider: { readonly url: string; readonly certificate: string; readonly key: string }
  readonly eligibility: { readonly url: string; readonly reportKey: string }
  /** Says what is being done, for whoever waits. */
  readonly say: (line: string) => void
}

export const PROVIDER_ID = 'insurance-checking'
export const REGISTER = 'eligibility'
export const CLINIC = { id: 'clinic-sakura', ja: 'さくら診療所', en: 'Sakura Clinic' } as const
const TERMINAL = 'sakura-desk-1'

const answer = z.looseObject({})
const made = z.looseObject({ key: z.string() })
const anchors = z.looseObject({
  certificateAuthorities: z.array(z.object({ kind: z.string(), certificate: z.string() })),
  ocspResponders: z.array(z.object({ kind: z.string(), certificate: z.string() })),
  cvca: z.string(),
})

/**
 * Founds a town: institution approved by two people, provider equipped, clinic and terminal enrolled, residents given
 * their cards. Everything goes through the roles' own interfaces, as it would between organisations.
 */
export async function found(town: NewTown): Promise<void> {
  const { clock, say } = town
  const call = (baseUrl: string, bearer: string, serverCertificate?: string): HttpClient =>
    createHttpClient({ baseUrl, bearer, clock, timeoutMs: 20_000, ...(serverCertificate ? { serverCertificate } : {}) })
  const authority = call(town.authority.url, await personalKey(town, 'authority', 'clerk', ['operator']))
  const superior = call(town.authority.url, await personalKey(town, 'authority', 'superior', ['approver']))
  const administrator = call(town.provider.url, town.provider.key, town.provider.certificate)
  const operator = call(
    town.provider.url,
    await personalKey(town, 'provider', 'operator', ['operator']),
    town.provider.certificate,
  )
  const insurer = call(town.eligibility.url, town.eligibility.reportKey)
  const clients = [authority, superior, administrator, operator, insurer]
  try {
    say('認証局: サービス提供機関の申請と承認 / authority: application and approval of the provider')
    const trust = await approveProvider(town, authority, superior)
    await administrator.postJson('/v1/trust', z.unknown(), trust)
    say('提供機関: 医療機関と端末の登録 / provider: clinic and terminal enrolled')
    await enrolClinic(town, operator)
    say('住民にカードを交付 / residents get their cards')
    await Promise.all(RESIDENTS.map((resident) => settle(town, resident, { authority, operator, insurer })))
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

/** A key of one person with these roles, made with the first administrator's, kept in a file for the command line. */
async function personalKey(
  town: NewTown,
  role: 'authority' | 'provider',
  name: string,
  roles: readonly string[],
): Promise<string> {
  const path = town.home.path(role, `${name}.key`)
  const kept = await readFileIfPresent(path)
  if (kept) return Buffer.from(kept).toString().trim()
  const { url, key } = town[role]
  const certificate = role === 'provider' ? { serverCertificate: town.provider.certificate } : {}
  const client = createHttpClient({ baseUrl: url, bearer: key, clock: town.clock, timeoutMs: 10_000, ...certificate })
  try {
    const { key: fresh } = await client.postJson('/v1/keys', made, { v: 1, name, roles })
    await replaceFile(path, Buffer.from(`${fresh}\n`))
    return fresh
  } finally {
    await client.close()
  }
}

async function approveProvider({ home, clock }: NewTown, authority: HttpClient, superior: HttpClient) {
  const dv = await loadSigner(home.path('provider', 'keys'), 'dv', 'ecdsa-p256-sha256')
  const request = encodeBase64url(await issueCvcRequest('JPKZTOWN00001', dv))
  const entered = await authority.postJson(
    '/v1/applications',
    z.looseObject({ application: z.looseObject({ id: z.string() }) }),
    { v: 1, provider: PROVIDER_ID, name: '医療保険資格確認（試験）', request, days: 90 },
  )
  const today = japanDate(clock.now())
  const approved = await superior.postJson(
    `/v1/applications/${entered.application.id}/approval`,
    z.looseObject({ certificate: z.string() }),
    { v: 1, today },
  )
  const roots = await authority.getJson('/v1/anchors', anchors)
  const of = (list: readonly { kind: string; certificate: string }[]) =>
    list.filter(({ kind }) => kind === 'user-authentication').map(({ certificate }) => certificate)
  return {
    v: 1,
    anchors: of(roots.certificateAuthorities),
    cvcas: [roots.cvca],
    dvs: [approved.certificate],
    ocspResponders: of(roots.ocspResponders),
  }
}

async function enrolClinic(town: NewTown, operator: HttpClient): Promise<void> {
  const { home, clock, random } = town
  const { id, ja } = CLINIC
  await operator.postJson('/v1/institutions', answer, { v: 1, id, name: ja, code: null })
  const register = await loadSealingKey(home.path('eligibility', 'keys'), 'tokens', { create: true })
  const { kty, crv, x, y } = await subtle.exportKey('jwk', register.publicKey)
  await operator.postJson('/v1/services', answer, {
    ...{ v: 1, audience: REGISTER, name: '資格確認（試験）', sealingKey: { kty, crv, x, y } },
  })
  const desk = await loadSigner(home.path('clinic', 'keys'), 'client', 'ecdsa-p256-sha256', { create: true })
  await operator.postJson('/v1/clients', answer, {
    ...{ v: 1, id: `${id}-desk`, institution: id, confirmation: { jkt: keyId(desk.publicKey) } },
    audiences: [id, REGISTER],
  })
  const { code } = await operator.postJson('/v1/enrolment-codes', z.looseObject({ code: z.string() }), {
    ...{ v: 1, terminal: TERMINAL, institution: id, attended: false, minutes: 15 },
  })
  const { url: providerUrl, certificate: providerCertificate } = town.provider
  await enrolTerminal({ directory: home.path('terminal'), code, providerUrl, providerCertificate }, clock, random)
  await operator.postJson(`/v1/terminals/${TERMINAL}/activation`, z.unknown(), { v: 1 })
}

interface Offices {
  readonly authority: HttpClient
  readonly operator: HttpClient
  readonly insurer: HttpClient
}

/** Gives a resident a card, tells the insured register, and lets happen to the card what is to happen to it. */
async function settle(town: NewTown, resident: Resident, offices: Offices): Promise<void> {
  const { home, clock } = town
  const personalisation = await createPersonalisation({
    holder: resident.holder.en,
    pin: resident.pin,
    ...(resident.password === undefined ? {} : { password: resident.password }),
    institutionRoots: { current: (await offices.authority.getJson('/v1/anchors', anchors)).cvca },
    date: japanDate(clock.now() - 30 * DAY),
    issue: resident.foreign ? forge(town) : issueFor(town, resident, offices.authority),
  })
  if (resident.membership) {
    const key = decodeCertificate(certificateOf(personalisation)).publicKey
    const { subject } = await offices.operator.postJson('/v1/registrations', z.looseObject({ subject: z.string() }), {
      v: 1,
      publicKeyHash: encodeBase64url(publicKeyHash(key)),
      audience: REGISTER,
    })
    await offices.insurer.sendJson('PUT', '/v1/memberships', z.unknown(), { subject, ...resident.membership })
  }
  const initial = initialCardState(personalisation)
  const tries = resident.pinBlocked ? { ...initial.tries, 'user-authentication': 0 } : initial.tries
  await replaceFile(home.path('cards', `${resident.name}.json`), Buffer.from(encodePersonalisation(personalisation)))
  await createFileCardState(home.path('cards', `${resident.name}.state.json`)).write({ ...initial, tries })
}

const certificateOf = (personalisation: Personalisation): Uint8Array =>
  decodeBase64url(personalisation.userAuthentication.certificate)

const KIND = { 'user-authentication': 'user-authentication', signature: 'digital-signature' } as const

function issueFor({ clock }: NewTown, resident: Resident, authority: HttpClient) {
  return async ({ key, publicKey }: { key: keyof typeof KIND; publicKey: Uint8Array }) => {
    const kind = KIND[key]
    const { notBefore, notAfter } = validityOf(resident, clock.now())
    const { signer } = resident
    const issued = await authority.postJson(
      '/v1/certificates',
      z.looseObject({ certificate: z.string(), serial: z.string() }),
      {
        ...{ v: 1, kind, holder: resident.name, publicKey: encodeBase64url(publicKey) },
        locality: { prefecture: 'Kuso-ken', city: 'Kazami-shi' },
        birthDate: resident.birthDate,
        ...(kind === 'digital-signature' && signer ? { attributes: signer } : {}),
        validity: { notBefore: timeText(notBefore), notAfter: timeText(notAfter) },
      },
    )
    if (resident.revoked && kind === 'user-authentication') {
      await authority.postJson(`/v1/certificates/${issued.serial}/revocation`, z.unknown(), {
        ...{ v: 1, reason: 'keyCompromise' },
      })
    }
    const roots = await authority.getJson('/v1/anchors', anchors)
    const ca = roots.certificateAuthorities.find((one) => one.kind === kind)
    return { certificate: decodeBase64url(issued.certificate), caCertificate: decodeBase64url(ca?.certificate ?? '') }
  }
}

/** What a forger does: an authority of his own under the same names. */
function forge({ clock, random }: NewTown) {
  return async ({ publicKey }: { publicKey: Uint8Array }) => {
    const key = await generateSoftwareSigner('rsa-pkcs1-sha256')
    const validity = { notBefore: clock.now() - 2000 * DAY, notAfter: clock.now() + 2000 * DAY }
    const ca = await issueCertificate(
      jpkiAuthority('userAuthentication', { serial: newSerial(random), publicKey: key.publicKey, ...validity }),
      key,
    )
    const certificate = await issueCertificate(
      userAuthenticationCertificate({
        ...{
          serial: newSerial(random),
          publicKey,
          issuer: ca,
          notBefore: clock.now() - 30 * DAY,
          notAfter: validity.notAfter,
        },
        ...{ commonName: 'FORGED000AKAZ99999000AA', ocsp: 'http://authority.kazasu.test/ocsp' },
        locality: { prefecture: 'Kuso-ken', city: 'Kazami-shi' },
      }),
      key,
    )
    return { certificate: certificate.raw, caCertificate: ca.raw }
  }
}
