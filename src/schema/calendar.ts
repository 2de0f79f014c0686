/**
 * Dates and times as numbers and as text: the proleptic Gregorian calendar with astronomical years (year 0 is
 * 1 BC), days and microseconds counted from 1970-01-01, no leap seconds.
 *
 * Text: `YYYY-MM-DD`, with a sign and at least six digits for years outside 0000–9999; `HH:MM[:SS[.ffffff]]`;
 * timestamps join both with `T` (or a space). Parsers return null for text that is not of this form or not a real
 * date or time; they do not check the range of the column type.
 */

export const MICROS_PER_SECOND = 1_000_000n
export const MICROS_PER_DAY = 86_400_000_000n
const DAYS_PER_ERA = 146_097 // 400 years
const DAYS_TO_EPOCH = 719_468 // from 0000-03-01 to 1970-01-01

/** Day number of a calendar date; months 1–12. Linear in `day`, which may lie outside the month. */
export function daysFromCivil(year: number, month: number, day: number): number {
  // Years start in March here, so that the leap day is the last day of the year.
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * DAYS_PER_ERA + dayOfEra - DAYS_TO_EPOCH
}

export interface Civil {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** Calendar date of a day number. */
export function civilFromDays(days: number): Civil {
  const z = days + DAYS_TO_EPOCH
  const era = Math.floor(z / DAYS_PER_ERA)
  const dayOfEra = z - era * DAYS_PER_ERA
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return { year, month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 }
}

/** The day a timestamp (µs) falls on. */
export function daysOfMicros(micros: bigint): number {
  const q = micros / MICROS_PER_DAY
  return Number(q * MICROS_PER_DAY > micros ? q - 1n : q)
}

/** µs since midnight of a timestamp. */
export function microsOfDay(micros: bigint): bigint {
  const r = micros % MICROS_PER_DAY
  return r < 0n ? r + MICROS_PER_DAY : r
}

const pad = (n: number, width: number): string => String(n).padStart(width, '0')

export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days)
  const sign = year < 0 ? '-' : year > 9999 ? '+' : ''
  return `${sign}${pad(Math.abs(year), sign === '' ? 4 : 6)}-${pad(month, 2)}-${pad(day, 2)}`
}

/** `HH:MM:SS`, and the fraction without trailing zeros if there is one. */
export function formatTime(micros: bigint): string {
  const seconds = Number(micros / MICROS_PER_SECOND)
  const fraction = Number(micros % MICROS_PER_SECOND)
  const tail = fraction === 0 ? '' : `.${pad(fraction, 6).replace(/0+$/, '')}`
  return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}${tail}`
}

/** `YYYY-MM-DDTHH:MM:SS[.ffffff]`; the caller adds `Z` for a timestamptz. */
export function formatTimestamp(micros: bigint): string {
  return `${formatDate(daysOfMicros(micros))}T${formatTime(microsOfDay(micros))}`
}

const DATE = /^(\d{4}|[+-]\d{4,7})-(\d\d)-(\d\d)$/
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/
const ZONE = /(Z|[+-]\d\d(?::?\d\d)?)$/

/** Day number, or null. */
export function parseDate(text: string): number | null {
  const match = DATE.exec(text)
  if (match === null) return null
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (month < 1 || month > 12 || day < 1) return null
  const days = daysFromCivil(year, month, day)
  // A day past the end of its month lands in the next one.
  return civilFromDays(days).month === month ? days : null
}

/** µs since midnight, or null. */
export function parseTime(text: string): bigint | null {
  const match = TIME.exec(text)
  if (match === null) return null
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59) return null
  const fraction = BigInt((match[4] ?? '').padEnd(6, '0'))
  return BigInt(hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + fraction
}

/**
 * µs since the epoch, or null. Without a time: midnight. A zone (`Z`, `+hh`, `+hh:mm`) is allowed after a time; other
 * zones than `Z` only `withOffset`, and are then subtracted; no zone means UTC.
 */
export function parseTimestamp(text: string, withOffset: boolean): bigint | null {
  const at = text.search(/[T ]/)
  if (at < 0) {
    const days = parseDate(text)
    return days === null ? null : BigInt(days) * MICROS_PER_DAY
  }
  const days = parseDate(text.slice(0, at))
  let clock = text.slice(at + 1)
  const zone = ZONE.exec(clock)?.[1] ?? ''
  clock = clock.slice(0, clock.length - zone.length)
  const time = parseTime(clock)
  const offset = parseOffset(zone)
  if (days === null || time === null || offset === null || (offset !== 0n && !withOffset)) return null
  return BigInt(days) * MICROS_PER_DAY + time - offset
}

function parseOffset(zone: string): bigint | null {
  if (zone === '' || zone === 'Z') return 0n
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', ''))
  if (hours > 15 || minutes > 59) return null
  const micros = BigInt(hours * 3600 + minutes * 60) * MICROS_PER_SECOND
  return zone[0] === '-' ? -micros : micros
}
