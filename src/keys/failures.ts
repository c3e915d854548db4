import { CodedError, type FailureCatalogue } from '#failure'

export type KeysErrorCode =
  | 'key-name-malformed'
  | 'key-file-missing'
  | 'key-file-malformed'
  | 'key-exposed'
  | 'key-unsuitable'
  | 'pkcs11-missing'
  | 'pkcs11-module-unusable'
  | 'token-missing'
  | 'token-ambiguous'
  | 'token-pin-wrong'
  | 'token-pin-locked'
  | 'token-key-missing'
  | 'token-key-ambiguous'
  | 'token-key-exists'
  | 'token-lost'
  | 'token-failed'

/** A key cannot be had or used. `detail` names files, labels and PKCS#11 return values, never a PIN or key. */
export class KeysError extends CodedError<KeysErrorCode> {}

export const keysFailures: FailureCatalogue<KeysErrorCode> = {
  'key-name-malformed': {
    cause: { ja: '鍵の名前に使えない文字があります。', en: 'This cannot be the name of a key.' },
    remedy: {
      ja: '英小文字・数字・ハイフンで64文字以内にしてください。',
      en: 'Use up to 64 lower-case letters, digits and hyphens.',
    },
  },
  'key-file-missing': {
    cause: { ja: '鍵ファイルがありません。', en: 'The key file does not exist.' },
    remedy: {
      ja: '鍵の置き場所の設定を確認し、失われたのならバックアップから戻してください。',
      en: 'Check where keys are configured to be; if it is lost, restore it from a backup.',
    },
  },
  'key-file-malformed': {
    cause: { ja: '鍵ファイルを読めません。', en: 'The key file cannot be read as a key.' },
    remedy: {
      ja: 'バックアップから戻してください。手で編集しないでください。',
      en: 'Restore it from a backup. It is not meant to be edited.',
    },
  },
  'key-exposed': {
    cause: {
      ja: '鍵ファイルまたはフォルダーを他の利用者が読めます。',
      en: 'Other users of this machine can get at the key file or its directory.',
    },
    remedy: {
      ja: 'chmod 700（フォルダー）と 600（ファイル）を実行してください。誰かに読まれた恐れがあれば鍵を作り直してください。',
      en: 'Run chmod 700 on the directory and 600 on the file. If someone may have read it, replace the key.',
    },
  },
  'key-unsuitable': {
    cause: {
      ja: '鍵の種類または長さが用途に合いません。',
      en: 'The key is of another kind or size than its use needs.',
    },
    remedy: {
      ja: '鍵の取り違えがないか確認してください。P-256、P-384、RSA 2048ビット以上が使えます。',
      en: 'See that the right key is configured. P-256, P-384 and RSA of 2048 bits or more can be used.',
    },
  },
  'pkcs11-missing': {
    cause: {
      ja: 'PKCS#11 用の部品 graphene-pk11 が入っていません。',
      en: 'The optional package graphene-pk11 for PKCS#11 is not installed.',
    },
    remedy: {
      ja: 'コンパイラー（build-essential、python3）を入れて npm install をやり直してください。npm rebuild では直りません。',
      en: 'Install a compiler (build-essential, python3) and run `npm install` again; `npm rebuild` does not repair it.',
    },
  },
  'pkcs11-module-unusable': {
    cause: { ja: 'PKCS#11 モジュールを読み込めません。', en: 'The PKCS#11 module cannot be loaded or started.' },
    remedy: {
      ja: 'モジュールのパスと、その設定（SoftHSM2 なら SOFTHSM2_CONF）を確認してください。',
      en: 'Check the path of the module and its configuration (for SoftHSM2: SOFTHSM2_CONF).',
    },
  },
  'token-missing': {
    cause: { ja: 'この名前のトークンが見つかりません。', en: 'No token with this label is present.' },
    remedy: {
      ja: 'トークンを接続し、ラベルを pkcs11-tool --list-slots で確認してください。',
      en: 'Connect the token, and compare its label with `pkcs11-tool --list-slots`.',
    },
  },
  'token-ambiguous': {
    cause: { ja: '同じ名前のトークンが複数あります。', en: 'Several tokens have this label.' },
    remedy: {
      ja: '使うもの以外を外すか、ラベルを変えて初期化してください。',
      en: 'Remove all but the one to be used, or initialise them with different labels.',
    },
  },
  'token-pin-wrong': {
    cause: { ja: 'トークンの暗証番号が違います。', en: 'The PIN of the token is wrong.' },
    remedy: {
      ja: '暗証番号のファイルを確認してください。自動では再試行しません（閉塞を防ぐため）。',
      en: 'Check the file that holds the PIN. It is not tried again by itself, lest the token lock.',
    },
  },
  'token-pin-locked': {
    cause: { ja: 'トークンの暗証番号が閉塞しています。', en: 'The PIN of the token is locked.' },
    remedy: {
      ja: '管理者の暗証番号（SO PIN）で解除してください。',
      en: 'Unlock it with the security officer’s PIN (SO PIN).',
    },
  },
  'token-key-missing': {
    cause: { ja: 'トークンにこの名前の鍵がありません。', en: 'The token holds no usable key with this label.' },
    remedy: {
      ja: 'ラベルを pkcs11-tool --login --list-objects で確認してください。公開鍵も同じラベルで必要です。',
      en: 'Compare with `pkcs11-tool --login --list-objects`. The public key must be there under the same label.',
    },
  },
  'token-key-ambiguous': {
    cause: { ja: 'トークンに同じ名前の鍵が複数あります。', en: 'The token holds several keys with this label.' },
    remedy: {
      ja: '使わない鍵を消すか、名前を変えてください。',
      en: 'Delete or relabel the ones that are not used.',
    },
  },
  'token-key-exists': {
    cause: { ja: 'トークンに同じ名前の鍵が既にあります。', en: 'The token already holds a key with this label.' },
    remedy: { ja: '別の名前にしてください。', en: 'Choose another label.' },
  },
  'token-lost': {
    cause: {
      ja: '使用中にトークンが外れたか、接続が切れました。',
      en: 'The token was removed, or ended its session, while in use.',
    },
    remedy: {
      ja: 'トークンを接続し直し、プログラムを再起動してください（暗証番号の再入力が必要です）。',
      en: 'Connect it again and restart the program, which needs the PIN anew.',
    },
  },
  'token-failed': {
    cause: { ja: 'トークンが処理を拒みました（reason）。', en: 'The token refused the operation (reason).' },
    remedy: {
      ja: 'reason をトークンの説明書で確認してください。この種類の鍵に対応していない場合があります。',
      en: 'Look up the reason in the token’s manual. It may not support this kind of key.',
    },
  },
}
