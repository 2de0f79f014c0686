/**
 * Functions that a lambda gets through its ctx object: the built-in ones of `fn`, and the user's own, made with `udf`.
 *
 * They are ordinary function values, so that TypeScript checks their use; what a call means is looked up by the
 * function's identity. A built-in has no other life: called outside of a lambda it throws.
 */
import { CompileError, quote, SchemaError, show, UsageError } from '../../base/errors.js'
import type { Interval } from '../../schema/interval.js'
import type { JsonValue } from '../../schema/nested.js'
import { knownType, type TypeName, type Value } from '../../schema/types.js'
import { ColumnBuilder } from '../columns.js'
import type { DatePart, Expr, Udf } from '../expr.js'
import { nowExpr } from '../now.js'
import type { TruncUnit } from '../scalar.js'
import {
  arithmetic,
  cast,
  coalesce,
  datePart,
  isNull,
  length,
  math,
  negate,
  type Parameter,
  textOp,
  udfCall,
} from '../typing.js'
import {
  absDecimal,
  dateTrunc,
  elapsed,
  inZone,
  isBetween,
  isNear,
  jsonContains,
  jsonPath,
  makeInterval,
  makeMap,
  mapPart,
  ofJson,
  parseJson,
  roundDecimal,
  toDecimal,
  toJson,
} from '../typing-nested.js'

/** Turns the arguments of a call into an expression. Throws CompileError without a frame. */
export type Build = (args: readonly Expr[]) => Expr

const meanings = new WeakMap<object, Build>()

/** What a call of `value` means, or undefined if it is not one of ours. */
export const buildOf = (value: unknown): Build | undefined =>
  typeof value === 'function' ? meanings.get(value) : undefined

const udfs = new WeakMap<object, Udf>()

/** The definition of a user function, or undefined if `value` is none. */
export const udfOf = (value: unknown): Udf | undefined => (typeof value === 'function' ? udfs.get(value) : undefined)

type Nullish = null | undefined
/** null where the argument may be null. */
type NullIf<T> = T extends Nullish ? null : never
type Input = Value | object | undefined

type Cast<R> = <T extends Input>(value: T) => R | NullIf<T>
type Part = <T extends number | bigint | Nullish>(value: T) => number | NullIf<T>
type TextFunction = <T extends string | Nullish>(text: T) => string | NullIf<T>
interface Coalesce {
  <A extends Input, B extends Input>(a: A, b: B): NonNullable<A> | B
  <A extends Input, B extends Input, C extends Input>(a: A, b: B, c: C): NonNullable<A | B> | C
  <T extends Input>(...values: readonly T[]): T
}

function builtIn<F extends (...args: never[]) => unknown>(
  name: string,
  arity: readonly [number, number],
  build: Build,
): F {
  const outside = (): never => {
    throw new UsageError(`${name}() has a meaning only inside a lambda of a view`)
  }
  meanings.set(outside, args => {
    const [least, most] = arity
    if (args.length < least || args.length > most) {
      const expected = most === least ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`
      throw new CompileError(`${name}: expected ${expected} argument(s), found ${args.length}`)
    }
    return build(args)
  })
  // The call signature exists for TypeScript, which checks lambdas against it.
  return outside as unknown as F
}

const castTo = <R>(name: string, type: TypeName): Cast<R> => builtIn(name, [1, 1], ([a]) => cast(type, a))
const part = (name: DatePart): Part => builtIn(name, [1, 1], ([a]) => datePart(name, a))
const text = (op: 'upper' | 'lower' | 'trim'): TextFunction => builtIn(op, [1, 1], args => textOp(op, args, op))

type Operand = string | number | bigint | Interval | Nullish
type IsInterval<T> = NonNullable<T> extends Interval ? true : false
/** Decimals are text; an instant and an interval make an instant. */
type ResultOf<A, B> =
  | (IsInterval<A> extends true
      ? NonNullable<B> extends bigint
        ? bigint
        : Interval
      : IsInterval<B> extends true
        ? NonNullable<A> extends string
          ? Interval
          : NonNullable<A> extends bigint
            ? bigint
            : Interval
        : NonNullable<A> extends string
          ? string
          : NonNullable<B> extends string
            ? string
            : NonNullable<A> extends bigint
              ? bigint
              : number)
  | NullIf<A>
  | NullIf<B>

const operator = (op: 'add' | 'sub' | 'mul' | 'div' | 'rem') =>
  builtIn<<A extends Operand, B extends Operand>(a: A, b: B) => ResultOf<A, B>>(op, [2, 2], ([a, b]) =>
    arithmetic(op, a, b),
  )
const rounding = (how: 'round' | 'floor' | 'ceil' | 'trunc') =>
  builtIn<<T extends string | Nullish>(value: T, digits?: number) => string | NullIf<T>>(how, [1, 2], ([a, digits]) =>
    roundDecimal(how, a, digits),
  )
const zoned = (name: string, which: 'toLocal' | 'fromLocal') =>
  builtIn<<T extends bigint | Nullish>(at: T, zone: string) => bigint | NullIf<T>>(name, [2, 2], ([at, zone]) =>
    inZone(which, at, zone),
  )

/**
 * The built-in functions. Pass those that a lambda uses, or all of them, through its ctx object:
 * `.filter((o, { year }) => year(o.at) === 2001, { year: fn.year })` or `(o, { fn }) => …, { fn }`.
 * Casts fail on the rows where they would lose something. Parts of dates and times are in UTC.
 */
export const fn = Object.freeze({
  year: part('year'),
  quarter: part('quarter'),
  month: part('month'),
  day: part('day'),
  dayOfWeek: part('dayOfWeek'),
  dayOfYear: part('dayOfYear'),
  hour: part('hour'),
  minute: part('minute'),
  second: part('second'),
  epoch: part('epoch'),

  bool: castTo<boolean>('bool', 'bool'),
  i8: castTo<number>('i8', 'i8'),
  i16: castTo<number>('i16', 'i16'),
  i32: castTo<number>('i32', 'i32'),
  i64: castTo<bigint>('i64', 'i64'),
  u8: castTo<number>('u8', 'u8'),
  u16: castTo<number>('u16', 'u16'),
  u32: castTo<number>('u32', 'u32'),
  u64: castTo<bigint>('u64', 'u64'),
  u128: castTo<bigint>('u128', 'u128'),
  f32: castTo<number>('f32', 'f32'),
  f64: castTo<number>('f64', 'f64'),
  text: castTo<string>('text', 'string'),
  string: castTo<string>('string', 'string'),
  bytes: castTo<Uint8Array>('bytes', 'bytes'),
  uuid: castTo<string>('uuid', 'uuid'),
  date: castTo<number>('date', 'date'),
  time: castTo<bigint>('time', 'time'),
  timestamp: castTo<bigint>('timestamp', 'timestamp'),
  timestamptz: castTo<bigint>('timestamptz', 'timestamptz'),

  isNull: builtIn<(value: Input) => boolean>('isNull', [1, 1], ([a]) => isNull(a)),
  coalesce: builtIn<Coalesce>('coalesce', [1, Infinity], args => args.reduceRight((rest, a) => coalesce(a, rest))),
  upper: text('upper'),
  lower: text('lower'),
  trim: text('trim'),
  length: builtIn<<T extends string | Uint8Array | Nullish>(value: T) => number | NullIf<T>>('length', [1, 1], ([a]) =>
    length(a),
  ),
  abs: builtIn<<T extends number | string | Nullish>(value: T) => (T extends string ? string : number) | NullIf<T>>(
    'abs',
    [1, 1],
    args => absDecimal(args[0]) ?? math('abs', args),
  ),

  /** Arithmetic of decimals and intervals, for which TypeScript has no operators; also of numbers and bigints. */
  add: operator('add'),
  sub: operator('sub'),
  mul: operator('mul'),
  div: operator('div'),
  rem: operator('rem'),
  neg: builtIn<<T extends Operand>(value: T) => T>('neg', [1, 1], ([a]) => negate(a)),
  /** Rounded half away from zero, to `scale` digits after the point. */
  decimal: builtIn<<T extends Input>(value: T, precision: number, scale?: number) => string | NullIf<T>>(
    ...(['decimal', [2, 3]] as const),
    ([a, p, s]) => toDecimal(a, p, s),
  ),
  round: rounding('round'),
  floor: rounding('floor'),
  ceil: rounding('ceil'),
  trunc: rounding('trunc'),

  /** The time that the clock of the database shows: see docs/time.md. In comparisons of filters only. */
  now: builtIn<() => bigint>('now', [0, 0], nowExpr),
  /** So long before `now()`: `ago('10 minutes')`. */
  ago: builtIn<(span: string) => bigint>('ago', [1, 1], ([span]) =>
    arithmetic('sub', nowExpr(), cast('interval', span)),
  ),

  interval: castTo<Interval>('interval', 'interval'),
  makeInterval: builtIn<(months: number, days: number, micros: bigint) => Interval>(
    'makeInterval',
    [3, 3],
    ([a, b, c]) => makeInterval(a, b, c),
  ),
  /** The time between two timestamps. */
  elapsed: builtIn<<T extends bigint | Nullish>(later: T, earlier: T) => Interval | NullIf<T>>(
    'elapsed',
    [2, 2],
    ([a, b]) => elapsed(a, b),
  ),
  dateTrunc: builtIn<
    <T extends number | bigint | Nullish>(unit: TruncUnit, at: T, zone?: string) => bigint | NullIf<T>
  >(...(['dateTrunc', [2, 3]] as const), ([unit, at, zone]) => dateTrunc(unit, at, zone)),
  /** The local time, a timestamp, of a timestamptz in a zone; and back. */
  toZone: zoned('toZone', 'toLocal'),
  fromZone: zoned('fromZone', 'fromLocal'),

  /** lo <= x && x <= hi */
  between: builtIn<<T extends Input>(x: T, lo: T, hi: T) => boolean>('between', [3, 3], ([x, lo, hi]) =>
    isBetween(x, lo, hi),
  ),
  /** Whether two numbers or times are at most `by` apart. */
  near: builtIn<<T extends number | bigint | Nullish>(a: T, b: T, by: number | bigint) => boolean>(
    'near',
    [3, 3],
    ([a, b, by]) => isNear(a, b, by),
  ),

  mapOf: builtIn<<K, V>(keys: readonly K[], values: readonly V[]) => ReadonlyMap<K, V>>('mapOf', [2, 2], ([k, v]) =>
    makeMap(k, v),
  ),
  mapKeys: builtIn<<K>(map: ReadonlyMap<K, unknown>) => readonly K[]>('mapKeys', [1, 1], ([a]) =>
    mapPart('mapKeys', a),
  ),
  mapValues: builtIn<<V>(map: ReadonlyMap<unknown, V>) => readonly V[]>('mapValues', [1, 1], ([a]) =>
    mapPart('mapValues', a),
  ),

  /** JSON from text; of any other value by `toJson`. */
  json: builtIn<(text: string | Nullish) => JsonValue>('json', [1, 1], ([a]) => parseJson(a)),
  toJson: builtIn<(value: Input) => JsonValue>('toJson', [1, 1], ([a]) => toJson(a)),
  jsonText: builtIn<<T extends Input>(value: T) => string | NullIf<T>>('jsonText', [1, 1], ([a]) =>
    ofJson('jsonText', a),
  ),
  /** The value at a path of names and positions, NULL if there is none. */
  get: builtIn<(value: Input, ...path: readonly (string | number)[]) => JsonValue>(
    'get',
    [2, Infinity],
    ([a, ...path]) => jsonPath(a, path),
  ),
  jsonKind: builtIn<(value: Input) => string | null>('jsonKind', [1, 1], ([a]) => ofJson('jsonKind', a)),
  jsonLength: builtIn<(value: Input) => number | null>('jsonLength', [1, 1], ([a]) => ofJson('jsonLength', a)),
  jsonKeys: builtIn<(value: Input) => readonly string[] | null>('jsonKeys', [1, 1], ([a]) => ofJson('jsonKeys', a)),
  jsonElements: builtIn<(value: Input) => readonly (JsonValue | null)[] | null>('jsonElements', [1, 1], ([a]) =>
    ofJson('jsonElements', a),
  ),
  /** Whether all of `part` is found in `whole`. */
  jsonContains: builtIn<(whole: Input, part: Input) => boolean | null>('jsonContains', [2, 2], ([a, b]) =>
    jsonContains(a, b),
  ),
})

type NumberTypes = 'i8' | 'i16' | 'i32' | 'u8' | 'u16' | 'u32' | 'f32' | 'f64' | 'date'
/** The TypeScript type of a column type's values. */
export type JsOf<N extends TypeName> = N extends 'bool'
  ? boolean
  : N extends NumberTypes
    ? number
    : N extends 'string' | 'uuid'
      ? string
      : N extends 'bytes'
        ? Uint8Array
        : bigint

/** A parameter or result of a user function: a type name, or a column like `i64().nullable()`. */
export type UdfType = TypeName | ColumnBuilder<unknown, boolean, unknown>
type UdfValue<P> = P extends TypeName
  ? JsOf<P>
  : P extends ColumnBuilder<infer T, infer N, unknown>
    ? T | (N extends true ? null : never)
    : never
type UdfArguments<P extends readonly UdfType[]> = { -readonly [K in keyof P]: UdfValue<P[K]> }
type LooseArguments<P extends readonly UdfType[]> = { -readonly [K in keyof P]: UdfValue<P[K]> | null }
/** null where an argument may be null whose parameter may not. */
type Skipped<P extends readonly UdfType[], A extends readonly unknown[]> = {
  [K in keyof A]: K extends keyof P ? (null extends UdfValue<P[K]> ? never : Extract<A[K], null>) : never
}[number]

/** A user function as it is called in lambdas (and, for tests, anywhere else). */
export type UdfFunction<P extends readonly UdfType[], R extends UdfType> = <A extends LooseArguments<P>>(
  ...args: A
) => UdfValue<R> | Skipped<P, A>

/**
 * Makes a user function for lambdas: `udf('km', ['f64'], 'f64', miles => miles * 1.609)`. It must be pure: the same
 * arguments give the same result, whenever and however often it is called. NULL for a parameter that is not nullable
 * makes the result NULL without a call; what the function throws, and a result that does not fit, becomes the
 * failure of the row. Throws SchemaError on a wrong definition.
 */
export function udf<const P extends readonly UdfType[], R extends UdfType>(
  name: string,
  parameters: P,
  returns: R,
  body: (...args: UdfArguments<P>) => UdfValue<R>,
): UdfFunction<P, R> {
  if (typeof name !== 'string' || name === '') throw new SchemaError('a udf needs a non-empty name')
  if (typeof body !== 'function') throw new SchemaError(`udf ${quote(name)}: expected a function, found ${show(body)}`)
  if (!Array.isArray(parameters)) {
    throw new SchemaError(`udf ${quote(name)}: expected an array of argument types, found ${show(parameters)}`)
  }
  const given = parameters.map((p: UdfType, i) => parameterOf(name, `argument ${i + 1}`, p))
  const result = parameterOf(name, 'the result', returns)
  const definition: Udf = Object.freeze({ name, fn: body as unknown as Udf['fn'] })
  const callable = (...args: UdfArguments<P>): UdfValue<R> => {
    if (args.some((a, i) => a === null && !given[i]?.nullable)) return null as UdfValue<R>
    return body(...args)
  }
  meanings.set(callable, args => udfCall(definition, given, result, args))
  udfs.set(callable, definition)
  return callable as unknown as UdfFunction<P, R>
}

function parameterOf(name: string, which: string, type: UdfType): Parameter {
  if (type instanceof ColumnBuilder) return { type: type.type, nullable: type.isNullable }
  const known = typeof type === 'string' ? knownType(type) : null
  if (known !== null) return { type: known, nullable: false }
  throw new SchemaError(
    `udf ${quote(name)}: ${which}: expected a type like 'i64' or i64().nullable(), found ${show(type)}`,
  )
}
