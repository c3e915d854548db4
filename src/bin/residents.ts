import { DAY, type Time } from '#clock'
import type { Bilingual } from '#failure'

/** An invented resident of the test town, and what is special about the card. */
export interface Resident {
  readonly name: string
  readonly holder: Bilingual
  readonly about: Bilingual
  /** Every test card has this PIN, unless it is blocked. */
  readonly pin: string
  /** 署名用パスワード; children under 15 have no signature certificate. */
  readonly password?: string
  /** `YYYY-MM-DD` */
  readonly birthDate: string
  readonly signer?: { readonly name: string; readonly address: string; readonly sex: '1' | '2' | '9' }
  /** Days from today to the certificate's end; negative for one that is over. Five years unless given. */
  readonly endsIn?: number
  readonly revoked?: boolean
  readonly pinBlocked?: boolean
  /** Issued by an authority that nobody here trusts. */
  readonly foreign?: boolean
  readonly membership?: {
    readonly insurer: string
    readonly symbol: string
    readonly number: string
    readonly branch: string
    readonly ratio: number
    readonly validFrom: string
    readonly validTo: string | null
  }
}

const insured = (number: string, ratio: number, validTo: string | null = null) => ({
  // 99 is no prefecture: no real insurer has this number.
  insurer: '99130010',
  symbol: '77',
  number,
  branch: '01',
  ratio,
  validFrom: '2024-04-01',
  validTo,
})

/** All of them invented; insurers and addresses stand in no published list. */
export const RESIDENTS: readonly Resident[] = [
  {
    name: 'hanako',
    holder: { ja: '風見 花子', en: 'Kazami Hanako' },
    about: { ja: 'ふつうのカード', en: 'An ordinary card' },
    pin: '1234',
    password: 'HANAKO123',
    birthDate: '1985-05-12',
    signer: { name: '風見　花子', address: '空想県風見市中央一丁目1番1号', sex: '2' },
    membership: insured('1000001', 30),
  },
  {
    name: 'taro',
    holder: { ja: '風見 太郎', en: 'Kazami Taro' },
    about: { ja: '会社をやめて資格がなくなった人', en: 'Left his company; membership ended' },
    pin: '1234',
    password: 'TARO12345',
    birthDate: '1979-11-03',
    signer: { name: '風見　太郎', address: '空想県風見市中央一丁目1番1号', sex: '1' },
    membership: insured('1000002', 30, '2026-03-31'),
  },
  {
    name: 'ume',
    holder: { ja: '野分 うめ', en: 'Nowaki Ume' },
    about: {
      ja: '80歳。証明書の期限が先月切れた（猶予期間中）',
      en: 'Aged 80; certificate ended last month, within grace',
    },
    pin: '1234',
    birthDate: '1946-02-20',
    endsIn: -30,
    membership: insured('1000003', 10),
  },
  {
    name: 'sora',
    holder: { ja: '凪 そら', en: 'Nagi Sora' },
    about: { ja: '8歳。署名用証明書なし', en: 'Aged 8; no signature certificate' },
    pin: '1234',
    birthDate: '2018-07-07',
    membership: insured('1000004', 20),
  },
  {
    name: 'ken',
    holder: { ja: '疾風 健', en: 'Hayate Ken' },
    about: { ja: '証明書の期限が去年切れた', en: 'Certificate ended last year' },
    pin: '1234',
    birthDate: '1990-09-09',
    endsIn: -400,
    membership: insured('1000005', 30),
  },
  {
    name: 'rei',
    holder: { ja: '東風 玲', en: 'Kochi Rei' },
    about: { ja: 'なくしたと届け出たカード（失効）', en: 'Reported lost; certificate revoked' },
    pin: '1234',
    birthDate: '1999-01-30',
    revoked: true,
    membership: insured('1000006', 30),
  },
  {
    name: 'jun',
    holder: { ja: '薫風 純', en: 'Kunpu Jun' },
    about: { ja: '暗証番号を3回まちがえたカード', en: 'PIN blocked after three wrong tries' },
    pin: '1234',
    birthDate: '1962-12-24',
    pinBlocked: true,
    membership: insured('1000007', 30),
  },
  {
    name: 'nise',
    holder: { ja: '偽 札男', en: 'Nise Fudao' },
    about: { ja: '別の認証局のカード（にせもの）', en: 'A card of another authority (forged)' },
    pin: '1234',
    birthDate: '1970-04-01',
    foreign: true,
  },
]

/** Validity of a resident's certificates, around `now`. */
export function validityOf({ endsIn = 5 * 365 }: Resident, now: Time): { notBefore: Time; notAfter: Time } {
  return { notBefore: now - 1500 * DAY, notAfter: now + endsIn * DAY }
}
