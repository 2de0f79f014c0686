/** Frames of window functions as users write them, and as the circuit has them. */
import { CompileError, showWhole } from '../../base/errors.js'
import { MICROS_PER_DAY } from '../../schema/calendar.js'
import { isDecimal, isFloat, TYPES, type TypeName } from '../../schema/types.js'
import { normalise, Problem } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import { printExpr } from '../print.js'
import { type Bound, type Frame, signOf } from '../window.js'
import { checkOptions } from './check.js'
import { type CalendarDuration, calendarSpan, durationMicros } from './spans.js'

export type { CalendarDuration, Duration } from './spans.js'

/** A distance: rows, groups of peers, or in `range` a difference of the order column, which may be a span of time. */
export type Distance = number | bigint | string | CalendarDuration

/** `'unbounded'` is the begin of the partition where a frame begins, its end where the frame ends. */
export type FrameBound<D = Distance> = 'unbounded' | 'current' | { readonly preceding: D } | { readonly following: D }

interface Excluding {
  /** Leave out the current row; its peers and itself; its peers without itself. */
  readonly exclude?: 'current' | 'group' | 'ties'
}
type Bounds<D> = readonly [start: FrameBound<D>, end: FrameBound<D>]
/** Counted in rows: `{ rows: [{ preceding: 2 }, 'current'] }`. */
export interface RowsFrame extends Excluding {
  readonly rows: Bounds<number | bigint>
}
/** By the value of the order column: `{ range: [{ preceding: { days: 7 } }, 'current'] }`. */
export interface RangeFrame extends Excluding {
  readonly range: Bounds<Distance>
}
/** Counted in groups of peers. */
export interface GroupsFrame extends Excluding {
  readonly groups: Bounds<number | bigint>
}
export type FrameSpec = RowsFrame | RangeFrame | GroupsFrame

type BoundsOf<F> = F extends { readonly rows: infer B }
  ? B
  : F extends { readonly range: infer B }
    ? B
    : F extends { readonly groups: infer B }
      ? B
      : never
/** Whether every frame surely holds the current row: true, or boolean where that is not known. */
export type HoldsCurrent<F> = F extends undefined
  ? true
  : F extends { readonly exclude: 'current' | 'group' }
    ? false
    : BoundsOf<F> extends readonly [{ readonly following: unknown }, unknown]
      ? false
      : BoundsOf<F> extends readonly [unknown, { readonly preceding: unknown }]
        ? false
        : FrameSpec extends F
          ? false
          : true

const MODES = ['rows', 'range', 'groups'] as const
const EXCLUDES = ['current', 'group', 'ties'] as const

/** The frame of the circuit. `what` names the window function in messages. Throws CompileError. */
export function compileFrame(given: unknown, order: readonly Expr[], what: string): Frame {
  const frame = given as { readonly [key: string]: unknown }
  const modes = typeof given === 'object' && given !== null ? MODES.filter(m => frame[m] !== undefined) : []
  if (modes.length !== 1) {
    throw new CompileError(
      `${what}: expected a frame like { rows: [{ preceding: 2 }, 'current'] }, found ${showWhole(given)}`,
    )
  }
  const [mode] = modes
  checkOptions(`${what}: frame`, given, [mode, 'exclude'])
  const bounds = frame[mode]
  if (!Array.isArray(bounds) || bounds.length !== 2) {
    throw new CompileError(`${what}: expected ${mode}: [begin, end], found ${showWhole(bounds)}`)
  }
  const exclude = (frame.exclude ?? 'none') as Frame['exclude']
  if (exclude !== 'none' && !EXCLUDES.includes(exclude as never)) {
    throw new CompileError(`${what}: expected exclude: 'current', 'group' or 'ties', found ${showWhole(frame.exclude)}`)
  }
  const [start, end] = bounds.map(bound => compileBound(bound, mode, order, what))
  if (start.kind > end.kind) {
    throw new CompileError(
      `${what}: the frame begins after its end: ${showWhole(bounds[0])}, then ${showWhole(bounds[1])}`,
    )
  }
  return Object.freeze({ mode, start: start.bound, end: end.bound, exclude })
}

/** `kind`: -1 preceding, 0 current, 1 following; an unbounded one is never out of place. */
interface CompiledBound {
  readonly bound: Bound
  readonly kind: number
}

function compileBound(given: unknown, mode: Frame['mode'], order: readonly Expr[], what: string): CompiledBound {
  if (given === 'unbounded') return { bound: null, kind: Number.NaN }
  if (given === 'current') return { bound: 0, kind: 0 }
  const parts = typeof given === 'object' && given !== null ? Object.entries(given) : []
  const [name, distance] = parts[0] ?? []
  if (parts.length !== 1 || (name !== 'preceding' && name !== 'following')) {
    throw new CompileError(
      `${what}: expected 'unbounded', 'current', { preceding: … } or { following: … }, found ${showWhole(given)}`,
    )
  }
  const text = `${what}: ${mode} ${showWhole(distance)} ${name}`
  const offset = mode === 'range' ? rangeOffset(distance, order, text) : rowOffset(distance, text)
  if (signOf(offset) < 0) throw new CompileError(`${text}: a distance must not be negative`)
  const preceding = name === 'preceding'
  return { bound: preceding ? opposite(offset) : offset, kind: preceding ? -1 : 1 }
}

function opposite(offset: NonNullable<Bound>): Bound {
  if (typeof offset === 'object') return Object.freeze({ months: -offset.months, micros: -offset.micros })
  // Not -0.
  return offset === 0 ? 0 : -offset
}

function rowOffset(distance: unknown, text: string): number {
  const offset = typeof distance === 'bigint' ? Number(distance) : distance
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset)) {
    throw new CompileError(`${text}: expected a whole number of rows or groups, found ${showWhole(distance)}`)
  }
  return offset + 0
}

/** A distance in the unit of the order column. */
function rangeOffset(distance: unknown, order: readonly Expr[], text: string): NonNullable<Bound> {
  if (order.length !== 1) {
    throw new CompileError(`${text} needs an order by one column, found ${order.length}`)
  }
  const [expr] = order
  const { type } = expr
  const { storage, shape } = TYPES[type]
  const column = `order ${printExpr(expr)} of type ${type}`
  const isTime = type === 'date' || type === 'time' || type === 'timestamp' || type === 'timestamptz'
  if (isTime) return timeOffset(distance, type, column, text)
  if (isFloat(type)) {
    if (typeof distance === 'number' && Number.isFinite(distance)) return distance + 0
    throw new CompileError(`${text} does not fit ${column}: expected a finite number`)
  }
  if (isDecimal(type)) {
    const units = normalise(type, distance)
    if (!(units instanceof Problem)) return units as bigint
    throw new CompileError(`${text} does not fit ${column}: ${units.message}`)
  }
  if (type === 'bool' || type === 'u128' || shape !== null || storage === 'german' || storage === 'w128') {
    throw new CompileError(`${text} needs an order by a number, a date or a time, found ${column}`)
  }
  const whole = typeof distance === 'number' && Number.isSafeInteger(distance) ? BigInt(distance) : distance
  if (typeof whole !== 'bigint') throw new CompileError(`${text} does not fit ${column}: expected a whole number`)
  return TYPES[type].js === 'bigint' ? whole : Number(whole)
}

function timeOffset(distance: unknown, type: TypeName, column: string, text: string): NonNullable<Bound> {
  const span = type === 'time' ? null : calendarSpan(distance)
  if (span !== null && span.months !== 0 && (type !== 'date' || span.micros % MICROS_PER_DAY === 0n)) {
    return Object.freeze(span)
  }
  const micros = typeof distance === 'bigint' && type !== 'date' ? distance : durationMicros(distance)
  if (type === 'date') {
    const days =
      typeof distance === 'number' ? distance : micros === null ? Number.NaN : Number(micros) / 86_400_000_000
    if (Number.isSafeInteger(days)) return days + 0
    throw new CompileError(
      `${text} does not fit ${column}: expected whole days or months, as { days: 7 }, '1 month' or a number of days`,
    )
  }
  if (micros !== null) return micros
  throw new CompileError(
    `${text} does not fit ${column}: expected a span like '90 minutes' or { hours: 1, minutes: 30 }, or microseconds as a bigint`,
  )
}
