import { CodedError, type FailureCatalogue } from '#failure'

export type AuthorityErrorCode =
  | 'keys-mismatch'
  | 'certificate-unknown'
  | 'certificate-already-revoked'
  | 'public-key-refused'
  | 'subject-required'
  | 'validity-refused'
  | 'effective-in-future'
  | 'today-differs'
  | 'request-refused'
  | 'provider-taken'
  | 'holder-taken'
  | 'application-unknown'
  | 'application-decided'
  | 'application-not-approved'
  | 'institution-unknown'

/** What the authority refuses. `detail` holds no serial number, name or other personal data. */
export class AuthorityError extends CodedError<AuthorityErrorCode> {}

/** HTTP status of each refusal; `keys-mismatch` only ever stops the start. */
export const authorityStatuses: Readonly<Partial<Record<AuthorityErrorCode, number>>> = {
  'certificate-unknown': 404,
  'certificate-already-revoked': 409,
  'public-key-refused': 422,
  'subject-required': 422,
  'validity-refused': 422,
  'effective-in-future': 409,
  'today-differs': 409,
  'request-refused': 422,
  'provider-taken': 409,
  'holder-taken': 409,
  'application-unknown': 404,
  'application-decided': 409,
  'application-not-approved': 409,
  'institution-unknown': 404,
}

const checkId = { ja: '番号を一覧で確認してください。', en: 'Look the id up in the list.' }
const checkClocks = {
  ja: '認証局と承認者の機械の日付（日本時間）を確認してから、やり直してください。日付が変わる時刻の前後なら、少し待ってください。',
  en: 'Check the date (Japan time) of the authority and of your own machine, then try again; near midnight, wait a little.',
}

export const authorityFailures: FailureCatalogue<AuthorityErrorCode> = {
  'keys-mismatch': {
    cause: {
      ja: '鍵の保管場所にある鍵が、発行済みの証明書の鍵と違います。',
      en: 'A key in the key directory is not the one that the stored certificates were issued for.',
    },
    remedy: {
      ja: '鍵とデータベースを同じ時点のバックアップから戻してください。試験用なら両方を消して作り直せます。',
      en: 'Restore keys and database from one backup. For trials, remove both and start anew.',
    },
  },
  'certificate-unknown': {
    cause: { ja: 'その番号の証明書はありません。', en: 'There is no certificate with this serial number.' },
    remedy: checkId,
  },
  'certificate-already-revoked': {
    cause: { ja: '証明書はすでに失効しています。', en: 'The certificate has been revoked already.' },
    remedy: { ja: '何もする必要はありません。', en: 'Nothing needs to be done.' },
  },
  'public-key-refused': {
    cause: {
      ja: '公開鍵の形式・種類・強度が受け入れられません。',
      en: 'The public key has a form, type or strength that is not accepted.',
    },
    remedy: {
      ja: 'RSA 2048〜4096 ビットか P-384 の鍵を使ってください。',
      en: 'Use RSA of 2048–4096 bits, or P-384.',
    },
  },
  'subject-required': {
    cause: {
      ja: '署名用証明書には基本4情報（試験用の架空のもの）が要り、利用者証明用証明書には入れられません。',
      en: 'A signature certificate needs the (invented) attributes of its holder; an authentication certificate has none.',
    },
    remedy: {
      ja: 'kind に合わせて attributes を付けるか外してください。',
      en: 'Give or leave out `attributes` as `kind` demands.',
    },
  },
  'validity-refused': {
    cause: {
      ja: '有効期間が逆転しているか、認証局の有効期間の外にあります。',
      en: 'The validity ends before it begins, or lies outside that of the authority.',
    },
    remedy: {
      ja: 'notBefore < notAfter とし、GET /v1/anchors の認証局証明書の期間に収めてください。',
      en: 'Put notBefore before notAfter, both within the CA certificate of GET /v1/anchors.',
    },
  },
  'effective-in-future': {
    cause: {
      ja: '未来の日付から有効な機関認証用証明書には署名しません（カードの日付が進み、使えなくなるため）。',
      en: 'No institution certificate is signed with a future date: it would move the date of cards for good.',
    },
    remedy: checkClocks,
  },
  'today-differs': {
    cause: {
      ja: '承認者の機械の今日の日付が、認証局の日付と違います。',
      en: "Today's date on the approver's machine is not the authority's.",
    },
    remedy: checkClocks,
  },
  'request-refused': {
    cause: {
      ja: '証明書発行要求（CVC）の形式、鍵、または署名が受け入れられません。',
      en: 'The certificate request (CVC) has a form, key or signature that is not accepted.',
    },
    remedy: {
      ja: 'P-256 または RSA 2048〜4096 ビットの鍵で、その鍵自身が署名した要求（TR-03110-3 C.2）を作り直してください。',
      en: 'Make a request (TR-03110-3 C.2) for a P-256 or RSA 2048–4096 key, signed by that very key.',
    },
  },
  'provider-taken': {
    cause: {
      ja: 'このサービス提供機関の申請または承認がすでにあります。',
      en: 'This provider has an application or an approval already.',
    },
    remedy: {
      ja: '既存の申請を使うか、取り下げてから申請してください。',
      en: 'Use the existing one, or withdraw it before applying again.',
    },
  },
  'holder-taken': {
    cause: {
      ja: 'この保有者名は別の機関か別の鍵が使っています。',
      en: 'Another institution, or another key, has this holder reference.',
    },
    remedy: {
      ja: '別の保有者名を選ぶか、鍵を替えた場合は末尾の番号を増やしてください。',
      en: 'Choose another mnemonic; for a new key of the same holder, raise the number at the end.',
    },
  },
  'application-unknown': {
    cause: { ja: 'その番号の申請はありません。', en: 'There is no application with this id.' },
    remedy: checkId,
  },
  'application-decided': {
    cause: { ja: '申請はすでに決定済みか、取り下げられています。', en: 'The application was decided or withdrawn.' },
    remedy: { ja: '申請の状態を確認してください。', en: 'Look at the state of the application.' },
  },
  'application-not-approved': {
    cause: { ja: '申請は承認されていません。', en: 'The application is not approved.' },
    remedy: { ja: '別の人の承認を受けてください。', en: 'Have it approved by a second person.' },
  },
  'institution-unknown': {
    cause: {
      ja: '有効な機関認証用証明書を持つ機関ではありません。',
      en: 'No institution of this name holds a certificate in force.',
    },
    remedy: {
      ja: '申請と承認の状態を確認してください。',
      en: 'Look at the state of its application.',
    },
  },
}
