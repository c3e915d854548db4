import { z } from 'zod'
import { problemSchema } from '#http'
import { BASES, type Basis, eligibility, identifier, MECHANISMS, type Mechanism } from '#messages'

const step = z.object({ name: z.string(), ms: z.number() })

/** One exchange with the card as a screen may show it: payloads masked when it was traced. */
const tracedExchange = z.object({
  command: z.string(),
  response: z.string(),
  at: z.number(),
  milliseconds: z.number(),
  sent: z.int(),
  received: z.int(),
})

/** What a tap came to, as the desk needs it. Says カードの提示を確認, never that a person was identified. */
export const tapResult = z.discriminatedUnion('result', [
  z.object({
    result: z.literal('recognised'),
    mechanism: z.enum(MECHANISMS),
    basis: z.enum(BASES),
    /** 医療機関個別ID – the institution's own ID of the card's person. */
    pairwiseId: z.string(),
    returning: z.boolean(),
    certificate: z.enum(['current', 'grace', 'not-checked']),
    eligibility: eligibility.nullable(),
    institutionToken: z.string(),
    serviceTokens: z.record(identifier, z.string()),
    evidence: z.object({ index: z.int(), root: z.string() }),
    steps: z.array(step),
    trace: z.array(tracedExchange),
  }),
  z.object({ result: z.literal('declined') }),
  z.object({ result: z.literal('wrong-pin'), triesLeft: z.int() }),
  z.object({ result: z.literal('pin-blocked') }),
  z.object({
    result: z.literal('refused'),
    problem: problemSchema,
    steps: z.array(step),
    trace: z.array(tracedExchange),
  }),
  z.object({
    result: z.literal('failed'),
    problem: problemSchema.pick({ code: true, cause: true, remedy: true }),
    steps: z.array(step),
    trace: z.array(tracedExchange),
  }),
])
export type TapResult = z.infer<typeof tapResult>

/** What a holder is asked to agree to. */
export const offerView = z.object({
  purpose: identifier,
  mechanism: z.enum(MECHANISMS),
  basis: z.enum(BASES),
  audiences: z.array(identifier),
  textId: identifier,
})
export type OfferView = z.infer<typeof offerView> & { mechanism: Mechanism; basis: Basis }

/** Where a tap stands, and what it waits for. */
export const tapView = z.discriminatedUnion('stage', [
  z.object({ id: z.string(), stage: z.literal('consent'), offer: offerView }),
  z.object({ id: z.string(), stage: z.literal('card'), offer: offerView }),
  z.object({ id: z.string(), stage: z.literal('pin'), offer: offerView, triesLeft: z.int() }),
  z.object({ id: z.string(), stage: z.literal('working'), offer: offerView, steps: z.array(step) }),
  z.object({ id: z.string(), stage: z.literal('ended'), offer: offerView, outcome: tapResult }),
])
export type TapView = z.infer<typeof tapView>
