import { CodedError, type FailureCatalogue } from '#failure'

export type TownErrorCode =
  | 'card-unknown'
  | 'town-running'
  | 'town-not-running'
  | 'town-unsettled'
  | 'port-taken'
  | 'page-locked'
  | 'database-elsewhere'
  | 'database-occupied'

/** What keeps the test town from doing as it is told. */
export class TownError extends CodedError<TownErrorCode> {}

export const townStatuses: Readonly<Record<TownErrorCode, number>> = {
  'card-unknown': 404,
  'town-running': 409,
  'town-not-running': 503,
  'town-unsettled': 503,
  'port-taken': 503,
  'page-locked': 401,
  'database-elsewhere': 409,
  'database-occupied': 409,
}

export const townFailures: FailureCatalogue<TownErrorCode> = {
  'card-unknown': {
    cause: { ja: 'その名前のカードはありません。', en: 'There is no card of that name.' },
    remedy: { ja: '`kazasu card list` で名前を確認してください。', en: 'See the names with `kazasu card list`.' },
  },
  'town-running': {
    cause: { ja: 'この町はすでに動いています。', en: 'This town is running already.' },
    remedy: {
      ja: '表示されたアドレスを開くか、もう一方を止めてください。',
      en: 'Open the address shown, or stop the other one first.',
    },
  },
  'town-not-running': {
    cause: { ja: '町が動いていません。', en: 'The town is not running.' },
    remedy: { ja: '`npm start` で起動してください。', en: 'Start it with `npm start`.' },
  },
  'town-unsettled': {
    cause: { ja: '町の準備が途中で止まっています。', en: 'The town was not made ready to the end.' },
    remedy: {
      ja: '`kazasu town reset` を実行してから、もう一度起動してください。',
      en: 'Run `kazasu town reset`, then start again.',
    },
  },
  'port-taken': {
    cause: {
      ja: 'そのポートは別のプログラムが使っています。',
      en: 'Another program is using that port.',
    },
    remedy: {
      ja: '`--port 0`（空いているポート）か別の番号を付けて起動してください。',
      en: 'Start with `--port 0` for a free one, or with another number.',
    },
  },
  'page-locked': {
    cause: {
      ja: 'このページは、町を起動した人だけが開けます。',
      en: 'This page opens only for whoever started the town.',
    },
    remedy: {
      ja: '起動時に表示されたアドレス（?key=… を含む）を開いてください。`kazasu town status` でも表示できます。',
      en: 'Open the address printed at the start, with its `?key=…`; `kazasu town status` shows it again.',
    },
  },
  'database-elsewhere': {
    cause: {
      ja: 'この町のデータは、指定とは別のデータベース（database）にあります。',
      en: 'The data of this town are in another database (database) than the one named.',
    },
    remedy: {
      ja: '`--database` でそのデータベースをパスワード付きで指定するか（内蔵なら指定なし）、KAZASU_HOME で別のフォルダーを指定してください。',
      en: 'Name that one, with its password, by `--database` (none for the embedded one), or choose another folder with KAZASU_HOME.',
    },
  },
  'database-occupied': {
    cause: {
      ja: 'このデータベースには、すでに別の町のデータがあります。',
      en: 'This database holds the data of another town already.',
    },
    remedy: {
      ja: '空のデータベースを指定するか、その町のフォルダーで `kazasu town reset --database …` を実行してください。',
      en: 'Name an empty database, or run `kazasu town reset --database …` in the folder of that town.',
    },
  },
}
