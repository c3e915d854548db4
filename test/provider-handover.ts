import { createPrivateKey, createPublicKey, sign, subtle } from 'node:crypto'
import { decodeBase64url, encodeBase64url } from '#bytes'
import { type Clock, systemClock } from '#clock'
import { importAuditPublicKey } from '#evidence'
import { decodeCertificate, decodeCvc } from '#pki'
import {
  createProviderKeys,
  NOON,
  openTestProvider,
  type ProviderAuthority,
  type ProviderMaterial,
  type SigningKey,
} from './provider-rig.ts'

/** All that several processes of one test provider share, as JSON: every text b64u. */
export interface Handover {
  readonly url: string
  /** Machine time that stands for {@link NOON}. */
  readonly epoch: number
  readonly ca: string
  readonly cvca: string
  readonly dvHolder: string
  /** PKCS#8 */
  readonly dv: string
  readonly token: string
  readonly log: string
  readonly sealing: string
  /** SPKI */
  readonly sealingPublic: string
  readonly audit: string
}

const pkcs8 = ({ privateKey }: SigningKey): string =>
  encodeBase64url(Uint8Array.from(privateKey.export({ format: 'der', type: 'pkcs8' })))

function signerOf(text: string): SigningKey {
  const privateKey = createPrivateKey({ key: Buffer.from(decodeBase64url(text)), format: 'der', type: 'pkcs8' })
  return {
    algorithm: 'ecdsa-p256-sha256',
    privateKey,
    publicKey: Uint8Array.from(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })),
    sign: async (data) => Uint8Array.from(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

/** A clock that ticks as the machine's, in a world where it was noon at `epoch`: certificates of tests are valid then. */
export const clockOf = (epoch: number): Clock => ({ ...systemClock, now: () => NOON + systemClock.now() - epoch })

export async function handOver(
  authority: ProviderAuthority,
  { keys, auditSpki }: ProviderMaterial,
  url: string,
  epoch: number,
): Promise<Handover> {
  return {
    ...{ url, epoch, dvHolder: authority.dvHolder },
    ca: encodeBase64url(authority.ca.raw),
    cvca: encodeBase64url(authority.cvcaCvc.raw),
    dv: pkcs8(authority.dv),
    token: pkcs8(keys.token),
    log: pkcs8(keys.log),
    sealing: encodeBase64url(new Uint8Array(await subtle.exportKey('pkcs8', keys.sealing.privateKey))),
    sealingPublic: encodeBase64url(new Uint8Array(await subtle.exportKey('spki', keys.sealing.publicKey))),
    audit: encodeBase64url(auditSpki),
  }
}

/** The same provider in another process. */
export async function takeOver(handover: Handover) {
  const dv = signerOf(handover.dv)
  const authority: ProviderAuthority = {
    ca: decodeCertificate(decodeBase64url(handover.ca)),
    cvcaCvc: decodeCvc(decodeBase64url(handover.cvca)),
    dv,
    dvHolder: handover.dvHolder,
  }
  const ecdh = { name: 'ECDH', namedCurve: 'P-256' }
  const der = (text: string) => Uint8Array.from(decodeBase64url(text))
  const sealing = {
    privateKey: await subtle.importKey('pkcs8', der(handover.sealing), ecdh, true, ['deriveBits']),
    publicKey: await subtle.importKey('spki', der(handover.sealingPublic), ecdh, true, []),
  }
  const made = await createProviderKeys(authority)
  const keys = { ...made.keys, token: signerOf(handover.token), log: signerOf(handover.log), sealing }
  const material: ProviderMaterial = { ...made, keys, auditKey: await importAuditPublicKey(der(handover.audit)) }
  return openTestProvider(authority, { kind: 'postgresql', url: handover.url }, clockOf(handover.epoch), material)
}
