/** Spans of time, and of whole numbers, as users write them. */
import { CompileError, showWhole } from '../../base/errors.js'
import { MICROS_PER_DAY } from '../../schema/calendar.js'
import { type Interval, parseInterval } from '../../schema/interval.js'
import { TYPES, type TypeName } from '../../schema/types.js'
import type { CalendarSpan } from '../scalar.js'

/** A span of time; parts add up. */
export interface Duration {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
  readonly microseconds?: number
}

/** A span of time that may have months, which are as long as the calendar says. */
export interface CalendarDuration extends Duration {
  readonly years?: number
  readonly months?: number
}

/**
 * A span in the unit of a time column: text like `'10 seconds'`, a `Duration` or an interval without months for times; a
 * whole number for integers, days for dates, and as a bigint microseconds for timestamps.
 */
export type Span = string | number | bigint | Duration | Interval

const MICROS: Readonly<Record<keyof Duration, number>> = {
  weeks: 604_800_000_000,
  days: 86_400_000_000,
  hours: 3_600_000_000,
  minutes: 60_000_000,
  seconds: 1_000_000,
  milliseconds: 1000,
  microseconds: 1,
}

/** A span in months and µs; null if it is none, or if its parts have two signs. */
export function calendarSpan(given: unknown): CalendarSpan | null {
  const interval = typeof given === 'string' ? parseInterval(given) : isInterval(given) ? given : null
  if (interval !== null) {
    const { months, days, micros } = interval
    const mixed = Math.min(months, days, Number(micros)) < 0 && Math.max(months, days, Number(micros)) > 0
    return mixed ? null : { months, micros: BigInt(days) * MICROS_PER_DAY + micros }
  }
  if (typeof given !== 'object' || given === null) return null
  const { years = 0, months = 0, ...rest } = given as CalendarDuration
  const micros = Object.keys(rest).length === 0 ? 0n : durationMicros(rest)
  const count = years * 12 + months
  if (micros === null || !Number.isInteger(count) || Math.abs(count) > 2 ** 31) return null
  return (count < 0 && micros > 0n) || (count > 0 && micros < 0n) ? null : { months: count, micros }
}

/** A span in µs; null if it is none, or has months. */
export function durationMicros(given: unknown): bigint | null {
  const interval = typeof given === 'string' ? parseInterval(given) : isInterval(given) ? given : null
  if (interval !== null) {
    return interval.months === 0 ? BigInt(interval.days) * MICROS_PER_DAY + interval.micros : null
  }
  if (typeof given !== 'object' || given === null) return null
  let sum = 0
  for (const [name, value] of Object.entries(given)) {
    const unit = Object.hasOwn(MICROS, name) ? MICROS[name as keyof Duration] : undefined
    if (unit === undefined || typeof value !== 'number') return null
    sum += value * unit
  }
  return Number.isSafeInteger(sum) && Object.keys(given).length > 0 ? BigInt(sum) : null
}

const isInterval = (given: unknown): given is Interval =>
  typeof given === 'object' && given !== null && typeof (given as { micros?: unknown }).micros === 'bigint'

/** Types of columns that tell a time: whole numbers of a unit. */
export function isTimeType(type: TypeName): boolean {
  const { storage, min } = TYPES[type]
  return min !== null && storage !== 'w128' && type !== 'time'
}

/** A span in the unit of `type`. Throws CompileError. REQUIRES: isTimeType(type). */
export function spanOf(given: unknown, type: TypeName, what: string): bigint {
  const isInstant = type === 'timestamp' || type === 'timestamptz'
  if (isInstant && typeof given === 'bigint') return given
  if (isInstant || (type === 'date' && typeof given === 'object') || typeof given === 'string') {
    const micros = isInstant || type === 'date' ? durationMicros(given) : null
    if (micros !== null && (isInstant || micros % MICROS_PER_DAY === 0n)) {
      return isInstant ? micros : micros / MICROS_PER_DAY
    }
  } else {
    const whole = typeof given === 'number' && Number.isSafeInteger(given) ? BigInt(given) : given
    if (typeof whole === 'bigint') return whole
  }
  const expected = isInstant
    ? "a span of fixed length like '10 seconds' or { minutes: 5 }, or microseconds as a bigint"
    : type === 'date'
      ? "whole days, like '7 days' or 7"
      : 'a whole number'
  throw new CompileError(`${what}: expected ${expected} for a time of type ${type}, found ${showWhole(given)}`)
}
