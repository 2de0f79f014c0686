/**
 * Aggregates of the builder: `count()`, `sum(r => …)`, `avg`, `min`, `max`.
 *
 * An argument that is NULL does not take part. count is a bigint. A bigint sums to a bigint (i64, fails on overflow),
 * a number to a number: integer columns of up to 32 bits are summed exactly as i64 and given as the nearest double,
 * floats are summed exactly and rounded once. Without a value that takes part, sum, avg, min and max are NULL, which
 * can only be where the argument is nullable or the aggregate is global.
 */
import { CompileError, quote, show } from '../../base/errors.js'
import type { ColumnSpec, RowSchema } from '../../schema/schema.js'
import { isNumberType, TYPES, type TypeName } from '../../schema/types.js'
import type { VALUE } from '../columns.js'
import type { Expr } from '../expr.js'
import { valueLambda } from '../lambda/index.js'
import type { AggregateFn, AggregateSpec } from '../rel.js'
import { typeText } from '../typing.js'
import type { Cell, Context, Ctx, NoContext, Scalar } from './types.js'

type ValueLambda = (row: never, ctx: never) => unknown

/**
 * An aggregate over rows `R` with values `T` (null included where the argument may be NULL). `Total` says that there
 * is a value even without rows.
 */
export interface Aggregate<R, T extends Scalar, Total extends boolean = false> {
  readonly kind: 'aggregate'
  readonly fn: AggregateFn
  readonly lambda: ValueLambda | null
  readonly ctx: Context | undefined
  /** Types only. */
  readonly [VALUE]: { readonly row: (row: R) => void; readonly value: T; readonly total: Total }
}

export type Aggregates<R> = { readonly [name: string]: Aggregate<R, Scalar, boolean> }

type ValueOf<A> = A extends Aggregate<never, infer T, boolean> ? T : never
type IsTotal<A> = A extends Aggregate<never, Scalar, infer Total> ? Total : never
/** Columns of aggregates in groups. */
export type GroupValues<A> = { -readonly [K in keyof A]: ValueOf<A[K]> }
/** Columns of a global aggregate, which has a row even if nothing is there. */
export type GlobalValues<A> = {
  -readonly [K in keyof A]: IsTotal<A[K]> extends true ? ValueOf<A[K]> : ValueOf<A[K]> | null
}

type NullIf<T> = T extends null | undefined ? null : never
type SumOf<T> = (T extends number ? number : T extends bigint ? bigint : never) | NullIf<T>
type Same<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends bigint
      ? bigint
      : T extends string
        ? string
        : T extends null | undefined
          ? null
          : T

function make<R, T extends Scalar, Total extends boolean = false>(
  fn: AggregateFn,
  lambda: ValueLambda | null,
  ctx: Context | undefined,
): Aggregate<R, T, Total> {
  const aggregate: Omit<Aggregate<R, T, Total>, typeof VALUE> = Object.freeze({ kind: 'aggregate', fn, lambda, ctx })
  return aggregate as Aggregate<R, T, Total>
}

/** The number of rows, or of rows where the argument is not NULL. */
export function count(): Aggregate<unknown, bigint, true>
export function count<R, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => Cell,
  ctx?: C,
): Aggregate<R, bigint, true>
export function count<R>(arg?: (row: R, ctx: never) => Cell, ctx?: Context): Aggregate<R, bigint, true> {
  return make('count', arg ?? null, ctx)
}

/** The sum of numbers (a number) or bigints (a bigint). */
export function sum<R, T extends number | bigint | null | undefined, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, SumOf<T>> {
  return make('sum', arg, ctx)
}

/** The mean, as a number. */
export function avg<R, T extends number | bigint | null | undefined, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, number | NullIf<T>> {
  return make('avg', arg, ctx)
}

/** The least value, of any type. */
export function min<R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, Same<T>> {
  return make('min', arg, ctx)
}

/** The greatest value, of any type. */
export function max<R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, Same<T>> {
  return make('max', arg, ctx)
}

/** An aggregate as it goes into the circuit; `toNumber` asks for a cast of the result to f64. */
export interface CompiledAggregate {
  readonly spec: AggregateSpec
  readonly column: ColumnSpec
  readonly toNumber: boolean
}

/** Compiles one aggregate of `.aggregate({ name: … })`. Throws CompileError. */
export function compileAggregate(name: string, given: unknown, input: RowSchema, global: boolean): CompiledAggregate {
  if (name === '') throw new CompileError('aggregate: a column needs a non-empty name')
  if (!isAggregate(given)) {
    throw new CompileError(
      `aggregate ${quote(name)}: expected count(), sum(…), avg(…), min(…) or max(…), found ${show(given)}`,
    )
  }
  const { fn, lambda, ctx } = given
  const what = `aggregate ${quote(name)}: ${fn}`
  if (lambda === null && fn !== 'count') throw new CompileError(`${what}: expected a function, found nothing`)
  const arg = lambda === null ? null : valueLambda({ fn: lambda, ctx, rows: [input], what })
  const type = resultType(fn, arg, what)
  const nullable = fn !== 'count' && (global || arg?.nullable === true)
  const toNumber = fn === 'sum' && arg !== null && type === 'i64' && isNumberType(arg.type)
  return { spec: Object.freeze({ fn, arg, name }), column: { name, type, nullable }, toNumber }
}

function isAggregate(given: unknown): given is Aggregate<never, Scalar, boolean> {
  return typeof given === 'object' && given !== null && (given as { kind?: unknown }).kind === 'aggregate'
}

const SUMMED: readonly TypeName[] = ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'f32', 'f64']

function resultType(fn: AggregateFn, arg: Expr | null, what: string): TypeName {
  if (arg === null || fn === 'count') return 'i64'
  if (fn === 'min' || fn === 'max') return arg.type
  if (!SUMMED.includes(arg.type)) {
    throw new CompileError(`${what} needs numbers or bigints, found ${typeText(arg)}`, {
      hint: TYPES[arg.type].min === null ? 'there is count, min and max' : 'use i64(x) or f64(x) from `fn`',
    })
  }
  return fn === 'avg' || arg.type === 'f32' || arg.type === 'f64' ? 'f64' : 'i64'
}
