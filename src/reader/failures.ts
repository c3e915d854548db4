import { CodedError, type FailureCatalogue } from '#failure'

export type ReaderErrorCode =
  | 'pcsc-missing'
  | 'service-stopped'
  | 'no-reader'
  | 'reader-gone'
  | 'reader-failed'
  | 'no-card'
  | 'card-removed'
  | 'card-mute'
  | 'card-reset'
  | 'card-unsupported'
  | 'sharing-violation'
  | 'timeout'
  | 'connection-closed'

/** Trouble between program and card. Whatever the card itself answers, refusals too, is a response and no error. */
export class ReaderError extends CodedError<ReaderErrorCode> {}

export const readerFailures: FailureCatalogue<ReaderErrorCode> = {
  'pcsc-missing': {
    cause: {
      ja: 'カードリーダーを使うためのソフトウェアが、この端末に入っていません。',
      en: 'The software that talks to card readers is not installed on this terminal.',
    },
    remedy: {
      ja: '端末の管理者に連絡してください（管理者：pcscd と libpcsclite-dev を入れ、npm ci をやり直す）。',
      en: 'Call the administrator of the terminal (who installs pcscd and libpcsclite-dev and runs npm ci again).',
    },
  },
  'service-stopped': {
    cause: {
      ja: 'カードリーダーのサービスが動いていません。',
      en: 'The card reader service is not running.',
    },
    remedy: {
      ja: '少し待ってからやり直してください。続く場合は端末を再起動してください（管理者：pcscd を起動する）。',
      en: 'Wait a moment and try again. If it goes on, restart the terminal (administrators: start pcscd).',
    },
  },
  'no-reader': {
    cause: { ja: 'カードリーダーが見つかりません。', en: 'There is no such card reader.' },
    remedy: {
      ja: 'カードリーダーのケーブルと電源を確認し、つなぎ直してください。',
      en: 'Check the cable and the power of the card reader, and plug it in again.',
    },
  },
  'reader-gone': {
    cause: { ja: 'カードリーダーが外れました。', en: 'The card reader was unplugged.' },
    remedy: {
      ja: 'カードリーダーをつなぎ直し、カードを置き直してください。',
      en: 'Plug the card reader in again, and put the card on it once more.',
    },
  },
  'reader-failed': {
    cause: { ja: 'カードリーダーの動作に失敗しました。', en: 'The card reader failed.' },
    remedy: {
      ja: 'カードを置き直してください。続く場合はカードリーダーをつなぎ直してください。',
      en: 'Put the card on the reader again. If it goes on, unplug the reader and plug it in again.',
    },
  },
  'no-card': {
    cause: { ja: 'カードが置かれていません。', en: 'There is no card on the reader.' },
    remedy: { ja: 'カードをリーダーに置いてください。', en: 'Put the card on the reader.' },
  },
  'card-removed': {
    cause: {
      ja: '読み取りの途中でカードが離れました。',
      en: 'The card left the reader before it was finished.',
    },
    remedy: {
      ja: 'カードをもう一度置き、終わりの合図まで動かさないでください。',
      en: 'Put the card on the reader again, and leave it there until the screen says it is done.',
    },
  },
  'card-mute': {
    cause: { ja: 'カードが応答しません。', en: 'The card does not answer.' },
    remedy: {
      ja: 'カードの向きを確かめ、財布やケースから出して、1枚だけを置いてください。',
      en: 'Check which way round the card lies, take it out of wallet or case, and put that one card only on the reader.',
    },
  },
  'card-reset': {
    cause: {
      ja: '他のソフトウェアがカードを初期状態に戻しました。',
      en: 'Another program on this terminal reset the card.',
    },
    remedy: {
      ja: 'カードを使う他のソフトウェアを閉じ、カードを置き直してください。',
      en: 'Close other programs that use the card, and put the card on the reader again.',
    },
  },
  'card-unsupported': {
    cause: { ja: 'このリーダーでは扱えない種類のカードです。', en: 'The reader cannot work with this kind of card.' },
    remedy: { ja: 'マイナンバーカードを置いてください。', en: 'Put a My Number Card on the reader.' },
  },
  'sharing-violation': {
    cause: {
      ja: '他のソフトウェアがカードを使っています。',
      en: 'Another program is using the card.',
    },
    remedy: {
      ja: 'カードを使う他のソフトウェアを閉じてから、やり直してください。',
      en: 'Close other programs that use the card, and try again.',
    },
  },
  timeout: {
    cause: { ja: 'カードの応答が時間内にありませんでした。', en: 'The card did not answer in time.' },
    remedy: {
      ja: 'カードをいったん離し、置き直してください。',
      en: 'Take the card off the reader, and put it on again.',
    },
  },
  'connection-closed': {
    cause: { ja: 'カードとの通信はすでに終わっています。', en: 'The session with the card is over.' },
    remedy: {
      ja: '最初からやり直してください。',
      en: 'Begin again from the start.',
    },
  },
}
