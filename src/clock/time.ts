/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Time = number

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** RFC 3339 in UTC with milliseconds and `Z`: the only form in which messages carry a time. */
export function timeText(time: Time): string {
  return new Date(time).toISOString()
}

/** The time a message states, or `undefined` if the text has another form than {@link timeText} gives. */
export function parseTime(text: string): Time | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) || timeText(time) !== text ? undefined : time
}

/** `YYYY-MM-DD` of the day that `time` falls on in Japan (UTC+9, no daylight saving since 1951). */
export function japanDate(time: Time): string {
  return timeText(time + 9 * HOUR).slice(0, 10)
}
