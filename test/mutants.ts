/** One way to break the protocol, in the source's own words, and the test that must notice it. */
export interface Mutant {
  /** In the words of protocol.md section 8 where it stands there. */
  readonly name: string
  /** `find` occurs exactly once in `file`. */
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  readonly test: { readonly file: string; readonly title: string }
  /** One of those that run with every `npm test`. */
  readonly always?: true
}

const CARD = 'src/card/institution-authentication.test.ts'
const CERTIFICATES = 'src/card/verify-certificate.test.ts'
const RECEPTION = 'test/reception.test.ts'
const RESEND = 'test/resend.test.ts'
const TOKENS = 'test/tokens.test.ts'
const RACES = 'test/races.test.ts'
const TRUST = 'test/trust.test.ts'
const WITNESS = 'test/witness.test.ts'

function mutant(name: string, file: string, find: string, replace: string, test: string, title: string): Mutant {
  return { name, edits: [{ file, find, replace }], test: { file: test, title } }
}
const always = (one: Mutant): Mutant => ({ ...one, always: true })

const onCard: readonly Mutant[] = [
  always(
    mutant(
      'card signs D not T',
      'src/card/institution-authentication.ts',
      'signSha256Digest(key, t)',
      'signSha256Digest(key, announcement.d.length === t.length ? announcement.d : t)',
      CARD,
      'the card signs T and nothing but T: the signature verifies over T, not over D',
    ),
  ),
  mutant(
    'T without r',
    'src/messages/statement.ts',
    'parts.certHash, parts.r, parts.d',
    'parts.certHash, parts.d',
    CARD,
    'T holds r: the same terminal and D at another power-up get another signature',
  ),
  mutant(
    'T without certHash',
    'src/messages/statement.ts',
    'parts.certHash, parts.r, parts.d',
    'parts.r, parts.d',
    CARD,
    'T holds certHash: a second terminal with the same r and D gets another signature',
  ),
  mutant(
    'T without its tag',
    'src/messages/statement.ts',
    'concatBytes(TAG, Uint8Array.of(0), parts',
    'concatBytes(parts',
    'src/messages/messages.test.ts',
    'T is the vector of protocol.md',
  ),
  always(
    mutant(
      'sign takes data',
      'src/card/institution-authentication.ts',
      'if (apdu.data.length > 0) return answer(SW.wrongData)',
      '',
      CARD,
      'takes no data: whoever sends some gets no signature and loses the authorisation',
    ),
  ),
  always(
    mutant(
      '80 2A open when authorised',
      'src/card/compute-signature.ts',
      'if (!session.verified.includes(key)) return',
      "if (!session.verified.includes(key) && received.institution.at !== 'authorised') return",
      CARD,
      'an authorised institution does not open 80 2A: it still answers 6982',
    ),
  ),
  {
    name: 'state cleared after sign',
    edits: [
      {
        file: 'src/card/virtual-card.ts',
        find: "this.#session = { ...session, institution: next(institution, { kind: 'other' }) }",
        replace: "const dropped = { ...session, institution: next(institution, { kind: 'other' }) }",
      },
      {
        file: 'src/card/virtual-card.ts',
        find: 'session: this.#session, institution }',
        replace: 'session: dropped, institution }',
      },
      {
        file: 'src/card/virtual-card.ts',
        find: 'outcome.session ?? this.#session',
        replace: 'outcome.session ?? (outcome.response.sw === SW.unknown ? session : dropped)',
      },
    ],
    test: {
      file: CARD,
      title: 'state is cleared before computing: a failure while signing leaves no authorisation behind',
    },
  },
  mutant(
    'second success per power-up',
    'src/card/institution-authentication.ts',
    ' || institution.spent)',
    ')',
    CARD,
    'one success per power-up: a second authentication is refused, also after a warm reset',
  ),
  mutant(
    'aux optional',
    'src/card/institution-authentication.ts',
    'reader.take(0x67).raw',
    'reader.optional(0x67)?.raw ?? auxiliaryData(new Uint8Array(DIGEST_LENGTH))',
    CARD,
    'the statement is not optional: without auxiliary data nothing is announced',
  ),
  mutant(
    'two GET CHALLENGE keep the old r',
    'src/card/institution-state.ts',
    "if (state.at !== 'announced') break",
    "if (state.at === 'challenged') return state\n      if (state.at !== 'announced') break",
    CARD,
    'a second GET CHALLENGE drops the announcement: neither the old r nor the new one authenticates',
  ),
  mutant(
    'announced without the right',
    'src/card/institution-authentication.ts',
    'if (!terminal.pinless) return answer(SW.securityStatus)',
    '',
    CARD,
    'rights are ANDed: a terminal without the PIN-less right has none to announce',
  ),
  mutant(
    'rights ORed',
    'src/pki/cvc-chain.ts',
    'own & issuerRights',
    'own | issuerRights',
    CARD,
    'rights are ANDed: a provider without the PIN-less right has none to announce',
  ),
  mutant(
    'terminal certificate moves the date',
    'src/card/verify-certificate.ts',
    "if (chat.role === 'terminal') return card",
    '',
    CERTIFICATES,
    'a terminal certificate never moves the date: its signer is a provider',
  ),
  mutant(
    'child outlives parent',
    'src/pki/cvc-chain.ts',
    'if (cvc.expiry > issuerExpiry)',
    'if (cvc.expiry > issuerExpiry && cvc.expiry < cvc.effective)',
    CERTIFICATES,
    'a child never outlives its parent, neither a DV its CVCA nor a terminal its DV',
  ),
  mutant(
    'link replayed',
    'src/card/verify-certificate.ts',
    "if (signer.cvc.chat.role === 'cvca' && ",
    "if (signer.cvc.chat.role !== 'cvca' && ",
    CERTIFICATES,
    'an old link replayed after it was taken is refused: only the current anchor may link',
  ),
  mutant(
    'PIN counter falls after the compare',
    'src/card/verify.ts',
    'await contents.state.write({ ...card, tries: { ...card.tries, [key]: left } })',
    '',
    'src/card/state.test.ts',
    'the counter falls, stored, strictly before the comparison',
  ),
]

const inProof: readonly Mutant[] = [
  always(
    mutant(
      'pin accepts T',
      'src/proof/verify-proof.ts',
      "if (transcript) throw new ProofError('transcript-unexpected')",
      'if (transcript) return verifyInstitutionAuthentication(transcript, d, context.terminal, context.trust, context.receivedAt)',
      RECEPTION,
      'PIN nonce, T signed, transcript attached',
    ),
  ),
  mutant(
    'T or D, whichever verifies',
    'src/proof/verify-proof.ts',
    'if (!verifyDigestSignature(path.leaf.publicKey, signed, cardSignature))',
    'if (![signed, d].some((one) => verifyDigestSignature(path.leaf.publicKey, one, cardSignature)))',
    RECEPTION,
    'PIN-less nonce, D signed, transcript attached',
  ),
  always(
    mutant(
      'certHash row skipped',
      'src/proof/institution-authentication.ts',
      'if (!terminal.certHashes.includes(encodeBase64url(hash)))',
      'if (terminal.certHashes.length === 0)',
      RECEPTION,
      'with certificate and key of another terminal is refused',
    ),
  ),
  mutant(
    'DV not own',
    'src/proof/institution-authentication.ts',
    '!trust.dvKeys.includes(encodeBase64url(dv.publicKey)) || ',
    '',
    RECEPTION,
    'with the DV of another provider under the same root, in our name, is refused',
  ),
  mutant(
    'DV of any holder',
    'src/proof/institution-authentication.ts',
    ' || dv.chr.slice(0, -5) !== trust.dvHolder',
    '',
    RECEPTION,
    'with the key of our DV in another holder’s name is refused',
  ),
  mutant(
    'right not required',
    'src/proof/institution-authentication.ts',
    "if (!chain.terminal.pinless) throw new ProofError('institution-right')",
    '',
    RECEPTION,
    'without the right to do without a PIN is refused',
  ),
  mutant(
    'seSig not verified',
    'src/proof/institution-authentication.ts',
    'if (!verifySignature(cvc.publicKey, cvc.algorithm, composeA({ r, d }), decodeBase64url(transcript.seSig)))',
    'if (!verifySignature && composeA)',
    RECEPTION,
    'authorised by another key is refused',
  ),
  mutant(
    'mechanism from the wire',
    'src/proof/verify-proof.ts',
    'const { mechanism } = context.nonce',
    'const { mechanism } = context.device.claims',
    RECEPTION,
    'a device that says pin of a PIN-less tap is refused',
  ),
  mutant(
    'consent not in S',
    'src/proof/verify-proof.ts',
    'const consent = encodeBase64url(consentHash)',
    "const consent = consentHash.length > 0 ? 'A'.repeat(43) : ''",
    'test/fields.test.ts',
    'with no departure both mechanisms are accepted',
  ),
  mutant(
    'consent record not the one that was signed',
    'src/proof/consent.ts',
    'if (encodeBase64url(c) !== claims.consentHash)',
    'if (encodeBase64url(c) === claims.salt)',
    RECEPTION,
    'other than the one that was signed is refused',
  ),
  mutant(
    'nonce row without purpose',
    'src/proof/consent.ts',
    'if (record.purpose !== nonce.purpose)',
    "if (record.purpose === '')",
    RECEPTION,
    'to another purpose is refused',
  ),
  mutant(
    'unknown mechanism falls through',
    'src/proof/verify-proof.ts',
    "throw new ProofError('mechanism-unsupported', { mechanism })",
    'return d',
    RECEPTION,
    'of mechanism internal is refused: it has no bytes yet',
  ),
]

const inReception: readonly Mutant[] = [
  mutant(
    'consent used twice',
    'src/provider/commitment.ts',
    'consent_hash: encodeBase64url(verified.consentHash)',
    'consent_hash: proof.nonce',
    RECEPTION,
    'counts once: the same record with a new nonce is refused',
  ),
  mutant(
    'SELECT-then-UPDATE: the nonce is not compared when it is spent',
    'src/provider/commitment.ts',
    "if (!spent) throw new ProviderError('nonce-used')",
    "if (!spent && nonce === '') throw new ProviderError('nonce-used')",
    RECEPTION,
    'that runs out between check and commit is refused',
  ),
  mutant(
    'nonce of any terminal',
    'src/provider/nonces.ts',
    'row.terminal !== terminal.id || ',
    '',
    RECEPTION,
    'of another terminal, even of the same clinic, is unknown',
  ),
  always({
    name: 'suspension read outside the transaction',
    edits: [
      { file: 'src/provider/commitment.ts', find: ".where('state', 'in', [...states])", replace: '' },
      {
        file: 'src/provider/commitment.ts',
        find: ".where('suspend_epoch', '=', terminal.suspendEpoch)",
        replace: '',
      },
    ],
    test: { file: RECEPTION, title: 'between check and commit: refused, and nothing moves' },
  }),
  mutant(
    'epoch not compared',
    'src/provider/commitment.ts',
    ".where('suspend_epoch', '=', terminal.suspendEpoch)",
    '',
    RECEPTION,
    'and started again between check and commit: the tap is checked anew',
  ),
  mutant(
    'institution read outside the transaction',
    'src/provider/commitment.ts',
    'await confirmInstitution(transaction, submission, tap.trustEpoch)',
    "({ use: 'institution' as const, audienceId: 'x', epoch: 0 })",
    RECEPTION,
    'with its institution, between check and commit',
  ),
  mutant(
    'withdrawal without epoch',
    'src/provider/terminals.ts',
    ".set(({ eb }) => ({ suspend_epoch: eb('suspend_epoch', '+', 1) }))\n      .where('id', '=', row.terminal)",
    ".set(({ eb }) => ({ suspend_epoch: eb('suspend_epoch', '+', 0) }))\n      .where('id', '=', row.terminal)",
    RECEPTION,
    'by withdrawal of its certificate between check and commit',
  ),
  mutant(
    'counter without prev',
    'src/provider/commitment.ts',
    ".where('head', '=', device.claims.prev)",
    '',
    RESEND,
    'forked with a counter further on is forked all the same',
  ),
  mutant(
    'prev without counter',
    'src/provider/commitment.ts',
    ".where('counter', '<', device.claims.counter)",
    '',
    RESEND,
    'with a counter that does not rise is a gap',
  ),
  mutant(
    'a gap suspends',
    'src/provider/refusal.ts',
    'if (!twin) return gap',
    '',
    RESEND,
    'with a gap is for an operator: nothing moves, nobody is suspended',
  ),
  mutant(
    'a fork does not suspend',
    'src/provider/refusal.ts',
    "state: 'suspended', suspend_epoch",
    "state: 'active', suspend_epoch",
    RESEND,
    'forked at the very same time: one counts, the terminal is suspended',
  ),
  mutant(
    'lease not looked at',
    'src/provider/commitment.ts',
    "row('lease_until', '>', now)",
    "row('lease_until', '>', 0)",
    RECEPTION,
    'by the end of its lease, and not a millisecond before',
  ),
  mutant(
    'status age not re-checked',
    'src/provider/commitment.ts',
    'requireFresh(tap.status, provider.clock.now())',
    'requireFresh(tap.status, tap.status.producedAt)',
    RECEPTION,
    '(k) a word that was fresh when it came and is stale when the tap commits is refused',
  ),
  mutant(
    'a list counts as fresh',
    'src/provider/status.ts',
    "if (status.by === 'crl' && policy.status !== 'crl') throw new ProviderError('status-stale')",
    '',
    RECEPTION,
    '(j) good by a list only is refused',
  ),
  always(
    mutant(
      'token released before commit',
      'src/provider/reception.ts',
      'const checked = {',
      'await provider.keys.token.sign(unverified)\n    const checked = {',
      RESEND,
      'nothing is signed for a tap that does not commit',
    ),
  ),
  always(
    mutant(
      'proof hash not compared',
      'src/provider/submission.ts',
      'if (row.proof_hash !== proofKey(submission))',
      "if (row.proof_hash === '')",
      RESEND,
      'is a mismatch after it was refused',
    ),
  ),
  always(
    mutant(
      'answer re-signed at resend',
      'src/provider/release.ts',
      'return stored.numUpdatedRows === 1n ? answer : storedAnswer(provider, submission)',
      'return stored.numUpdatedRows < 2n ? answer : storedAnswer(provider, submission)',
      RESEND,
      'at the same time are one leaf and equal answers',
    ),
  ),
  {
    name: 'answer signed and stored again at resend',
    edits: [
      {
        file: 'src/provider/submission.ts',
        find: 'if (row.answer) return openAnswer(row.answer, submission.bytes)',
        replace: "if (row.proof_hash === '' && row.answer) return openAnswer(row.answer, submission.bytes)",
      },
      { file: 'src/provider/release.ts', find: ".where('answered_at', 'is', null)", replace: '' },
    ],
    test: { file: RESEND, title: 'get the very same answer, however often, and move nothing' },
  },
  mutant(
    'answer in clear',
    'src/provider/answers.ts',
    'concatBytes(cipher.update(canonicalJson(value)), cipher.final(), cipher.getAuthTag())',
    'concatBytes(canonicalJson(value), cipher.update(canonicalJson(value)), cipher.final(), cipher.getAuthTag())',
    RESEND,
    'a stored answer is unreadable without the proof’s bytes',
  ),
  mutant(
    'refusal without head',
    'src/provider/refusal.ts',
    'await advanceTerminal(provider, transaction, submission)',
    'advanceTerminal.bind(undefined)',
    RECEPTION,
    'to an unknown text is refused',
  ),
  mutant(
    'nonce spent whatever its state',
    'src/provider/commitment.ts',
    "    .where('state', '=', 'issued')\n",
    '',
    RACES,
    'a nonce that the other accepted meanwhile is not accepted again',
  ),
  mutant(
    'two sequencers: the head of the log is read without a lock',
    'src/provider/log.ts',
    ".updateTable('log_head')\n    .set(({ eb }) => ({ size: eb('size', '+', 1) }))\n    .returning('size')\n    .executeTakeFirstOrThrow()",
    ".selectFrom('log_head')\n    .select(({ eb }) => eb('size', '+', 1).as('size'))\n    .executeTakeFirstOrThrow()\n  await transaction.updateTable('log_head').set({ size }).execute()",
    RACES,
    'both append to the log at once: every leaf has a place of its own',
  ),
  mutant(
    'institution read without a lock',
    'src/provider/commitment.ts',
    '    .forShare()\n',
    '',
    RACES,
    'a suspension of the institution waits for the tap that is being committed: none commits after it',
  ),
  mutant(
    'trust not compared when the tap commits',
    'src/provider/commitment.ts',
    "if (row.trust_epoch !== trustEpoch) throw new ProviderError('trust-changed')",
    '',
    TRUST,
    'by another process is known by the epoch, not by time',
  ),
  mutant(
    'suspension without epoch',
    'src/provider/terminals.ts',
    ".set(({ eb }) => ({ state: 'suspended', suspend_epoch: eb('suspend_epoch', '+', 1) }))",
    ".set({ state: 'suspended' })",
    RACES,
    'a suspension by the other counts though somebody started the terminal again without a trace',
  ),
  mutant(
    'renewal without epoch',
    'src/provider/enrolment.ts',
    "    .where('suspend_epoch', '=', suspendEpoch)\n",
    '',
    TRUST,
    'the terminal suspended while its certificate is signed gets none',
  ),
  mutant(
    'renewal without the epoch of the institution',
    'src/provider/enrolment.ts',
    "    .where('institution.epoch', '=', institutionEpoch)\n",
    '',
    TRUST,
    'its institution suspended while its certificate is signed gets none',
  ),
  mutant(
    'terminal certificate signed before its intent',
    'src/provider/enrolment.ts',
    'const intent = await database.transaction().execute(async (transaction) => {\n    await holdTerminal(transaction, terminal)',
    'await provider.keys.dv.sign(publicKey)\n  const intent = await database.transaction().execute(async (transaction) => {\n    await holdTerminal(transaction, terminal)',
    TRUST,
    'the intent is durable before the DV key signs, and stays when the signature is lost',
  ),
  mutant(
    'checkpoint leaves before it is kept',
    'src/provider/witness.ts',
    '    await keep(size, note)\n',
    '',
    WITNESS,
    'no checkpoint leaves before it is kept',
  ),
  mutant(
    'witness follows a log that went back',
    'src/provider/witness.ts',
    'if (size < since) throw condemn({ signed: since, found: size })',
    '',
    WITNESS,
    'a log that shrinks while it is served is found out for good, and what was kept stays',
  ),
  mutant(
    'revoked-then-expired in grace',
    'src/authority/revocation-lists.ts',
    'thisUpdate - (GRACE_DAYS + 1) * DAY',
    'thisUpdate',
    'test/authority-issuing.test.ts',
    'a revoked certificate that expired stays on the list through all its grace, and a day more',
  ),
  mutant(
    'quota not kept',
    'src/provider/commitment.ts',
    'if (taps > quota)',
    'if (taps < 0 && quota > 0)',
    RECEPTION,
    'one person’s taps at one terminal in an hour are counted; another terminal, another person, the next hour are free',
  ),
]

const inTokensAndTerminal: readonly Mutant[] = [
  always(
    mutant(
      'service sub in clear',
      'src/provider/tokens.ts',
      'return [claims.aud, await sealPresence(provider, claims, key)] as const',
      'await sealPresence(provider, claims, key)\n    return [claims.aud, await signPresence(provider, claims)] as const',
      TOKENS,
      'what the clinic carries for the register is readable by the register’s key and by no other',
    ),
  ),
  mutant(
    '`use` dropped from the ID',
    'src/messages/pairwise-id.ts',
    'canonicalJson({ ...input })',
    "canonicalJson({ ...input, use: 'asp' })",
    'src/messages/messages.test.ts',
    'every part of its input and the key move it, and its check character holds',
  ),
  mutant(
    'one ID for every audience',
    'src/provider/identities.ts',
    'const input = { ...audience, provider',
    "const input = { ...audience, audienceId: 'all', provider",
    TOKENS,
    'one card at one clinic is the same person each time; at another clinic, and to the register, unrelated',
  ),
  mutant(
    'witness of the card alone',
    'src/provider/identities.ts',
    'witnessOf(link, audience,',
    "witnessOf(link, { audienceId: 'all', epoch: 0 },",
    TOKENS,
    'one card at one clinic is the same person each time; at another clinic, and to the register, unrelated',
  ),
  mutant(
    'certificate in clear in the outbox',
    'src/messages/sealed-certificate.ts',
    'return concatBytes(new Uint8Array(sender.enc), new Uint8Array(ct))',
    'return concatBytes(new Uint8Array(sender.enc), new Uint8Array(ct), certificate)',
    RESEND,
    'a proof that waits in the outbox holds no certificate in clear',
  ),
  mutant(
    'two proofs in flight',
    'src/terminal/outbox.ts',
    'submit: (compose) => inTurn(() => submit(compose))',
    'submit: (compose) => submit(compose)',
    RESEND,
    'two taps handed to one outbox at once take two places in the chain',
  ),
  mutant(
    'refusal settled though the provider does not have it',
    'src/terminal/outbox.ts',
    'if (await hasCounted(pending)) await settle',
    'if (pending) await settle',
    'test/honest-terminal.test.ts',
    'no loss, delay, duplicate, refusal or crash ever suspends an honest terminal, or stops it',
  ),
  mutant(
    'sent before it is written',
    'src/terminal/outbox.ts',
    'await memory.write({ ...state, pending })\n    const delivered',
    'const delivered',
    'test/honest-terminal.test.ts',
    'no loss, delay, duplicate, refusal or crash ever suspends an honest terminal, or stops it',
  ),
]

export const MUTANTS: readonly Mutant[] = [...onCard, ...inProof, ...inReception, ...inTokensAndTerminal]
