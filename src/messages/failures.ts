import { CodedError, type FailureCatalogue } from '#failure'

export type MessagesErrorCode =
  | 'malformed'
  | 'not-canonical'
  | 'signature-invalid'
  | 'certificate-unsealable'
  | 'pairwise-id-malformed'

/** A message that is not what protocol.md says it must be. */
export class MessagesError extends CodedError<MessagesErrorCode> {}

const update = {
  ja: '送信側のソフトウェアを更新し、やり直してください。続く場合はサポートに受付番号を伝えてください。',
  en: 'Update the sending software and try again. If it goes on, give the request id to support.',
}

export const messagesFailures: FailureCatalogue<MessagesErrorCode> = {
  malformed: {
    cause: {
      ja: 'メッセージの形式が規約に合いません。',
      en: 'A message does not have the form that the protocol demands.',
    },
    remedy: update,
  },
  'not-canonical': {
    cause: {
      ja: 'メッセージが正規形（RFC 8785）ではありません。',
      en: 'A message is not in canonical form (RFC 8785).',
    },
    remedy: update,
  },
  'signature-invalid': {
    cause: { ja: 'メッセージの署名が正しくありません。', en: 'The signature of a message is not valid.' },
    remedy: {
      ja: '端末の登録鍵が変わっていないか確認し、必要なら端末を登録し直してください。',
      en: 'Check whether the registered key has changed; enrol the terminal again if so.',
    },
  },
  'certificate-unsealable': {
    cause: { ja: '封緘された証明書を開けません。', en: 'The sealed certificate cannot be opened.' },
    remedy: {
      ja: '端末が持つサービス提供機関の公開鍵を更新し、カードをもう一度かざしてください。',
      en: 'Let the terminal fetch the provider’s current key set and present the card again.',
    },
  },
  'pairwise-id-malformed': {
    cause: {
      ja: '個別IDの形式または検査文字が正しくありません。',
      en: 'The pairwise ID or its check character is wrong.',
    },
    remedy: { ja: '入力し直してください。', en: 'Check the ID and enter it again.' },
  },
}
