import { CodedError, type FailureCatalogue } from '#failure'

export type ApduErrorCode =
  | 'command-malformed'
  | 'response-malformed'
  | 'response-endless'
  | 'response-too-large'
  | 'replay-mismatch'

/** A breach of the APDU protocol itself. A status word other than 9000 is a result, not an error. */
export class ApduError extends CodedError<ApduErrorCode> {}

const again = {
  ja: 'カードを置き直してください。続く場合は別のカードリーダーで試してください。',
  en: 'Put the card on the reader again. If it goes on, try another reader.',
}

export const apduFailures: FailureCatalogue<ApduErrorCode> = {
  'command-malformed': {
    cause: { ja: 'コマンドAPDUの形式が不正です。', en: 'The command APDU is malformed.' },
    remedy: {
      ja: 'コマンドの長さ（Lc・Le）とデータを確認してください。',
      en: 'Check the lengths (Lc, Le) and the data of the command.',
    },
  },
  'response-malformed': {
    cause: { ja: 'カードの応答が短すぎるか長すぎます。', en: 'The card answered too little or too much.' },
    remedy: again,
  },
  'response-endless': {
    cause: { ja: 'カードの応答が終わりません。', en: 'The card never comes to an end of its answer.' },
    remedy: again,
  },
  'response-too-large': {
    cause: { ja: 'カードの応答が上限を超えました。', en: 'The card answered more than was asked for.' },
    remedy: again,
  },
  'replay-mismatch': {
    cause: { ja: '記録にないコマンドが送られました。', en: 'A command was sent that the recording does not hold.' },
    remedy: {
      ja: '記録を取り直すか、手順の変更を見直してください。',
      en: 'Record the exchange anew, or review what changed in the sequence.',
    },
  },
}
