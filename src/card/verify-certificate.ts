import { type CardChannel, command, SW, status } from '#apdu'
import { BytesError, decodeBase64url, decodeTlv, encodeBase64url, encodeTlv } from '#bytes'
import { type Cvc, decodeCvc, PkiError, trustCvca, type VerifiedCvc, verifyCvc, verifyCvcLink } from '#pki'
import { next } from './institution-state.ts'
import { answer, type Outcome, type Received } from './session.ts'
import type { PersistedCard } from './state.ts'
import { type CardStep, OK, perform } from './step.ts'

/**
 * The steps that give the card one certificate: MSE:SET DST names its issuer, PSO:VERIFY CERTIFICATE brings it
 * (BSI TR-03110-3 B.11.2, B.11.3).
 * @param certificate a `7F21`; @throws PkiError `cvc-malformed` …
 */
export function certificateSteps(certificate: Uint8Array): readonly CardStep[] {
  const { car, body, signature } = decodeCvc(certificate)
  return [
    {
      name: 'name the issuer of a certificate',
      command: command('002281B6', encodeTlv(0x83, Buffer.from(car, 'latin1'))),
      expect: OK,
      refusals: { [SW.referenceNotFound]: 'institution-unknown' },
    },
    {
      name: 'have a certificate verified',
      command: command('002A00BE', Buffer.concat([body, encodeTlv(0x5f37, signature)])),
      expect: OK,
      refusals: {
        [SW.authenticationFailed]: 'institution-refused',
        [SW.referenceNotFound]: 'institution-unknown',
        [SW.conditionsOfUse]: 'institution-out-of-order',
      },
    },
  ]
}

/**
 * Has the card verify certificates, issuer first: links if any, DV, terminal – each a `7F21`.
 * @throws CardError `institution-unknown`, `institution-refused`, `institution-out-of-order`, `unexpected-status`
 */
export async function presentCertificates(channel: CardChannel, chain: readonly Uint8Array[]): Promise<void> {
  for (const step of chain.flatMap(certificateSteps)) await perform(channel, step)
}

/** The card's side of MSE:SET DST: the signer must be an anchor or a certificate verified in this session. */
export async function answerSetSigner({ apdu, contents, session, institution }: Received): Promise<Outcome> {
  const reference = decodeReference(apdu.data)
  if (reference === undefined) return answer(SW.wrongData)
  const known = [...anchors(await contents.state.read()), ...institution.chain]
  const signer = known.find(({ cvc }) => cvc.chr === reference)
  if (!signer) return answer(SW.referenceNotFound)
  const event = { kind: 'signer-chosen', signer } as const
  return { response: status(SW.ok), session: { ...session, institution: next(institution, event) } }
}

function decodeReference(data: Uint8Array): string | undefined {
  try {
    return Buffer.from(decodeTlv(data, 0x83).value).toString('latin1')
  } catch {
    return undefined
  }
}

/** The card's side of PSO:VERIFY CERTIFICATE: a link, a DV or a terminal, checked as protocol.md section 2 lists it. */
export async function answerVerifyCertificate({ apdu, contents, session, institution }: Received): Promise<Outcome> {
  if (institution.at !== 'signer-chosen') return answer(SW.conditionsOfUse)
  const card = await contents.state.read()
  let certificate: VerifiedCvc
  try {
    const unverified = decodeCvc(encodeTlv(0x7f21, apdu.data))
    certificate = verify(unverified, institution.signer, card)
  } catch (error) {
    return answer(refusal(error))
  }
  const moved = afterCertificate(card, certificate.cvc)
  if (moved !== card) await contents.state.write(moved) // before the answer: whoever hears 9000 can rely on it
  const event = { kind: 'verified', certificate } as const
  return { response: status(SW.ok), session: { ...session, institution: next(institution, event) } }
}

function verify(unverified: Cvc, signer: VerifiedCvc, card: PersistedCard): VerifiedCvc {
  if (unverified.chat.role !== 'cvca') return verifyCvc(unverified, signer, card.date)
  // A link is taken from the anchor in force only, never from the one before it.
  if (signer.cvc.chat.role === 'cvca' && encodeBase64url(signer.cvc.raw) !== card.root) throw new PkiError('cvc-role')
  return verifyCvcLink(unverified, signer, card.date)
}

/** The anchor in force, and the one before it until it expires. */
function anchors(card: PersistedCard): readonly VerifiedCvc[] {
  const current = trustCvca(decodeCvc(decodeBase64url(card.root)))
  if (card.previousRoot === undefined) return [current]
  const previous = trustCvca(decodeCvc(decodeBase64url(card.previousRoot)))
  return previous.cvc.expiry < card.date ? [current] : [current, previous]
}

/**
 * What the card remembers of a verified certificate. The card has no clock: its date is the newest effective date
 * that the CVCA itself signed (DV, link). A terminal's certificate is signed by a provider, who must not be able to
 * move a card's date, so it leaves no trace.
 */
function afterCertificate(card: PersistedCard, { chat, effective, raw }: Cvc): PersistedCard {
  if (chat.role === 'terminal') return card
  const date = effective > card.date ? effective : card.date
  if (chat.role === 'cvca') return { ...card, date, root: encodeBase64url(raw), previousRoot: card.root }
  return date === card.date ? card : { ...card, date }
}

/** Status word of a refused certificate; what is no certificate at all is malformed data. */
function refusal(error: unknown): number {
  if (error instanceof BytesError) return SW.wrongData
  if (!(error instanceof PkiError)) throw error
  if (error.code === 'cvc-malformed' || error.code === 'public-key-unsupported') return SW.wrongData
  return error.code === 'cvc-issuer-unknown' ? SW.referenceNotFound : SW.authenticationFailed
}
