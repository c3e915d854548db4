import { z } from 'zod'

/** 資格情報 – what the insured register answers to a clinic's desk. Numbers are as printed on the insurer's notice. */
export const eligibility = z.discriminatedUnion('status', [
  z.strictObject({
    /** Valid at the day of the request (資格有効). */
    status: z.literal('valid'),
    /** 保険者番号, 8 digits, left padded with spaces where shorter. */
    insurer: z.string().regex(/^[ 0-9]{8}$/),
    /** 記号 */
    symbol: z.string().max(20).nullable(),
    /** 番号 */
    number: z.string().min(1).max(20),
    /** 枝番, 2 digits. */
    branch: z
      .string()
      .regex(/^\d\d$/)
      .nullable(),
    /** 一部負担金の割合, per cent. */
    ratio: z.int().min(0).max(100).nullable(),
  }),
  z.strictObject({
    /** The last known membership has ended (資格無効). */
    status: z.literal('invalid'),
    insurer: z.string().regex(/^[ 0-9]{8}$/),
    endedOn: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  }),
  /** No membership is known (資格情報なし). */
  z.strictObject({ status: z.literal('none') }),
  /** The register did not answer in time; the tap itself stands. */
  z.strictObject({ status: z.literal('unavailable') }),
])
export type Eligibility = z.infer<typeof eligibility>
