/**
 * Relational nodes as things to build and take apart: constructors, inputs, and facts about whole sub-plans
 * (can it fail, can weights be negative, who reads it).
 *
 * Constructors give the old node back when nothing changed, so that rewriting has reached its end when the root
 * stays the same object.
 */
import { assert } from '../base/errors.js'
import { type ColumnSpec, type RowSchema, rowSchema } from '../schema/schema.js'
import { valueCanFail } from './aggregates/index.js'
import type { ColumnExpr, Expr } from './expr.js'
import type {
  AggregateRel,
  AggregateSpec,
  ClampMode,
  ClampRel,
  FilterRel,
  FixpointRel,
  JoinRel,
  MapRel,
  NegateRel,
  PlusRel,
  Rel,
  WindowRel,
} from './rel.js'
import { allColumns, canFail, exprKey, identity, replaceAll } from './substitute.js'
import { windowExprs, windowFnCanFail } from './window.js'

const same = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((x, i) => x === b[i])

export function filterOf(input: Rel, predicate: Expr, old?: FilterRel): FilterRel {
  if (old !== undefined && old.input === input && old.predicate === predicate) return old
  return Object.freeze({ kind: 'filter', schema: input.schema, input, predicate })
}

export function mapOf(input: Rel, exprs: readonly Expr[], schema: RowSchema, old?: MapRel): MapRel {
  if (old !== undefined && old.input === input && same(old.exprs, exprs)) return old
  return Object.freeze({ kind: 'map', schema, input, exprs: Object.freeze([...exprs]) })
}

export function negateOf(input: Rel, old?: NegateRel): NegateRel {
  if (old !== undefined && old.input === input) return old
  return Object.freeze({ kind: 'negate', schema: input.schema, input })
}

export function plusOf(inputs: readonly Rel[], schema: RowSchema, old?: PlusRel): PlusRel {
  // Without inputs, only the schema says what has changed.
  if (old !== undefined && old.schema === schema && same(old.inputs, inputs)) return old
  return Object.freeze({ kind: 'plus', schema, inputs: Object.freeze([...inputs]) })
}

export function clampOf(input: Rel, mode: ClampMode, old?: ClampRel): ClampRel {
  if (old !== undefined && old.input === input && old.mode === mode) return old
  return Object.freeze({ kind: 'clamp', schema: input.schema, input, mode })
}

export type JoinParts = Pick<JoinRel, 'left' | 'right' | 'on' | 'residual' | 'exprs' | 'schema' | 'band'>

/** An inner join in lowered form: keys are columns, equal types, and match iff equal. */
export function joinOf(parts: JoinParts, old?: JoinRel): JoinRel {
  const { left, right, residual } = parts
  if (
    old !== undefined &&
    old.left === left &&
    old.right === right &&
    old.residual === residual &&
    old.band?.hi === parts.band?.hi &&
    same(old.exprs, parts.exprs) &&
    old.on.length === parts.on.length &&
    old.on.every((pair, i) => same(pair, parts.on[i]))
  ) {
    return old
  }
  const nullSafe = Object.freeze(parts.on.map(() => true))
  return Object.freeze({ kind: 'join', type: 'inner', ...parts, nullSafe })
}

export const emptyOf = (schema: RowSchema): PlusRel => plusOf([], schema)
export const isEmpty = (rel: Rel): boolean => rel.kind === 'plus' && rel.inputs.length === 0

/** Inputs of a node, in order. */
export function inputsOf(rel: Rel): readonly Rel[] {
  switch (rel.kind) {
    case 'source':
      return []
    case 'plus':
    case 'recursive':
    case 'fixpoint':
      return rel.inputs
    case 'join':
    case 'asOf':
    case 'set':
      return [rel.left, rel.right]
    default:
      return [rel.input]
  }
}

/** The node over other inputs (of the same schemas); itself if they are the same. */
export function withInputs(rel: Rel, inputs: readonly Rel[]): Rel {
  if (same(inputsOf(rel), inputs)) return rel
  switch (rel.kind) {
    case 'source':
      return rel
    case 'plus':
      return plusOf(inputs, rel.schema)
    case 'recursive':
    case 'fixpoint':
      return Object.freeze({ ...rel, inputs: Object.freeze([...inputs]) })
    case 'result':
      return Object.freeze({ ...rel, input: inputs[0] as FixpointRel })
    case 'join':
    case 'asOf':
    case 'set':
      return Object.freeze({ ...rel, left: inputs[0], right: inputs[1] })
    default:
      return Object.freeze({ ...rel, input: inputs[0] })
  }
}

/** All nodes of a circuit, each once, inputs before those who read them. */
export function nodesOf(root: Rel): Rel[] {
  const order: Rel[] = []
  const seen = new Set<Rel>()
  const visit = (rel: Rel): void => {
    if (seen.has(rel)) return
    seen.add(rel)
    inputsOf(rel).forEach(visit)
    order.push(rel)
  }
  visit(root)
  return order
}

/** How many inputs each node of the circuit feeds; a node that feeds two inputs of one node counts twice. */
export function countReaders(root: Rel): Map<Rel, number> {
  const readers = new Map<Rel, number>([[root, 1]])
  for (const rel of nodesOf(root)) for (const input of inputsOf(rel)) readers.set(input, (readers.get(input) ?? 0) + 1)
  return readers
}

/** Rewrites a circuit from the inputs up; nodes that were shared stay shared. */
export function rewrite(root: Rel, step: (rel: Rel, original: Rel) => Rel): Rel {
  const done = new Map<Rel, Rel>()
  for (const rel of nodesOf(root)) {
    const inputs = inputsOf(rel).map(input => done.get(input) as Rel)
    done.set(rel, step(withInputs(rel, inputs), rel))
  }
  return done.get(root) as Rel
}

/** Whether the node's own expressions can fail on a row or a group. Sources never do: a view's failures are its own. */
export function nodeCanFail(rel: Rel): boolean {
  switch (rel.kind) {
    case 'filter':
      return canFail(rel.predicate)
    case 'map':
      return rel.exprs.some(canFail)
    case 'join':
      return [...rel.on.flat(), ...rel.exprs, ...(rel.residual === null ? [] : [rel.residual])].some(canFail)
    case 'aggregate':
      return rel.keys.some(canFail) || rel.aggregates.some((_, i) => aggregateCanFail(rel, i))
    case 'topK':
      return [...rel.keys, ...rel.order.map(o => o.expr)].some(canFail)
    case 'window':
      return windowInputs(rel).some(canFail) || rel.functions.some(windowFnCanFail)
    case 'gate':
      return canFail(rel.key)
    case 'session':
      return [...rel.keys, rel.at].some(canFail)
    case 'unnest':
      return canFail(rel.array)
    case 'asOf':
      return [...rel.on.flat(), ...rel.times, ...rel.exprs].some(canFail)
    default:
      return false
  }
}

/** What a window node computes of each row, in the order in which it is evaluated. */
export function windowInputs({ partition, order, functions }: WindowRel): Expr[] {
  return [...partition, ...order.map(o => o.expr), ...functions.flatMap(windowExprs)]
}

/** Whether aggregate `index` can fail: its arguments on a row, or its value (a sum of integers may leave i64). */
export function aggregateCanFail(rel: AggregateRel, index: number): boolean {
  const { fn, args, filter, order } = rel.aggregates[index]
  if ([...args, ...order.map(o => o.expr)].some(canFail) || (filter !== null && canFail(filter))) return true
  return valueCanFail(
    fn,
    args.map(a => a.type),
  )
}

/** Failures without an expression: a recursion may go on for ever, a budget of privacy may be spent. */
function failsOtherwise(rel: Rel): boolean {
  return rel.kind === 'fixpoint' || rel.kind === 'recursive' || (rel.kind === 'noise' && rel.exhausted === 'fail')
}

const failCache = new WeakMap<Rel, boolean>()

/** Whether anything in the sub-plan can fail. */
export function planCanFail(rel: Rel): boolean {
  let fails = failCache.get(rel)
  if (fails === undefined) {
    fails = failsOtherwise(rel) || nodeCanFail(rel) || inputsOf(rel).some(planCanFail)
    failCache.set(rel, fails)
  }
  return fails
}

/** Whether rows of the two schemas lie alike in memory: types and nullability agree, column by column. */
export function sameShape(a: RowSchema, b: RowSchema): boolean {
  return (
    a.columns.length === b.columns.length &&
    a.columns.every((c, i) => c.type === b.columns[i].type && c.nullable === b.columns[i].nullable)
  )
}

/** The relation with the columns of `schema`; a map only if nullability differs. */
export function conform(rel: Rel, schema: RowSchema): Rel {
  assert(rel.schema.columns.length === schema.columns.length, 'relations that are put together agree in columns')
  return sameShape(rel.schema, schema) ? rel : mapOf(rel, allColumns(rel.schema), schema)
}

/** A schema with these columns; names that occur twice get a number. */
export function schemaOf(name: string, specs: readonly ColumnSpec[]): RowSchema {
  const taken = new Set<string>()
  return rowSchema(
    name,
    specs.map(spec => {
      let unique = spec.name
      for (let n = 2; taken.has(unique); n++) unique = `${spec.name}_${n}`
      taken.add(unique)
      return { ...spec, name: unique }
    }),
  )
}

/** Column specifications for what expressions compute; columns keep their names. */
export function specsOf(exprs: readonly Expr[], nameOf: (index: number) => string): ColumnSpec[] {
  return exprs.map((e, i) => ({
    name: e.kind === 'column' ? e.name : nameOf(i),
    type: e.type,
    nullable: e.nullable,
  }))
}

/** The part of the relation with just the columns `keep`, in that order. */
export function project(rel: Rel, keep: readonly number[]): Rel {
  const all = allColumns(rel.schema)
  const exprs = keep.map((i): ColumnExpr => all[i])
  return mapOf(rel, exprs, schemaOf(rel.schema.name, specsOf(exprs, String)))
}

/** a − b */
export function minus(a: Rel, b: Rel): Rel {
  return plusOf([a, negateOf(conform(b, a.schema))], a.schema)
}

/** `rel` with columns for those expressions that are not columns already; `at[i]` is where `exprs[i]` is found. */
export function withColumns(rel: Rel, exprs: readonly Expr[], name: string): { rel: Rel; at: number[] } {
  const all: Expr[] = allColumns(rel.schema)
  const place = new Map<string, number>()
  const at = exprs.map(expr => {
    if (expr.kind === 'column') return expr.index
    const known = place.get(exprKey(expr))
    if (known !== undefined) return known
    place.set(exprKey(expr), all.length)
    return all.push(expr) - 1
  })
  if (all.length === rel.schema.columns.length) return { rel, at }
  const schema = schemaOf(
    rel.schema.name,
    specsOf(all, () => name),
  )
  return { rel: mapOf(rel, all, schema), at }
}

/** All expressions of an aggregate, in the order in which they are evaluated. */
export function exprsOf({ filter, args, order }: AggregateSpec): Expr[] {
  return [...(filter === null ? [] : [filter]), ...args, ...order.map(o => o.expr)]
}

/** The aggregate over other columns; itself if they are the same. */
export function replaceInAggregate(spec: AggregateSpec, replace: (column: ColumnExpr) => Expr): AggregateSpec {
  const before = exprsOf(spec)
  const after = replaceAll(before, replace)
  let next = 0
  return after.every((e, i) => e === before[i]) ? spec : replaceExprs(spec, () => after[next++])
}

/** The aggregate with other expressions, taken in the order of `exprsOf`. */
export function replaceExprs(spec: AggregateSpec, take: () => Expr): AggregateSpec {
  return Object.freeze({
    ...spec,
    filter: spec.filter === null ? null : take(),
    args: spec.args.map(take),
    order: spec.order.map(o => Object.freeze({ ...o, expr: take() })),
  })
}

/** Text that two aggregates have in common exactly if they compute the same from the same columns. */
export function aggregateKey(spec: AggregateSpec): string {
  const { fn, args, filter, distinct, order, detail } = spec
  const by = order.map(o => `${exprKey(o.expr)}${o.descending ? 'd' : ''}`)
  const given =
    typeof detail === 'object' && detail !== null && 'kind' in detail ? identity(detail) : JSON.stringify(detail)
  return [fn, distinct, args.map(exprKey), filter === null ? '' : exprKey(filter), by, given].join(':')
}
