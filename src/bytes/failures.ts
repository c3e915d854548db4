import { CodedError, type FailureCatalogue } from '#failure'

/** What can be wrong with bytes as such; folders above translate these into failures of their own domain. */
export type BytesErrorCode =
  | 'hex-malformed'
  | 'base64url-malformed'
  | 'tlv-truncated'
  | 'tlv-malformed'
  | 'tlv-trailing'
  | 'tlv-too-large'
  | 'tlv-too-deep'
  | 'tlv-too-many'
  | 'der-unexpected'
  | 'der-malformed'

/** Bytes that are not what their form demands; `detail.offset` counts from the start of the decoded input. */
export class BytesError extends CodedError<BytesErrorCode> {}

const damaged = {
  ja: 'データを作成した側に、正しい形式で送り直すよう依頼してください。',
  en: 'Ask whoever produced the data to send it again in the correct form.',
}

export const bytesFailures: FailureCatalogue<BytesErrorCode> = {
  'hex-malformed': {
    cause: { ja: '16進数として読めません。', en: 'The text is not hexadecimal.' },
    remedy: damaged,
  },
  'base64url-malformed': {
    cause: {
      ja: 'base64url（パディングなし）として読めません。',
      en: 'The text is not canonical, unpadded base64url.',
    },
    remedy: damaged,
  },
  'tlv-truncated': {
    cause: { ja: 'データが途中で切れています。', en: 'The data ends before its stated length.' },
    remedy: damaged,
  },
  'tlv-malformed': {
    cause: { ja: 'タグまたは長さの符号化が規則に反しています。', en: 'A tag or length is not encoded by the rules.' },
    remedy: damaged,
  },
  'tlv-trailing': {
    cause: { ja: 'データの後ろに余分なバイトがあります。', en: 'There are bytes after the end of the data.' },
    remedy: damaged,
  },
  'tlv-too-large': {
    cause: { ja: 'データが上限を超えています。', en: 'The data exceeds the size limit.' },
    remedy: damaged,
  },
  'tlv-too-deep': {
    cause: { ja: '入れ子が深すぎます。', en: 'The data is nested too deeply.' },
    remedy: damaged,
  },
  'tlv-too-many': {
    cause: { ja: '要素の数が上限を超えています。', en: 'The data has too many elements.' },
    remedy: damaged,
  },
  'der-unexpected': {
    cause: { ja: '別の型のデータがあります。', en: 'Another type of data stands where one was expected.' },
    remedy: damaged,
  },
  'der-malformed': {
    cause: { ja: 'DER の規則に反する値です。', en: 'A value is not encoded by the rules of DER.' },
    remedy: damaged,
  },
}
