import { getRandomValues } from 'node:crypto'

/** Where unpredictable bytes come from; passed in like the clock, so that tests can pin them. */
export interface Random {
  /** `length` fresh bytes. */
  bytes(length: number): Uint8Array
}

/** The operating system's generator. */
export const systemRandom: Random = {
  bytes: (length) => getRandomValues(new Uint8Array(length)),
}
