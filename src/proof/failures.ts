import { CodedError, type FailureCatalogue } from '#failure'

export type ProofErrorCode =
  | 'consent-purpose'
  | 'consent-text'
  | 'consent-audience'
  | 'consent-stale'
  | 'consent-kind'
  | 'consent-covers'
  | 'consent-mismatch'
  | 'certificate-untrusted'
  | 'certificate-expired'
  | 'transcript-missing'
  | 'transcript-unexpected'
  | 'institution-chain'
  | 'institution-foreign'
  | 'institution-unregistered'
  | 'institution-right'
  | 'institution-signature'
  | 'card-signature'
  | 'mechanism-unsupported'
  | 'device-mismatch'
  | 'clock-skew'

/** A proof that does not prove what it should. `detail` names members and checks, never a person, serial or name. */
export class ProofError extends CodedError<ProofErrorCode> {}

const again = {
  ja: 'もう一度はじめからカードをかざしてください。続く場合は端末の管理者に連絡してください。',
  en: 'Start again and present the card once more. If it goes on, call whoever looks after the terminal.',
}
const enrol = {
  ja: '端末の登録（証明書）を更新してください。',
  en: 'Renew the enrolment (certificates) of the terminal.',
}
const repair = {
  ja: '端末のソフトウェアを更新してください。改ざんの可能性もあるため、管理者に連絡してください。',
  en: 'Update the terminal’s software and tell its administrator: it may have been tampered with.',
}

export const proofFailures: FailureCatalogue<ProofErrorCode> = {
  'consent-purpose': {
    cause: { ja: '同意の目的が、申し込まれた目的と違います。', en: 'Consent was given for another purpose.' },
    remedy: again,
  },
  'consent-text': {
    cause: {
      ja: '同意画面の文面が認められたものではありません。',
      en: 'The text shown for consent is not an accepted one.',
    },
    remedy: repair,
  },
  'consent-audience': {
    cause: {
      ja: '情報の提供先が、この窓口に認められた範囲を超えています。',
      en: 'Consent names an audience that this client may not ask for.',
    },
    remedy: repair,
  },
  'consent-stale': {
    cause: {
      ja: '同意の時刻が古すぎるか、未来になっています。',
      en: 'Consent was given too long ago, or in the future.',
    },
    remedy: again,
  },
  'consent-kind': {
    cause: {
      ja: '無人端末では本人によるOKの操作が必要です。',
      en: 'An unattended terminal needs the holder’s own OK.',
    },
    remedy: again,
  },
  'consent-covers': {
    cause: {
      ja: '代理でない受付に、他の人の同意が結び付けられています。',
      en: 'Consent says to cover another person’s, but the holder acts for nobody.',
    },
    remedy: repair,
  },
  'consent-mismatch': {
    cause: {
      ja: '同意の記録が、端末の申告と一致しません。',
      en: 'The consent record is not the one that the device stated.',
    },
    remedy: repair,
  },
  'certificate-untrusted': {
    cause: {
      ja: 'このカードの利用者証明用電子証明書は、信頼する認証局のものではありません。',
      en: 'The card’s user-authentication certificate is not from a trusted authority, or not of the right kind.',
    },
    remedy: {
      ja: '保険証など別の方法で受付してください。カードは住民票のある市区町村の窓口で確認できます。',
      en: 'Use another way of reception. The holder’s municipality can check the card.',
    },
  },
  'certificate-expired': {
    cause: {
      ja: '利用者証明用電子証明書の有効期限が切れています。',
      en: 'The card’s user-authentication certificate has expired.',
    },
    remedy: {
      ja: '別の方法で受付してください。証明書は市区町村の窓口で更新できます（無料）。',
      en: 'Use another way of reception. The holder can renew the certificate at the municipality, free of charge.',
    },
  },
  'transcript-missing': {
    cause: { ja: '機関認証の記録がありません。', en: 'The transcript of institution authentication is missing.' },
    remedy: repair,
  },
  'transcript-unexpected': {
    cause: {
      ja: 'PINによる方式に機関認証の記録が付いています。',
      en: 'A transcript came with a mechanism that has none.',
    },
    remedy: repair,
  },
  'institution-chain': {
    cause: {
      ja: '機関認証用の証明書の連鎖が正しくないか、期限が切れています。',
      en: 'The chain of institution certificates is wrong or has expired.',
    },
    remedy: enrol,
  },
  'institution-foreign': {
    cause: {
      ja: '機関認証用の証明書が、このサービス提供機関のものではありません。',
      en: 'The institution certificate belongs to another provider.',
    },
    remedy: enrol,
  },
  'institution-unregistered': {
    cause: {
      ja: 'この端末に登録されていない（または取り下げられた）証明書です。',
      en: 'The terminal’s certificate is not registered for this terminal, or was withdrawn.',
    },
    remedy: enrol,
  },
  'institution-right': {
    cause: {
      ja: '証明書に、PINなしで利用者証明を行う権限がありません。',
      en: 'The certificate lacks the right to have the card sign without a PIN.',
    },
    remedy: enrol,
  },
  'institution-signature': {
    cause: {
      ja: '機関認証の署名が、この受付の内容に対するものではありません。',
      en: 'The institution key’s signature is not over what this tap states.',
    },
    remedy: repair,
  },
  'card-signature': {
    cause: {
      ja: 'カードの署名が、この受付の内容に対するものではありません。',
      en: 'The card’s signature is not over what this tap states.',
    },
    remedy: again,
  },
  'mechanism-unsupported': {
    cause: { ja: 'この方式にはまだ対応していません。', en: 'This mechanism is not supported yet.' },
    remedy: {
      ja: '機関認証またはPINの方式を使ってください。',
      en: 'Use institution authentication or the PIN.',
    },
  },
  'device-mismatch': {
    cause: {
      ja: '端末の申告が、送られた内容と一致しません。',
      en: 'The device statement does not agree with what was sent.',
    },
    remedy: repair,
  },
  'clock-skew': {
    cause: { ja: '端末の時計が60秒以上ずれています。', en: 'The terminal’s clock is off by more than 60 seconds.' },
    remedy: {
      ja: '端末の時刻合わせ（NTP）を確認してください。',
      en: 'Check the time synchronisation (NTP) of the terminal.',
    },
  },
}
