import { CodedError, type FailureCatalogue } from '#failure'

export type CardErrorCode =
  | 'not-a-my-number-card'
  | 'unexpected-status'
  | 'answer-incomplete'
  | 'file-malformed'
  | 'file-missing'
  | 'pin-malformed'
  | 'pin-required'
  | 'digest-info-malformed'
  | 'institution-unknown'
  | 'institution-refused'
  | 'institution-not-entitled'
  | 'institution-out-of-order'
  | 'card-state-missing'
  | 'card-state-malformed'
  | 'personalisation-malformed'

/** A card that does not do what it must. `detail` names the step and the status word; never a PIN, never file content. */
export class CardError extends CodedError<CardErrorCode> {}

const again = {
  ja: 'カードを置き直して、もう一度お試しください。続く場合は別のカードリーダーで試してください。',
  en: 'Put the card on the reader again. If it goes on, try another reader.',
}
const renewChain = {
  ja: '端末の機関認証用証明書を更新してください。続く場合はサービス提供機関に連絡してください。',
  en: 'Renew the certificate of this terminal. If it goes on, contact the service provider.',
}
const restore = {
  ja: '仮想カードを作り直してください。',
  en: 'Make the virtual card anew.',
}

export const cardFailures: FailureCatalogue<CardErrorCode> = {
  'not-a-my-number-card': {
    cause: {
      ja: 'マイナンバーカードではないか、公的個人認証の機能がないカードです。',
      en: 'This is not a My Number Card, or it has no public personal authentication.',
    },
    remedy: { ja: 'マイナンバーカードを置いてください。', en: 'Put a My Number Card on the reader.' },
  },
  'unexpected-status': {
    cause: { ja: 'カードが想定外の応答をしました。', en: 'The card gave an answer that nobody expects at this step.' },
    remedy: again,
  },
  'answer-incomplete': {
    cause: { ja: 'カードの応答が足りません。', en: 'The card answered less than it must.' },
    remedy: again,
  },
  'file-malformed': {
    cause: { ja: 'カード内のファイルを読み取れません。', en: 'A file on the card is not in its form.' },
    remedy: {
      ja: 'お住まいの市区町村の窓口でカードの確認を受けてください。',
      en: 'Have the card checked at the municipal office.',
    },
  },
  'file-missing': {
    cause: {
      ja: 'このカードには、必要な電子証明書が入っていません。',
      en: 'This card does not hold the certificate that is needed.',
    },
    remedy: {
      ja: 'お住まいの市区町村の窓口で電子証明書の発行を受けてください。',
      en: 'Have the certificate issued at the municipal office.',
    },
  },
  'pin-malformed': {
    cause: {
      ja: '暗証番号の桁数または文字種が違います（利用者証明用は数字4桁、署名用は英数字6～16文字）。カードには送っていません。',
      en: 'The PIN has the wrong form (4 digits; for signatures 6–16 letters and digits). It was not sent to the card.',
    },
    remedy: {
      ja: '暗証番号を確かめて入力し直してください。試行回数は減っていません。',
      en: 'Check the PIN and enter it again. No try was spent.',
    },
  },
  'pin-required': {
    cause: { ja: 'この操作には暗証番号の照合が必要です。', en: 'This needs the PIN to be verified first.' },
    remedy: { ja: '暗証番号を入力してください。', en: 'Enter the PIN.' },
  },
  'digest-info-malformed': {
    cause: {
      ja: '署名対象が SHA-256 の DigestInfo ではありません。カードには送っていません。',
      en: 'What was to be signed is not a DigestInfo of SHA-256. It was not sent to the card.',
    },
    remedy: {
      ja: '署名対象を DigestInfo（SHA-256）の形にしてください。',
      en: 'Wrap the digest in a DigestInfo of SHA-256.',
    },
  },
  'institution-unknown': {
    cause: {
      ja: 'カードが、この機関の証明書の発行者を知りません。',
      en: "The card does not know the issuer of this institution's certificate.",
    },
    remedy: renewChain,
  },
  'institution-refused': {
    cause: {
      ja: 'カードが、この機関の証明書または認証を受け入れませんでした。',
      en: 'The card refused the certificate or the authentication of this institution.',
    },
    remedy: renewChain,
  },
  'institution-not-entitled': {
    cause: {
      ja: 'この機関には、暗証番号なしの利用者証明の権限がありません。',
      en: 'This institution is not entitled to user authentication without a PIN.',
    },
    remedy: {
      ja: '暗証番号による方式を使うか、サービス提供機関に権限の申請を依頼してください。',
      en: 'Use the PIN, or ask the service provider to apply for the right.',
    },
  },
  'institution-out-of-order': {
    cause: {
      ja: '機関認証の手順の順序が崩れたか、この通電中の認証が済んでいます。',
      en: 'The steps of institution authentication came out of order, or this power-up has had its one success.',
    },
    remedy: again,
  },
  'card-state-missing': {
    cause: { ja: '仮想カードの記憶ファイルがありません。', en: 'The memory of the virtual card is not there.' },
    remedy: restore,
  },
  'card-state-malformed': {
    cause: { ja: '仮想カードの記憶ファイルが壊れています。', en: 'The memory of the virtual card is damaged.' },
    remedy: restore,
  },
  'personalisation-malformed': {
    cause: { ja: '仮想カードの発行データの形式が不正です。', en: 'The data a virtual card is made from is malformed.' },
    remedy: restore,
  },
}
