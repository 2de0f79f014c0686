/**
 * How aggregates are computed over frames. What can be taken back slides as a *total*, and is known of all rows before or
 * after a place by sums over runs. Of what is the value of one row, an *extreme*, there is a best row in any part of a
 * partition. What is *ordered*, or counts equal rows once, slides too, over ranks (`tally.ts`), and reads the rows of the
 * frame by rank or all of them.
 */
import type { Linear, Ordered, RankReader, WalkReader } from '../../../circuit/aggregates/definition.js'
import { AGGREGATES } from '../../../circuit/aggregates/index.js'
import { ofBits } from '../../../circuit/aggregates/linear.js'
import { decimalMean, sumFits, sumOverflow } from '../../../circuit/aggregates/sums.js'
import type { Expr } from '../../../circuit/expr.js'
import { framePlanOf } from '../../../circuit/lower-window.js'
import type { AggregateDetail, AggregateSpec } from '../../../circuit/rel.js'
import { fail } from '../../../circuit/scalar.js'
import type { WindowSpec } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { isDecimal, isFloat, type TypeName, type Value } from '../../../schema/types.js'
import { LinearTotal } from './linear.js'
import { Preference, type Term } from './preference.js'
import { BitsTotal, CountTotal, FloatTotal, IntegerTotal, type Total } from './totals.js'

export interface TotalPlan {
  readonly kind: 'total'
  readonly make: () => Total
  readonly columns: readonly Column[]
  /** Which rows are one, for those that count equal rows once; else null. */
  readonly distinct: Preference | null
  /** Throws Failure. */
  readonly value: (total: Total) => Value
}

export interface ExtremePlan {
  readonly kind: 'extreme'
  /** The first row by it is the best; without terms it is the first of the frame, or the last if `last`. */
  readonly preference: Preference
  readonly last: boolean
  readonly value: Column
}

/** And, or. */
export interface BitsPlan {
  readonly kind: 'bits'
  readonly column: Column
  readonly combine: (a: bigint, b: bigint) => bigint
}

export interface OrderedPlan {
  readonly kind: 'ordered'
  readonly preference: Preference
  /** The rows stand as they do in the partition. */
  readonly inPlace: boolean
  readonly distinct: boolean
  readonly columns: readonly Column[]
  /** The column that is read by rank. */
  readonly value: Column
  readonly read: RankReader | WalkReader
  readonly detail: AggregateDetail
  readonly result: TypeName
  /** Of a frame without rows that take part. */
  readonly empty: Value
}

export type FramePlan = TotalPlan | ExtremePlan | BitsPlan | OrderedPlan

type Find = (expr: Expr) => Column

/** `find` gives the columns of expressions; `out` is the function's own. REQUIRES: the function is a lowered aggregate. */
export function framePlan(spec: WindowSpec, out: Column, find: Find): FramePlan {
  if (spec.aggregate === undefined) return plainPlan(spec, out, spec.arg && find(spec.arg))
  const plan = framePlanOf(spec.aggregate.fn)
  const columns = (spec.columns ?? []).map(find)
  return plan.kind === 'linear'
    ? linearPlan(spec.aggregate, plan, columns, find)
    : orderedPlan(spec.aggregate, plan, columns, out, find)
}

const BACKWARDS: readonly string[] = ['max', 'boolOr']

/** Those of one argument. */
function plainPlan({ fn, name }: WindowSpec, out: Column, arg: Column | null): FramePlan {
  const total = (make: () => Total, value: (total: Total) => Value): TotalPlan => ({
    ...{ kind: 'total', columns: arg === null ? [] : [arg], distinct: null, make },
    value: of => (of.count === 0 ? null : value(of)),
  })
  if (fn === 'count' || arg === null) {
    return {
      ...total(
        () => new CountTotal(),
        () => null,
      ),
      value: ({ count }) => BigInt(count),
    }
  }
  const makeSum = (): FloatTotal | IntegerTotal => (isFloat(arg.type) ? new FloatTotal() : new IntegerTotal())
  switch (fn) {
    case 'sum':
      return total(makeSum, of => checked(fn, arg.type, name, (of as FloatTotal | IntegerTotal).sum))
    case 'avg':
      return total(makeSum, of => meanOf(arg.type, of as FloatTotal | IntegerTotal))
    case 'bitXor':
      return total(
        () => new BitsTotal(),
        of => ofBits(out.type, (of as BitsTotal).bits),
      )
    case 'bitAnd':
    case 'bitOr':
      return { kind: 'bits', column: arg, combine: fn === 'bitAnd' ? (a, b) => a & b : (a, b) => a | b }
    default: {
      const terms = [{ column: arg, descending: BACKWARDS.includes(fn) }]
      return { kind: 'extreme', preference: new Preference(terms, [arg]), last: false, value: arg }
    }
  }
}

function checked(fn: 'sum' | 'avg', type: TypeName, name: string, value: Value): Value {
  return typeof value === 'bigint' && !sumFits(type, value) ? fail(sumOverflow(fn, type, name)) : value
}

function meanOf(type: TypeName, { sum, count }: FloatTotal | IntegerTotal): Value {
  return isDecimal(type) ? decimalMean(type, sum as bigint, BigInt(count)) : Number(sum) / count + 0
}

function linearPlan(spec: AggregateSpec, plan: Linear, columns: readonly Column[], find: Find): TotalPlan {
  const { fn, name, args, detail, distinct } = spec
  const types = columns.map(c => c.type)
  const accumulators = plan.accumulators(types, detail)
  const terms = args.map((a): Term => ({ column: find(a), descending: false }))
  const empty = emptyOf(spec)
  return {
    ...{ kind: 'total', columns, make: () => new LinearTotal(accumulators) },
    distinct: distinct ? new Preference(terms, [columns[0]]) : null,
    value: total => {
      if (total.count === 0) return empty
      const value = plan.finish(total as LinearTotal, types, detail, name)
      return fn === 'sum' || fn === 'avg' ? checked(fn, args[0].type, name, value) : value
    },
  }
}

const emptyOf = ({ fn }: AggregateSpec): Value => (AGGREGATES[fn].total === true ? 0n : null)

function orderedPlan(
  spec: AggregateSpec,
  plan: Ordered,
  columns: readonly Column[],
  out: Column,
  find: Find,
): ExtremePlan | OrderedPlan {
  const { args, filter, order, distinct, detail } = spec
  const { read } = plan
  const inPlace = plan.inFrameOrder === true && order.length === 0 && !distinct
  const own = plan.all === true ? columns.map((_, at) => ({ at, descending: false })) : plan.terms
  const terms = [
    ...order.map((o): Term => ({ column: find(o.expr), descending: o.descending })),
    ...own.map((t): Term => ({ column: columns[t.at], descending: t.descending })),
    ...(distinct ? args.map((a): Term => ({ column: find(a), descending: false })) : []),
  ]
  const required = plan.required.map(c => columns[c])
  const preference = new Preference(inPlace ? [] : terms, required, filter && find(filter))
  const value = columns[plan.value]
  if (read === 'first') return { kind: 'extreme', preference, last: false, value }
  if (read === 'last') return { kind: 'extreme', preference: preference.reversed, last: true, value }
  const given = { preference, inPlace, distinct, columns, value, read, detail, result: out.type }
  return { kind: 'ordered', ...given, empty: emptyOf(spec) }
}
