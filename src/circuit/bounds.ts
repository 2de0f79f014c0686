/**
 * What is known of the rows that will still change: lower bounds of their columns, by monotonicity.
 *
 * A *signal* is a number that never goes back: a waterline, or the clock. A *bound* of a column is a value that follows
 * from signals, such that after this epoch no row changes whose column is below it. (NULL is no such row: only columns
 * that are never NULL have bounds.) Behind an operator with state, a bound tells which of its rows are never needed again
 * (`limitsOf`), so that they can be forgotten.
 *
 *     source      its waterlines                      map         monotone functions of bounded columns
 *     plus        the lesser of both bounds           aggregate, topK, window, successor: their keys
 *     clamp       those of its input                  session     its end: nothing before the time's bound changes it
 *     join        a pair changes if its left or its right row does: the lesser of what follows in either case, where
 *                 equalities and comparisons between the sides carry bounds across, and steps (`steps.ts`) do
 */
import { quote } from '../base/errors.js'
import { decodeInterval } from '../schema/interval.js'
import type { RowSchema } from '../schema/schema.js'
import { TYPES } from '../schema/types.js'
import { usable } from './band.js'
import { conjuncts } from './conditions.js'
import { evaluate } from './eval.js'
import type { CallExpr, ColumnExpr, Expr } from './expr.js'
import { lower } from './lower.js'
import { nodesOf } from './nodes.js'
import { isClock } from './now.js'
import { printExpr } from './print.js'
import type { AggregateRel, GateRel, JoinRel, Rel, Relation, SessionRel, ViewDefinition, WindowRel } from './rel.js'
import { Failure } from './scalar.js'
import { stepJoin } from './steps.js'
import { columnOf, detailed, exprKey, literal, replaceColumns, sameExpr } from './substitute.js'
import { isWhole, windowReach } from './window-reach.js'

/** `table`: what has the waterline, a table or a view. */
export type Signal = { readonly kind: 'waterline'; readonly table: Relation; readonly column: number }

export type Bound =
  /** `value`: a monotone function of column 0, which stands for the signal. */
  | { readonly kind: 'value'; readonly signal: Signal; readonly value: Expr }
  | { readonly kind: 'least' | 'greatest'; readonly of: readonly Bound[] }

/** By column; null where nothing is known. */
export type Bounds = readonly (Bound | null)[]

/** Rows whose column is below the bound are never needed again. */
export interface Limit {
  readonly column: number
  readonly bound: Bound
  /** Of windows: but for so many rows of each partition, the last ones below it. */
  readonly rows?: number
  /** And those before these become as many times the earliest of them. */
  readonly counted?: boolean
}

const known = new WeakMap<Rel, Bounds>()

/** Bounds of the rows by which `rel`, which is lowered, will still change. */
export function boundsOf(rel: Rel): Bounds {
  let bounds = known.get(rel)
  if (bounds === undefined) {
    bounds = compute(rel)
    known.set(rel, bounds)
  }
  return bounds
}

const none = (rel: Rel): Bounds => rel.schema.columns.map(() => null)

function compute(rel: Rel): Bounds {
  switch (rel.kind) {
    case 'source': {
      const { relation } = rel
      if (relation.kind === 'view') return viewBounds(relation)
      return relation.kind === 'table' ? waterlinesOf(rel.schema, relation) : none(rel)
    }
    case 'filter':
    case 'negate':
    case 'clamp':
      return boundsOf(rel.input)
    case 'map':
      return rel.exprs.map(e => through(e, [boundsOf(rel.input), []]))
    case 'plus': {
      const inputs = rel.inputs.map(boundsOf)
      return rel.schema.columns.map((_, c) =>
        combined(
          'least',
          inputs.map(i => i[c]),
        ),
      )
    }
    case 'join':
      return joinBounds(rel)
    case 'aggregate':
      return rel.schema.columns.map((_, c) => (c < rel.keys.length ? keyBound(rel, c) : null))
    case 'topK':
    case 'successor':
      return keysOnly(rel, rel.keys)
    case 'window':
      return windowBounds(rel)
    case 'session':
      return sessionBounds(rel)
    case 'unnest': {
      const input = boundsOf(rel.input)
      const width = rel.schema.columns.length - (rel.ordinality ? 2 : 1)
      return rel.schema.columns.map((_, c) =>
        c < width ? input[c] : c === width ? elementBound(rel.array, input) : null,
      )
    }
    case 'gate':
      return gateBounds(rel)
    default:
      return none(rel)
  }
}

const ofViews = new WeakMap<ViewDefinition, Bounds>()

function viewBounds(view: ViewDefinition): Bounds {
  let bounds = ofViews.get(view)
  if (bounds === undefined) {
    const made = boundsOf(lower(view.rel))
    const own = waterlinesOf(view.schema, view)
    bounds = made.map((bound, c) => combined('greatest', [bound, own[c]]))
    ofViews.set(view, bounds)
  }
  return bounds
}

/** Of the columns that are read of it. */
function waterlinesOf(schema: RowSchema, table: Relation): Bounds {
  const { waterlines } = table
  return schema.columns.map(({ index }) => {
    if (waterlines?.some(w => w.column === index) !== true) return null
    const signal: Signal = { kind: 'waterline', table, column: index }
    return { kind: 'value', signal, value: { ...columnOf(schema, index), index: 0, name: signalName(signal) } }
  })
}

/** The bound that the lesser (the greater) of these has; null if that is not known. */
function combined(kind: 'least' | 'greatest', bounds: readonly (Bound | null)[]): Bound | null {
  const there = bounds.filter((b): b is Bound => b !== null)
  if (there.length === 0 || (kind === 'least' && there.length < bounds.length)) return null
  const texts = new Map(there.map(b => [printBound(b), b]))
  return texts.size === 1 ? there[0] : { kind, of: [...texts.values()] }
}

const keyBound = (rel: AggregateRel, key: number): Bound | null => through(rel.keys[key], [boundsOf(rel.input), []])

function keysOnly(rel: Rel & { readonly input: Rel }, keys: readonly Expr[]): Bounds {
  const bounds = boundsOf(rel.input)
  const columns = new Set(keys.flatMap(k => (k.kind === 'column' ? [k.index] : [])))
  return rel.schema.columns.map((_, c) => (columns.has(c) ? (bounds[c] ?? null) : null))
}

function sessionBounds(rel: SessionRel): Bounds {
  const own = keysOnly(rel, rel.keys)
  return own.map((bound, c) => (c === own.length - 1 ? through(rel.at, [boundsOf(rel.input), []]) : bound))
}

/**
 * A row comes (or leaves) when the threshold passes its key, whenever it was that the row itself changed: of its key alone
 * something is known. Where rows leave, what comes in is not behind the threshold either, or it would not be there.
 */
function gateBounds({ input, key, op, threshold, schema }: GateRel): Bounds {
  const bounds = boundsOf(input)
  const leaves = op === 'gt' || op === 'ge'
  return schema.columns.map((_, c) => {
    if (key.kind !== 'column' || key.index !== c) return null
    return leaves ? threshold : combined('least', [bounds[c], threshold])
  })
}

function windowBounds(rel: WindowRel): Bounds {
  const bounds = keysOnly(rel, rel.partition)
  const { changed } = windowReach(rel)
  const own = changed === null || changed.rows > 0n ? null : earlier(rel, changed.range)
  return own === null ? bounds : bounds.map((bound, c) => (c === own.column ? (bound ?? own.bound) : bound))
}

/** What is known of the order of a window, so much earlier. */
function earlier({ order, input }: WindowRel, by: bigint): Limit | null {
  const expr = order[0]?.expr
  if (expr?.kind !== 'column') return null
  const distance = literal(expr.type, TYPES[expr.type].js === 'number' ? Number(by) : by)
  const least = by === 0n ? expr : detailed('function', 'subSaturated', [expr, distance], expr.type)
  const bound = through(least, [boundsOf(input), []])
  return bound === null ? null : { column: expr.index, bound }
}

/** Of the windows of a time: they begin less than their size before it. */
function elementBound(array: Expr, input: Bounds): Bound | null {
  const call = array.kind === 'column' ? null : array
  if (call?.kind !== 'call' || call.detail !== 'windowStarts') return null
  const [at, size] = call.args
  return through(detailed('function', 'subSaturated', [at, size], at.type), [input, []])
}

// ---- expressions

/** The bound of an expression over the columns of two rows. */
export function through(expr: Expr, bounds: readonly [Bounds, Bounds]): Bound | null {
  if (expr.nullable) return null
  const column = monotoneIn(expr)
  if (column === null) return null
  const bound = bounds[column.input][column.index] ?? null
  return bound === null ? null : mapped(bound, value => replaceColumns(expr, () => value))
}

function mapped(bound: Bound, f: (value: Expr) => Expr): Bound {
  if (bound.kind !== 'value') return { ...bound, of: bound.of.map(b => mapped(b, f)) }
  return { ...bound, value: f(bound.value) }
}

/** The one column in which the expression is monotone, not falling, and on which alone it depends; or null. */
export function monotoneIn(expr: Expr): ColumnExpr | null {
  if (expr.kind === 'column') return expr
  if (expr.kind === 'literal') return null
  const [first, ...rest] = expr.op === 'add' && expr.args[0].kind === 'literal' ? [...expr.args].reverse() : expr.args
  if (!rest.every(arg => arg.kind === 'literal' && arg.value !== null) || !isMonotone(expr)) return null
  return monotoneIn(first)
}

const MONOTONE: readonly string[] = ['windowStart', 'addSaturated', 'subSaturated', 'dateTrunc']
const ROUNDING: readonly string[] = ['floor', 'ceil', 'trunc', 'round', 'fround']

/** Whether the call does not fall in its first argument, for the others as they are. */
function isMonotone(expr: CallExpr): boolean {
  const { op, detail, args, type } = expr
  switch (op) {
    case 'add':
    case 'sub':
      return args.every(arg => arg.type !== 'interval' || hasNoMonths(arg))
    case 'mul':
    case 'div':
      return args[1].kind === 'literal' && isWhole(args[1].type) && Number(args[1].value) > 0
    case 'cast':
      return isWhole(type) && isWhole(args[0].type)
    case 'function':
      return MONOTONE.includes(detail ?? '')
    case 'math':
      return ROUNDING.includes(detail ?? '')
    case 'datePart':
      return detail === 'epoch' || detail === 'year'
    default:
      return false
  }
}

/** The last days of months would go where others are already. */
function hasNoMonths(interval: Expr): boolean {
  return interval.kind === 'literal' && decodeInterval(interval.value as Uint8Array).months === 0
}

// ---- joins

function joinBounds(rel: JoinRel): Bounds {
  const [left, right] = [boundsOf(rel.left), boundsOf(rel.right)]
  const [impliedLeft, impliedRight] = implied(rel)
  return rel.exprs.map(e => combined('least', [through(e, [left, impliedRight]), through(e, [impliedLeft, right])]))
}

/** What is known of the left rows that a right row still to change meets, and the other way round. */
function implied(rel: JoinRel): readonly [Bounds, Bounds] {
  const bounds = [boundsOf(rel.left), boundsOf(rel.right)] as const
  const found = [rel.left, rel.right].map((side, input) => {
    const carried: (Bound | null)[][] = side.schema.columns.map(() => [])
    for (const { small, big } of orders(rel)) {
      if (big.input !== input || small.input === input) continue
      carried[big.index].push(bounds[small.input][small.index] ?? null)
    }
    const steps = input === 0 ? stepJoin(rel) : null
    if (steps !== null) {
      carried[steps.time.index].push(through(steps.steps.order, [boundsOf(steps.steps.input), []]))
    }
    const direct = carried.map((all, c) => (side.schema.columns[c].nullable ? null : combined('greatest', all)))
    return withBases(side, direct)
  })
  return [found[0], found[1]]
}

/** If x + c is at least b, x is at least b − c: the ends of intervals tell of what they are made of. */
function withBases(side: Rel, bounds: Bounds): Bounds {
  if (side.kind !== 'map') return bounds
  return bounds.map((own, c) => {
    const base = side.exprs[c]
    if (base.kind !== 'column' || base.nullable) return own
    const others = side.exprs.map((e, j): Bound | null => {
      const bound = bounds[j]
      if (bound === null || e.kind !== 'call' || e.detail !== 'addSaturated' || !sameExpr(e.args[0], base)) return null
      const [, by] = e.args
      if (by.kind !== 'literal' || (by.value as number) < 0) return null
      return mapped(bound, value => detailed('function', 'subSaturated', [value, by], e.type))
    })
    return combined('greatest', [own, ...others])
  })
}

/** Pairs of columns of which the one is at most the other wherever two rows meet. */
function orders(rel: JoinRel): { readonly small: ColumnExpr; readonly big: ColumnExpr }[] {
  const pairs: { small: ColumnExpr; big: ColumnExpr }[] = []
  const add = (small: Expr, big: Expr): void => {
    if (small.kind === 'column' && big.kind === 'column' && small.type === big.type) pairs.push({ small, big })
  }
  const equal = rel.band ? rel.on.slice(0, -2) : rel.on
  for (const [a, b] of equal) {
    add(a, b)
    add(b, a)
  }
  // A pair that fails is not one that does not meet.
  for (const c of rel.residual === null ? [] : usable(conjuncts(rel.residual))) {
    if (c.kind !== 'call' || c.args.length !== 2) continue
    const [a, b] = c.args
    if (c.op === 'le' || c.op === 'lt' || c.op === 'eq' || c.op === 'is') add(a, b)
    if (c.op === 'ge' || c.op === 'gt' || c.op === 'eq' || c.op === 'is') add(b, a)
  }
  return pairs
}

/** Limits of what a join keeps of one side: rows that no row of the other side will meet. */
export function sideLimits(rel: JoinRel, input: 0 | 1): Limit[] {
  return limitsIn(implied(rel)[input])
}

// ---- limits

const limitsIn = (bounds: Bounds): Limit[] =>
  bounds.flatMap((bound, column) => (bound === null ? [] : [{ column, bound }]))

/** Limits of what an operator keeps of its input. Of a session, of what comes out of it. */
export function limitsOf(rel: Rel): Limit[] {
  switch (rel.kind) {
    case 'clamp':
      return limitsIn(boundsOf(rel.input))
    case 'topK':
      return limitsIn(keysOnly(rel, rel.keys).slice(0, rel.input.schema.columns.length))
    case 'successor': {
      // Of a group the last row before the bound of the order is needed, too: it is next to those to come.
      return limitsIn(keysOnly(rel, [...rel.keys, rel.order]).slice(0, rel.input.schema.columns.length))
    }
    case 'window': {
      const partition = limitsIn(keysOnly(rel, rel.partition).slice(0, rel.input.schema.columns.length))
      const { needed } = windowReach(rel)
      const own = needed && earlier(rel, needed.range)
      if (needed === null || own === null) return partition
      const { rows, counted } = needed
      if (rows === 0n && !counted) return [...partition, own]
      // Of a partition that is over nothing more is needed.
      if (partition.some(l => l.column === own.column)) return partition
      // What is read goes a row further, which must not be one that stands for many.
      return [...partition, { ...own, rows: Number(rows) + (counted ? 1 : 0), counted }]
    }
    case 'aggregate':
      return limitsIn(boundsOf(rel))
    case 'session':
      return limitsIn(sessionBounds(rel)).filter(l => l.column === rel.schema.columns.length - 1)
    default:
      return []
  }
}

/** Whether rows of a table or view that has a waterline, or changes with the clock, go into `rel`. */
export function hasSignal(rel: Rel): boolean {
  return nodesOf(rel).some(node => {
    if (node.kind === 'gate') return true
    if (node.kind !== 'source') return false
    const { relation } = node
    if (relation.kind === 'variable') return false
    return (relation.waterlines?.length ?? 0) > 0 || (relation.kind === 'view' && hasSignal(relation.rel))
  })
}

/** `windowStart(waterline(bids.at), 10, 0)`. */
export function printBound(bound: Bound): string {
  if (bound.kind !== 'value') return `${bound.kind}(${bound.of.map(printBound).join(', ')})`
  const name = signalName(bound.signal)
  return printExpr(bound.value).replaceAll(quote(name), () => name)
}

const signalName = ({ table, column }: Signal): string => {
  const { schema } = table
  return isClock(table) ? 'now()' : `waterline(${schema.name}.${schema.columns[column].name})`
}

/** What a signal says now; null as long as it says nothing. */
export type SignalValue = (signal: Signal) => number | bigint | null

/** The value of a bound; null where it has none, as beyond the end of a type. */
export function thresholdOf(bound: Bound, readOf: SignalValue): number | bigint | null {
  if (bound.kind === 'value') {
    const value = readOf(bound.signal)
    return value === null ? null : evaluated(bound.value, value)
  }
  const values = bound.of.map(b => thresholdOf(b, readOf))
  const isLeast = bound.kind === 'least'
  return values.reduce((a, b) => {
    if (a === null || b === null) return isLeast ? null : (a ?? b)
    return a < b === isLeast ? a : b
  })
}

function evaluated(expr: Expr, value: number | bigint): number | bigint | null {
  try {
    return evaluate(expr, [value]) as number | bigint | null
  } catch (problem) {
    if (problem instanceof Failure) return null
    throw problem
  }
}

/** Text that two bounds have in common if they are the same, whatever tables and columns are called. */
export function boundKey(bound: Bound, numberOf: (table: Relation) => number): string {
  if (bound.kind !== 'value') return `${bound.kind}(${bound.of.map(b => boundKey(b, numberOf)).join(',')})`
  return `${numberOf(bound.signal.table)}.${bound.signal.column}:${exprKey(bound.value)}`
}

/** The signals that a bound follows from. */
export const signalsOf = (bound: Bound): Signal[] =>
  bound.kind === 'value' ? [bound.signal] : bound.of.flatMap(signalsOf)
