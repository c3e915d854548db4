import { CodedError, type FailureCatalogue } from '#failure'

export type PkiErrorCode =
  | 'public-key-unsupported'
  | 'cvc-malformed'
  | 'cvc-issuer-unknown'
  | 'cvc-signature'
  | 'cvc-role'
  | 'cvc-chat'
  | 'cvc-dates'
  | 'cvc-expired'
  | 'cvc-not-yet-effective'
  | 'cvc-outlives-issuer'
  | 'cvc-rights'
  | 'cvc-sequence'

/** A key, certificate or statement of revocation that must not be believed. `detail` never holds a serial or a name. */
export class PkiError extends CodedError<PkiErrorCode> {}

const reissue = {
  ja: '発行者に、正しい内容の証明書を再発行するよう依頼してください。',
  en: 'Ask the issuer for a new certificate with correct contents.',
}
const renew = {
  ja: '新しい証明書の発行を受けてください。',
  en: 'Have a new certificate issued.',
}
const distrust = {
  ja: '受け入れず、送信元を確認してください。改ざんの可能性があります。',
  en: 'Do not accept it and find out where it comes from: it may have been tampered with.',
}

export const pkiFailures: FailureCatalogue<PkiErrorCode> = {
  'public-key-unsupported': {
    cause: {
      ja: '公開鍵の形式・種類・強度が受け入れられないものです。',
      en: 'The public key has a form, type or strength that is not accepted.',
    },
    remedy: {
      ja: 'P-256、P-384、または2048ビット以上（指数65537以上）のRSA鍵を使ってください。',
      en: 'Use a P-256 or P-384 key, or RSA of 2048 bits or more with an exponent of 65537 or more.',
    },
  },
  'cvc-malformed': {
    cause: {
      ja: '機関認証用の証明書（CVC）の形式が不正です。',
      en: 'The card verifiable certificate (CVC) is malformed.',
    },
    remedy: reissue,
  },
  'cvc-issuer-unknown': {
    cause: {
      ja: '機関認証用の証明書の発行者が分かりません。',
      en: 'The issuer of the card verifiable certificate is not known.',
    },
    remedy: {
      ja: '上位の証明書を先に送るか、トラストアンカーの更新を確認してください。',
      en: "Send the issuer's certificate first, or check whether the trust anchor was renewed.",
    },
  },
  'cvc-signature': {
    cause: {
      ja: '機関認証用の証明書の署名が正しくありません。',
      en: 'The signature of the card verifiable certificate is wrong.',
    },
    remedy: distrust,
  },
  'cvc-role': {
    cause: {
      ja: '機関認証用の証明書の役割が、発行者との順序（CVCA→DV→端末）に合いません。',
      en: 'The role of the card verifiable certificate does not follow CVCA, DV, terminal.',
    },
    remedy: reissue,
  },
  'cvc-chat': {
    cause: {
      ja: '機関認証用の証明書の権限欄（CHAT）がこの方式のものではありません。',
      en: 'The authorisation (CHAT) of the card verifiable certificate is not of this profile.',
    },
    remedy: reissue,
  },
  'cvc-dates': {
    cause: {
      ja: '機関認証用の証明書の有効開始日が有効期限より後です。',
      en: 'The card verifiable certificate takes effect after it expires.',
    },
    remedy: reissue,
  },
  'cvc-expired': {
    cause: { ja: '機関認証用の証明書の有効期限が切れています。', en: 'The card verifiable certificate has expired.' },
    remedy: renew,
  },
  'cvc-not-yet-effective': {
    cause: {
      ja: '機関認証用の証明書はまだ有効開始日を迎えていません。',
      en: 'The card verifiable certificate is not effective yet.',
    },
    remedy: {
      ja: '有効開始日を待つか、機器の日付を確認してください。',
      en: "Wait for its effective date, or check the machine's date.",
    },
  },
  'cvc-outlives-issuer': {
    cause: {
      ja: '機関認証用の証明書の有効期限が、発行者の有効期限より後です。',
      en: "The card verifiable certificate expires after its issuer's.",
    },
    remedy: reissue,
  },
  'cvc-rights': {
    cause: {
      ja: 'リンク証明書が、現在のトラストアンカーより広い権限を持っています。',
      en: 'The link certificate claims more rights than the present trust anchor has.',
    },
    remedy: reissue,
  },
  'cvc-sequence': {
    cause: {
      ja: 'リンク証明書が、現在のトラストアンカーの次の番号ではありません。',
      en: 'The link certificate does not carry the number that follows the present trust anchor.',
    },
    remedy: {
      ja: 'リンク証明書を古い順に一つずつ適用してください。',
      en: 'Apply link certificates one by one, oldest first.',
    },
  },
}
