/**
 * Window functions of the builder: `rank()`, `lag(r => …)`, `firstValue(r => …)` and the aggregates, in
 * `query.window({ partitionBy, orderBy, frame }, { name: function })`.
 *
 * `over(function, frame)` gives a function a frame of its own; the frame of the window is for all others. Without either
 * it is SQL's: from the begin of the partition to the peers of the current row.
 */
import { CompileError, quote, show, showWhole } from '../../base/errors.js'
import { optionsProblem } from '../../base/options.js'
import { type ColumnSpec, rowSchema } from '../../schema/schema.js'
import { isNumberType } from '../../schema/types.js'
import { AGGREGATES } from '../aggregates/index.js'
import { hintFor } from '../aggregates/types.js'
import type { Simplify, VALUE } from '../columns.js'
import type { Expr } from '../expr.js'
import { columnsLambda, conditionLambda, valueLambda } from '../lambda/index.js'
import type { Rel, WindowRel } from '../rel.js'
import { call, columnOf, literal } from '../substitute.js'
import { cast } from '../typing.js'
import {
  DEFAULT_FRAME,
  type FrameAggregateFn,
  isFrameAggregate,
  isRank,
  isValue,
  type WindowFn,
  type WindowOrder,
  type WindowSpec,
  windowResult,
} from '../window.js'
import {
  type Aggregate,
  aggregateSpec,
  isAggregate,
  isSumOfNumbers,
  makeAggregate,
  OF_INTERVALS,
} from './aggregates.js'
import { checkOptions, flagOf, foundText, mustBeObject } from './check.js'
import { compileFrame, type FrameSpec, type HoldsCurrent } from './frames.js'
import type { Cell, Cells, Context, Ctx, NoContext, RowFrom, Scalar } from './types.js'

type Lambda = (row: never, ctx: never) => unknown

/**
 * A window function over rows `R` with values `T`. `Total` says that there is a value whatever the frame; else it is
 * NULL where the frame is empty.
 */
export interface WindowFunction<R, T extends Scalar, Total extends boolean = true> {
  readonly kind: 'windowFunction'
  readonly fn: WindowFn
  readonly lambda: Lambda | null
  readonly fallback: Lambda | null
  readonly filters: readonly { readonly predicate: Lambda; readonly ctx: Context | undefined }[]
  readonly n: number
  readonly ignoreNulls: boolean
  readonly ctx: Context | undefined
  readonly frame: FrameSpec | undefined
  /** The aggregate, where the parts above do not say it all. */
  readonly aggregate: Aggregate<never, unknown, boolean> | null
  /** What is wrong with its options, which is told together with the name of the column. */
  readonly problem: string | null
  /** Types only. */
  readonly [VALUE]: { readonly row: (row: R) => void; readonly value: T; readonly total: Total }
}

/** What stands for a column of `window`. */
export type Windowed<R> = WindowFunction<R, Scalar, boolean> | Aggregate<R, Scalar, boolean>
export type WindowFunctions<R> = { readonly [name: string]: Windowed<R> }

type NullUnless<Holds, T> = Holds extends true ? T : T | null
type WindowValue<W, F> =
  W extends WindowFunction<never, infer T, infer Total>
    ? Total extends true
      ? T
      : NullUnless<HoldsCurrent<F>, T>
    : W extends Aggregate<never, infer T, infer Total>
      ? Total extends true
        ? T
        : NullUnless<HoldsCurrent<F>, T>
      : never
/** The columns that functions add; `F` is the frame of the window. */
export type WindowValues<W, F> = { -readonly [K in keyof W]: WindowValue<W[K], F> }
export type WithWindow<R, W, F> = Simplify<R & WindowValues<W, F>>

/** One term of the order: NULL comes first, in descending order last, unless `nulls` says otherwise. */
export interface WindowOrderTerm<R, C extends Context = NoContext> {
  readonly by: (row: R, ctx: Ctx<C>) => Cell
  readonly desc?: boolean
  readonly nulls?: 'first' | 'last'
  readonly ctx?: C
}

export interface WindowOptions<R, F extends FrameSpec | undefined, C extends Context = NoContext> {
  /** The columns of the object that it makes; without it all rows are one partition. */
  readonly partitionBy?: (row: R, ctx: Ctx<C>) => Cells
  readonly orderBy?: readonly WindowOrderTerm<R, C>[]
  readonly frame?: F
  readonly ctx?: C
}

type Widened<T> = RowFrom<{ value: T }>['value']
type Parts = Partial<Omit<WindowFunction<never, Scalar>, 'kind' | 'fn' | typeof VALUE>>

function make<W>(fn: WindowFn, parts: Parts = {}): W {
  const none = { lambda: null, fallback: null, filters: [], n: 0, ignoreNulls: false, aggregate: null, problem: null }
  return Object.freeze({ kind: 'windowFunction', fn, ...none, ctx: undefined, frame: undefined, ...parts }) as W
}

/** The number of the row in its partition, from 1. */
export const rowNumber = (): WindowFunction<unknown, bigint> => make('rowNumber')
/** The number of the first of the row's peers: equal rows have equal ranks, and gaps follow. */
export const rank = (): WindowFunction<unknown, bigint> => make('rank')
/** Ranks without gaps. */
export const denseRank = (): WindowFunction<unknown, bigint> => make('denseRank')
/** (rank − 1) / (rows − 1); 0 where there is one row. */
export const percentRank = (): WindowFunction<unknown, number> => make('percentRank')
/** The share of rows that come before the row or are its peers. */
export const cumeDist = (): WindowFunction<unknown, number> => make('cumeDist')
/** The bucket of the row, from 1, of `buckets` that differ by a row at most, the larger ones first. */
export const ntile = (buckets: number): WindowFunction<unknown, bigint> => make('ntile', { n: buckets })

export interface OffsetOptions<R, T, C extends Context = NoContext> {
  /** How many rows back or on; 1 unless given. */
  readonly offset?: number
  /** The value where there is no such row; seen from the current row. NULL unless given. */
  readonly default?: (row: R, ctx: Ctx<C>) => T
  /** Count only rows where the value is not NULL. */
  readonly ignoreNulls?: boolean
  readonly ctx?: C
}

interface OffsetFunction {
  <R, T extends Cell, C extends Context = NoContext>(
    arg: (row: R, ctx: Ctx<C>) => T,
    options: OffsetOptions<R, NoInfer<T>, C> & { readonly default: (row: R, ctx: Ctx<C>) => NoInfer<T> },
  ): WindowFunction<R, Widened<T>>
  <R, T extends Cell, C extends Context = NoContext>(
    arg: (row: R, ctx: Ctx<C>) => T,
    options?: OffsetOptions<R, T, C>,
  ): WindowFunction<R, Widened<T> | null>
}

const offsetFunction =
  (fn: 'lag' | 'lead') =>
  (arg: Lambda, options: OffsetOptions<never, unknown> = {}): unknown => {
    const { offset = 1, default: fallback = null, ctx } = options ?? {}
    const names = ['offset', 'default', 'ignoreNulls', 'ctx']
    return make(fn, { lambda: arg, n: offset, fallback, ctx, ...ignoringNulls(options, names) })
  }

/** The option `ignoreNulls`, and what is wrong with the options. */
function ignoringNulls(options: { readonly ignoreNulls?: boolean } | null, names: readonly string[]): Parts {
  const { ignoreNulls = false } = options ?? {}
  const isFlag = typeof ignoreNulls === 'boolean'
  const problem = isFlag ? null : `expected ignoreNulls: true or false, found ${show(ignoreNulls)}`
  return { ignoreNulls, problem: optionsProblem(options, names) ?? problem }
}

/** The value in an earlier row of the partition. */
export const lag = offsetFunction('lag') as OffsetFunction
/** The value in a later row of the partition. */
export const lead = offsetFunction('lead') as OffsetFunction

export interface ValueOptions<C extends Context = NoContext> {
  readonly ignoreNulls?: boolean
  readonly ctx?: C
}

type ValueFunction = <R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  options?: ValueOptions<C>,
) => WindowFunction<R, Widened<T>, false>

const valueParts = (arg: Lambda, options: ValueOptions<Context>): Parts => ({
  ...{ lambda: arg, ctx: options?.ctx },
  ...ignoringNulls(options, ['ignoreNulls', 'ctx']),
})

/** The value in the first row of the frame. */
export const firstValue: ValueFunction = (arg, options = {}) => make('firstValue', valueParts(arg, options))
/** The value in the last row of the frame. */
export const lastValue: ValueFunction = (arg, options = {}) => make('lastValue', valueParts(arg, options))
/** The value in the n-th row of the frame, from 1; NULL where there are fewer. */
export function nthValue<R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  n: number,
  options: ValueOptions<C> = {},
): WindowFunction<R, Widened<T> | null> {
  return make('nthValue', { ...valueParts(arg, options), n })
}

/** The function over a frame of its own. */
export function over<R, T extends Scalar, Total extends boolean, const F extends FrameSpec>(
  of: WindowFunction<R, T, Total> | Aggregate<R, T, Total>,
  frame: F,
): WindowFunction<R, Total extends true ? T : NullUnless<HoldsCurrent<F>, T>> {
  const given: unknown = of
  if (!isAggregate(given) && !isWindowFunction(given)) {
    throw new CompileError(`over: expected a window function or an aggregate, found ${showWhole(given)}`)
  }
  const own = isAggregate(given) ? ofAggregate(given) : given
  const twice = own.frame === undefined ? own.problem : 'over: the function has a frame of its own already'
  const problem = frame === undefined ? 'over: expected a frame, found undefined' : twice
  return make(own.fn, { ...own, frame, problem })
}

const isWindowFunction = (given: unknown): given is WindowFunction<never, Scalar> =>
  typeof given === 'object' && given !== null && (given as { kind?: unknown }).kind === 'windowFunction'

/** An aggregate of the builder as a window function. */
function ofAggregate(given: Aggregate<never, unknown, boolean>): WindowFunction<never, Scalar> {
  const { fn, lambdas, ctx, filters, distinct, problem } = given
  // Those of one argument are window functions like the others.
  if (!isFrameAggregate(fn) || distinct) return make(fn, { aggregate: given, problem })
  return make(fn, { lambda: lambdas[0] ?? null, ctx, filters, problem })
}

/** What messages call a window and its parts. */
export interface WindowWords {
  readonly what: string
  readonly partition: string
  readonly order: string
  /** Functions without a frame may be among them. */
  readonly frameless: boolean
}

const WINDOW: WindowWords = {
  ...{ what: 'window', partition: 'window partitionBy', order: 'window orderBy', frameless: true },
}

/** Compiles `.window(options, functions)`. Throws CompileError, which names the function and the column. */
export function windowRel(input: Rel, options: unknown, functions: unknown, words = WINDOW): Rel {
  const { what } = words
  mustBeObject(what, options, '{ partitionBy?, orderBy?, frame? }')
  checkOptions(what, options, ['partitionBy', 'orderBy', 'frame', 'ctx'])
  if (typeof functions !== 'object' || functions === null || Object.keys(functions).length === 0) {
    const example = words.frameless ? 'place: rank()' : 'total: sum(r => r.amount)'
    throw new CompileError(`${what}: expected functions like { ${example} }, found ${showWhole(functions)}`)
  }
  const { partitionBy, orderBy = [], frame, ctx } = options as WindowOptions<never, FrameSpec>
  const rows = [input.schema]
  const partition =
    partitionBy === undefined ? [] : columnsLambda({ fn: partitionBy, ctx, rows, what: words.partition })
  if (!Array.isArray(orderBy)) {
    throw new CompileError(`${what}: expected orderBy: [{ by: row => … }], found ${showWhole(orderBy)}`)
  }
  const order = orderBy.map((term: unknown) => compileOrder(input, term, ctx, words.order))
  const compiled = Object.entries(functions).map(([name, given]) =>
    compileFunction(input, name, given, frame, order, words),
  )
  const clash = compiled.find(c => input.schema.columns.some(column => column.name === c.spec.name))
  if (clash !== undefined) throw new CompileError(`${what}: ${quote(clash.spec.name)} is the name of a column already`)
  const added = compiled.map(({ spec }): ColumnSpec => ({ name: spec.name, ...windowResult(spec) }))
  const rel: WindowRel = Object.freeze({
    kind: 'window',
    input,
    partition: Object.freeze(partition.map(p => p.expr)),
    order: Object.freeze(order),
    functions: Object.freeze(compiled.map(c => c.spec)),
    schema: rowSchema('window', [...input.schema.columns, ...added]),
  })
  return compiled.some(c => c.toNumber) ? toNumbers(rel, compiled) : rel
}

/** Sums of small integers are numbers to the user. */
function toNumbers(rel: WindowRel, compiled: readonly { readonly toNumber: boolean }[]): Rel {
  const width = rel.schema.columns.length - compiled.length
  const exprs = rel.schema.columns.map((_, i) => {
    const plain = columnOf(rel.schema, i)
    return compiled[i - width]?.toNumber ? cast('f64', plain) : plain
  })
  const specs = exprs.map(({ type, nullable }, i): ColumnSpec => ({ name: rel.schema.columns[i].name, type, nullable }))
  return Object.freeze({ kind: 'map', input: rel, exprs: Object.freeze(exprs), schema: rowSchema('window', specs) })
}

function compileOrder(input: Rel, term: unknown, shared: unknown, what: string): WindowOrder {
  mustBeObject(what, term, '{ by: row => …, desc?, nulls? }')
  checkOptions(what, term, ['by', 'desc', 'nulls', 'ctx'])
  const { by, desc, nulls, ctx = shared } = term as { by?: unknown; desc?: unknown; nulls?: unknown; ctx?: unknown }
  if (nulls !== undefined && nulls !== 'first' && nulls !== 'last') {
    throw new CompileError(`${what}: expected nulls: 'first' or 'last', found ${show(nulls)}`)
  }
  const expr = valueLambda({ fn: by, ctx, rows: [input.schema], what })
  const descending = flagOf(what, 'desc', desc)
  return Object.freeze({ expr, descending, nullsFirst: nulls === undefined ? !descending : nulls === 'first' })
}

interface Compiled {
  readonly spec: WindowSpec
  readonly toNumber: boolean
}

function compileFunction(
  input: Rel,
  name: string,
  given: unknown,
  frame: FrameSpec | undefined,
  order: readonly WindowOrder[],
  words: WindowWords,
): Compiled {
  if (name === '') throw new CompileError(`${words.what}: a column needs a non-empty name`)
  const found = isAggregate(given) ? ofAggregate(given) : given
  if (!isWindowFunction(found)) {
    throw new CompileError(
      `${words.what} ${quote(name)}: expected a window function or an aggregate, like rank() or sum(…), found ${showWhole(given)}`,
    )
  }
  const f = found
  const what = `${words.what} ${quote(name)}: ${f.fn}`
  if (f.problem !== null) throw new CompileError(`${what}: ${f.problem}`)
  if (!words.frameless && !hasFrame(f)) throw new CompileError(`${what} has no frame`)
  checkNumber(f, what)
  const plain = { name, n: f.n, ignoreNulls: f.ignoreNulls, frame: frameOf(f, frame, order, what) }
  const whole = wholeAggregate(input, f, what)
  if (whole !== null) {
    const aggregate = aggregateSpec(name, whole, input.schema, what)
    return {
      spec: { ...plain, fn: aggregate.fn, arg: null, fallback: null, aggregate },
      toNumber: isSumOfNumbers(aggregate),
    }
  }
  const spec = { ...plain, fn: f.fn, ...argumentsOf(input, f, what) }
  const toNumber = f.fn === 'sum' && windowResult(spec).type === 'i64' && isNumberType(spec.arg?.type ?? 'i64')
  return { spec: Object.freeze(spec), toNumber }
}

/** The aggregate of a function that is more than one of numbers. */
function wholeAggregate(
  input: Rel,
  f: WindowFunction<never, Scalar>,
  what: string,
): WindowFunction<never, Scalar>['aggregate'] {
  const { fn, lambda, ctx, filters, aggregate } = f
  if (aggregate !== null || lambda === null || !OF_INTERVALS.has(fn)) return aggregate
  const { type } = valueLambda({ fn: lambda, ctx, rows: [input.schema], what })
  return type === 'interval' ? makeAggregate(fn as FrameAggregateFn, [lambda], { ctx, filters }) : null
}

const hasFrame = ({ fn, aggregate }: WindowFunction<never, Scalar>): boolean =>
  aggregate !== null || isFrameAggregate(fn) || isValue(fn)

function frameOf(
  f: WindowFunction<never, Scalar>,
  shared: FrameSpec | undefined,
  order: readonly WindowOrder[],
  what: string,
) {
  const given = f.frame ?? shared
  const exprs = order.map(o => o.expr)
  const compiled = given === undefined ? DEFAULT_FRAME : compileFrame(given, exprs, what)
  if (hasFrame(f)) return compiled
  if (f.frame !== undefined) throw new CompileError(`${what} has no frame`)
  return DEFAULT_FRAME
}

const MAX_N = 2 ** 31 - 1

function checkNumber({ fn, n, ignoreNulls }: WindowFunction<never, Scalar>, what: string): void {
  const offset = fn === 'lag' || fn === 'lead'
  if (!offset && fn !== 'ntile' && fn !== 'nthValue') return
  const least = offset && !ignoreNulls ? 0 : 1
  if (typeof n === 'number' && Number.isInteger(n) && n >= least && n <= MAX_N) return
  const name = offset ? 'an offset' : fn === 'ntile' ? 'a number of buckets' : 'a row number'
  throw new CompileError(`${what}: expected ${name} from ${least} to ${MAX_N}, found ${show(n)}`)
}

function argumentsOf(input: Rel, f: WindowFunction<never, Scalar>, what: string): Pick<WindowSpec, 'arg' | 'fallback'> {
  const { fn, lambda, ctx } = f
  const rows = [input.schema]
  if (isRank(fn)) return { arg: null, fallback: null }
  if (lambda === null && fn !== 'count') throw new CompileError(`${what}: expected a function, found nothing`)
  const plain = lambda === null ? null : valueLambda({ fn: lambda, ctx, rows, what })
  if (isFrameAggregate(fn) && plain !== null) checkType(fn, plain, what)
  const fallback = f.fallback === null ? null : valueLambda({ fn: f.fallback, ctx, rows, what: `${what} default` })
  return { arg: filtered(input, f, plain, what), fallback: fallback && plain && aligned(fallback, plain, what) }
}

/** Rows that a filter leaves out have NULL for the argument. */
function filtered(input: Rel, { filters }: WindowFunction<never, Scalar>, arg: Expr | null, what: string): Expr | null {
  return filters.reduce<Expr | null>((value, { predicate, ctx }) => {
    const condition = conditionLambda({ fn: predicate, ctx, rows: [input.schema], what: `${what} filter` })
    const kept = value ?? literal('bool', true)
    return call('if', [condition, kept, literal(kept.type, null)], kept.type)
  }, arg)
}

function aligned(fallback: Expr, arg: Expr, what: string): Expr {
  if (fallback.type === arg.type) return fallback
  if (isNumberType(arg.type) && isNumberType(fallback.type)) return cast(arg.type, fallback)
  throw new CompileError(`${what} default: expected ${arg.type} as the value, found ${foundText(fallback)}`)
}

function checkType(fn: FrameAggregateFn, arg: Expr, what: string): void {
  const [rule] = AGGREGATES[fn].args
  if (rule.accepts(arg.type)) return
  throw new CompileError(`${what} needs ${rule.text}, found ${foundText(arg)}`, { hint: hintFor(arg.type) })
}
