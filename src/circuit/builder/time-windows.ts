/**
 * Time windows: `tumble`, `hop` and `session` put the start and the end of the windows that a row lies in behind its
 * columns. A window is from its start, inclusive, to its end, exclusive. Rows whose time is NULL are in none.
 *
 *     tumble   floor(at / size) · size                          one window a row
 *     hop      every window of `size` that begins at a multiple of `step` and holds `at`
 *     session  rows of a key less than or exactly `gap` apart; from the first one to `gap` after the last
 */
import { CompileError, quote, show, showWhole } from '../../base/errors.js'
import { type ColumnSpec, type RowSchema, rowSchema } from '../../schema/schema.js'
import { arrayOf, TYPES, type TypeName } from '../../schema/types.js'
import type { Simplify } from '../columns.js'
import type { Expr } from '../expr.js'
import { columnsLambda, valueLambda } from '../lambda/index.js'
import { filterOf, mapOf, plusOf } from '../nodes.js'
import type { Rel, SessionRel, UnnestRel } from '../rel.js'
import { MAX_WINDOW } from '../scalar/time-windows.js'
import { allColumns, call, detailed, literal } from '../substitute.js'
import { checkOptions, foundText, mustBeObject } from './check.js'
import { isTimeType, type Span, spanOf } from './spans.js'
import type { Cell, Cells, Context, Ctx, NoContext } from './types.js'
import { type WindowWords, windowRel } from './windows.js'

export interface TimeWindowOptions<S extends string, E extends string, C extends Context> {
  /** Names of the new columns, `windowStart` and `windowEnd` unless given. */
  readonly start?: S
  readonly end?: E
  readonly ctx?: C
}
export interface TumbleOptions<S extends string, E extends string, C extends Context>
  extends TimeWindowOptions<S, E, C> {
  /** Windows begin at this, and at multiples of the size (of the step, for `hop`) from it; 0 unless given. */
  readonly offset?: Span
}
export interface SessionOptions<R, S extends string, E extends string, C extends Context>
  extends TimeWindowOptions<S, E, C> {
  /** Sessions of different keys have nothing to do with each other; without it all rows are of one key. */
  readonly by?: (row: R, ctx: Ctx<C>) => Cells
}

type TimeOf<T> = T extends bigint ? bigint : T extends number ? number : never
/** A row with its window. */
export type InWindow<R, T, S extends string, E extends string> = Simplify<R & { readonly [K in S | E]: TimeOf<T> }>

interface Given {
  readonly at: unknown
  readonly options: {
    readonly start?: unknown
    readonly end?: unknown
    readonly offset?: unknown
    readonly by?: unknown
    readonly ctx?: unknown
  }
}

/** What all windows have in common. */
interface Parts {
  readonly what: string
  /** Rows whose time is not NULL, if it may be. */
  readonly input: Rel
  /** Never NULL. */
  readonly at: Expr
  readonly schema: RowSchema
}

function partsOf(what: string, rel: Rel, { at, options }: Given, own: string): Parts {
  checkOptions(what, options, ['start', 'end', own, 'ctx'])
  const { start = 'windowStart', end = 'windowEnd', ctx } = options
  const time = valueLambda({ fn: at, ctx, rows: [rel.schema], what })
  if (!isTimeType(time.type)) {
    const expected = 'a time: a timestamp, timestamptz, date or integer'
    throw new CompileError(`${what}: expected ${expected}, found ${foundText(time)}`)
  }
  for (const name of [start, end]) {
    if (typeof name !== 'string' || name === '')
      throw new CompileError(`${what}: expected the name of a column, found ${show(name)}`)
    if (start === end || rel.schema.columns.some(c => c.name === name))
      throw new CompileError(`${what}: there is a column ${quote(name)} already`, {
        hint: 'name the columns of windows with the options start and end',
      })
  }
  const [from, to] = [start, end].map(
    (name): ColumnSpec => ({ name: name as string, type: time.type, nullable: false }),
  )
  const schema = rowSchema(what, [...rel.schema.columns, from, to])
  if (!time.nullable) return { what, input: rel, at: time, schema }
  const present = call('not', [call('isNull', [time], 'bool')], 'bool')
  const zero = TYPES[time.type].js === 'number' ? 0 : 0n
  return {
    what,
    input: filterOf(rel, present),
    at: call('coalesce', [time, literal(time.type, zero)], time.type),
    schema,
  }
}

function lengthOf({ what, at }: Parts, name: string, given: unknown): bigint {
  const span = spanOf(given, at.type, `${what}: ${name}`)
  if (span > 0n && span < MAX_WINDOW && span <= (TYPES[at.type].max as bigint)) return span
  throw new CompileError(`${what}: expected a ${name} of more than 0 that fits ${at.type}, found ${showWhole(given)}`)
}

function offsetOf({ what, at }: Parts, step: bigint, given: unknown): bigint {
  const span = given === undefined ? 0n : spanOf(given, at.type, `${what}: offset`)
  return ((span % step) + step) % step
}

const wholeOf = (type: TypeName, value: bigint): Expr =>
  literal(type, TYPES[type].js === 'number' ? Number(value) : value)
const endOf = (start: Expr, size: bigint): Expr => {
  return detailed('function', 'addSaturated', [start, wholeOf(start.type, size)], start.type)
}

export function tumbleRel(rel: Rel, at: unknown, size: unknown, options: object): Rel {
  const parts = partsOf('tumble', rel, { at, options }, 'offset')
  const length = lengthOf(parts, 'size', size)
  const start = startOf(parts, length, offsetOf(parts, length, (options as Given['options']).offset))
  return windowed(parts, start, length)
}

function startOf({ at }: Parts, step: bigint, offset: bigint): Expr {
  return detailed('function', 'windowStart', [at, wholeOf(at.type, step), wholeOf(at.type, offset)], at.type)
}

const windowed = ({ input, schema }: Parts, start: Expr, size: bigint): Rel =>
  mapOf(input, [...allColumns(input.schema), start, endOf(start, size)], schema)

/** Up to so many windows of a row are loops of their own; more are an array that is taken apart. */
const MAX_LOOPS = 8
const MAX_OVERLAP = 100_000n

export function hopRel(rel: Rel, at: unknown, size: unknown, step: unknown, options: object): Rel {
  const parts = partsOf('hop', rel, { at, options }, 'offset')
  const [length, every] = [lengthOf(parts, 'size', size), lengthOf(parts, 'step', step)]
  const offset = offsetOf(parts, every, (options as Given['options']).offset)
  const overlap = (length + every - 1n) / every
  if (overlap > MAX_OVERLAP) {
    throw new CompileError(`hop: a row would be in ${overlap} windows, more than ${MAX_OVERLAP}`)
  }
  if (overlap > MAX_LOOPS) return unnested(parts, length, every, offset)
  const first = startOf(parts, every, offset)
  return plusOf(
    Array.from({ length: Number(overlap) }, (_, i) => hopped(parts, first, length, every, BigInt(i))),
    parts.schema,
  )
}

/** The window that begins `i` steps before the last one of a row, where there is one. */
function hopped(parts: Parts, first: Expr, size: bigint, step: bigint, i: bigint): Rel {
  const { at, input, schema } = parts
  const { type } = at
  const { min, max } = TYPES[type] as { min: bigint; max: bigint }
  // Windows that would begin before all times of the type are not there, but for the last one of a row.
  const least = min + i * step
  if (least > max) return plusOf([], schema)
  const start = i === 0n ? first : detailed('function', 'subSaturated', [first, wholeOf(type, i * step)], type)
  const isThere = i === 0n ? [] : [call('ge', [first, wholeOf(type, least)], 'bool')]
  const holds = (i + 1n) * step <= size ? [] : [call('gt', [endOf(start, size), at], 'bool')]
  const kept = [...isThere, ...holds].reduce((below, condition) => filterOf(below, condition), input)
  return windowed({ ...parts, input: kept }, start, size)
}

function unnested(parts: Parts, size: bigint, step: bigint, offset: bigint): Rel {
  const { input, at, schema } = parts
  const starts = detailed(
    'function',
    'windowStarts',
    [at, wholeOf(at.type, size), wholeOf(at.type, step), wholeOf(at.type, offset)],
    arrayOf({ type: at.type, nullable: false }),
  )
  const width = input.schema.columns.length
  const unnest: UnnestRel = Object.freeze({
    ...{ kind: 'unnest', input, array: starts, ordinality: false, outer: false },
    schema: rowSchema('hop', schema.columns.slice(0, width + 1)),
  })
  const columns = allColumns(unnest.schema)
  return mapOf(unnest, [...columns, endOf(columns[width], size)], schema)
}

export interface RollingOptions<R, D, C extends Context = NoContext> {
  /** The time of a row. */
  readonly at: (row: R, ctx: Ctx<C>) => Cell
  /** Rows of different keys have nothing to do with each other; without it all rows are of one key. */
  readonly by?: (row: R, ctx: Ctx<C>) => Cells
  /** Rows at most so long before the row, and those of its own time: text like `'10 minutes'` for times. */
  readonly range?: D
  /** So many rows, the row itself being the last. */
  readonly rows?: number
  readonly ctx?: C
}

/** What messages call the parts of a window that `rolling` makes. */
const ROLLING: WindowWords = { what: 'rolling', partition: 'rolling by', order: 'rolling at', frameless: false }

/** Frames of `rolling` hold the row itself. */
export type RollingFrame = { readonly rows: readonly ['unbounded', 'current'] }

export function rollingRel(rel: Rel, options: unknown, functions: unknown): Rel {
  mustBeObject('rolling', options, '{ at, by?, range | rows }')
  checkOptions('rolling', options, ['at', 'by', 'range', 'rows', 'ctx'])
  const { at, by, range, rows, ctx } = options as RollingOptions<never, unknown>
  if ((range === undefined) === (rows === undefined)) {
    throw new CompileError('rolling: expected either range or rows', {
      hint: "give it range: '10 minutes' for rows of that time, or rows: 5 for the last five",
    })
  }
  if (rows !== undefined && !(Number.isSafeInteger(rows) && rows >= 1)) {
    throw new CompileError(`rolling: expected rows of 1 or more, found ${show(rows)}`)
  }
  const bounds = [{ preceding: rows === undefined ? range : rows - 1 }, 'current']
  const frame = rows === undefined ? { range: bounds } : { rows: bounds }
  return windowRel(rel, { partitionBy: by, orderBy: [{ by: at, ctx }], frame, ctx }, functions, ROLLING)
}

export function sessionRel(rel: Rel, at: unknown, gap: unknown, options: object): Rel {
  const parts = partsOf('session', rel, { at, options }, 'by')
  const { input, schema } = parts
  const { by, ctx } = options as Given['options']
  const keys = by === undefined ? [] : columnsLambda({ fn: by, ctx, rows: [rel.schema], what: 'session by' })
  const length = lengthOf(parts, 'gap', gap)
  return Object.freeze<SessionRel>({
    ...{ kind: 'session', input, at: parts.at, gap: length, schema },
    keys: Object.freeze(keys.map(k => k.expr)),
  })
}
