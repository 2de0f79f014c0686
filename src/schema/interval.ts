/**
 * Intervals, as in PostgreSQL: months, days and microseconds are kept apart, since a month has no fixed number of days
 * and a day, in a time zone, no fixed number of hours.
 *
 * Order: by *span*, in which a month is 30 days and a day 24 hours, as in PostgreSQL; intervals of equal span are
 * ordered by months and days, so that `1 month` and `30 days` are neighbours but different values (PostgreSQL calls
 * them equal). Canonical form: the bytes of span, months and days (`bytes.ts`), up to 12 of them for intervals such as
 * people use.
 */
import { ByteReader, ByteWriter } from './bytes.js'
import { MICROS_PER_DAY, MICROS_PER_SECOND } from './calendar.js'

export interface Interval {
  readonly months: number
  readonly days: number
  readonly micros: bigint
}

const DAYS_PER_MONTH = 30n

/** The length in microseconds that decides the order. */
export const spanOf = ({ months, days, micros }: Interval): bigint =>
  (BigInt(months) * DAYS_PER_MONTH + BigInt(days)) * MICROS_PER_DAY + micros

const isI32 = (n: number): boolean => (n | 0) === n

/** Whether the parts are integers in range: 32 bits for months and days, 64 for microseconds. */
export const intervalFits = ({ months, days, micros }: Interval): boolean =>
  isI32(months) && isI32(days) && BigInt.asIntN(64, micros) === micros

/** Canonical bytes. REQUIRES: intervalFits(interval). */
export function encodeInterval(interval: Interval): Uint8Array {
  const writer = new ByteWriter()
  writer.integer(spanOf(interval))
  writer.integer(BigInt(interval.months))
  writer.integer(BigInt(interval.days))
  return writer.finish()
}

/** Inverse of encodeInterval. */
export function decodeInterval(bytes: Uint8Array): Interval {
  return readInterval(new ByteReader(bytes))
}

export function readInterval(reader: ByteReader): Interval {
  const span = reader.integer()
  const months = Number(reader.integer())
  const days = Number(reader.integer())
  return { months, days, micros: span - spanOf({ months, days, micros: 0n }) }
}

/** `1 year 2 mons -3 days +04:05:06.5`, as PostgreSQL writes it. */
export function formatInterval({ months, days, micros }: Interval): string {
  const parts: string[] = []
  let negative = false
  const add = (count: number, unit: string): void => {
    if (count === 0) return
    parts.push(`${negative && count > 0 ? '+' : ''}${count} ${unit}${count === 1 ? '' : 's'}`)
    negative = count < 0
  }
  add(Math.trunc(months / 12), 'year')
  add(months % 12, 'mon')
  add(days, 'day')
  if (micros !== 0n || parts.length === 0) {
    parts.push((micros < 0n ? '-' : negative ? '+' : '') + formatClock(micros < 0n ? -micros : micros))
  }
  return parts.join(' ')
}

function formatClock(micros: bigint): string {
  const seconds = micros / MICROS_PER_SECOND
  const two = (n: bigint): string => String(n).padStart(2, '0')
  const fraction = String(micros % MICROS_PER_SECOND)
    .padStart(6, '0')
    .replace(/0+$/, '')
  const clock = `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`
  return fraction === '' ? clock : `${clock}.${fraction}`
}

/** What a unit is worth: months, days, or microseconds. */
const UNITS: ReadonlyMap<string, readonly ['months' | 'days' | 'micros', bigint]> = new Map([
  ...named(['year', 'years', 'yr', 'yrs', 'y'], 'months', 12n),
  ...named(['month', 'months', 'mon', 'mons'], 'months', 1n),
  ...named(['week', 'weeks', 'w'], 'days', 7n),
  ...named(['day', 'days', 'd'], 'days', 1n),
  ...named(['hour', 'hours', 'hr', 'hrs', 'h'], 'micros', 3600n * MICROS_PER_SECOND),
  ...named(['minute', 'minutes', 'min', 'mins', 'm'], 'micros', 60n * MICROS_PER_SECOND),
  ...named(['second', 'seconds', 'sec', 'secs', 's'], 'micros', MICROS_PER_SECOND),
  ...named(['millisecond', 'milliseconds', 'ms'], 'micros', 1000n),
  ...named(['microsecond', 'microseconds', 'us'], 'micros', 1n),
])

type Unit = readonly ['months' | 'days' | 'micros', bigint]

function named(names: readonly string[], part: Unit[0], worth: bigint): [string, Unit][] {
  return names.map(name => [name, [part, worth]])
}

const TERM =
  /\s*(?:([+-]?)(\d{1,12}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?|([+-]?)(\d{1,19})(?:\.(\d{1,6}))?\s*([a-z]+))\s*/iy
const ISO = /^([+-]?)P(?=.)((?:[+-]?\d+[YMWD])*)(?:T(?=.)((?:[+-]?\d+(?:\.\d{1,6})?[HMS])*))?$/

/** The interval that text like `1 year 2 days 03:04:05`, `-90 minutes` or `P1Y2DT3H` says, or null. */
export function parseInterval(text: string): Interval | null {
  const sum = { months: 0n, days: 0n, micros: 0n }
  const trimmed = text.trim()
  if (trimmed === '' || !(parseIso(trimmed, sum) || parseTerms(trimmed, sum))) return null
  if (BigInt.asIntN(32, sum.months) !== sum.months || BigInt.asIntN(32, sum.days) !== sum.days) return null
  const interval = { months: Number(sum.months), days: Number(sum.days), micros: sum.micros }
  return intervalFits(interval) ? interval : null
}

type Sum = Record<'months' | 'days' | 'micros', bigint>

const fractionMicros = (digits: string | undefined): bigint => BigInt((digits ?? '').padEnd(6, '0'))

function parseTerms(text: string, sum: Sum): boolean {
  TERM.lastIndex = 0
  while (TERM.lastIndex < text.length) {
    const match = TERM.exec(text)
    if (match === null) return false
    const [, clockSign, hours, minutes, seconds, clockFraction, sign, count, fraction, unit] = match
    if (hours !== undefined) {
      if (Number(minutes) > 59 || Number(seconds ?? 0) > 59) return false
      const whole = BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds ?? 0)
      const micros = whole * MICROS_PER_SECOND + fractionMicros(clockFraction)
      sum.micros += clockSign === '-' ? -micros : micros
    } else if (!addUnit(sum, UNITS.get(unit.toLowerCase()), sign === '-', count, fraction)) return false
  }
  return true
}

/** Fractions are for units of time only: half a month is no number of days. */
function addUnit(sum: Sum, unit: Unit | undefined, negative: boolean, count: string, fraction?: string): boolean {
  if (unit === undefined) return false
  const [part, worth] = unit
  if (fraction !== undefined && part !== 'micros') return false
  const parts = (BigInt(count) * MICROS_PER_SECOND + fractionMicros(fraction)) * worth
  if (parts % MICROS_PER_SECOND !== 0n) return false
  const total = parts / MICROS_PER_SECOND
  sum[part] += negative ? -total : total
  return true
}

const ISO_DATE: Readonly<Record<string, string>> = { Y: 'years', M: 'months', W: 'weeks', D: 'days' }
const ISO_TIME: Readonly<Record<string, string>> = { H: 'hours', M: 'minutes', S: 'seconds' }

function parseIso(text: string, sum: Sum): boolean {
  const match = ISO.exec(text)
  if (match === null) return false
  const terms = (part: string | undefined, units: Readonly<Record<string, string>>): boolean =>
    [...(part ?? '').matchAll(/([+-]?)(\d{1,19})(?:\.(\d+))?([A-Z])/g)].every(([, sign, count, fraction, letter]) =>
      addUnit(sum, UNITS.get(units[letter]), (sign === '-') !== (match[1] === '-'), count, fraction),
    )
  return terms(match[2], ISO_DATE) && terms(match[3], ISO_TIME)
}
