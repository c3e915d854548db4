import { decodeBase64url, encodeBase64url, equalBytes } from '#bytes'
import { japanDate } from '#clock'
import { unsealCertificate } from '#messages'
import {
  type Cvc,
  decodeCertificate,
  decodeCvc,
  KEY_PURPOSE,
  PkiError,
  trustAnchor,
  trustCvca,
  type VerifiedCvc,
  verifyCvc,
  verifyPath,
} from '#pki'
import type { Trust } from '#proof'
import type { Provider, ProviderKeys } from './context.ts'
import { ProviderError } from './failures.ts'
import type { Database, TrustMaterialTable } from './tables.ts'

/** Everything installed: what taps are checked against, and the DV certificate that terminals get theirs under. */
export interface InstalledTrust extends Trust {
  /** This provider's newest DV certificate. */
  readonly dv: Cvc
}

/** Trust material as the authority hands it out, each b64u: X.509 DER, or `7F21`. */
export interface UnverifiedTrust {
  readonly anchors: readonly string[]
  readonly cvcas: readonly string[]
  readonly dvs: readonly string[]
  readonly ocspResponders: readonly string[]
}

type Material = Pick<TrustMaterialTable, 'kind' | 'raw'>
type Keys = Pick<ProviderKeys, 'dv' | 'sealing'>

/** The trust that is installed, kept in memory and read again when it changes. */
export interface TrustStore {
  /** @throws ProviderError `trust-missing` */
  current(): InstalledTrust
  reload(): Promise<void>
  /**
   * Verifies all of it – together with what is there – and only then keeps any of it. Nothing is ever trusted because
   * it came over the wire: whoever calls this vouches for roots; the rest must verify under roots.
   * @throws PkiError naming what is wrong; ProviderError `dv-refused` if a DV is not for this provider's key
   */
  install(unverified: UnverifiedTrust): Promise<void>
}

export function createTrustStore(
  { database, clock, keys }: Pick<Provider, 'database' | 'clock'> & { readonly keys: Keys },
  certificatePolicy: string,
): TrustStore {
  let installed: InstalledTrust | undefined

  const compose = (material: readonly Material[]): InstalledTrust | undefined =>
    composeTrust(material, keys, certificatePolicy)

  async function reload(): Promise<void> {
    installed = compose(await database.selectFrom('trust_material').selectAll().execute())
  }

  return {
    current() {
      if (!installed) throw new ProviderError('trust-missing')
      return installed
    },
    reload,
    async install(unverified) {
      const given = materialOf(unverified)
      const stored = await database.selectFrom('trust_material').selectAll().execute()
      verifyMaterial(given, [...stored, ...given], keys, clock.now())
      await keepMaterial(database, given)
      await reload()
    },
  }
}

function materialOf({ anchors, cvcas, dvs, ocspResponders }: UnverifiedTrust): readonly Material[] {
  const of = (kind: Material['kind'], texts: readonly string[]): readonly Material[] =>
    texts.map((text) => ({ kind, raw: decodeBase64url(text) }))
  return [...of('anchor', anchors), ...of('cvca', cvcas), ...of('dv', dvs), ...of('ocsp-responder', ocspResponders)]
}

const rawOf = (material: readonly Material[], kind: Material['kind']): readonly Uint8Array[] =>
  material.filter((one) => one.kind === kind).map(({ raw }) => raw)

function verifyMaterial(given: readonly Material[], all: readonly Material[], { dv }: Keys, at: number): void {
  const anchors = rawOf(all, 'anchor').map((raw) => trustAnchor(decodeCertificate(raw)))
  const roots = rawOf(all, 'cvca').map((raw) => trustCvca(decodeCvc(raw)))
  for (const raw of rawOf(given, 'dv')) {
    const { cvc, pinless } = verifyUnder(decodeCvc(raw), roots, japanDate(at))
    const sound = equalBytes(cvc.publicKey, dv.publicKey) && cvc.chat.role === 'dv' && pinless
    if (!sound) throw new ProviderError('dv-refused')
  }
  const extendedKeyUsage = KEY_PURPOSE.ocspSigning
  for (const raw of rawOf(given, 'ocsp-responder')) {
    verifyPath(decodeCertificate(raw), { anchors, at, keyUsage: 'digitalSignature', extendedKeyUsage })
  }
}

function verifyUnder(unverified: Cvc, roots: readonly VerifiedCvc[], today: string): VerifiedCvc {
  const root = roots.find(({ cvc }) => cvc.chr === unverified.car)
  if (!root) throw new PkiError('cvc-issuer-unknown')
  if (unverified.effective > today) throw new PkiError('cvc-not-yet-effective')
  return verifyCvc(unverified, root, today)
}

async function keepMaterial(database: Database, given: readonly Material[]): Promise<void> {
  if (given.length === 0) return
  await database
    .insertInto('trust_material')
    .values([...given])
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** `undefined` while a root or our DV certificate is missing. */
function composeTrust(
  material: readonly Material[],
  { sealing }: Keys,
  certificatePolicy: string,
): InstalledTrust | undefined {
  const anchors = rawOf(material, 'anchor').map((raw) => trustAnchor(decodeCertificate(raw)))
  const cvcAnchors = rawOf(material, 'cvca').map((raw) => trustCvca(decodeCvc(raw)))
  const dvs = rawOf(material, 'dv').map(decodeCvc)
  const newest = dvs.toSorted((a, b) => (a.effective < b.effective ? 1 : a.effective > b.effective ? -1 : 0))[0]
  if (!newest || anchors.length === 0 || cvcAnchors.length === 0) return undefined
  return {
    anchors,
    certificatePolicy,
    cvcAnchors,
    dvKeys: dvs.map(({ publicKey }) => encodeBase64url(publicKey)),
    dvHolder: newest.chr.slice(0, -5),
    dv: newest,
    unseal: (sealed, nonce) => unsealCertificate(sealed, nonce, sealing.privateKey),
  }
}
