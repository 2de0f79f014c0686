/**
 * The expression IR: one typed tree for builder lambdas and SQL.
 *
 * Values are three-valued where `nullable` says so. `type` is the type of the result; the TypeScript value of an
 * expression of type t is `TYPES[t].js`. Operators on numbers are typed by their operands: `number` expressions
 * are f64 unless an operator says otherwise, bigint expressions are i64 or u64 with overflow checks.
 * An expression that fails on a row (`canFail`) does not throw: the failure becomes data (DESIGN §4).
 */
import type { TypeName, Value } from '../schema/types.js'

export type Op =
  // arithmetic; `type` f64: IEEE; i64/u64: exact, fails on overflow; i32 …: never produced by lambdas;
  // decimals: exact (`scalar/decimals.ts`); intervals with each other, with instants, with numbers (`scalar/temporal.ts`)
  | 'add'
  | 'sub'
  | 'mul'
  | 'div' // f64: IEEE. integers: truncates toward zero, fails on division by zero
  | 'rem' // sign of the dividend; integers fail on zero
  | 'neg'
  | 'pow' // f64 only
  // comparison, three-valued: NULL if an operand is NULL. Floats: NaN equals itself and is greatest, as in the row order
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  // IS [NOT] DISTINCT FROM: never NULL
  | 'is'
  | 'isnt'
  // three-valued logic
  | 'and'
  | 'or'
  | 'not'
  | 'isNull'
  | 'coalesce' // args: two or more
  | 'if' // args: condition (NULL counts as false), then, else
  // strings (UTF-16 positions, as in JavaScript)
  | 'concat' // NULL if an operand is NULL
  | 'startsWith'
  | 'endsWith'
  | 'includes'
  | 'slice' // args: s, start, end?
  | 'length' // of a string in UTF-16 units, of bytes in bytes; f64
  | 'upper'
  | 'lower'
  | 'trim'
  // the first 64 bits of text (UTF-8), bytes, uuid or u128 as a u64 that orders as they do; of indexes, not of lambdas
  | 'prefix'
  // f64 functions; `fn` names the member of Math
  | 'math'
  // conversion to `type`; fails out of range, on a fraction (integers) or on text that does not parse
  | 'cast'
  // parts of date, time, timestamp(tz) (UTC); `part` in `detail`; f64
  | 'datePart'
  // functions of nested values and others without an operator of their own; `detail` names one of `scalar/nested.ts`
  | 'function'
  | 'udf'

export type DatePart =
  | 'year'
  | 'quarter'
  | 'month'
  | 'day'
  | 'dayOfWeek' // 0 = Sunday
  | 'dayOfYear'
  | 'hour'
  | 'minute'
  | 'second' // with fraction
  | 'epoch' // seconds since 1970-01-01, with fraction

export interface ColumnExpr {
  readonly kind: 'column'
  /** Which input relation: 0 = the row (or the left row of a join), 1 = the right row. */
  readonly input: 0 | 1
  readonly index: number
  /** For messages and names in generated code. */
  readonly name: string
  readonly type: TypeName
  readonly nullable: boolean
}

export interface LiteralExpr {
  readonly kind: 'literal'
  readonly value: Value
  readonly type: TypeName
  readonly nullable: boolean
}

/** A user function over decoded values. It must be pure; what it throws becomes the row's failure. */
export interface Udf {
  readonly name: string
  readonly fn: (...args: never[]) => unknown
}

/** Where a call that can fail keeps what it was written for (`origin.ts`); copied with the call, not part of what it is. */
export const ORIGIN: unique symbol = Symbol('origin')

export interface CallExpr {
  readonly kind: 'call'
  readonly op: Op
  readonly args: readonly Expr[]
  readonly type: TypeName
  readonly nullable: boolean
  /** `math`, `function`: the function's name; `datePart`: the part; otherwise null. */
  readonly detail: string | null
  readonly udf: Udf | null
  readonly [ORIGIN]?: string
}

export type Expr = ColumnExpr | LiteralExpr | CallExpr
