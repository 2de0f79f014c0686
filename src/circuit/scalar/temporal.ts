/**
 * Arithmetic of dates, times and intervals, as in PostgreSQL. Months are added first, in the calendar, with the day cut
 * to the length of the month; then days; then microseconds. timestamptz counts its months and days in UTC: for those of
 * a zone convert to local time and back (`zones.ts`).
 */
import { civilFromDays, daysFromCivil, daysOfMicros, MICROS_PER_DAY, microsOfDay } from '../../schema/calendar.js'
import { decodeInterval, encodeInterval, formatInterval, type Interval, intervalFits } from '../../schema/interval.js'
import type { TypeName } from '../../schema/types.js'
import { formatValue, inRange } from '../../schema/values.js'
import { fail } from './failure.js'

type Cell = number | bigint | Uint8Array

/** The type of `a op b` where one is an interval or both are instants; null if there is no such operator. */
export function temporalResult(op: string, a: TypeName, b: TypeName): TypeName | null {
  const moves = (t: TypeName): boolean => ['date', 'time', 'timestamp', 'timestamptz'].includes(t)
  const moved = (t: TypeName): TypeName => (t === 'date' ? 'timestamp' : t)
  if (op === 'add' || op === 'sub') {
    if (a === 'interval' && b === 'interval') return 'interval'
    if (moves(a) && b === 'interval') return moved(a)
    if (op === 'add' && a === 'interval' && moves(b)) return moved(b)
  }
  if (op === 'mul' && a === 'interval' && b === 'f64') return 'interval'
  if (op === 'mul' && a === 'f64' && b === 'interval') return 'interval'
  if (op === 'div' && a === 'interval' && b === 'f64') return 'interval'
  return null
}

/** `a op b`. REQUIRES: temporalResult(op, types) is not null. */
export function temporalArithmetic(op: string, [left, right]: readonly TypeName[], a: Cell, b: Cell): Cell {
  if (left === 'interval' && right === 'interval') return addIntervals(a as Uint8Array, b as Uint8Array, op === 'sub')
  if (op === 'mul' || op === 'div') {
    const [interval, factor] = left === 'interval' ? [a, b] : [b, a]
    return scaleInterval(decodeInterval(interval as Uint8Array), Number(factor), op === 'div')
  }
  const [type, from, by] = left === 'interval' ? [right, b, a] : [left, a, b]
  const interval = decodeInterval(by as Uint8Array)
  return shift(type, from as number | bigint, op === 'sub' ? negated(interval) : interval)
}

const negated = ({ months, days, micros }: Interval): Interval => ({ months: -months, days: -days, micros: -micros })

function checked(interval: Interval, what: () => string): Uint8Array {
  return intervalFits(interval) ? encodeInterval(interval) : fail(`interval overflow in ${what()}`)
}

function addIntervals(a: Uint8Array, b: Uint8Array, subtract: boolean): Uint8Array {
  const [x, y] = [decodeInterval(a), decodeInterval(b)]
  const z = subtract ? negated(y) : y
  const sum = { months: x.months + z.months, days: x.days + z.days, micros: x.micros + z.micros }
  return checked(sum, () => `${formatInterval(x)} ${subtract ? '-' : '+'} ${formatInterval(y)}`)
}

export function negateInterval(value: Uint8Array): Uint8Array {
  const interval = decodeInterval(value)
  return checked(negated(interval), () => `-(${formatInterval(interval)})`)
}

/** As PostgreSQL does it: fractions of months become days (30 a month), those of days seconds, each of six digits. */
function scaleInterval(interval: Interval, factor: number, divide: boolean): Uint8Array {
  const what = () => `${formatInterval(interval)} ${divide ? '/' : '*'} ${factor}`
  if (divide && factor === 0) return fail('division by zero')
  const scale = (x: number): number => (divide ? x / factor : x * factor)
  const [months, days] = [scale(interval.months), scale(interval.days)]
  const spill = sixDigits((months - Math.trunc(months)) * 30)
  const seconds = sixDigits((days - Math.trunc(days) + spill - Math.trunc(spill)) * SECONDS_PER_DAY)
  const carried = Math.trunc(seconds / SECONDS_PER_DAY)
  const wholeDays = Math.trunc(days) + Math.trunc(spill) + carried
  const micros = scale(Number(interval.micros)) + (seconds - carried * SECONDS_PER_DAY) * 1e6
  if (![months, wholeDays, micros].every(Number.isFinite)) return fail(`interval overflow in ${what()}`)
  return checked({ months: Math.trunc(months), days: wholeDays, micros: BigInt(rounded(micros)) }, what)
}

const SECONDS_PER_DAY = 86_400
const sixDigits = (x: number): number => rounded(x * 1e6) / 1e6

/** Half to even, as C does. */
function rounded(x: number): number {
  const near = Math.round(x)
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near
}

const isI32 = (n: number): boolean => (n | 0) === n

/** A date (as a timestamp), time of day or timestamp moved by an interval. */
function shift(type: TypeName, from: number | bigint, by: Interval): bigint {
  const overflow = (): never =>
    fail(`${type === 'date' ? 'timestamp' : type} overflow in ${formatValue(type, from)} + ${formatInterval(by)}`)
  if (type === 'time') return microsOfDay((from as bigint) + by.micros)
  const start = type === 'date' ? BigInt(from) * MICROS_PER_DAY : (from as bigint)
  const days = addMonths(daysOfMicros(start), by.months) + by.days
  const micros = BigInt(days) * MICROS_PER_DAY + microsOfDay(start) + by.micros
  return inRange('timestamp', micros) ? micros : overflow()
}

/** The day `months` later, or the last one of its month. */
function addMonths(days: number, months: number): number {
  if (months === 0) return days
  const { year, month, day } = civilFromDays(days)
  const total = year * 12 + (month - 1) + months
  const [toYear, toMonth] = [Math.floor(total / 12), (((total % 12) + 12) % 12) + 1]
  const first = daysFromCivil(toYear, toMonth, 1)
  const length = daysFromCivil(toMonth === 12 ? toYear + 1 : toYear, (toMonth % 12) + 1, 1) - first
  return first + Math.min(day, length) - 1
}

/** A span that a calendar measures: signed months, of whatever length, and microseconds. */
export interface CalendarSpan {
  readonly months: number
  readonly micros: bigint
}

/** A date or timestamp so much later, in the unit of its type and beyond its range if need be. */
export function laterBy(type: TypeName, from: number | bigint, { months, micros }: CalendarSpan): bigint {
  if (type === 'date') return BigInt(addMonths(Number(from), months)) + micros / MICROS_PER_DAY
  const instant = BigInt(from)
  return BigInt(addMonths(daysOfMicros(instant), months)) * MICROS_PER_DAY + microsOfDay(instant) + micros
}

/** The time between two instants: whole days, and the rest, of one sign. Fails where days need more than 32 bits. */
export function between(later: bigint, earlier: bigint): Uint8Array {
  const micros = later - earlier
  const days = Number(micros / MICROS_PER_DAY)
  return checked({ months: 0, days, micros: micros % MICROS_PER_DAY }, () => `${later} - ${earlier}`)
}

/** An interval of these parts. Fails unless they are integers in range. */
export function makeInterval(months: number, days: number, micros: bigint): Uint8Array {
  if (!isI32(months) || !isI32(days)) return fail(`interval parts out of range: ${months} months, ${days} days`)
  return encodeInterval({ months, days, micros })
}

/** The interval whose parts are these sums. Fails where they are out of range. */
export function summedInterval(months: bigint, days: bigint, micros: bigint, what: string): Uint8Array {
  return checked({ months: Number(months), days: Number(days), micros }, () => what)
}

export const TRUNC_UNITS = [
  ...(['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'] as const),
  ...(['decade', 'century', 'millennium'] as const),
]
export type TruncUnit = (typeof TRUNC_UNITS)[number]

const FIXED: Readonly<Partial<Record<TruncUnit, bigint>>> = {
  ...{ microsecond: 1n, millisecond: 1000n, second: 1_000_000n, minute: 60_000_000n, hour: 3_600_000_000n },
  day: MICROS_PER_DAY,
}

/** The start of the unit (weeks begin on Monday) that a timestamp lies in. */
export function truncate(unit: TruncUnit, micros: bigint): bigint {
  const fixed = FIXED[unit]
  const start =
    fixed === undefined
      ? BigInt(firstDay(unit, daysOfMicros(micros))) * MICROS_PER_DAY
      : micros - (((micros % fixed) + fixed) % fixed)
  return inRange('timestamp', start) ? start : fail(`timestamp overflow in dateTrunc ${unit}`)
}

/** Years that a unit is long, and the first year of one. */
const YEARS: Readonly<Partial<Record<TruncUnit, readonly [years: number, first: number]>>> = {
  ...{ year: [1, 0], decade: [10, 0], century: [100, 1], millennium: [1000, 1] },
}

function firstDay(unit: TruncUnit, days: number): number {
  if (unit === 'week') return days - ((((days + 3) % 7) + 7) % 7)
  const { year, month } = civilFromDays(days)
  if (unit === 'month') return daysFromCivil(year, month, 1)
  if (unit === 'quarter') return daysFromCivil(year, month - ((month - 1) % 3), 1)
  const [years, first] = YEARS[unit] ?? [1, 0]
  return daysFromCivil(Math.floor((year - first) / years) * years + first, 1, 1)
}
