import { encodeBase64url } from '#bytes'
import {
  createMemoryCardState,
  createPersonalisation,
  createVirtualCard,
  type HolderKey,
  initialCardState,
} from '#card'
import { DAY, systemRandom, type Time } from '#clock'
import { issueCertificate, jpkiAuthority, signatureCertificate, userAuthenticationCertificate } from '#pki'
import { TestInstitution } from '../src/card/fixture.ts'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'

const NOON: Time = Date.parse('2026-11-22T03:00:00.000Z')

export const PIN = '1234'
export const PASSWORD = 'KAZASU1'

/** A card of an invented resident with real certificates of both kinds, each under a test CA. */
export async function createJpkiCard() {
  const institution = new TestInstitution()
  const root = await institution.root()
  const certificates: Record<string, Uint8Array> = {}
  const publicKeys: Record<string, Uint8Array> = {}
  const personalisation = await createPersonalisation({
    holder: 'Test',
    pin: PIN,
    password: PASSWORD,
    institutionRoots: { current: encodeBase64url(root.raw) },
    date: '2026-11-01',
    async issue({ key, publicKey }) {
      const { certificate, caCertificate } = await issue(key, publicKey)
      certificates[key] = certificate
      certificates[`${key} CA`] = caCertificate
      publicKeys[key] = publicKey
      return { certificate, caCertificate }
    },
  })
  const state = createMemoryCardState(initialCardState(personalisation))
  const device = createVirtualCard({ personalisation, state, random: systemRandom })
  return { device, state, certificates, publicKeys }
}

async function issue(key: HolderKey, publicKey: Uint8Array) {
  const signer = createThrowawaySigner('rsa-pkcs1-sha256')
  const kind = key === 'signature' ? 'signature' : 'userAuthentication'
  const life = { notBefore: NOON - 30 * DAY, notAfter: NOON + 1000 * DAY }
  const ca = await issueCertificate(
    jpkiAuthority(kind, { serial: Uint8Array.of(1), publicKey: signer.publicKey, ...life }),
    signer,
  )
  const card = {
    serial: Uint8Array.of(0x41, ...systemRandom.bytes(7)),
    publicKey,
    ...life,
    issuer: ca,
    commonName: 'TEST00000AKAZ13221000A',
    locality: { prefecture: 'Tokyo-to', city: 'Kazasu-shi' },
    ocsp: 'http://127.0.0.1:1/ocsp',
  }
  const holder = {
    name: '架空　花子',
    nameSubstitutes: '00000',
    birthDate: '420010203',
    sex: '2',
    address: '東京都架空市試験一丁目',
    addressSubstitutes: '00000000000',
  } as const
  const template = kind === 'signature' ? signatureCertificate(card, holder) : userAuthenticationCertificate(card)
  return { certificate: (await issueCertificate(template, signer)).raw, caCertificate: ca.raw }
}
