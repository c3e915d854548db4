import { CodedError, type FailureCatalogue } from '#failure'

export type AdministrationErrorCode =
  | 'role-missing'
  | 'same-person'
  | 'key-revoked'
  | 'key-unknown'
  | 'key-malformed'
  | 'last-administrator'
  | 'act-unknown'
  | 'act-malformed'
  | 'act-decided'
  | 'act-expired'
  | 'act-altered'

/** An administrative act that is not allowed as it was asked for. A key that nobody knows is no error but `undefined`. */
export class AdministrationError extends CodedError<AdministrationErrorCode> {}

/** Proposed status of each code over HTTP, for a server's table. `act-altered` stays a failure of the server. */
export const administrationStatuses: Readonly<Partial<Record<AdministrationErrorCode, number>>> = {
  'role-missing': 403,
  'same-person': 403,
  'key-revoked': 401,
  'key-unknown': 404,
  'key-malformed': 400,
  'last-administrator': 409,
  'act-unknown': 404,
  'act-malformed': 400,
  'act-decided': 409,
  'act-expired': 409,
}

const proposeAgain = {
  ja: '内容を確認し、必要ならもう一度提案してください。',
  en: 'Review it and, if it is still needed, propose it again.',
}
const listThem = {
  ja: '一覧を取得し、正しいIDを指定してください。',
  en: 'List them and give the right id.',
}

export const administrationFailures: FailureCatalogue<AdministrationErrorCode> = {
  'role-missing': {
    cause: { ja: 'この操作に必要な役割がありません。', en: 'The key does not have the role that this needs.' },
    remedy: {
      ja: '必要な役割を持つ人に頼むか、管理者に役割付きの鍵を発行してもらってください。',
      en: 'Ask somebody who has the role, or have an administrator make a key with it.',
    },
  },
  'same-person': {
    cause: { ja: '提案した本人は承認できません。', en: 'Whoever proposed an act cannot approve it.' },
    remedy: { ja: '別の承認者に依頼してください。', en: 'Ask another approver.' },
  },
  'key-revoked': {
    cause: { ja: '使われた鍵は失効しています。', en: 'The key that was used has been revoked.' },
    remedy: { ja: '管理者に新しい鍵の発行を依頼してください。', en: 'Ask an administrator for a new key.' },
  },
  'key-unknown': {
    cause: { ja: 'そのIDの有効な鍵はありません。', en: 'There is no valid key with this id.' },
    remedy: listThem,
  },
  'key-malformed': {
    cause: {
      ja: '鍵の持ち主の名前か役割の指定が正しくありません。',
      en: 'The name or the roles of the new key are malformed.',
    },
    remedy: {
      ja: '名前は英小文字・数字・ハイフン64文字以内、役割は1つ以上を重複なく指定してください。',
      en: 'Give a name of up to 64 of a-z, 0-9 and hyphen, and at least one role, each once.',
    },
  },
  'last-administrator': {
    cause: { ja: '最後の管理者の鍵は失効できません。', en: 'The last administrator’s key cannot be revoked.' },
    remedy: { ja: '先に別の管理者の鍵を発行してください。', en: 'Make another administrator’s key first.' },
  },
  'act-unknown': {
    cause: { ja: 'そのIDの提案はありません。', en: 'There is no proposal with this id.' },
    remedy: listThem,
  },
  'act-malformed': {
    cause: {
      ja: '提案の種類か内容の形式が正しくないか、64 KiBを超えています。',
      en: 'The kind or the payload of the act is malformed, or exceeds 64 KiB.',
    },
    remedy: { ja: '内容を直して提案し直してください。', en: 'Correct it and propose it again.' },
  },
  'act-decided': {
    cause: { ja: 'その提案はすでに承認または却下されています。', en: 'The act was approved or rejected before.' },
    remedy: proposeAgain,
  },
  'act-expired': {
    cause: { ja: '提案の期限が過ぎています。', en: 'The proposal has expired.' },
    remedy: proposeAgain,
  },
  'act-altered': {
    cause: {
      ja: '保存された提案の内容が、提案時のハッシュと一致しません。',
      en: 'The stored payload of the act does not match the hash of what was proposed.',
    },
    remedy: {
      ja: '承認せず、データベースの改変を調べてください。',
      en: 'Do not approve it; find out how the database was changed.',
    },
  },
}
