/**
 * Expressions as things to take apart: which columns they read, whether they can fail, whether two are the same,
 * and what they become when their columns are replaced. Everything the optimiser knows about expressions is here.
 *
 * Substitution keeps sharing: a sub-expression that occurred once as an object is one object afterwards, so that
 * chains of maps do not blow up and later stages may evaluate it once.
 */

import { zeroBytes } from '../schema/nested.js'
import type { RowSchema } from '../schema/schema.js'
import { isDecimal, isFloat, TYPES, type TypeName, type Value } from '../schema/types.js'
import type { CallExpr, ColumnExpr, Expr, LiteralExpr, Op } from './expr.js'
import { alwaysFits, functionNamed, holdsAll } from './scalar.js'

/** A reference to column `index` of `schema`, as the row (0) or the right row of a join (1). */
export function columnOf(schema: RowSchema, index: number, input: 0 | 1 = 0): ColumnExpr {
  const { name, type, nullable } = schema.columns[index]
  return Object.freeze({ kind: 'column', input, index, name, type, nullable })
}

/** References to all columns of `schema`, in order. */
export function allColumns(schema: RowSchema, input: 0 | 1 = 0): ColumnExpr[] {
  return schema.columns.map(c => columnOf(schema, c.index, input))
}

export function literal(type: TypeName, value: Value): LiteralExpr {
  return Object.freeze({ kind: 'literal', type, value, nullable: value === null })
}

export const TRUE = literal('bool', true)
export const FALSE = literal('bool', false)

/** Some value of the type that is not NULL; used where one is needed that is never seen. */
export function zeroOf(type: TypeName): LiteralExpr {
  switch (TYPES[type].js) {
    case 'boolean':
      return literal(type, false)
    case 'number':
      return literal(type, 0)
    case 'bigint':
      return literal(type, 0n)
    case 'string':
      return literal(type, type === 'uuid' ? '00000000-0000-0000-0000-000000000000' : '')
    case 'Uint8Array':
      return literal(type, TYPES[type].shape === null ? new Uint8Array(0) : zeroBytes(type))
  }
}

/** A call of an operator without detail; nullability follows from the arguments. */
export function call(op: Op, args: readonly Expr[], type: TypeName): CallExpr {
  return Object.freeze({ kind: 'call', op, args, type, nullable: nullability(op, args, true), detail: null, udf: null })
}

export function nullability(op: Op, args: readonly Expr[], declared: boolean, detail: string | null = null): boolean {
  switch (op) {
    case 'is':
    case 'isnt':
    case 'isNull':
      return false
    case 'coalesce':
      return args.every(a => a.nullable)
    case 'if':
      return args[1].nullable || args[2].nullable
    case 'udf':
      return declared
    case 'function': {
      const { nulls } = functionNamed(detail)
      return nulls === 'partial' || (nulls === 'strict' && args.some(a => a.nullable))
    }
    default:
      return args.some(a => a.nullable)
  }
}

/** A call that `detail` says more about; nullability follows from the arguments. */
export function detailed(
  op: 'math' | 'datePart' | 'function',
  detail: string,
  args: readonly Expr[],
  type: TypeName,
): CallExpr {
  const nullable = nullability(op, args, true, detail)
  return Object.freeze({ kind: 'call', op, args, type, nullable, detail, udf: null })
}

/** The same call on other arguments, its nullability derived anew. Gives `expr` itself if nothing changed. */
export function rebuild(expr: CallExpr, args: readonly Expr[]): CallExpr {
  const nullable = nullability(expr.op, args, expr.nullable, expr.detail)
  if (nullable === expr.nullable && args.every((a, i) => a === expr.args[i])) return expr
  return Object.freeze({ ...expr, args, nullable })
}

/** Replaces columns. Equal objects stay equal objects; gives `expr` itself if nothing changed. */
export function replaceColumns(expr: Expr, replace: (column: ColumnExpr) => Expr): Expr {
  return replacer(replace)(expr)
}

/** `replaceColumns` over a list, sharing between its expressions too. */
export function replaceAll(exprs: readonly Expr[], replace: (column: ColumnExpr) => Expr): Expr[] {
  return exprs.map(replacer(replace))
}

function replacer(replace: (column: ColumnExpr) => Expr): (expr: Expr) => Expr {
  const done = new Map<Expr, Expr>()
  const visit = (expr: Expr): Expr => {
    if (expr.kind === 'literal') return expr
    const known = done.get(expr)
    if (known !== undefined) return known
    const result = expr.kind === 'column' ? replace(expr) : rebuild(expr, expr.args.map(visit))
    done.set(expr, result)
    return result
  }
  return visit
}

/** For `replaceColumns`: input 0 as given by `exprs`. */
export const through =
  (exprs: readonly Expr[]) =>
  (column: ColumnExpr): Expr =>
    exprs[column.index]

/**
 * For `replaceColumns`: every column again, at its place `at[index]` (default: where it was) of the schema its
 * input really has, with that schema's name and nullability.
 */
export function onto(
  schemas: readonly [RowSchema] | readonly [RowSchema, RowSchema],
  at: readonly (readonly number[] | null)[] = [null, null],
) {
  return (column: ColumnExpr): ColumnExpr => {
    const index = at[column.input]?.[column.index] ?? column.index
    const schema = schemas[column.input] as RowSchema
    const found = columnOf(schema, index, column.input)
    const same = found.index === column.index && found.name === column.name && found.nullable === column.nullable
    return same ? column : found
  }
}

const usedCache = new WeakMap<Expr, readonly [ReadonlySet<number>, ReadonlySet<number>]>()

/** The columns an expression reads: of the (left) row, and of the right row. */
export function usedColumns(expr: Expr): readonly [ReadonlySet<number>, ReadonlySet<number>] {
  const known = usedCache.get(expr)
  if (known !== undefined) return known
  const used = [new Set<number>(), new Set<number>()] as const
  if (expr.kind === 'column') used[expr.input].add(expr.index)
  if (expr.kind === 'call') {
    for (const arg of expr.args) {
      const [left, right] = usedColumns(arg)
      for (const c of left) used[0].add(c)
      for (const c of right) used[1].add(c)
    }
  }
  usedCache.set(expr, used)
  return used
}

const failCache = new WeakMap<CallExpr, boolean>()

/**
 * Whether evaluating `expr` may fail on some row. Errs on the side of true: what cannot fail may be moved,
 * repeated and dropped at will, what can fail must be evaluated exactly where its author put it.
 */
export function canFail(expr: Expr): boolean {
  if (expr.kind !== 'call') return false
  let fails = failCache.get(expr)
  if (fails === undefined) {
    fails = opCanFail(expr) || expr.args.some(canFail)
    failCache.set(expr, fails)
  }
  return fails
}

/** Whether the operator may fail on operands that have a value. */
export function opCanFail(expr: CallExpr): boolean {
  switch (expr.op) {
    case 'add':
    case 'sub':
    case 'mul':
      return isDecimal(expr.type) ? !decimalIsTotal(expr.op, expr) : !isFloat(expr.type)
    case 'neg':
      return !isFloat(expr.type) && !isDecimal(expr.type)
    case 'pow':
      return !isFloat(expr.type)
    case 'div':
    case 'rem':
      if (isDecimal(expr.type)) return !decimalIsTotal(expr.op, expr)
      return !isFloat(expr.type) && !dividesAlways(expr)
    case 'cast':
      return !castIsTotal(expr.args[0].type, expr.type)
    case 'function':
      return functionNamed(expr.detail).canFail && !roundsAlways(expr)
    case 'udf':
    // Text may become longer than a string can be.
    case 'concat':
    case 'upper':
    case 'lower':
      return true
    default:
      return false
  }
}

/**
 * Division of 64-bit integers of one kind by a constant of that kind: not 0, and not -1, by which the least one overflows.
 */
function dividesAlways({ type, args: [dividend, divisor] }: CallExpr): boolean {
  const { storage, min, max } = TYPES[type]
  if ((type !== 'i64' && type !== 'u64') || TYPES[dividend.type].storage !== storage) return false
  if (divisor.kind !== 'literal' || typeof divisor.value !== 'bigint' || min === null || max === null) return false
  const { value } = divisor
  return value !== 0n && value !== -1n && value >= min && value <= max
}

/** Arithmetic of decimals whose type has room for every result, and that does not divide by what may be zero. */
function decimalIsTotal(op: 'add' | 'sub' | 'mul' | 'div' | 'rem', { args: [left, right] }: CallExpr): boolean {
  if (!isDecimal(left.type) || !isDecimal(right.type) || !alwaysFits(op, left.type, right.type)) return false
  if (op !== 'div' && op !== 'rem') return true
  return right.kind === 'literal' && typeof right.value === 'bigint' && right.value !== 0n
}

const ROUNDING = ['decimalRound', 'decimalFloor', 'decimalCeil', 'decimalTrunc']

const roundsAlways = ({ detail, type, args }: CallExpr): boolean =>
  detail !== null && ROUNDING.includes(detail) && holdsAll(type, args[0].type)

function castIsTotal(from: TypeName, to: TypeName): boolean {
  if (from === to) return true
  if ((from === 'timestamp' || from === 'timestamptz') && (to === 'date' || to === 'time')) return true
  const [source, target] = [TYPES[from], TYPES[to]]
  if (isDecimal(to)) return holdsAll(to, from)
  if (isDecimal(from)) return to === 'string' || to === 'f64' || to === 'f32'
  if (source.shape !== null || target.shape !== null) return to === 'string' && from === 'interval'
  const integer = (t: TypeName) => /^[iu]\d+$/.test(t)
  if (to === 'string') return from !== 'bytes'
  if (to === 'f64') return from === 'f32' || from === 'bool' || from === 'date' || integer(from)
  if (!integer(to)) return false
  if (!integer(from)) return from === 'bool'
  return (source.min as bigint) >= (target.min as bigint) && (source.max as bigint) <= (target.max as bigint)
}

const sizeCache = new WeakMap<CallExpr, number>()

/** Number of operators in the expression written out as a tree; columns and literals are free. */
export function sizeOf(expr: Expr): number {
  if (expr.kind !== 'call') return 0
  let size = sizeCache.get(expr)
  if (size === undefined) {
    size = expr.args.reduce((sum, arg) => sum + sizeOf(arg), 1)
    sizeCache.set(expr, size)
  }
  return size
}

/** How often each column of input 0 is read, counted in the expressions written out as trees (at most `cap`). */
export function countUses(exprs: readonly Expr[], cap = 1000): Map<number, number> {
  const counts = new Map<number, number>()
  let budget = cap
  const visit = (expr: Expr): void => {
    if (budget-- <= 0) return
    if (expr.kind === 'column') counts.set(expr.index, (counts.get(expr.index) ?? 0) + 1)
    if (expr.kind === 'call') expr.args.forEach(visit)
  }
  exprs.forEach(visit)
  // Too large to count: say "often" for everything, which only makes callers careful.
  if (budget <= 0) for (const expr of exprs) for (const c of usedColumns(expr)[0]) counts.set(c, cap)
  return counts
}

/** Whether a user function is called anywhere in `expr`. */
export function callsUdf(expr: Expr): boolean {
  return expr.kind === 'call' && (expr.op === 'udf' || expr.args.some(callsUdf))
}

const ids = new WeakMap<object, number>()
let nextId = 0

/** A number that stands for the object's identity. */
export function identity(object: object): number {
  let id = ids.get(object)
  if (id === undefined) {
    id = nextId++
    ids.set(object, id)
  }
  return id
}

const keyCache = new WeakMap<Expr, string>()

/**
 * Text that two expressions have in common exactly if they compute the same from the same columns: names do not
 * matter, user functions go by identity.
 */
export function exprKey(expr: Expr): string {
  let key = keyCache.get(expr)
  if (key === undefined) {
    key = makeKey(expr)
    keyCache.set(expr, key)
  }
  return key
}

export const sameExpr = (a: Expr, b: Expr): boolean => a === b || exprKey(a) === exprKey(b)

// A key of a call holds its arguments' keys only while they are short; long ones are replaced by a number, so
// that an expression with much sharing has a short key too.
const longKeys = new Map<string, string>()
const LONG_KEY = 200

function makeKey(expr: Expr): string {
  const type = `${expr.type}${expr.nullable ? '?' : ''}`
  if (expr.kind === 'column') return `${expr.input === 0 ? '$' : '@'}${expr.index}:${type}`
  if (expr.kind === 'literal') return `${valueKey(expr.value)}:${type}`
  const what = expr.udf === null ? JSON.stringify(expr.detail) : `#${identity(expr.udf)}`
  const key = `${expr.op}${what}:${type}(${expr.args.map(exprKey).join(',')})`
  if (key.length <= LONG_KEY) return key
  let short = longKeys.get(key)
  if (short === undefined) {
    short = `~${longKeys.size}`
    longKeys.set(key, short)
  }
  return short
}

function valueKey(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (Object.is(value, -0)) return '-0'
  if (value instanceof Uint8Array) return `x${Array.from(value, b => b.toString(16).padStart(2, '0')).join('')}`
  return String(value)
}
