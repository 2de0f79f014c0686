/**
 * Window functions as the relational IR has them: frames, and what each function gives.
 *
 * The rows of a partition stand in a total order: by the order columns, then by the whole row (all columns of the input,
 * ascending, NULL first), a row of weight n as n rows side by side. Rows of weight 0 or less are not there. *Peers* are
 * rows with equal order columns; without an order all rows of a partition are peers.
 */
import { MICROS_PER_DAY } from '../schema/calendar.js'
import { formatInterval } from '../schema/interval.js'
import { isFloat, type TypeName } from '../schema/types.js'
import { type AggregateFn, aggregateColumn, valueCanFail } from './aggregates/index.js'
import { meanType, sumType } from './aggregates/sums.js'
import type { Expr } from './expr.js'
import { aggregateKey, exprsOf, replaceExprs } from './nodes.js'
import type { AggregateSpec } from './rel.js'
import type { CalendarSpan } from './scalar.js'
import { call, canFail, literal } from './substitute.js'

export type RankFn = 'rowNumber' | 'rank' | 'denseRank' | 'percentRank' | 'cumeDist' | 'ntile'
export type OffsetFn = 'lag' | 'lead'
export type ValueFn = 'firstValue' | 'lastValue' | 'nthValue'
/** Aggregates that have an argument at most, and are window functions like the others. */
export const FRAME_AGGREGATES = [
  ...(['count', 'sum', 'avg', 'min', 'max', 'boolAnd', 'boolOr', 'bitAnd', 'bitOr', 'bitXor'] as const),
] as const
export type FrameAggregateFn = (typeof FRAME_AGGREGATES)[number]
export type WindowFn = RankFn | OffsetFn | ValueFn | AggregateFn

/**
 * Where a frame begins or ends, seen from the current row: null is UNBOUNDED; a negative number is so much PRECEDING, a
 * positive one FOLLOWING. 0 is CURRENT ROW, in `range` and `groups` with its peers. Offsets are rows, groups of peers,
 * or in `range` differences of the order column (a bigint where the column's values are bigints), of dates and
 * timestamps also months.
 */
export type Bound = number | bigint | CalendarSpan | null

export interface Frame {
  readonly mode: 'rows' | 'range' | 'groups'
  readonly start: Bound
  readonly end: Bound
  /** What is left out: the current row; its peers and itself; its peers without itself. */
  readonly exclude: 'none' | 'current' | 'group' | 'ties'
}

/** What SQL takes where no frame is given. */
export const DEFAULT_FRAME: Frame = Object.freeze({ mode: 'range', start: null, end: 0, exclude: 'none' })

export interface WindowSpec {
  readonly fn: WindowFn
  readonly name: string
  /** The value; null for ranks and count(*). Aggregates leave out rows where it is NULL. */
  readonly arg: Expr | null
  /** lag, lead: the value where there is no such row, seen from the current row; null for NULL. */
  readonly fallback: Expr | null
  /** lag, lead: how many rows back or on; ntile: the number of buckets; nthValue: which row, from 1. Else 0. */
  readonly n: number
  /** lag, lead, firstValue, lastValue, nthValue: rows where the argument is NULL do not count. */
  readonly ignoreNulls: boolean
  /** Of aggregates, firstValue, lastValue and nthValue. */
  readonly frame: Frame
  /**
   * The aggregate over the frame's rows, where `arg` does not say it all; `fn` is its own and `arg` null. One that goes by
   * an order and has none takes the rows as they stand in the partition.
   */
  readonly aggregate?: AggregateSpec
  /** Made by lowering only: what the aggregate's definition makes of the arguments. */
  readonly columns?: readonly Expr[]
}

/** One column of the order. */
export interface WindowOrder {
  readonly expr: Expr
  readonly descending: boolean
  readonly nullsFirst: boolean
}

const RANKS: readonly WindowFn[] = ['rowNumber', 'rank', 'denseRank', 'percentRank', 'cumeDist', 'ntile']
export const isRank = (fn: WindowFn): fn is RankFn => RANKS.includes(fn)
export const isOffset = (fn: WindowFn): fn is OffsetFn => fn === 'lag' || fn === 'lead'
export const isValue = (fn: WindowFn): fn is ValueFn => fn === 'firstValue' || fn === 'lastValue' || fn === 'nthValue'

export const isFrameAggregate = (fn: string): fn is FrameAggregateFn => FRAME_AGGREGATES.includes(fn as never)

/** Whether a function is about the rows of its frame and nothing else. */
export const isAggregate = ({ fn, aggregate }: WindowSpec): boolean => aggregate !== undefined || isFrameAggregate(fn)

/** -1 for PRECEDING, 1 for FOLLOWING. The parts of a span of months have one sign. */
export function signOf(bound: NonNullable<Bound>): number {
  if (typeof bound !== 'object') return Math.sign(Number(bound))
  return Math.sign(bound.months) || Math.sign(Number(bound.micros))
}

const [SHORTEST_MONTH, LONGEST_MONTH] = [28n, 31n]

/** The least and the greatest difference of the order column, of type `type`, that a bound stands for. */
export function distancesOf(bound: number | bigint | CalendarSpan, type: TypeName): readonly [bigint, bigint] {
  if (typeof bound !== 'object') return [BigInt(bound), BigInt(bound)]
  const perDay = type === 'date' ? 1n : MICROS_PER_DAY
  const fixed = type === 'date' ? bound.micros / MICROS_PER_DAY : bound.micros
  const [near, far] = [SHORTEST_MONTH, LONGEST_MONTH].map(days => BigInt(bound.months) * days * perDay + fixed)
  return near < far ? [near, far] : [far, near]
}

/** Whether a frame can be without rows. */
export function canBeEmpty({ start, end, exclude }: Frame): boolean {
  if (exclude === 'current' || exclude === 'group') return true
  return (start !== null && signOf(start) > 0) || (end !== null && signOf(end) < 0)
}

/** Type and nullability of a function's column. */
export function windowResult(spec: Omit<WindowSpec, 'name'>): { readonly type: TypeName; readonly nullable: boolean } {
  const { fn, arg, fallback, frame, aggregate } = spec
  if (aggregate !== undefined) return aggregateColumn(aggregate, canBeEmpty(frame))
  if (fn === 'percentRank' || fn === 'cumeDist') return { type: 'f64', nullable: false }
  if (isRank(fn) || fn === 'count' || arg === null) return { type: 'i64', nullable: false }
  if (isOffset(fn)) return { type: arg.type, nullable: arg.nullable || (fallback?.nullable ?? true) }
  const nullable = arg.nullable || fn === 'nthValue' || canBeEmpty(frame)
  if (fn === 'sum') return { type: sumType(arg.type), nullable }
  return { type: fn === 'avg' ? meanType(arg.type) : arg.type, nullable }
}

/** Whether the function's own computation can fail, as a sum of integers or decimals that leaves its range. */
export function windowFnCanFail({ fn, arg, aggregate }: WindowSpec): boolean {
  if (aggregate === undefined) return fn === 'sum' && arg !== null && !isFloat(arg.type)
  return valueCanFail(
    aggregate.fn,
    aggregate.args.map(a => a.type),
  )
}

/** An expression of an aggregate, which is not evaluated for rows that its FILTER leaves out. */
export const within = (filter: Expr | null, expr: Expr): Expr =>
  filter === null ? expr : call('if', [filter, expr, literal(expr.type, null)], expr.type)

/** The expressions of a function, in the order in which they are evaluated. */
export function windowExprs({ arg, fallback, aggregate, columns = [] }: WindowSpec): Expr[] {
  const filter = aggregate?.filter ?? null
  const own = aggregate === undefined ? [] : exprsOf(aggregate)
  const guarded = own.map(e => (e !== filter && canFail(e) ? within(filter, e) : e))
  return [arg, fallback, ...guarded, ...columns].filter((e): e is Expr => e !== null)
}

/** The function with other expressions, taken in the order of `windowExprs`. */
export function withWindowExprs(spec: WindowSpec, take: () => Expr): WindowSpec {
  const { arg, fallback, aggregate, columns } = spec
  return Object.freeze({
    ...{ ...spec, arg: arg && take(), fallback: fallback && take() },
    ...(aggregate === undefined ? {} : { aggregate: replaceExprs(aggregate, take) }),
    ...(columns === undefined ? {} : { columns: columns.map(take) }),
  })
}

/** Text that tells functions apart but for their expressions and names. */
export function windowFnKey({ fn, n, ignoreNulls, frame, aggregate }: WindowSpec): string {
  const own = aggregate === undefined ? '' : aggregateKey(aggregate)
  return `${fn}:${n}:${ignoreNulls}:${isRank(fn) || isOffset(fn) ? '' : frameText(frame)}:${own}`
}

const bound = (b: Bound, unbounded: string): string => {
  if (b === null) return `unbounded ${unbounded}`
  const sign = signOf(b)
  if (sign === 0) return 'current'
  return `${distanceText(b, sign)} ${sign < 0 ? 'preceding' : 'following'}`
}

function distanceText(b: NonNullable<Bound>, sign: number): string {
  if (typeof b !== 'object') return String(b < 0 ? -b : b)
  return formatInterval({ months: sign * b.months, days: 0, micros: BigInt(sign) * b.micros })
}

/** A frame as it is read: `rows 2 preceding to current, without ties`. */
export function frameText({ mode, start, end, exclude }: Frame): string {
  const without = exclude === 'none' ? '' : `, without ${exclude}`
  return `${mode} ${bound(start, 'preceding')} to ${bound(end, 'following')}${without}`
}
