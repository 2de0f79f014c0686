/**
 * Aggregates under differential privacy: counts and sums with noise, so that what is read says little about any one
 * *unit* (a person). How much one can add is bounded first: by rows per unit, and by clamping what is summed.
 */
import { CompileError, quote, show, showWhole } from '../../base/errors.js'
import { type ColumnSpec, rowSchema } from '../../schema/schema.js'
import { isFloat } from '../../schema/types.js'
import type { VALUE } from '../columns.js'
import type { Expr } from '../expr.js'
import { type NamedExpr, valueLambda } from '../lambda/index.js'
import { mapOf } from '../nodes.js'
import type { AggregateRel, AggregateSpec, Noise, NoiseRel, Rel, TopKRel } from '../rel.js'
import { call, columnOf, literal } from '../substitute.js'
import { cast } from '../typing.js'
import { checkOptions, foundText } from './check.js'
import { hashOrder } from './sample.js'
import type { Cell, Context, Ctx, NoContext } from './types.js'

/** An aggregate that may be released with noise. */
export interface PrivateAggregate<R, T> {
  readonly kind: 'private'
  readonly fn: 'count' | 'sum'
  readonly lambda: ((row: never, ctx: never) => unknown) | null
  readonly ctx: Context | undefined
  readonly low: number
  readonly high: number
  /** Types only. */
  readonly [VALUE]: { readonly row: (row: R) => void; readonly value: T }
}

export type PrivateAggregates<R> = { readonly [name: string]: PrivateAggregate<R, unknown> }
export type PrivateValues<A> = { -readonly [K in keyof A]: A[K] extends PrivateAggregate<never, infer T> ? T : never }

/** The number of rows, with noise; it may be negative. */
export function noisyCount<R>(): PrivateAggregate<R, bigint> {
  return Object.freeze({ kind: 'private', fn: 'count', lambda: null, ctx: undefined, low: 0, high: 1 }) as never
}

/** The sum of numbers, each clamped to [low, high] first (NaN counts as high, NULL as nothing), with noise. */
export function noisySum<R, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => number | bigint | null | undefined,
  bounds: { readonly low: number; readonly high: number; readonly ctx?: C },
): PrivateAggregate<R, number> {
  checkOptions('noisySum: { low, high }', bounds, ['low', 'high', 'ctx'])
  const { low, high, ctx } = bounds
  if (!(Number.isFinite(low) && Number.isFinite(high) && low < high)) {
    throw new CompileError(`noisySum: expected finite low < high, found ${show(low)} and ${show(high)}`)
  }
  return Object.freeze({ kind: 'private', fn: 'sum', lambda: arg, ctx, low, high }) as never
}

export interface PrivacyOptions<R> {
  /** What one release of all groups may cost: less is more private. */
  readonly epsilon: number
  /** What all releases of a group may cost together: it is released budget / epsilon times at most. */
  readonly budget: number
  /** Whose contribution is hidden; a row by default. Of each unit `maxRows` rows take part, chosen at random. */
  readonly unit?: (row: R) => Cell
  readonly maxRows?: number
  /** `laplace` (default): pure epsilon. `gaussian`: with `delta`, for epsilon up to 1 an aggregate. */
  readonly mechanism?: 'laplace' | 'gaussian'
  readonly delta?: number
  /** For tests: noise that everybody who knows the seed knows. Without it the noise is from a secure source. */
  readonly seed?: string
  /** What becomes of a group whose budget is spent: reading the view fails (default), or it stays as it was. */
  readonly exhausted?: 'fail' | 'freeze'
}

const OPTIONS: Readonly<Record<keyof PrivacyOptions<never>, true>> = {
  epsilon: true,
  budget: true,
  unit: true,
  maxRows: true,
  mechanism: true,
  delta: true,
  seed: true,
  exhausted: true,
}

const MAX_RELEASES = 1_000_000

function positive(what: string, given: unknown): number {
  if (typeof given === 'number' && given > 0 && Number.isFinite(given)) return given
  throw new CompileError(`privateAggregate: expected ${what} above 0, found ${show(given)}`)
}

/** Lowest cost first: what the options allow. Throws CompileError. */
function checkPrivacy(options: PrivacyOptions<never>, count: number) {
  checkOptions('privateAggregate: { epsilon, budget }', options, Object.keys(OPTIONS))
  const epsilon = positive('epsilon', options.epsilon)
  const budget = positive('a budget', options.budget)
  const { maxRows = 1, unit, mechanism = 'laplace', delta = 0, seed = null, exhausted = 'fail' } = options
  if (!Number.isInteger(maxRows) || maxRows < 1 || maxRows > 1_000_000) {
    throw new CompileError(`privateAggregate: expected maxRows from 1 to 1000000, found ${show(maxRows)}`)
  }
  if (unit === undefined && maxRows !== 1) throw new CompileError('privateAggregate: maxRows needs a unit')
  if (mechanism !== 'laplace' && mechanism !== 'gaussian') {
    throw new CompileError(`privateAggregate: expected laplace or gaussian, found ${show(mechanism)}`)
  }
  if (mechanism === 'gaussian' && !(delta > 0 && delta < 1 && epsilon / count <= 1)) {
    throw new CompileError('privateAggregate: gaussian needs a delta between 0 and 1, and epsilon up to 1 an aggregate')
  }
  if (seed !== null && typeof seed !== 'string') {
    throw new CompileError(`privateAggregate: expected a text as seed, found ${show(seed)}`)
  }
  if (exhausted !== 'fail' && exhausted !== 'freeze') {
    throw new CompileError(`privateAggregate: expected exhausted to be fail or freeze, found ${show(exhausted)}`)
  }
  const releases = Math.min(Math.floor(budget / epsilon + 1e-9), MAX_RELEASES)
  if (releases < 1) {
    throw new CompileError(`privateAggregate: a budget of ${budget} does not pay for one release of ${epsilon}`)
  }
  return { epsilon, maxRows, mechanism, delta, seed, exhausted, releases }
}

/** The node of `.privateAggregate({ … }, options)`. */
export function privateRel(
  input: Rel,
  keys: readonly NamedExpr[],
  aggregates: unknown,
  options: PrivacyOptions<never>,
): Rel {
  if (typeof aggregates !== 'object' || aggregates === null || Object.keys(aggregates).length === 0) {
    throw new CompileError(`privateAggregate: expected an object like { n: noisyCount() }, found ${show(aggregates)}`)
  }
  const entries = Object.entries(aggregates as Record<string, unknown>)
  const checked = checkPrivacy(options, entries.length)
  const bounded = options.unit === undefined ? input : boundedRows(input, options.unit, checked.maxRows)
  const compiled = entries.map(([name, given]) => compilePrivate(name, given, keys, input))
  const keySpecs = keys.map(({ name, expr }): ColumnSpec => ({ name, type: expr.type, nullable: expr.nullable }))
  const sums: AggregateRel = Object.freeze({
    ...{ kind: 'aggregate', input: bounded, keys: keys.map(k => k.expr), aggregates: compiled.map(c => c.spec) },
    schema: rowSchema('aggregate', [
      ...keySpecs,
      ...compiled.map(({ spec, type }) => ({ name: spec.name, type, nullable: spec.fn === 'sum' })),
    ]),
  })
  const schema = rowSchema('noise', [
    ...keySpecs,
    ...compiled.map(({ spec, type }) => ({ name: spec.name, type, nullable: false })),
  ])
  const exprs = sums.schema.columns.map((c, i): Expr => {
    const column = columnOf(sums.schema, i)
    return c.nullable && i >= keys.length ? call('coalesce', [column, literal(c.type, 0)], c.type) : column
  })
  const { releases, seed, exhausted } = checked
  const rel: NoiseRel = {
    ...{ kind: 'noise', input: mapOf(sums, exprs, schema), keyCount: keys.length, releases, seed, exhausted, schema },
    noises: compiled.map(c => noiseOf(c.sensitivity * checked.maxRows, c.type === 'i64', entries.length, checked)),
  }
  return Object.freeze(rel)
}

/** At most `maxRows` rows of each unit. */
function boundedRows(input: Rel, unit: unknown, maxRows: number): TopKRel {
  const key = valueLambda({ fn: unit, ctx: undefined, rows: [input.schema], what: 'privateAggregate unit' })
  return Object.freeze({
    ...{ kind: 'topK', input, keys: [key], order: hashOrder(input, {}), limit: maxRows, schema: input.schema },
  })
}

function compilePrivate(name: string, given: unknown, keys: readonly NamedExpr[], input: Rel) {
  const isPrivate = typeof given === 'object' && given !== null && (given as { kind?: unknown }).kind === 'private'
  if (name === '' || keys.some(k => k.name === name)) {
    throw new CompileError(`privateAggregate: ${quote(name)} cannot be the name of a column here`)
  }
  if (!isPrivate) {
    throw new CompileError(
      `privateAggregate ${quote(name)}: expected noisyCount() or noisySum(…), found ${showWhole(given)}`,
    )
  }
  const { fn, lambda, ctx, low, high } = given as PrivateAggregate<never, unknown>
  const rest = { name, filter: null, distinct: false, order: [], detail: null }
  if (fn === 'count' || lambda === null) {
    return {
      spec: Object.freeze({ ...rest, fn: 'count', args: [] }) as AggregateSpec,
      type: 'i64' as const,
      sensitivity: 1,
    }
  }
  const what = `privateAggregate ${quote(name)}: noisySum`
  const arg = valueLambda({ fn: lambda, ctx, rows: [input.schema], what })
  if (!isFloat(arg.type) && !/^[iu]\d+$/.test(arg.type)) {
    throw new CompileError(`${what} needs numbers or bigints, found ${foundText(arg)}`)
  }
  const args = [clamped(arg.type === 'f64' ? arg : cast('f64', arg), low, high)]
  const sensitivity = Math.max(Math.abs(low), Math.abs(high))
  return { spec: Object.freeze({ ...rest, fn: 'sum', args }) as AggregateSpec, type: 'f64' as const, sensitivity }
}

function clamped(x: Expr, low: number, high: number): Expr {
  const f64 = (value: number) => literal('f64', value)
  const upper = call('if', [call('gt', [x, f64(high)], 'bool'), f64(high), x], 'f64')
  return call('if', [call('lt', [x, f64(low)], 'bool'), f64(low), upper], 'f64')
}

/** Steps of the grid in a scale: as fine as this, rounding to it adds nothing worth counting. */
const STEPS_IN_SCALE = 2 ** 16

function noiseOf(
  sensitivity: number,
  isCount: boolean,
  count: number,
  { epsilon, delta, mechanism }: ReturnType<typeof checkPrivacy>,
): Noise {
  const share = epsilon / count
  const coarse = mechanism === 'laplace' ? 1 / share : Math.sqrt(2 * Math.log((1.25 * count) / delta)) / share
  const grid = isCount ? 1 : 2 ** Math.floor(Math.log2((sensitivity * coarse) / STEPS_IN_SCALE))
  // Rounding to the grid moves two neighbouring sums apart by one step more.
  return Object.freeze({ mechanism, scale: (sensitivity + (isCount ? 0 : grid)) * coarse, grid })
}
