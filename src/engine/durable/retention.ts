/** The option `retain` of `open`. */
import { show, UsageError } from '../../base/errors.js'
import type { Retention } from '../../storage/wal/retention.js'

/** Limits of the log that is kept; it is kept as far as all of them allow, in whole segments. */
export interface RetainOptions {
  /** At most so much: bytes, or text like `'64MiB'`. */
  readonly bytes?: number | string
  /** At least what is younger: milliseconds, or text like `'90s'`, `'15min'`, `'1h'`, `'7d'`. */
  readonly time?: number | string
  /** At least so many transactions. */
  readonly transactions?: number
}

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
}
const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

const AMOUNT = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/

/** A number, or text of a number and a unit; null if it is neither. */
function amountOf(given: unknown, units: Readonly<Record<string, number>>): number | null {
  if (typeof given === 'number') return Number.isSafeInteger(given) && given >= 0 ? given : null
  const match = typeof given === 'string' ? AMOUNT.exec(given) : null
  const unit = match === null ? undefined : units[match[2]]
  const amount = match === null || unit === undefined ? Number.NaN : Math.floor(Number(match[1]) * unit)
  return Number.isSafeInteger(amount) ? amount : null
}

/** Throws UsageError if it is no number of bytes above 0. */
export function bytesOf(name: string, given: number | string): number {
  const bytes = amountOf(given, BYTES)
  if (bytes !== null && bytes >= 1) return bytes
  throw new UsageError(`option ${name}: expected bytes, or text like '512MiB', found ${show(given)}`)
}

/** Throws UsageError on limits that are none. */
export function retentionOf(given: number | string | RetainOptions): Retention {
  const { bytes, time, transactions } = limitsOf(given)
  const limits = {
    bytes: bytes === undefined ? Number.POSITIVE_INFINITY : amountOf(bytes, BYTES),
    milliseconds: time === undefined ? Number.POSITIVE_INFINITY : amountOf(time, TIMES),
    transactions: transactions === undefined ? Number.POSITIVE_INFINITY : amountOf(transactions, {}),
  }
  for (const [name, limit] of Object.entries(limits))
    if (limit === null) throw refused(given, name === 'milliseconds' ? 'time' : name)
  return limits as Retention
}

function limitsOf(given: number | string | RetainOptions): RetainOptions {
  if (typeof given === 'object' && given !== null) {
    const known = ['bytes', 'time', 'transactions']
    const strange = Object.keys(given).find(key => !known.includes(key))
    if (strange !== undefined || Object.keys(given).length === 0) throw refused(given, strange ?? 'no limit')
    return given
  }
  const isTime = typeof given === 'string' && amountOf(given, BYTES) === null
  return isTime ? { time: given } : { bytes: given }
}

function refused(given: unknown, what: string): UsageError {
  const expected = "bytes or '64MiB', a time like '1h', or { bytes, time, transactions }"
  const where = typeof given === 'object' ? ` (${what})` : ''
  return new UsageError(`option retain: expected ${expected}, found ${show(given)}${where}`)
}

/** Segments of this length, so that what is kept is near its limit. */
export function segmentBytesOf({ bytes }: Retention): number | undefined {
  if (bytes === 0) return undefined
  return Math.min(Math.max(Math.floor(bytes / 8), MIN_SEGMENT_BYTES), MAX_SEGMENT_BYTES)
}

const MIN_SEGMENT_BYTES = 4096
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024
