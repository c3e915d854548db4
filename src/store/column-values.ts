import { type ColumnType, type Expression, type RawBuilder, sql } from 'kysely'
import pg from 'pg'
import { type Time, timeText } from '#clock'
import { StoreError } from './failures.ts'

/*
 * One set of conversions for both engines:
 *
 *   SQL                      read as                          written as
 *   bigint, count(*)         number, an error beyond 2^53     number
 *   bytea                    Uint8Array                       Uint8Array
 *   timestamptz              Time (milliseconds, UTC)         storedTime(time), or now() in SQL
 *   date, numeric, timestamp string, as PostgreSQL writes it  string
 *   json, jsonb              JSON value                       JSON.stringify(value)
 *
 * Arrays of these arrive as PostgreSQL's own text; select elements with unnest().
 */

/** A `timestamptz` column in a table's interface: read as {@link Time}, written with {@link storedTime}. */
export type TimeColumn = ColumnType<Time, Expression<Time>, Expression<Time>>

/** `time` as a `timestamptz` for insert, update and where. A bare number there is refused by PostgreSQL (22008). */
export const storedTime = (time: Time): RawBuilder<Time> => sql<Time>`${timeText(time)}::timestamptz`

function readInteger(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new StoreError('value-unreadable', { type: 'bigint' })
  return number
}

/** `2026-11-22 08:03:24.123456+00`, as PostgreSQL writes it in a session of time zone UTC; microseconds are cut off. */
function readTime(text: string): Time {
  const time = Date.parse(text.replace(' ', 'T').replace(/\+00$/, 'Z'))
  if (Number.isNaN(time)) throw new StoreError('value-unreadable', { type: 'timestamptz' })
  return time
}

const { builtins } = pg.types
const readers = new Map<number, (text: string) => unknown>([
  [builtins.INT8, readInteger],
  [builtins.BYTEA, (text) => Uint8Array.from(Buffer.from(text.slice(2), 'hex'))],
  [builtins.TIMESTAMPTZ, readTime],
  [builtins.DATE, String],
  [builtins.TIMESTAMP, String],
])
const keepText = (text: string): string => text

/** For `pg.Pool({ types })`. */
export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    readers.get(oid) ?? (isArrayOf(oid) ? keepText : pg.types.getTypeParser(oid, format as 'text')),
}

/** Arrays whose elements pg would read by its own rules (bytea, bigint, timestamp, date, timestamptz). */
function isArrayOf(oid: number): boolean {
  return [1001, 1016, 1115, 1182, 1185].includes(oid)
}
