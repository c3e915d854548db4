import { CodedError, type FailureCatalogue } from '#failure'

export type StoreErrorCode =
  | 'store-in-use'
  | 'store-unopenable'
  | 'store-unreachable'
  | 'store-refused'
  | 'store-busy'
  | 'role-malformed'
  | 'migrations-unordered'
  | 'migration-failed'
  | 'schema-newer'
  | 'value-unreadable'

/** The database as such is in trouble. What SQL refuses stays the driver's error with its SQLSTATE in `code`. */
export class StoreError extends CodedError<StoreErrorCode> {}

const report = {
  ja: 'プログラムの誤りです。詳細を添えて開発元へ報告してください。',
  en: 'This is a mistake in the program. Report it with the details.',
}

export const storeFailures: FailureCatalogue<StoreErrorCode> = {
  'store-in-use': {
    cause: {
      ja: 'このデータフォルダーは別のプロセス（pid）が使用中です。',
      en: 'Another process (pid) is using this data directory.',
    },
    remedy: {
      ja: 'そのプロセスを終了するか、KAZASU_HOME で別のフォルダーを指定してください。',
      en: 'Stop that process, or choose another directory with KAZASU_HOME.',
    },
  },
  'store-unopenable': {
    cause: {
      ja: '内蔵データベースを開けません（権限、空き容量、破損のいずれか）。',
      en: 'The embedded database cannot be opened: permissions, a full disk, or damage.',
    },
    remedy: {
      ja: 'フォルダーの権限と空き容量を確認し、直らなければバックアップから戻してください。試用なら town reset で作り直せます。',
      en: 'Check the permissions and free space of the directory; else restore a backup. For trials, `town reset` starts anew.',
    },
  },
  'store-unreachable': {
    cause: {
      ja: 'データベースに接続できないか、接続が切れました。',
      en: 'The database cannot be reached, or hung up.',
    },
    remedy: {
      ja: 'データベースが動いているか、URL のホストとポートが正しいか確認してください。復旧すれば自動で再接続します。',
      en: 'See that it is running and that host and port of the URL are right. Kazasu reconnects by itself.',
    },
  },
  'store-refused': {
    cause: {
      ja: 'データベースがこの利用者を拒みました（認証、権限、データベース名のいずれか）。',
      en: 'The database refuses this user: authentication, permission, or no such database.',
    },
    remedy: {
      ja: 'URL の利用者・パスワード・データベース名を確認し、その利用者に CREATE 権限と、役割を作る権限（CREATEROLE）を与えるか、役割を先に作ってください。',
      en: 'Check user, password and database name of the URL. The user needs CREATE on the database, and CREATEROLE unless the roles exist and are granted to it.',
    },
  },
  'store-busy': {
    cause: {
      ja: 'データベースの接続が時間内に空きませんでした。',
      en: 'No database connection became free in time.',
    },
    remedy: {
      ja: 'しばらくして再試行してください。続く場合は接続数を増やすか、サーバー版の PostgreSQL を使ってください。',
      en: 'Try again shortly. If it goes on, allow more connections, or use a PostgreSQL server.',
    },
  },
  'role-malformed': {
    cause: { ja: '役割名に使えない名前です。', en: 'This cannot be the name of a role.' },
    remedy: report,
  },
  'migrations-unordered': {
    cause: {
      ja: '移行の名前が「0001-名前」の形で昇順に並んでいません。',
      en: 'The migrations are not named `0001-name` in ascending order.',
    },
    remedy: report,
  },
  'migration-failed': {
    cause: {
      ja: 'データベースの移行に失敗しました。何も変更されていません。',
      en: 'A migration of the database failed. Nothing was changed.',
    },
    remedy: {
      ja: 'cause に示された原因を取り除いて再起動するか、前の版に戻してください。',
      en: 'Remove what `cause` names and start again, or go back to the version before.',
    },
  },
  'schema-newer': {
    cause: {
      ja: 'データベースは、このプログラムより新しい版で作られています。',
      en: 'The database was made by a newer version than this program.',
    },
    remedy: {
      ja: 'プログラムを新しい版に更新するか、古いバックアップから戻してください。移行は前にしか進みません。',
      en: 'Update the program, or restore an older backup. Migrations only go forward.',
    },
  },
  'value-unreadable': {
    cause: {
      ja: 'データベースの値が扱える範囲を超えています。',
      en: 'The database holds a value out of the range that can be read exactly.',
    },
    remedy: report,
  },
}
