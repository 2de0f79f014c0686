/**
 * Sums and means of intervals, made of sums of their parts, which are kept apart as they are in PostgreSQL: months, days and
 * microseconds each add up, and a mean is the sum divided, what is left of months being days, of days time.
 */
import { CompileError } from '../../base/errors.js'
import type { Expr } from '../expr.js'
import type { AggregateFn, AggregateSpec } from '../rel.js'
import { call, detailed } from '../substitute.js'
import { cast } from '../typing.js'

export const ofIntervals = (fn: AggregateFn): boolean => fn === 'sum' || fn === 'avg'

const PARTS = [
  ['intervalMonths', 'i32'],
  ['intervalDays', 'i32'],
  ['intervalMicros', 'i64'],
] as const

/** Sums of months, days and microseconds, and for a mean the number of intervals. */
export function intervalSums(spec: AggregateSpec, what: string): AggregateSpec[] {
  const [interval] = spec.args
  if (spec.distinct) throw new CompileError(`${what}: distinct intervals cannot be added up`)
  const sums = PARTS.map(([part, type]) =>
    Object.freeze({ ...spec, fn: 'sum', args: Object.freeze([detailed('function', part, [interval], type)]) } as const),
  )
  return spec.fn === 'sum' ? sums : [...sums, Object.freeze({ ...spec, fn: 'count' } as const)]
}

/** The interval of such sums, divided by the number if there is one. */
export function intervalOf([months, days, micros, count]: readonly Expr[]): Expr {
  const parts = [cast('f64', months), cast('f64', days), micros]
  const sum = detailed('function', 'makeInterval', parts, 'interval')
  return count === undefined ? sum : call('div', [sum, cast('f64', count)], 'interval')
}
