import { CodedError, type FailureCatalogue } from '#failure'

export type EligibilityErrorCode = 'subject-malformed' | 'dates-reversed'

/** A report that the insured register does not take. */
export class EligibilityError extends CodedError<EligibilityErrorCode> {}

export const eligibilityStatuses: Readonly<Record<EligibilityErrorCode, number>> = {
  'subject-malformed': 422,
  'dates-reversed': 422,
}

export const eligibilityFailures: FailureCatalogue<EligibilityErrorCode> = {
  'subject-malformed': {
    cause: { ja: '対象者の個別IDが正しくありません。', en: 'The subject is not a pairwise ID of this register.' },
    remedy: {
      ja: 'サービス提供機関が発行した個別IDをそのまま指定してください。',
      en: 'Give the pairwise ID exactly as the provider issued it for this register.',
    },
  },
  'dates-reversed': {
    cause: { ja: '資格喪失日が取得日より前です。', en: 'The membership ends before it begins.' },
    remedy: { ja: '日付を確認してください。', en: 'Check the dates.' },
  },
}
