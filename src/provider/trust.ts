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
import type { DatedTrust, Provider, ProviderKeys } from './context.ts'
import { ProviderError } from './failures.ts'
import type { Database, ProviderTransaction, TrustMaterialTable } from './tables.ts'

/** Everything installed: what taps are checked against, and the DV certificate that terminals get theirs under. */
export interface InstalledTrust extends DatedTrust {
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
  /** Reads what another process changed. */
  reload(): Promise<void>
  /**
   * Verifies all of it – together with what is there – and only then keeps any of it. Nothing is ever trusted because
   * it came over the wire: whoever calls this vouches for roots; the rest must verify under roots.
   * @throws PkiError naming what is wrong; ProviderError `dv-refused` if a DV is not for this provider's key
   */
  install(unverified: UnverifiedTrust): Promise<void>
  /**
   * Ends the trust in exactly these, for good. No tap that was checked under them commits afterwards; terminal
   * certificates under a withdrawn DV end with it, unless another DV in force has its name and key.
   * @throws ProviderError `not-found` if one of them is not in force; nothing is withdrawn then
   */
  withdraw(unverified: UnverifiedTrust): Promise<void>
}

export function createTrustStore(
  { database, clock, keys }: Pick<Provider, 'database' | 'clock'> & { readonly keys: Keys },
  certificatePolicy: string,
): TrustStore {
  let installed: InstalledTrust | undefined

  let known: number | undefined

  async function reload(): Promise<void> {
    // In this order: what is read after the epoch may be newer than it, and is then read once more; never older.
    const { epoch } = await database.selectFrom('trust_epoch').select('epoch').executeTakeFirstOrThrow()
    if (epoch === known) return
    installed = composeTrust(await readMaterial(database), epoch, keys, certificatePolicy)
    known = epoch
  }

  return {
    current() {
      if (!installed) throw new ProviderError('trust-missing')
      return installed
    },
    reload,
    async install(unverified) {
      const given = materialOf(unverified)
      await change(database, async (transaction) => {
        verifyMaterial(given, [...(await readMaterial(transaction)), ...given], keys, clock.now())
        await keepMaterial(transaction, given)
      })
      await reload()
    },
    async withdraw(unverified) {
      const given = materialOf(unverified)
      await change(database, (transaction) => withdrawMaterial(transaction, given, clock.now()))
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

/** One change at a time; a tap that reads the epoch when it commits comes wholly before it, or is refused. */
function change(database: Database, act: (transaction: ProviderTransaction) => Promise<void>): Promise<void> {
  return database.transaction().execute(async (transaction) => {
    await transaction
      .updateTable('trust_epoch')
      .set(({ eb }) => ({ epoch: eb('epoch', '+', 1) }))
      .execute()
    await act(transaction)
  })
}

function readMaterial(database: Database | ProviderTransaction): Promise<Material[]> {
  return database.selectFrom('trust_material').select(['kind', 'raw']).where('withdrawn_at', 'is', null).execute()
}

async function keepMaterial(transaction: ProviderTransaction, given: readonly Material[]): Promise<void> {
  for (const one of given) {
    const row = await transaction
      .insertInto('trust_material')
      .values(one)
      .onConflict((conflict) => conflict.columns(['kind', 'raw']).doUpdateSet({ kind: one.kind }))
      .returning('withdrawn_at')
      .executeTakeFirstOrThrow()
    if (row.withdrawn_at !== null) throw new ProviderError('trust-withdrawn', { kind: one.kind })
  }
}

async function withdrawMaterial(
  transaction: ProviderTransaction,
  given: readonly Material[],
  now: number,
): Promise<void> {
  for (const { kind, raw } of given) {
    const done = await transaction
      .updateTable('trust_material')
      .set({ withdrawn_at: now })
      .where('kind', '=', kind)
      .where('raw', '=', raw)
      .where('withdrawn_at', 'is', null)
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) throw new ProviderError('not-found', { what: kind })
  }
  const dvs = rawOf(given, 'dv').map(decodeCvc)
  if (dvs.length === 0) return
  const left = rawOf(await readMaterial(transaction), 'dv').map(decodeCvc)
  const ended = dvs.filter((dv) => !left.some((one) => one.chr === dv.chr && equalBytes(one.publicKey, dv.publicKey)))
  const certificates = await transaction
    .selectFrom('terminal_certificate')
    .select(['cert_hash', 'raw'])
    .where('withdrawn_at', 'is', null)
    .execute()
  const orphans = certificates.filter(({ raw }) => ended.some(({ chr }) => chr === decodeCvc(raw).car))
  if (orphans.length === 0) return
  await transaction
    .updateTable('terminal_certificate')
    .set({ withdrawn_at: now })
    .where(
      'cert_hash',
      'in',
      orphans.map((one) => one.cert_hash),
    )
    .execute()
}

/** `undefined` while a root or our DV certificate is missing. */
function composeTrust(
  material: readonly Material[],
  epoch: number,
  { sealing }: Keys,
  certificatePolicy: string,
): InstalledTrust | undefined {
  const anchors = rawOf(material, 'anchor').map((raw) => trustAnchor(decodeCertificate(raw)))
  const cvcAnchors = rawOf(material, 'cvca').map((raw) => trustCvca(decodeCvc(raw)))
  const dvs = rawOf(material, 'dv').map(decodeCvc)
  const newest = dvs.toSorted((a, b) => (a.effective < b.effective ? 1 : a.effective > b.effective ? -1 : 0))[0]
  if (!newest || anchors.length === 0 || cvcAnchors.length === 0) return undefined
  return {
    epoch,
    anchors,
    certificatePolicy,
    cvcAnchors,
    dvKeys: dvs.map(({ publicKey }) => encodeBase64url(publicKey)),
    dvHolder: newest.chr.slice(0, -5),
    dv: newest,
    unseal: (sealed, nonce) => unsealCertificate(sealed, nonce, sealing.privateKey),
  }
}
