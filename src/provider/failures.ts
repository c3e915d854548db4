import { CodedError, type FailureCatalogue } from '#failure'

export type ProviderErrorCode =
  | 'terminal-unknown'
  | 'terminal-suspended'
  | 'terminal-not-active'
  | 'terminal-changed'
  | 'lease-expired'
  | 'institution-suspended'
  | 'client-unknown'
  | 'policy-refused'
  | 'nonce-unknown'
  | 'nonce-expired'
  | 'nonce-used'
  | 'consent-used'
  | 'proof-mismatch'
  | 'answer-erased'
  | 'counter-gap'
  | 'device-fork'
  | 'quota-exceeded'
  | 'certificate-revoked'
  | 'status-unknown'
  | 'status-unavailable'
  | 'status-stale'
  | 'log-rolled-back'
  | 'not-found'
  | 'exists'
  | 'enrolment-code'
  | 'enrolment-request'
  | 'trust-missing'
  | 'dv-refused'
  | 'key-refused'
  | 'token-invalid'
  | 'token-spent'
  | 'too-many-requests'
  | 'trust-changed'
  | 'trust-withdrawn'
  | 'policy-unsound'

/** A tap, an administration act or a request of a terminal that the provider refuses. */
export class ProviderError extends CodedError<ProviderErrorCode> {}

const again = {
  ja: 'もう一度はじめからカードをかざしてください。',
  en: 'Start again and present the card once more.',
}
const administrator = {
  ja: '端末の管理者に連絡してください。',
  en: 'Call whoever looks after the terminal.',
}
const otherWay = {
  ja: '保険証など別の方法で受付してください。証明書の状態は市区町村の窓口で確認できます。',
  en: 'Use another way of reception. The holder’s municipality can check the certificate.',
}
const later = {
  ja: '少し待ってからもう一度かざしてください。急ぐ場合は別の方法で受付してください。',
  en: 'Wait a little and present the card again; if it is urgent, use another way of reception.',
}

export const providerFailures: FailureCatalogue<ProviderErrorCode> = {
  'terminal-unknown': {
    cause: { ja: 'この端末は登録されていません。', en: 'This terminal is not enrolled.' },
    remedy: {
      ja: '管理者に登録コードを発行してもらい、端末を登録してください。',
      en: 'Have an administrator issue an enrolment code and enrol the terminal.',
    },
  },
  'terminal-suspended': {
    cause: { ja: 'この端末は利用停止中です。', en: 'This terminal is suspended.' },
    remedy: {
      ja: 'サービス提供機関に連絡し、事情を確認のうえ再開してもらってください。',
      en: 'Call the provider; it can resume the terminal once the reason is settled.',
    },
  },
  'terminal-not-active': {
    cause: { ja: 'この端末はまだ利用開始されていません。', en: 'This terminal is enrolled but not activated.' },
    remedy: { ja: '管理者に利用開始の操作を依頼してください。', en: 'Ask an administrator to activate it.' },
  },
  'terminal-changed': {
    cause: {
      ja: '受付の途中で端末の登録内容が変わりました。',
      en: 'The terminal’s registration changed while the tap was being checked.',
    },
    remedy: again,
  },
  'lease-expired': {
    cause: { ja: '端末の利用許可の期限が切れています。', en: 'The terminal’s lease has run out.' },
    remedy: { ja: '担当者が端末にサインインし直してください。', en: 'Let an operator sign in to the terminal again.' },
  },
  'institution-suspended': {
    cause: { ja: 'この機関は利用停止中か、登録が変更されました。', en: 'The institution is suspended or was changed.' },
    remedy: administrator,
  },
  'client-unknown': {
    cause: {
      ja: 'この機関に登録されていないソフトウェアです。',
      en: 'The software named is not registered for this institution.',
    },
    remedy: administrator,
  },
  'policy-refused': {
    cause: {
      ja: 'この目的・方式の組み合わせは、この端末には認められていません。',
      en: 'This purpose and mechanism may not be asked for at this terminal.',
    },
    remedy: administrator,
  },
  'nonce-unknown': {
    cause: {
      ja: 'この端末に発行された受付番号（ノンス）ではありません。',
      en: 'The nonce was not issued to this terminal.',
    },
    remedy: again,
  },
  'nonce-expired': {
    cause: { ja: '受付の有効時間（60秒）が過ぎました。', en: 'The nonce has expired (60 seconds).' },
    remedy: again,
  },
  'nonce-used': {
    cause: { ja: 'この受付はすでに処理されています。', en: 'The nonce was used before, or expired meanwhile.' },
    remedy: again,
  },
  'consent-used': {
    cause: { ja: 'この同意の記録はすでに使われています。', en: 'This consent was used before.' },
    remedy: again,
  },
  'proof-mismatch': {
    cause: {
      ja: '同じ申告に別の内容が付けて送られました。',
      en: 'Another body was sent with a device statement seen before.',
    },
    remedy: administrator,
  },
  'answer-erased': {
    cause: {
      ja: '受付は済んでいますが、回答の保存期間が過ぎました。',
      en: 'The tap was accepted, but its answer is no longer kept.',
    },
    remedy: again,
  },
  'counter-gap': {
    cause: {
      ja: '端末の申告の番号がつながっていません。',
      en: 'The device statement does not continue the terminal’s chain.',
    },
    remedy: {
      ja: '管理者に端末の再同期を依頼してください。',
      en: 'Ask an administrator to resynchronise the terminal.',
    },
  },
  'device-fork': {
    cause: {
      ja: '同じ端末鍵から矛盾する申告が届きました。複製の疑いがあるため端末を停止しました。',
      en: 'Two statements contradict each other: the device key may be copied. The terminal was suspended.',
    },
    remedy: {
      ja: 'サービス提供機関に連絡し、端末を新しい鍵で登録し直してください。',
      en: 'Call the provider and enrol the terminal afresh with new keys.',
    },
  },
  'quota-exceeded': {
    cause: {
      ja: '同じカードが短時間に何度も提示されました。',
      en: 'The same person’s card was presented here too often within an hour.',
    },
    remedy: administrator,
  },
  'certificate-revoked': {
    cause: {
      ja: '利用者証明用電子証明書は失効しています。',
      en: 'The card’s user-authentication certificate is revoked.',
    },
    remedy: otherWay,
  },
  'status-unknown': {
    cause: {
      ja: '認証局がこの証明書を知らないと回答しました。',
      en: 'The authority does not know the certificate.',
    },
    remedy: otherWay,
  },
  'status-unavailable': {
    cause: {
      ja: '認証局に証明書の状態を確認できません。',
      en: 'The authority cannot be asked whether the certificate is revoked.',
    },
    remedy: later,
  },
  'status-stale': {
    cause: {
      ja: '証明書の状態の情報が古すぎます。',
      en: 'What is known of the certificate’s revocation is too old.',
    },
    remedy: later,
  },
  'log-rolled-back': {
    cause: {
      ja: '証跡ログが以前より短くなっています。',
      en: 'The evidence log is shorter than, or differs from, what was signed before.',
    },
    remedy: {
      ja: '処理を止め、バックアップと証跡を確認してください。',
      en: 'Do not go on; compare the database with its backups and the signed checkpoints.',
    },
  },
  'not-found': {
    cause: { ja: '指定されたものは登録されていません。', en: 'What was named is not registered.' },
    remedy: { ja: '名前や番号を確認してください。', en: 'Check the name or number.' },
  },
  exists: {
    cause: { ja: '同じ名前のものがすでに登録されています。', en: 'Something of that name is registered already.' },
    remedy: {
      ja: '別の名前を使うか、登録済みのものを確認してください。',
      en: 'Use another name, or look at the existing one.',
    },
  },
  'enrolment-code': {
    cause: {
      ja: '登録コードが違うか、期限切れか、使用済みです。',
      en: 'The enrolment code is wrong, expired or used.',
    },
    remedy: {
      ja: '管理者に新しい登録コードを依頼してください。',
      en: 'Ask an administrator for a new enrolment code.',
    },
  },
  'enrolment-request': {
    cause: {
      ja: '端末の登録要求の署名や形式が正しくありません。',
      en: 'The terminal’s enrolment request is not signed or formed as it must be.',
    },
    remedy: { ja: '端末のソフトウェアを更新してください。', en: 'Update the terminal’s software.' },
  },
  'trust-missing': {
    cause: {
      ja: '認証局の証明書やDV証明書がまだ設定されていません。',
      en: 'Authority certificates or the provider’s DV certificate are not installed yet.',
    },
    remedy: {
      ja: '認証局に申請し、承認後に発行された証明書を登録してください。',
      en: 'Apply at the authority and install the certificates once the application is approved.',
    },
  },
  'dv-refused': {
    cause: {
      ja: 'DV証明書が、このサービス提供機関の鍵のものではないか、必要な権限がありません。',
      en: 'The DV certificate is not for this provider’s own key, or lacks the right to have cards sign without a PIN.',
    },
    remedy: {
      ja: 'このサービス提供機関の申請に対して発行されたDV証明書を使ってください。',
      en: 'Use the certificate that the authority issued for this provider’s application.',
    },
  },
  'key-refused': {
    cause: { ja: '公開鍵が正しいP-256の鍵ではありません。', en: 'The public key is not a sound P-256 key.' },
    remedy: {
      ja: '鍵を作り直し、公開部分だけを登録してください。',
      en: 'Make a new key and register its public part.',
    },
  },
  'token-invalid': {
    cause: { ja: 'トークンが無効か、期限切れです。', en: 'The token is not valid or has expired.' },
    remedy: again,
  },
  'token-spent': {
    cause: { ja: 'このトークンはすでに使われています。', en: 'The token was used before.' },
    remedy: again,
  },
  'too-many-requests': {
    cause: {
      ja: 'この端末からの要求が多すぎます。',
      en: 'This terminal asks too often: for nonces, or for new certificates within a day.',
    },
    remedy: later,
  },
  'trust-changed': {
    cause: {
      ja: '受付の途中で、信頼する認証局の証明書が変更されました。',
      en: 'What the provider trusts was changed while the tap was being checked.',
    },
    remedy: again,
  },
  'trust-withdrawn': {
    cause: {
      ja: 'この証明書は以前に信頼が取り消されています。',
      en: 'Trust in this certificate was withdrawn before; it cannot be installed again.',
    },
    remedy: {
      ja: '認証局から新しい証明書を受け取り、登録してください。',
      en: 'Have the authority issue another certificate and install that one.',
    },
  },
  'policy-unsound': {
    cause: {
      ja: 'ポリシー表に矛盾した行があります。',
      en: 'The policy table contradicts itself: two rows for one case, or grace where a CRL alone decides.',
    },
    remedy: {
      ja: '重複した行をなくし、CRLのみの行の猶予日数を0にしてください。',
      en: 'Keep one row for each case, and give rows with status crl no days of grace.',
    },
  },
}
