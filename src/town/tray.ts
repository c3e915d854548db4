import { z } from 'zod'
import { bilingual } from './bilingual.ts'

/** A resident’s card as the tray shows it; everything about these people is invented. */
export const trayCard = z.object({
  /** File name of the card. */
  name: z.string(),
  /** As a neighbour would call them. */
  holder: bilingual,
  /** What is special about this card. */
  about: bilingual,
})
export type TrayCard = z.infer<typeof trayCard>

/** 盆 – cards that can be laid on the terminal’s reader, one at a time. */
export interface Tray {
  readonly cards: readonly TrayCard[]
  /** How cards reach the terminal: in this process, or through pcscd. */
  readonly transport: 'in-process' | 'pcsc'
  /** Name of the card on the reader. */
  lying(): string | undefined
  /** Lays a card on the reader, in place of the one that lies there. @throws TownError `card-unknown` */
  lay(name: string): Promise<void>
  take(): Promise<void>
}
