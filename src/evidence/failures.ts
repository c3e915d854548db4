import { CodedError, type FailureCatalogue } from '#failure'

export type EvidenceErrorCode =
  | 'tree-range-invalid'
  | 'tree-node-missing'
  | 'inclusion-invalid'
  | 'consistency-invalid'
  | 'checkpoint-malformed'
  | 'checkpoint-signature'
  | 'record-too-large'
  | 'record-key-invalid'
  | 'record-unreadable'
  | 'record-mismatch'

/** Evidence that does not show what it should show. `detail` names sizes and positions, never contents. */
export class EvidenceError extends CodedError<EvidenceErrorCode> {}

const doNotRely = {
  ja: 'この記録を根拠にしないでください。ログの運営者と、ほかの証人のチェックポイントを照合してください。',
  en: 'Do not rely on this record. Compare the checkpoints of the operator with those of another witness.',
}
const fetchAgain = {
  ja: 'チェックポイントと証明を同じ件数のものとして取得し直してください。',
  en: 'Fetch checkpoint and proof again, for the same number of records.',
}

export const evidenceFailures: FailureCatalogue<EvidenceErrorCode> = {
  'tree-range-invalid': {
    cause: { ja: '記録の番号または件数が範囲外です。', en: 'An index or a size lies outside the log.' },
    remedy: fetchAgain,
  },
  'tree-node-missing': {
    cause: { ja: 'ログの内部ハッシュが保存先にありません。', en: 'A hash of the log is missing in storage.' },
    remedy: {
      ja: 'ログを止め、最後の正しいバックアップと証人のチェックポイントから復元してください。',
      en: 'Stop the log and restore it from the last good backup, checked against a witness.',
    },
  },
  'inclusion-invalid': {
    cause: {
      ja: '記録がこのログに含まれることを証明できません。',
      en: 'The proof does not show the record in the log.',
    },
    remedy: doNotRely,
  },
  'consistency-invalid': {
    cause: {
      ja: '古いログが新しいログの先頭部分であることを証明できません。',
      en: 'The proof does not show the older log as the beginning of the newer one.',
    },
    remedy: doNotRely,
  },
  'checkpoint-malformed': {
    cause: { ja: 'チェックポイントの形式が不正です。', en: 'The checkpoint is not a well-formed signed note.' },
    remedy: fetchAgain,
  },
  'checkpoint-signature': {
    cause: {
      ja: 'チェックポイントに、登録された鍵の有効な署名がありません。',
      en: 'The checkpoint bears no valid signature of the registered key.',
    },
    remedy: doNotRely,
  },
  'record-too-large': {
    cause: { ja: '記録が上限を超えています。', en: 'The record exceeds the size limit.' },
    remedy: { ja: '記録の内容を見直してください。', en: 'Review what is being recorded.' },
  },
  'record-key-invalid': {
    cause: { ja: '監査鍵が P-256 の鍵ではありません。', en: 'The audit key is not a P-256 key.' },
    remedy: {
      ja: '公開鍵は SubjectPublicKeyInfo、秘密鍵は PKCS#8 で指定してください。',
      en: 'Give the public key as SubjectPublicKeyInfo and the private key as PKCS#8.',
    },
  },
  'record-unreadable': {
    cause: {
      ja: '封印された記録を開けません（別の監査鍵、消去済み、または改変）。',
      en: 'The sealed record cannot be opened: another audit key, erased, or altered.',
    },
    remedy: {
      ja: '封印に使われた監査鍵の番号を確認してください。消去済みの記録は戻りません。',
      en: 'Check the id of the audit key it was sealed to. An erased record does not come back.',
    },
  },
  'record-mismatch': {
    cause: { ja: '記録の内容がログの葉と一致しません。', en: 'The record is not the one that the leaf commits to.' },
    remedy: doNotRely,
  },
}
