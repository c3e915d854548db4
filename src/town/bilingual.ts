import { z } from 'zod'

/** A text in both languages of the screens. */
export const bilingual = z.object({ ja: z.string(), en: z.string() })
