import { encodeBase64url } from '#bytes'
import { timeText } from '#clock'
import {
  canonicalJson,
  consentHash,
  type DeviceStatement,
  deviceStatementHash,
  hashText,
  type Proof,
  sha256,
  signDeviceStatement,
  type Transcript,
} from '#messages'
import type { Place, WrittenProof } from './outbox.ts'
import { found, type TapState } from './steps.ts'
import type { Terminal } from './terminal.ts'

/** The proof's bytes, with the device statement that takes `place` in the terminal's chain. */
export async function composeProof(terminal: Terminal, state: TapState, place: Place): Promise<WrittenProof> {
  const consentRecord = found(state, 'consent')
  const { nonce, mechanism } = found(state, 'nonce')
  const sealed = found(state, 'sealed')
  const cardSignature = found(state, 'cardSignature')
  const transcript = mechanism === 'institution' ? composeTranscript(terminal, state) : undefined
  const statement: DeviceStatement = {
    v: 1,
    terminal: terminal.id,
    nonce,
    statementHash: encodeBase64url(found(state, 'd')),
    certificateHash: encodeBase64url(sha256(sealed)),
    cardSignatureHash: encodeBase64url(sha256(cardSignature)),
    transcriptHash: transcript ? hashText(transcript) : null,
    mechanism,
    consentHash: encodeBase64url(consentHash(consentRecord)),
    operator: null,
    lease: null,
    counter: place.counter,
    prev: place.prev,
    presentFrom: timeText(found(state, 'presentFrom')),
    presentTo: timeText(found(state, 'presentTo')),
    at: timeText(terminal.clock.now()),
  }
  const deviceStatement = await signDeviceStatement(statement, terminal.deviceKey)
  const proof: Proof = {
    v: 1,
    nonce,
    consentRecord,
    sealedCertificate: encodeBase64url(sealed),
    cardSignature: encodeBase64url(cardSignature),
    ...(transcript ? { transcript } : {}),
    deviceStatement,
  }
  return { body: canonicalJson(proof), statementHash: encodeBase64url(deviceStatementHash(deviceStatement)) }
}

function composeTranscript({ chain }: Terminal, state: TapState): Transcript {
  const [dv, terminal] = chain
  return {
    v: 1,
    chain: [encodeBase64url(dv), encodeBase64url(terminal)],
    r: encodeBase64url(found(state, 'r')),
    seSig: encodeBase64url(found(state, 'seSig')),
  }
}
