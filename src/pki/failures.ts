import { CodedError, type FailureCatalogue } from '#failure'
import { distrust, type RevocationErrorCode, revocationFailures } from './revocation-failures.ts'

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
  | 'time-malformed'
  | 'certificate-malformed'
  | 'anchor-unsuitable'
  | 'certificate-issuer-unknown'
  | 'certificate-signature'
  | 'certificate-not-yet-valid'
  | 'certificate-expired'
  | 'certificate-issuer-expired'
  | 'certificate-critical-extension'
  | 'certificate-not-end-entity'
  | 'certificate-key-usage'
  | 'certificate-policy'
  | RevocationErrorCode

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
  'time-malformed': {
    cause: { ja: '証明書などの時刻の形式が不正です。', en: 'A time in a certificate or statement is malformed.' },
    remedy: reissue,
  },
  'certificate-malformed': {
    cause: { ja: '証明書（X.509）の形式が不正です。', en: 'The X.509 certificate is malformed.' },
    remedy: reissue,
  },
  'anchor-unsuitable': {
    cause: {
      ja: 'トラストアンカーにできない証明書です（自己署名のCA証明書ではありません）。',
      en: 'The certificate cannot be a trust anchor: it is no sound self-signed CA certificate.',
    },
    remedy: { ja: '設定した認証局の証明書を確認してください。', en: 'Check the CA certificate that is configured.' },
  },
  'certificate-issuer-unknown': {
    cause: {
      ja: '証明書の発行者が信頼する認証局ではありません。',
      en: 'The issuer of the certificate is not a trusted CA.',
    },
    remedy: {
      ja: '対応するカードか、信頼する認証局の設定が正しいかを確認してください。',
      en: 'Check that the card is one of those served here, and which CAs are trusted.',
    },
  },
  'certificate-signature': {
    cause: {
      ja: '証明書の署名が、信頼する認証局の鍵で検証できません。',
      en: 'No trusted key of the issuer verifies the certificate.',
    },
    remedy: distrust,
  },
  'certificate-not-yet-valid': {
    cause: { ja: '証明書はまだ有効期間に入っていません。', en: 'The certificate is not valid yet.' },
    remedy: { ja: '機器の日時を確認してください。', en: "Check the machine's date and time." },
  },
  'certificate-expired': {
    cause: { ja: '証明書の有効期限が切れています。', en: 'The certificate has expired.' },
    remedy: {
      ja: '市区町村の窓口で電子証明書を更新してください。',
      en: 'Renew the certificate at the municipal office.',
    },
  },
  'certificate-issuer-expired': {
    cause: {
      ja: '証明書を発行した認証局の証明書が有効期間外です。',
      en: "The issuing CA's own certificate is outside its validity.",
    },
    remedy: { ja: '信頼する認証局の設定を更新してください。', en: 'Update the trusted CAs.' },
  },
  'certificate-critical-extension': {
    cause: {
      ja: '証明書に、理解できない重要な拡張があります。',
      en: 'The certificate has a critical extension that is not understood.',
    },
    remedy: reissue,
  },
  'certificate-not-end-entity': {
    cause: {
      ja: '利用者の証明書ではなく、認証局の証明書です。',
      en: 'The certificate is that of a CA, not of a holder.',
    },
    remedy: reissue,
  },
  'certificate-key-usage': {
    cause: {
      ja: '証明書の鍵の用途が、この手続きに合いません。',
      en: "The certificate's key is not meant for this use.",
    },
    remedy: {
      ja: 'この手続きに使う種類の証明書を使ってください。',
      en: 'Use a certificate of the kind that this procedure asks for.',
    },
  },
  'certificate-policy': {
    cause: {
      ja: '証明書のポリシーが、この手続きのものではありません（署名用と利用者証明用の取り違えなど）。',
      en: 'The certificate has another policy than this procedure asks for, such as signature for user authentication.',
    },
    remedy: {
      ja: 'この手続きに使う種類の証明書を使ってください。',
      en: 'Use a certificate of the kind that this procedure asks for.',
    },
  },
  ...revocationFailures,
}
