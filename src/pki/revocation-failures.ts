import type { FailureCatalogue } from '#failure'

/** What can be wrong with a statement of revocation. */
export type RevocationErrorCode =
  | 'crl-malformed'
  | 'crl-unsupported'
  | 'crl-issuer'
  | 'crl-signature'
  | 'crl-stale'
  | 'crl-scope'
  | 'ocsp-malformed'
  | 'ocsp-refused'
  | 'ocsp-responder'
  | 'ocsp-signature'
  | 'ocsp-nonce'
  | 'ocsp-other-certificate'
  | 'ocsp-conflict'
  | 'ocsp-stale'

/** The remedy against what may be forged. */
export const distrust = {
  ja: '受け入れず、送信元を確認してください。改ざんの可能性があります。',
  en: 'Do not accept it and find out where it comes from: it may have been tampered with.',
}
const retry = {
  ja: '失効情報の配布元の設定を確認し、取得し直してください。',
  en: 'Check where revocation information is fetched from, and fetch it again.',
}
const fresh = {
  ja: '機器の日時を確認し、失効情報を取得し直してください。',
  en: "Check the machine's date and time, and fetch the revocation information again.",
}

/** The part of `pkiFailures` about CRL and OCSP. */
export const revocationFailures: FailureCatalogue<RevocationErrorCode> = {
  'crl-malformed': {
    cause: { ja: '失効リスト（CRL）の形式が不正です。', en: 'The certificate revocation list is malformed.' },
    remedy: retry,
  },
  'crl-unsupported': {
    cause: {
      ja: '扱えない種類の失効リスト（差分・間接など）です。',
      en: 'The revocation list is of a kind that is not handled (delta, indirect, partial).',
    },
    remedy: retry,
  },
  'crl-issuer': {
    cause: {
      ja: '失効リストの発行者が、証明書の発行者と異なります。',
      en: "The revocation list is not by the certificate's issuer, or that CA may not sign lists.",
    },
    remedy: retry,
  },
  'crl-signature': {
    cause: { ja: '失効リストの署名が正しくありません。', en: 'The signature of the revocation list is wrong.' },
    remedy: distrust,
  },
  'crl-stale': {
    cause: {
      ja: '失効リストが古いか、発行時刻が未来です。',
      en: 'The revocation list is out of date, or dated in the future.',
    },
    remedy: fresh,
  },
  'crl-scope': {
    cause: {
      ja: '失効リストの対象に、この証明書は含まれません。',
      en: 'The revocation list does not cover this certificate.',
    },
    remedy: retry,
  },
  'ocsp-malformed': {
    cause: { ja: 'OCSPの要求または応答の形式が不正です。', en: 'The OCSP request or response is malformed.' },
    remedy: retry,
  },
  'ocsp-refused': {
    cause: { ja: 'OCSPサーバーが回答を断りました。', en: 'The OCSP responder declined to answer.' },
    remedy: retry,
  },
  'ocsp-responder': {
    cause: {
      ja: 'OCSP応答の署名者に、この認証局の回答をする権限がありません。',
      en: 'Whoever signed the OCSP response may not answer for this CA.',
    },
    remedy: distrust,
  },
  'ocsp-signature': {
    cause: { ja: 'OCSP応答の署名が正しくありません。', en: 'The signature of the OCSP response is wrong.' },
    remedy: distrust,
  },
  'ocsp-nonce': {
    cause: {
      ja: 'OCSP応答のナンスが要求と一致しません。',
      en: 'The nonce of the OCSP response is not that of the request.',
    },
    remedy: distrust,
  },
  'ocsp-other-certificate': {
    cause: { ja: 'OCSP応答が、別の証明書についてのものです。', en: 'The OCSP response is about another certificate.' },
    remedy: distrust,
  },
  'ocsp-conflict': {
    cause: {
      ja: 'OCSP応答に、同じ証明書への回答が複数あります。',
      en: 'The OCSP response answers for the certificate more than once.',
    },
    remedy: distrust,
  },
  'ocsp-stale': {
    cause: {
      ja: 'OCSP応答が古いか、時刻が未来です。',
      en: 'The OCSP response is out of date, or dated in the future.',
    },
    remedy: fresh,
  },
}
