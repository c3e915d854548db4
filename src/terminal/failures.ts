import { CodedError, type FailureCatalogue } from '#failure'

export type TerminalErrorCode =
  | 'sequence-broken'
  | 'mechanism-without-sequence'
  | 'busy'
  | 'no-tap'
  | 'step-not-awaited'
  | 'not-offered'
  | 'nonce-unavailable'
  | 'terminal-suspended'
  | 'terminal-not-active'
  | 'provider-unreachable'
  | 'proof-pending'
  | 'card-timeout'
  | 'state-malformed'
  | 'not-enrolled'
  | 'key-set-malformed'
  | 'answer-foreign'
  | 'unattended'

/** What keeps a terminal from finishing a tap, beside what card, reader and provider say themselves. */
export class TerminalError extends CodedError<TerminalErrorCode> {}

/** HTTP status of each code on the local interface. */
export const terminalStatuses: Readonly<Record<TerminalErrorCode, number>> = {
  'sequence-broken': 500,
  'mechanism-without-sequence': 422,
  busy: 409,
  'no-tap': 404,
  'step-not-awaited': 409,
  'not-offered': 403,
  'nonce-unavailable': 503,
  'terminal-suspended': 403,
  'terminal-not-active': 403,
  'provider-unreachable': 503,
  'proof-pending': 503,
  'card-timeout': 408,
  'state-malformed': 500,
  'not-enrolled': 500,
  'key-set-malformed': 502,
  'answer-foreign': 502,
  unattended: 403,
}

const update = { ja: '端末のソフトウェアを更新してください。', en: 'Update the terminal’s software.' }
const network = {
  ja: 'ネットワークの接続を確認してください。つながり次第、続きから送信します。急ぐ場合は別の方法で受付してください。',
  en: 'Check the network; what is waiting is sent when it is back. If it is urgent, use another way of reception.',
}

export const terminalFailures: FailureCatalogue<TerminalErrorCode> = {
  'sequence-broken': {
    cause: { ja: '処理の順序に誤りがあります。', en: 'A step ran before what it needs was there.' },
    remedy: update,
  },
  'mechanism-without-sequence': {
    cause: { ja: 'この方式の手順は端末にありません。', en: 'The terminal has no sequence for this mechanism.' },
    remedy: update,
  },
  busy: {
    cause: { ja: '別の受付の途中です。', en: 'Another tap is under way at this terminal.' },
    remedy: { ja: '終わるまで待つか、取り消してください。', en: 'Wait until it ends, or cancel it.' },
  },
  'no-tap': {
    cause: { ja: 'その受付はありません。', en: 'There is no such tap.' },
    remedy: { ja: '受付をはじめからやり直してください。', en: 'Start a tap.' },
  },
  'step-not-awaited': {
    cause: { ja: 'いまその入力は求められていません。', en: 'That input is not asked for at this moment.' },
    remedy: { ja: '画面の案内に従ってください。', en: 'Follow what the screen asks for.' },
  },
  'not-offered': {
    cause: { ja: 'この端末では申し込めない内容です。', en: 'This terminal does not offer that purpose and mechanism.' },
    remedy: { ja: '選べる項目を確認してください。', en: 'See what the terminal offers, and choose one of these.' },
  },
  'nonce-unavailable': {
    cause: {
      ja: 'サービス提供機関から受付番号（ノンス）を受け取れません。',
      en: 'No nonce could be had from the provider.',
    },
    remedy: network,
  },
  'terminal-suspended': {
    cause: { ja: 'この端末は利用停止中です。', en: 'This terminal is suspended.' },
    remedy: {
      ja: 'サービス提供機関に連絡し、事情を確認のうえ再開してもらってください。それまでは別の方法で受付してください。',
      en: 'Call the provider, which can let it work again once the reason is settled. Until then use another way of reception.',
    },
  },
  'terminal-not-active': {
    cause: { ja: 'この端末はまだ利用開始されていません。', en: 'This terminal is enrolled but not activated.' },
    remedy: { ja: '管理者に利用開始の操作を依頼してください。', en: 'Ask an administrator to activate it.' },
  },
  'provider-unreachable': {
    cause: { ja: 'サービス提供機関に接続できません。', en: 'The provider cannot be reached.' },
    remedy: network,
  },
  'proof-pending': {
    cause: {
      ja: '前の受付の送信がまだ終わっていません。',
      en: 'The proof of an earlier tap has not been answered yet.',
    },
    remedy: network,
  },
  'card-timeout': {
    cause: { ja: '時間内にカードが置かれませんでした。', en: 'No card was presented in time.' },
    remedy: {
      ja: 'もう一度はじめから操作し、カードをカードリーダーに置いてください。',
      en: 'Start again and put the card on the reader.',
    },
  },
  'state-malformed': {
    cause: { ja: '端末の記録ファイルが壊れています。', en: 'The terminal’s own state file cannot be read.' },
    remedy: {
      ja: '管理者に連絡し、端末を再同期してください。',
      en: 'Call an administrator and have the terminal resynchronised.',
    },
  },
  'not-enrolled': {
    cause: { ja: 'この端末はまだ登録されていません。', en: 'This terminal has not been enrolled.' },
    remedy: {
      ja: '管理者から登録コードを受け取り、`kazasu terminal enrol` を実行してください。',
      en: 'Get an enrolment code from an administrator and run `kazasu terminal enrol`.',
    },
  },
  'key-set-malformed': {
    cause: {
      ja: 'サービス提供機関の公開鍵の一覧を読めません。',
      en: 'The provider’s key set lacks a key that the terminal needs.',
    },
    remedy: { ja: 'サービス提供機関に連絡してください。', en: 'Call the provider.' },
  },
  'answer-foreign': {
    cause: {
      ja: 'サービス提供機関の回答が、この受付に対するものではありません。',
      en: 'The provider’s answer is not about this tap.',
    },
    remedy: {
      ja: '回答を使わず、サービス提供機関に連絡してください。',
      en: 'Do not use the answer, and call the provider.',
    },
  },
  unattended: {
    cause: {
      ja: 'この端末は係員のいない端末として登録されており、係員による同意の入力は受け付けません。',
      en: 'This terminal is registered as unattended: staff cannot enter a consent here.',
    },
    remedy: {
      ja: '本人に画面で同意してもらうか、係員のいる端末で受付してください。',
      en: 'Let the holder agree on the screen, or use an attended terminal.',
    },
  },
}
