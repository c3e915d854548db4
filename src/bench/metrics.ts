import type { HttpClient } from '#http'

/** Sums of a role's histograms, seconds, by name and labels as Prometheus writes them. */
export type Sums = ReadonlyMap<string, number>

/** Reads what a role has measured of itself so far. */
export async function readSums(client: HttpClient): Promise<Sums> {
  const text = Buffer.from(await client.getBytes('/metrics', 'text/plain')).toString()
  return parseSums(text)
}

export function parseSums(text: string): Sums {
  const sums = new Map<string, number>()
  for (const [, name = '', labels = '', value] of text.matchAll(/^(\w+)_sum(\{.*\})? (\S+)$/gm)) {
    sums.set(name + labels, Number(value))
  }
  return sums
}

/** Milliseconds that went by in `name` between two readings, all labels that `having` occurs in together. */
export function elapsed(before: Sums, after: Sums, name: string, having = ''): number {
  let seconds = 0
  for (const [key, value] of after) {
    if (key.startsWith(name) && key.includes(having)) seconds += value - (before.get(key) ?? 0)
  }
  return seconds * 1000
}
