/**
 * How far a change of one row reaches, and what of the rest of its partition has to be known.
 *
 * A row's outputs may change if the changed row is near (`core`), nearness being counted in rows, in groups of peers, or
 * in the order column; they are computed from the rows near to it (`context`). Functions whose frame begins or ends
 * with the partition, and ranks, also depend on everything before or after: on a *state*, such as the number of rows or
 * a sum. Between changed rows, where all those states are as before the step, no row changes.
 */
import type { WindowRel } from '../../../circuit/rel.js'
import {
  type Bound,
  distancesOf,
  type Frame,
  isAggregate,
  isOffset,
  isRank,
  signOf,
  type WindowSpec,
} from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { columnIndex } from '../../plan-aggregate.js'
import { type FramePlan, framePlan } from './frame-plan.js'

/** A distance from a row, in one direction; the furthest of what is said. */
export interface Reach {
  rows: number
  /** -1: none; 0: to the end of the row's own group of peers; further groups. */
  groups: number
  /** A difference of the order column, or null. */
  range: number | bigint | null
  /** So many rows where the column is not NULL. */
  nonNulls: { column: Column; count: number }[]
  /** To the end of the partition. */
  all: boolean
}

const noReach = (): Reach => ({ rows: 0, groups: -1, range: null, nonNulls: [], all: false })

/** What a function wants to know of all rows before, or after. */
export type Far = 'nothing' | 'total' | 'extreme' | 'row' | 'everything'

export interface FunctionPlan {
  readonly spec: WindowSpec
  /** Of the function, in the rows that come out. */
  readonly out: Column
  readonly arg: Column | null
  readonly fallback: Column | null
  /** For frames that begin, or end, with the partition. */
  readonly before: Far
  readonly after: Far
  /** How the function is computed, if it is an aggregate. */
  readonly frame: FramePlan | null
}

export interface WindowPlan {
  readonly functions: readonly FunctionPlan[]
  readonly order: readonly { readonly column: Column; readonly descending: boolean }[]
  readonly coreBack: Reach
  readonly coreForward: Reach
  readonly contextBack: Reach
  readonly contextForward: Reach
  /** Some function depends on the number of rows before, the number of groups before, the size of the partition. */
  readonly rowsBefore: boolean
  readonly groupsBefore: boolean
  readonly size: boolean
  /** Rows that are equal may get different outputs. */
  readonly positional: boolean
}

/** REQUIRES: a lowered node. */
export function planWindow(rel: WindowRel): WindowPlan {
  const { schema } = rel
  const column = (index: number): Column => schema.columns[index]
  const ofExpr = (expr: WindowSpec['arg']): Column | null => (expr?.kind === 'column' ? column(expr.index) : null)
  // Columns of the partition may lie in a packed key, out of reach.
  const isKey = (c: Column): boolean => rel.partition.some(p => p.kind === 'column' && p.index === c.index)
  const width = schema.columns.length - rel.functions.length
  const reaches = [noReach(), noReach(), noReach(), noReach()] as const
  const functions = rel.functions.map((spec, i): FunctionPlan => {
    const arg = ofExpr(spec.arg)
    const out = column(width + i)
    const frame = isAggregate(spec) ? framePlan(spec, out, expr => column(columnIndex(expr))) : null
    const [before, after] = isRank(spec.fn) || isOffset(spec.fn) ? NO_FAR : farOf(spec, frame, isKey)
    addReach(spec, arg, ofExpr(rel.order[0]?.expr ?? null), before, after, reaches)
    return {
      spec,
      out,
      arg,
      fallback: ofExpr(spec.fallback),
      before,
      after,
      frame,
    }
  })
  const has = (...fns: WindowSpec['fn'][]) => rel.functions.some(f => fns.includes(f.fn))
  const [coreBack, coreForward, contextBack, contextForward] = reaches
  return {
    functions,
    order: rel.order.map(o => ({ column: ofExpr(o.expr) as Column, descending: o.descending })),
    coreBack,
    coreForward,
    contextBack,
    contextForward,
    rowsBefore: has('rowNumber', 'rank', 'percentRank', 'cumeDist', 'ntile'),
    groupsBefore: has('denseRank') && rel.order.length > 0,
    size: has('percentRank', 'cumeDist', 'ntile'),
    positional: rel.functions.some(isPositional),
  }
}

const NO_FAR = ['nothing', 'nothing'] as const

function isPositional({ fn, frame }: WindowSpec): boolean {
  if (fn === 'rowNumber' || fn === 'ntile' || isOffset(fn)) return true
  return !isRank(fn) && frame.mode === 'rows' && (frame.start !== null || frame.end !== null)
}

function farOf(spec: WindowSpec, plan: FramePlan | null, isKey: (column: Column) => boolean): readonly [Far, Far] {
  const { fn, frame } = spec
  const before = frame.start === null
  const after = frame.end === null
  if (plan !== null) {
    const far = farOfAggregate(plan, frame, isKey)
    return [before ? far : 'nothing', after ? far : 'nothing']
  }
  const { start, end } = near(spec)
  const simple = frame.exclude === 'none' && !spec.ignoreNulls
  const first: Far = before ? (simple ? 'row' : 'everything') : 'nothing'
  const last: Far = after ? (simple ? 'row' : 'everything') : 'nothing'
  if (fn === 'lastValue') return [before && start === null && last !== 'row' ? 'everything' : 'nothing', last]
  if (fn === 'firstValue') return [first, after && end === null && first !== 'row' ? 'everything' : 'nothing']
  return [first, after && first !== 'row' ? 'everything' : 'nothing']
}

function farOfAggregate(plan: FramePlan, { exclude }: Frame, isKey: (column: Column) => boolean): Far {
  if (plan.kind === 'total') return plan.distinct === null ? 'total' : 'everything'
  if (plan.kind !== 'extreme' || exclude !== 'none' || plan.preference.terms.length === 0) return 'everything'
  return plan.preference.columns.some(isKey) ? 'everything' : 'extreme'
}

/**
 * The frame as far as the function reads it: the last row of a frame that begins with the partition is at its end, or
 * near to it, and the first one of a frame that ends with the partition at its begin.
 */
function near({ fn, frame, ignoreNulls }: WindowSpec): Pick<Frame, 'start' | 'end'> {
  const { mode, exclude } = frame
  const isNear = (bound: Bound, sign: number) =>
    exclude === 'none' && !ignoreNulls && bound !== null && (mode !== 'range' || signOf(bound) * sign >= 0)
  let { start, end } = frame
  if (fn === 'lastValue' && start === null && isNear(end, 1)) start = end !== null && signOf(end) < 0 ? end : 0
  if (fn === 'firstValue' && end === null && isNear(start, -1)) end = start !== null && signOf(start) > 0 ? start : 0
  return { start, end }
}

type Reaches = readonly [coreBack: Reach, coreForward: Reach, contextBack: Reach, contextForward: Reach]

function addReach(
  spec: WindowSpec,
  arg: Column | null,
  order: Column | null,
  before: Far,
  after: Far,
  reaches: Reaches,
): void {
  const [coreBack, coreForward, contextBack, contextForward] = reaches
  const groups = (...list: Reach[]) => {
    for (const reach of list) reach.groups = Math.max(reach.groups, 0)
  }
  switch (spec.fn) {
    case 'rowNumber':
    case 'ntile':
      return
    case 'rank':
    case 'percentRank':
      // Behind a changed row as many rows may come before as did, though not before the peers that it has there.
      return groups(coreForward, contextBack)
    case 'denseRank':
      return groups(coreBack, coreForward, contextBack)
    case 'cumeDist':
      return groups(coreBack, coreForward, contextForward)
    case 'lag':
      return addOffset(spec, arg, coreForward, contextBack)
    case 'lead':
      return addOffset(spec, arg, coreBack, contextForward)
    default:
      addFrame(spec, order, reaches)
      // Peers that are left out have to be known, and a change of one is a change of what is left out.
      if (spec.frame.exclude === 'group' || spec.frame.exclude === 'ties') groups(...reaches)
      if (before === 'everything') contextBack.all = true
      if (after === 'everything') contextForward.all = true
  }
}

function addOffset({ n, ignoreNulls }: WindowSpec, arg: Column | null, ...reaches: Reach[]): void {
  for (const reach of reaches) {
    if (ignoreNulls && arg !== null) reach.nonNulls.push({ column: arg, count: n })
    else reach.rows = Math.max(reach.rows, n)
  }
}

function addFrame(
  spec: WindowSpec,
  order: Column | null,
  [coreBack, coreForward, contextBack, contextForward]: Reaches,
): void {
  const { mode } = spec.frame
  const { start, end } = near(spec)
  const bounds = [start, end].flatMap(b => (b === null ? [] : [furthest(b, order)]))
  const back = bounds.reduce((most, b) => (-b > most ? -b : most), 0 as number | bigint)
  const forward = bounds.reduce((most, b) => (b > most ? b : most), 0 as number | bigint)
  for (const [reach, distance] of [
    [coreBack, forward],
    [coreForward, back],
    [contextBack, back],
    [contextForward, forward],
  ] as const) {
    if (mode === 'rows') reach.rows = Math.max(reach.rows, Number(distance))
    else {
      reach.groups = Math.max(reach.groups, mode === 'groups' ? Number(distance) : 0)
      if (mode === 'range' && distance > 0 && (reach.range === null || distance > reach.range)) reach.range = distance
    }
  }
}

/** A bound as a plain difference: months as long as they get, since more rows than a frame holds do no harm. */
function furthest(bound: NonNullable<Bound>, order: Column | null): number | bigint {
  if (typeof bound !== 'object') return bound
  const [low, high] = distancesOf(bound, order?.type ?? 'timestamp')
  return signOf(bound) < 0 ? low : high
}

/** The further of two distances, and a row and a group more. */
export function beyond(a: Reach, b: Reach): Reach {
  return {
    rows: Math.max(a.rows, b.rows) + 1,
    groups: a.groups < 0 && b.groups < 0 ? -1 : Math.max(a.groups, b.groups) + 1,
    range: a.range === null ? b.range : b.range === null || a.range > b.range ? a.range : b.range,
    nonNulls: [...a.nonNulls, ...b.nonNulls].map(({ column, count }) => ({ column, count: count + 1 })),
    all: a.all || b.all,
  }
}
