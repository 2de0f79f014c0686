/** Parts of dates, times and timestamps (in UTC), as numbers. */
import { assert } from '../../base/errors.js'
import { civilFromDays, daysFromCivil, daysOfMicros, microsOfDay } from '../../schema/calendar.js'
import type { TypeName } from '../../schema/types.js'
import type { DatePart } from '../expr.js'

export const yearOfDays = (days: number): number => civilFromDays(days).year
export const monthOfDays = (days: number): number => civilFromDays(days).month
export const dayOfDays = (days: number): number => civilFromDays(days).day
export const quarterOfDays = (days: number): number => Math.ceil(civilFromDays(days).month / 3)
/** 0 = Sunday; 1970-01-01 was a Thursday. */
export const dayOfWeekOfDays = (days: number): number => (((days + 4) % 7) + 7) % 7
/** 1 = January 1st. */
export const dayOfYearOfDays = (days: number): number => days - daysFromCivil(civilFromDays(days).year, 1, 1) + 1

/** The hour of a time or timestamp in µs. */
export const hourOfMicros = (micros: bigint): number => Number(microsOfDay(micros) / 3_600_000_000n)
export const minuteOfMicros = (micros: bigint): number => Number((microsOfDay(micros) / 60_000_000n) % 60n)
/** With fraction. */
export const secondOfMicros = (micros: bigint): number => Number(microsOfDay(micros) % 60_000_000n) / 1e6
/** Seconds, with fraction as far as a double holds it. */
export const epochOfMicros = (micros: bigint): number => Number(micros) / 1e6

type Part = (value: number | bigint) => number

const OF_DAYS: Partial<Record<DatePart, (days: number) => number>> = {
  year: yearOfDays,
  quarter: quarterOfDays,
  month: monthOfDays,
  day: dayOfDays,
  dayOfWeek: dayOfWeekOfDays,
  dayOfYear: dayOfYearOfDays,
}
const OF_MICROS: Partial<Record<DatePart, (micros: bigint) => number>> = {
  hour: hourOfMicros,
  minute: minuteOfMicros,
  second: secondOfMicros,
  epoch: epochOfMicros,
}

function partOf(part: DatePart, type: TypeName): Part | null {
  const ofDays = OF_DAYS[part]
  const ofMicros = OF_MICROS[part]
  switch (type) {
    case 'date':
      if (part === 'epoch') return days => Number(days) * 86_400
      return ofDays === undefined ? () => 0 : days => ofDays(days as number)
    case 'time':
      return ofMicros === undefined ? null : micros => ofMicros(micros as bigint)
    case 'timestamp':
    case 'timestamptz':
      if (ofDays !== undefined) return micros => ofDays(daysOfMicros(micros as bigint))
      return ofMicros === undefined ? null : micros => ofMicros(micros as bigint)
    default:
      return null
  }
}

/** Whether values of this type have this part: a time has no year; a date's hour, minute and second are 0. */
export const hasDatePart = (part: DatePart, type: TypeName): boolean => partOf(part, type) !== null

/** The part of a value. REQUIRES: hasDatePart(part, type). */
export function datePart(part: DatePart, type: TypeName, value: number | bigint): number {
  const fn = partOf(part, type)
  assert(fn !== null, `${type} has the part ${part}`)
  return fn(value)
}
