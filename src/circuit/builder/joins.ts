/**
 * Joins of the builder: the condition is split into equalities between the sides, which become the join's keys, and
 * a residual condition for the rest.
 */
import { CompileError, quote } from '../../base/errors.js'
import { type ColumnSpec, type RowSchema, rowSchema } from '../../schema/schema.js'
import { isNumberType, TYPES, type TypeName } from '../../schema/types.js'
import type { Expr } from '../expr.js'
import { columnsLambda, conditionLambda, type NamedExpr } from '../lambda/index.js'
import { nullOf } from '../literals.js'
import type { AsOfRel, JoinRel, Rel } from '../rel.js'
import { allColumns, call, literal, usedColumns } from '../substitute.js'
import { cast } from '../typing.js'

export type JoinType = JoinRel['type']

export interface JoinParts {
  readonly type: JoinType
  readonly left: Rel
  readonly right: Rel
  readonly on: unknown
  readonly select: unknown
  readonly ctx: unknown
}

/** Joins as the builder calls them. */
export const JOIN_NAMES: Readonly<Record<JoinType, string>> = {
  inner: 'join',
  left: 'leftJoin',
  right: 'rightJoin',
  full: 'fullJoin',
  semi: 'semiJoin',
  anti: 'antiJoin',
}

/** Builds a join. Throws CompileError if the columns clash. */
export function joinRel(parts: JoinParts): JoinRel {
  const { type, left, right, ctx } = parts
  const what = JOIN_NAMES[type]
  const condition = conditionLambda({ fn: parts.on, ctx, rows: [left.schema, right.schema], what: `${what} condition` })
  const keys = splitCondition(condition)
  const columns = outputColumns(parts, what)
  const specs = columns.map(({ name, expr }): ColumnSpec => ({ name, type: expr.type, nullable: expr.nullable }))
  const semi = type === 'semi' || type === 'anti'
  return Object.freeze({
    kind: 'join',
    type,
    left,
    right,
    ...keys,
    exprs: Object.freeze(columns.map(c => c.expr)),
    schema: semi ? left.schema : rowSchema(what, specs),
  })
}

const TURNED = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' } as const

/**
 * Builds an as-of join. Throws CompileError unless the condition is equalities between the sides and one comparison of
 * their times.
 */
export function asOfRel(parts: JoinParts & { readonly type: 'inner' | 'left' }): AsOfRel {
  const { type, left, right, ctx } = parts
  const what = type === 'inner' ? 'asOfJoin' : 'asOfLeftJoin'
  const condition = conditionLambda({ fn: parts.on, ctx, rows: [left.schema, right.schema], what: `${what} condition` })
  const on: (readonly [Expr, Expr])[] = []
  const nullSafe: boolean[] = []
  const times: { op: AsOfRel['op']; left: Expr; right: Expr }[] = []
  for (const conjunct of conjunctsOf(condition)) {
    const pair = sides(conjunct)
    const order = pair === null ? timesOf(conjunct) : null
    if (order !== null) times.push(order)
    else if (pair === null) refuseAsOf(what, 'another condition')
    else {
      const [a, b, exact] = commonType(pair)
      if (!exact) refuseAsOf(what, `an equality of ${pair[0].type} and ${pair[1].type}`)
      on.push([a, b])
      nullSafe.push(a.nullable && b.nullable)
    }
  }
  if (times.length !== 1) refuseAsOf(what, times.length === 0 ? 'no comparison' : 'several comparisons')
  const columns = outputColumns(parts, what)
  const specs = columns.map(({ name, expr }): ColumnSpec => ({ name, type: expr.type, nullable: expr.nullable }))
  return Object.freeze({
    ...{ kind: 'asOf', type, left, right, on: Object.freeze(on), op: times[0].op },
    nullSafe: Object.freeze(nullSafe),
    times: [times[0].left, times[0].right] as const,
    exprs: Object.freeze(columns.map(c => c.expr)),
    schema: rowSchema(what, specs),
  })
}

function refuseAsOf(what: string, found: string): never {
  throw new CompileError(`${what}: expected equalities and one comparison between the sides, found ${found}`, {
    hint: 'write it like (trade, quote) => trade.symbol === quote.symbol && quote.at <= trade.at',
  })
}

/** The comparison of a right time with a left one, or null. */
function timesOf(expr: Expr): { op: AsOfRel['op']; left: Expr; right: Expr } | null {
  if (expr.kind !== 'call' || !Object.hasOwn(TURNED, expr.op)) return null
  const op = expr.op as AsOfRel['op']
  const [a, b] = expr.args[0].type === expr.args[1].type ? expr.args : expr.args.map(e => cast('f64', e))
  const side = (e: Expr): 0 | 1 | null => {
    const [left, right] = usedColumns(e)
    return left.size > 0 && right.size === 0 ? 0 : right.size > 0 && left.size === 0 ? 1 : null
  }
  if (side(a) === 1 && side(b) === 0) return { op, left: b, right: a }
  return side(a) === 0 && side(b) === 1 ? { op: TURNED[op], left: a, right: b } : null
}

/** The columns of the result; those of a side that may be absent are nullable. */
function outputColumns(parts: JoinParts, what: string): readonly NamedExpr[] {
  const { type, left, right, select, ctx } = parts
  const named = (exprs: readonly Expr[], schema: RowSchema) =>
    exprs.map((expr, i) => ({ name: schema.columns[i].name, expr }))
  if (type === 'semi' || type === 'anti') return named(allColumns(left.schema), left.schema)
  const leftSchema = type === 'right' || type === 'full' ? nullableSchema(left.schema) : left.schema
  const rightSchema = type === 'left' || type === 'full' ? nullableSchema(right.schema) : right.schema
  if (select !== undefined) {
    return columnsLambda({ fn: select, ctx, rows: [leftSchema, rightSchema], what: `${what} select` })
  }
  const ours = new Set(leftSchema.columns.map(c => c.name))
  const clash = rightSchema.columns.find(c => ours.has(c.name))
  if (clash !== undefined) {
    throw new CompileError(`${what}: both sides have a column ${quote(clash.name)}`, {
      hint: 'choose the columns with a third argument: (a, b) => ({ …a, other: b.name })',
    })
  }
  return [...named(allColumns(leftSchema), leftSchema), ...named(allColumns(rightSchema, 1), rightSchema)]
}

const nullableSchema = (schema: RowSchema): RowSchema =>
  rowSchema(
    schema.name,
    schema.columns.map(c => ({ name: c.name, type: c.type, nullable: true })),
  )

export interface JoinKeys {
  readonly on: readonly (readonly [Expr, Expr])[]
  readonly nullSafe: readonly boolean[]
  readonly residual: Expr | null
}

/** The conjuncts `left-only === right-only` as keys, all others as the residual, in order. */
export function splitCondition(condition: Expr): JoinKeys {
  const on: (readonly [Expr, Expr])[] = []
  const nullSafe: boolean[] = []
  const rest: Expr[] = []
  for (const conjunct of conjunctsOf(condition)) {
    const pair = sides(conjunct)
    if (pair === null) {
      rest.push(conjunct)
      continue
    }
    const [left, right, exact] = commonType(pair)
    on.push([left, right])
    nullSafe.push(pair[0].nullable && pair[1].nullable)
    if (!exact) rest.push(conjunct)
  }
  const residual = rest.length === 0 ? null : rest.reduceRight((tail, c) => call('and', [c, tail], 'bool'))
  return { on: Object.freeze(on), nullSafe: Object.freeze(nullSafe), residual }
}

const conjunctsOf = (expr: Expr): Expr[] =>
  expr.kind === 'call' && expr.op === 'and' ? expr.args.flatMap(conjunctsOf) : [expr]

/** The two sides of a condition that is one equality of values of one type or of numbers; null if it is something else. */
export function equalityOf(condition: Expr): readonly [left: Expr, right: Expr] | null {
  const pair = sides(condition)
  if (pair === null) return null
  const [a, b] = pair.map(e => e.type)
  if (a !== b && !(isNumberType(a) && isNumberType(b))) return null
  const [left, right] = commonType(pair)
  return [left, right]
}

/** The two sides of an equality, left one first, or null if it is none between the sides. */
function sides(expr: Expr): readonly [Expr, Expr] | null {
  if (expr.kind !== 'call' || expr.op !== 'is') return null
  const [a, b] = expr.args
  const side = (e: Expr): 0 | 1 | null => {
    const [left, right] = usedColumns(e)
    return left.size > 0 && right.size === 0 ? 0 : right.size > 0 && left.size === 0 ? 1 : null
  }
  if (side(a) === 0 && side(b) === 1) return [a, b]
  return side(a) === 1 && side(b) === 0 ? [b, a] : null
}

/**
 * Keys are compared as bits, so both sides get one type that holds all their values. Where none of 64 bits does (i64
 * and u64, or u128), a negative number, which matches nothing, becomes NULL; that may match a NULL, so the equality
 * is then checked again (`exact` is false).
 */
function commonType([left, right]: readonly [Expr, Expr]): readonly [left: Expr, right: Expr, exact: boolean] {
  const [a, b] = [left.type, right.type]
  if (a === b) return [left, right, true]
  if (isNumberType(a) && isNumberType(b)) {
    const type = holds(a, b) ? a : holds(b, a) ? b : 'f64'
    return [cast(type, left), cast(type, right), true]
  }
  const type: TypeName = a === 'u128' || b === 'u128' ? 'u128' : 'u64'
  const bothNullable = left.nullable && right.nullable
  const exact = (a !== 'i64' && b !== 'i64') || !bothNullable
  return [unsigned(left, type), unsigned(right, type), exact]
}

/** Whether integer type a holds all values of integer type b. */
function holds(a: TypeName, b: TypeName): boolean {
  const [x, y] = [TYPES[a], TYPES[b]]
  if (x.min === null || x.max === null || y.min === null || y.max === null) return a === 'f64'
  return x.min <= y.min && x.max >= y.max
}

function unsigned(expr: Expr, type: TypeName): Expr {
  if (expr.type !== 'i64') return cast(type, expr)
  const fits = call('ge', [expr, literal('i64', 0n)], 'bool')
  return call('if', [fits, cast(type, expr), nullOf(type)], type)
}
