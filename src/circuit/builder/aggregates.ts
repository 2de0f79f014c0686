/**
 * Aggregates as the builder sees them: what `sum(r => …)` gives, and how it becomes part of a circuit. The functions
 * themselves are in `aggregate-functions.ts`.
 */
import { CompileError, quote, showWhole } from '../../base/errors.js'
import type { ColumnSpec, RowSchema } from '../../schema/schema.js'
import { isDecimal, isNumberType } from '../../schema/types.js'
import { AGGREGATES, aggregateColumn } from '../aggregates/index.js'
import { sumType } from '../aggregates/sums.js'
import { hintFor, NUMBERS } from '../aggregates/types.js'
import type { VALUE } from '../columns.js'
import type { Expr } from '../expr.js'
import { conditionLambda, valueLambda } from '../lambda/index.js'
import type { AggregateDetail, AggregateFn, AggregateSpec, OrderTerm } from '../rel.js'
import { call, exprKey } from '../substitute.js'
import { cast } from '../typing.js'
import type { WindowFn } from '../window.js'
import { checkOptions, flagOf, foundText, mustBeObject } from './check.js'
import { isGrouping } from './grouping.js'
import type { Context } from './types.js'

export type ValueLambda = (row: never, ctx: never) => unknown

/**
 * An aggregate over rows `R` with values `T` (null included where the argument may be NULL). `Total` says that there
 * is a value even without rows.
 */
export interface Aggregate<R, T, Total extends boolean = false> {
  readonly kind: 'aggregate'
  readonly fn: AggregateFn
  readonly lambdas: readonly ValueLambda[]
  readonly ctx: Context | undefined
  readonly filters: readonly { readonly predicate: ValueLambda; readonly ctx: Context | undefined }[]
  readonly distinct: boolean
  readonly order: readonly { readonly by: ValueLambda; readonly desc?: boolean; readonly ctx?: Context }[]
  readonly detail: AggregateDetail
  /** What is wrong with its options, which is told together with the name of the column. */
  readonly problem: string | null
  /** Types only. */
  readonly [VALUE]: { readonly row: (row: R) => void; readonly value: T; readonly total: Total }
}

export type Aggregates<R> = { readonly [name: string]: Aggregate<R, unknown, boolean> }

type ValueOf<A> = A extends Aggregate<never, infer T, boolean> ? T : never
type IsTotal<A> = A extends Aggregate<never, unknown, infer Total> ? Total : never
/** Columns of aggregates in groups. */
export type GroupValues<A> = { -readonly [K in keyof A]: ValueOf<A[K]> }
/** Columns of a global aggregate, which has a row even if nothing is there. */
export type GlobalValues<A> = {
  -readonly [K in keyof A]: IsTotal<A[K]> extends true ? ValueOf<A[K]> : ValueOf<A[K]> | null
}

type Parts = Partial<Omit<Aggregate<never, unknown>, 'kind' | 'fn' | 'lambdas' | typeof VALUE>>

/** An aggregate with these arguments. */
export function makeAggregate<A>(fn: AggregateFn, lambdas: readonly unknown[], parts: Parts = {}): A {
  const rest = { ctx: undefined, filters: [], distinct: false, order: [], detail: null, problem: null }
  return Object.freeze({ kind: 'aggregate', fn, lambdas, ...rest, ...parts }) as A
}

/** An aggregate as it goes into the circuit. */
export interface CompiledAggregate {
  readonly spec: AggregateSpec
  readonly column: ColumnSpec
  /** The value made of the column; null if it is that. */
  readonly finish: ((column: Expr) => Expr) | null
}

/** Compiles one aggregate of `.aggregate({ name: … })`. Throws CompileError, naming the aggregate and its column. */
export function compileAggregate(name: string, given: unknown, input: RowSchema, global: boolean): CompiledAggregate {
  if (name === '') throw new CompileError('aggregate: a column needs a non-empty name')
  if (isGrouping(given)) {
    throw new CompileError(`aggregate ${quote(name)}: grouping has a meaning only with rollup, cube or sets`)
  }
  if (!isAggregate(given)) {
    throw new CompileError(
      `aggregate ${quote(name)}: expected an aggregate like sum(r => …), found ${showWhole(given)}`,
    )
  }
  const what = `aggregate ${quote(name)}: ${given.fn}`
  const spec = aggregateSpec(name, given, input, what)
  const column = { name, ...aggregateColumn(spec, global) }
  return { spec, column, finish: isSumOfNumbers(spec) ? toNumber : null }
}

const toNumber = (sum: Expr): Expr => cast('f64', sum)

/** Is the sum an i64 that users see as a number, as they do its arguments? */
export const isSumOfNumbers = ({ fn, args }: AggregateSpec): boolean =>
  fn === 'sum' && sumType(args[0].type) === 'i64' && isNumberType(args[0].type)

/** What users call by a name that numbers have, too. */
export const OF_INTERVALS: ReadonlyMap<WindowFn, AggregateFn> = new Map([
  ['sum', 'intervalSum'],
  ['avg', 'intervalAvg'],
])

/** An aggregate as the circuit has it; `what` names it in messages. Throws CompileError. */
export function aggregateSpec(
  name: string,
  given: Aggregate<never, unknown, boolean>,
  input: RowSchema,
  what: string,
): AggregateSpec {
  const { lambdas, ctx, distinct, detail, problem } = given
  if (problem !== null) throw new CompileError(`${what}: ${problem}`)
  const rows = [input]
  const filters = given.filters.map(f => conditionLambda({ fn: f.predicate, ctx: f.ctx, rows, what: `${what} filter` }))
  checkCount(lambdas, given.fn, what)
  const values = lambdas.map(lambda => valueLambda({ fn: lambda, ctx, rows, what }))
  const fn = (values[0]?.type === 'interval' && OF_INTERVALS.get(given.fn)) || given.fn
  const args = fitted(values, fn, what)
  const order = given.order.map((term: unknown): OrderTerm => {
    mustBeObject(`${what} order`, term, '{ by: row => …, desc? }')
    checkOptions(`${what} order`, term, ['by', 'desc', 'ctx'])
    const { by, desc, ctx: own } = term as Partial<Aggregate<never, unknown>['order'][number]>
    const expr = valueLambda({ fn: by, ctx: own, rows, what: `${what} order` })
    return Object.freeze({ expr, descending: flagOf(`${what} order`, 'desc', desc) })
  })
  if (distinct) checkDistinct(args, order, what)
  return Object.freeze({
    ...{ fn, args: Object.freeze(args), name, distinct, order: Object.freeze(order), detail },
    filter: filters.length === 0 ? null : filters.reduce((a, b) => call('and', [a, b], 'bool')),
  })
}

export function isAggregate(given: unknown): given is Aggregate<never, unknown, boolean> {
  return typeof given === 'object' && given !== null && (given as { kind?: unknown }).kind === 'aggregate'
}

/** Throws CompileError unless `given` is an aggregate that `what` can change. */
export function mustBeAggregate(what: string, given: unknown): void {
  if (isAggregate(given)) return
  throw new CompileError(`${what}: expected an aggregate like sum(r => …), found ${showWhole(given)}`)
}

function checkCount(lambdas: readonly ValueLambda[], fn: AggregateFn, what: string): void {
  const { args, optional, variadic } = AGGREGATES[fn]
  if (lambdas.length === 0 && optional === true) return
  const enough = variadic === true ? lambdas.length > 0 : lambdas.length === args.length
  const missing = !enough || lambdas.some(l => l === undefined || l === null)
  if (!missing) return
  const count = args.length === 1 ? 'a function' : `${args.length} functions`
  const found = lambdas.filter(l => l !== undefined && l !== null).length
  throw new CompileError(`${what}: expected ${count}, found ${found === 0 ? 'nothing' : found}`)
}

/** The arguments as the aggregate takes them: where it computes with doubles, decimals are the nearest ones. */
function fitted(args: readonly Expr[], fn: AggregateFn, what: string): Expr[] {
  const { args: rules } = AGGREGATES[fn]
  return args.map((arg, i) => {
    const rule = rules[Math.min(i, rules.length - 1)]
    if (rule.accepts(arg.type)) return arg
    if (rule === NUMBERS && isDecimal(arg.type)) return cast('f64', arg)
    throw new CompileError(`${what} needs ${rule.text}, found ${foundText(arg)}`, { hint: hintFor(arg.type) })
  })
}

/** The rows that are one must not be told apart by the order. */
function checkDistinct(args: readonly Expr[], order: readonly OrderTerm[], what: string): void {
  if (args.length === 0) {
    throw new CompileError(`${what}: distinct needs an argument`, { hint: 'count(r => r.x) counts values of x' })
  }
  const known = new Set(args.map(exprKey))
  if (order.every(o => known.has(exprKey(o.expr)))) return
  throw new CompileError(`${what}: with distinct, the order must be one of the arguments`)
}
