import { CodedError, type FailureCatalogue } from '#failure'
import type { Problem } from './problem.ts'

/** What can go wrong between two roles: first what a server refuses, then what a client meets. */
export type HttpErrorCode =
  | 'tls-required'
  | 'catalogue-incomplete'
  | 'malformed-request'
  | 'media-type-unsupported'
  | 'body-too-large'
  | 'headers-too-large'
  | 'request-too-slow'
  | 'host-refused'
  | 'origin-refused'
  | 'not-found'
  | 'unauthenticated'
  | 'idempotency-mismatch'
  | 'idempotency-running'
  | 'stopping'
  | 'internal'
  | 'unreachable'
  | 'timed-out'
  | 'tls-mismatch'
  | 'problem'
  | 'answer-malformed'
  | 'answer-too-large'
  | 'channel-closed'

/** A failure of transport. For `problem`, `problem` is the document that the other side answered. */
export class HttpError extends CodedError<HttpErrorCode> {
  readonly problem?: Problem

  constructor(
    code: HttpErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: ErrorOptions & { readonly problem?: Problem } = {},
  ) {
    super(code, detail, options)
    if (options.problem) this.problem = options.problem
  }
}

/** Status of each code that a server of ours answers by itself (RFC 9110 §15). */
export const httpStatuses: Readonly<Partial<Record<HttpErrorCode, number>>> = {
  'malformed-request': 400,
  unauthenticated: 401,
  'origin-refused': 403,
  'not-found': 404,
  'request-too-slow': 408,
  'idempotency-running': 409,
  'body-too-large': 413,
  'media-type-unsupported': 415,
  'host-refused': 421,
  'idempotency-mismatch': 422,
  'headers-too-large': 431,
  internal: 500,
  stopping: 503,
}

const correctRequest = {
  ja: 'リクエストをAPI仕様（/docs/）に合わせて送り直してください。',
  en: 'Send the request again as the API description (/docs/) says.',
}
const tryLater = {
  ja: '少し待ってから送り直してください。続く場合は相手のサーバーの状態を確認してください。',
  en: 'Wait a little and send it again. If it goes on, check the state of the other server.',
}
const checkConnection = {
  ja: '相手のサーバーが動いているか、アドレスとネットワークを確認してください。',
  en: 'Check that the other server runs, its address and the network.',
}
const reportRequestId = {
  ja: '管理者にリクエストID（requestId）を伝え、ログを調べてもらってください。',
  en: 'Give the request id (requestId) to the administrator, who finds it in the log.',
}

export const httpFailures: FailureCatalogue<HttpErrorCode> = {
  'tls-required': {
    cause: {
      ja: 'TLSなしでは、この機械の外から届くアドレスを使えません。',
      en: 'An address that other machines can reach is not used without TLS.',
    },
    remedy: {
      ja: '証明書を設定するか、127.0.0.1 を使ってください。',
      en: 'Configure a certificate, or use 127.0.0.1.',
    },
  },
  'catalogue-incomplete': {
    cause: { ja: '説明のない障害コードがあります。', en: 'A failure code has a status but no explanation.' },
    remedy: { ja: '障害一覧に項目を追加してください。', en: 'Add the code to the catalogue of failures.' },
  },
  'malformed-request': {
    cause: { ja: 'リクエストの形式が正しくありません。', en: 'The request is malformed.' },
    remedy: correctRequest,
  },
  'media-type-unsupported': {
    cause: { ja: 'この種類の本文は受け付けません。', en: 'A body of this media type is not accepted here.' },
    remedy: correctRequest,
  },
  'body-too-large': {
    cause: { ja: '本文が上限を超えています。', en: 'The body exceeds the size limit.' },
    remedy: correctRequest,
  },
  'headers-too-large': {
    cause: { ja: 'ヘッダーが上限を超えています。', en: 'The headers exceed the size limit.' },
    remedy: correctRequest,
  },
  'request-too-slow': {
    cause: { ja: 'リクエストが時間内に届き終わりませんでした。', en: 'The request did not arrive in time.' },
    remedy: { ja: 'ネットワークを確認し、送り直してください。', en: 'Check the network and send it again.' },
  },
  'host-refused': {
    cause: { ja: 'このホスト名あての要求は受け付けません。', en: 'Requests to this host name are not served here.' },
    remedy: { ja: 'localhost または 127.0.0.1 で開いてください。', en: 'Open it as localhost or 127.0.0.1.' },
  },
  'origin-refused': {
    cause: {
      ja: '別のサイトのページからの要求は受け付けません。',
      en: 'Requests from pages of another site are not accepted.',
    },
    remedy: {
      ja: 'このサーバー自身の画面から操作するか、許可する出所を設定してください。',
      en: 'Use the screens of this server, or configure the origin as allowed.',
    },
  },
  'not-found': {
    cause: { ja: '指定されたものは見つかりません。', en: 'There is nothing at this path.' },
    remedy: { ja: 'パスとメソッドを /docs/ で確認してください。', en: 'Look up path and method in /docs/.' },
  },
  unauthenticated: {
    cause: { ja: '鍵がないか、有効ではありません。', en: 'The key is missing or not valid.' },
    remedy: {
      ja: '有効な鍵を Authorization: Bearer で送ってください。失効した場合は管理者に発行を依頼してください。',
      en: 'Send a valid key as Authorization: Bearer. If it was revoked, ask an administrator for a new one.',
    },
  },
  'idempotency-mismatch': {
    cause: {
      ja: '同じ Idempotency-Key が別の内容で使われています。',
      en: 'This Idempotency-Key was used with another request.',
    },
    remedy: { ja: '新しい操作には新しいキーを使ってください。', en: 'Use a new key for a new operation.' },
  },
  'idempotency-running': {
    cause: {
      ja: '同じ Idempotency-Key の操作がまだ終わっていません。',
      en: 'The operation with this Idempotency-Key is still under way.',
    },
    remedy: tryLater,
  },
  stopping: { cause: { ja: 'サーバーは停止処理中です。', en: 'The server is stopping.' }, remedy: tryLater },
  internal: {
    cause: { ja: 'サーバー内部で障害が起きました。', en: 'The server failed internally.' },
    remedy: reportRequestId,
  },
  unreachable: {
    cause: { ja: '相手のサーバーに接続できません。', en: 'The other server cannot be reached.' },
    remedy: checkConnection,
  },
  'timed-out': {
    cause: { ja: '相手のサーバーが時間内に応答しませんでした。', en: 'The other server did not answer in time.' },
    remedy: checkConnection,
  },
  'tls-mismatch': {
    cause: {
      ja: '相手のサーバーの証明書が、登録されたものと違うか、期限外です。',
      en: 'The certificate of the other server is not the registered one, or is out of date.',
    },
    remedy: {
      ja: '通信を続けず、証明書が正しく更新されたのかを相手の管理者に確認してください。',
      en: 'Do not go on; ask the administrator of the other side whether the certificate was renewed.',
    },
  },
  problem: {
    cause: { ja: '相手のサーバーが要求を断りました。', en: 'The other server refused the request.' },
    remedy: {
      ja: '応答に含まれる対処（remedy）に従ってください。',
      en: 'Follow the remedy that the answer carries.',
    },
  },
  'answer-malformed': {
    cause: {
      ja: '相手のサーバーの応答が仕様と違います。',
      en: 'The answer of the other server is not what its description says.',
    },
    remedy: {
      ja: 'アドレスと、双方の版を確認してください。',
      en: 'Check the address, and the versions of both sides.',
    },
  },
  'answer-too-large': {
    cause: { ja: '相手のサーバーの応答が上限を超えています。', en: 'The answer exceeds the size limit.' },
    remedy: { ja: 'アドレスと上限の設定を確認してください。', en: 'Check the address and the configured limit.' },
  },
  'channel-closed': {
    cause: { ja: '相手との常時接続が切れています。', en: 'The open channel to the other side is closed.' },
    remedy: checkConnection,
  },
}
