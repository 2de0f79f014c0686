/**
 * The rewriting rules, one node at a time. A rule sees a node whose inputs did not change in this round and knows
 * how many inputs each node feeds, so that nothing is computed twice that was computed once:
 *
 * - what can fail is merged into its reader only if that is its only one, else failures would count twice;
 * - so is what has state.
 *
 * A rule gives the node back if it does not apply, or a better node.
 */
import { conjoin, forceAll, isNever, isTrue, keepsFailures, mergeIsCheap, separable } from '../conditions.js'
import type { Expr } from '../expr.js'
import {
  clampOf,
  emptyOf,
  filterOf,
  isEmpty,
  joinOf,
  mapOf,
  negateOf,
  nodeCanFail,
  planCanFail,
  plusOf,
  sameShape,
} from '../nodes.js'
import type {
  AggregateRel,
  ClampRel,
  FilterRel,
  JoinRel,
  MapRel,
  NegateRel,
  PlusRel,
  Rel,
  TopKRel,
  WindowRel,
} from '../rel.js'
import { canFail, onto, replaceAll, replaceColumns, through, usedColumns } from '../substitute.js'
import { fold } from './fold.js'
import { clampNeeded, weightBound } from './weights.js'

/** Whether the node feeds just one input. */
export type Sole = (rel: Rel) => boolean

/** One step for the node, or the node. */
export function improve(rel: Rel, sole: Sole): Rel {
  switch (rel.kind) {
    case 'filter':
      return improveFilter(rel, sole)
    case 'map':
      return improveMap(rel, sole)
    case 'negate':
      return improveNegate(rel, sole)
    case 'plus':
      return improvePlus(rel, sole)
    case 'clamp':
      return improveClamp(rel)
    case 'join':
      return improveJoin(rel)
    case 'aggregate':
      return improveAggregate(rel)
    case 'topK':
      return isEmpty(rel.input) ? emptyOf(rel.schema) : rel
    case 'window':
      return improveWindow(rel)
    default:
      return rel
  }
}

function improveFilter(rel: FilterRel, sole: Sole): Rel {
  const { input } = rel
  const predicate = fold(rel.predicate)
  if (isTrue(predicate)) return input
  if (isEmpty(input) || (isNever(predicate) && !planCanFail(input))) return emptyOf(rel.schema)
  const folded = filterOf(input, predicate, rel)
  if (nodeCanFail(input) && !sole(input)) return folded
  switch (input.kind) {
    case 'filter':
      return filterOf(input.input, conjoin([input.predicate, predicate]))
    case 'map':
      return filterBelowMap(folded, input)
    case 'join':
      return sole(input) ? filterIntoJoin(folded, input) : folded
    case 'negate':
    case 'plus':
    case 'clamp':
    case 'aggregate':
    case 'topK':
    case 'window':
      return sole(input) ? filterBelow(folded, input) : folded
    default:
      return folded
  }
}

/** filter(map(x)) = map(filter(x)), with the map's failures forced first where the filter would hide or reorder them. */
function filterBelowMap(rel: FilterRel, map: MapRel): Rel {
  if (!mergeIsCheap(map.exprs, [rel.predicate, ...columnsTwice(map.exprs, rel.predicate)])) return rel
  const filters = substituted(map.exprs, rel.predicate)
  return mapOf(filterOf(map.input, conjoin(filters)), map.exprs, map.schema)
}

/** What the filter reads is computed for the map once more; columns that stand for it. */
function columnsTwice(exprs: readonly Expr[], predicate: Expr): Expr[] {
  return [...usedColumns(predicate)[0]].map(index => {
    const { type, nullable } = exprs[index]
    return { kind: 'column', input: 0, index, name: '', type, nullable }
  })
}

/** Filters over the map's input that pass, and fail on, the same rows as the map followed by the predicate. */
function substituted(exprs: readonly Expr[], predicate: Expr): Expr[] {
  const moved = replaceColumns(predicate, through(exprs))
  return keepsFailures(exprs, [predicate]) ? [moved] : [...forceAll(exprs), moved]
}

/** Pairs that fail in the join's output expressions must still do so, after the residual and before the filter. */
function filterIntoJoin(rel: FilterRel, join: JoinRel): Rel {
  if (!mergeIsCheap(join.exprs, [rel.predicate, ...columnsTwice(join.exprs, rel.predicate)])) return rel
  const before = join.residual === null ? [] : [join.residual]
  const residual = conjoin([...before, ...substituted(join.exprs, rel.predicate)])
  return joinOf({ ...join, residual })
}

type Commuting = NegateRel | PlusRel | ClampRel | AggregateRel | TopKRel | WindowRel

/** Conjuncts that cannot fail go below operators that work on whole rows or on groups they decide about as a whole. */
function filterBelow(rel: FilterRel, input: Commuting): Rel {
  const columns = decidable(input)
  if (columns?.size === 0) return rel
  const { moved, rest } = separable(rel.predicate, c => columns === null || isSubset(usedColumns(c)[0], columns))
  if (moved.length === 0) return rel
  const predicate = conjoin(moved)
  return filterOf(pushed(input, predicate), rest)
}

const isSubset = (a: ReadonlySet<number>, b: ReadonlySet<number>): boolean => [...a].every(x => b.has(x))

/** Columns by which rows may be filtered below the node instead of above (with none, nothing may); null for all. */
function decidable(rel: Commuting): ReadonlySet<number> | null {
  if (rel.kind === 'aggregate') {
    // Of groups that are filtered out, failures must be kept. The global group is there even without rows.
    const safe = rel.keys.length > 0 && !nodeCanFail(rel)
    return new Set(safe ? rel.keys.keys() : [])
  }
  if (rel.kind === 'window') return new Set(nodeCanFail(rel) ? [] : columnsAmong(rel.partition))
  if (rel.kind === 'topK') return new Set(columnsAmong(rel.keys))
  return null
}

const columnsAmong = (exprs: readonly Expr[]): number[] => exprs.flatMap(e => (e.kind === 'column' ? [e.index] : []))

function pushed(rel: Commuting, predicate: Expr): Rel {
  switch (rel.kind) {
    case 'negate':
      return negateOf(filterOf(rel.input, predicate))
    case 'plus':
      return plusOf(
        rel.inputs.map(i => filterOf(i, predicate)),
        rel.schema,
      )
    case 'clamp':
      return clampOf(filterOf(rel.input, predicate), rel.mode)
    case 'topK':
    case 'window':
      return Object.freeze({ ...rel, input: filterOf(rel.input, predicate) })
    case 'aggregate':
      return Object.freeze({ ...rel, input: filterOf(rel.input, replaceColumns(predicate, through(rel.keys))) })
  }
}

function improveMap(rel: MapRel, sole: Sole): Rel {
  const { input } = rel
  if (isEmpty(input)) return emptyOf(rel.schema)
  const exprs = rel.exprs.map(fold)
  const folded = mapOf(input, exprs, rel.schema, rel)
  if (isIdentity(folded)) return input
  if (nodeCanFail(input) && !sole(input)) return folded
  switch (input.kind) {
    case 'map':
      return mergeMaps(folded, input)
    case 'join':
      return sole(input) ? mapIntoJoin(folded, input) : folded
    case 'plus':
      if (!sole(input) || nodeCanFail(folded)) return folded
      return plusOf(
        input.inputs.map(i => mapOf(i, exprs, rel.schema)),
        rel.schema,
      )
    case 'negate':
      return sole(input) && !nodeCanFail(folded) ? negateOf(mapOf(input.input, exprs, rel.schema)) : folded
    default:
      return folded
  }
}

/** Whether the map changes nothing but names. */
export function isIdentity(rel: MapRel): boolean {
  return sameShape(rel.schema, rel.input.schema) && rel.exprs.every((e, i) => e.kind === 'column' && e.index === i)
}

function mergeMaps(rel: MapRel, inner: MapRel): Rel {
  if (!mergeIsCheap(inner.exprs, rel.exprs)) return rel
  const exprs = replaceAll(rel.exprs, through(inner.exprs))
  if (keepsFailures(inner.exprs, rel.exprs)) return mapOf(inner.input, exprs, rel.schema)
  return mapOf(filterOf(inner.input, conjoin(forceAll(inner.exprs))), exprs, rel.schema)
}

function mapIntoJoin(rel: MapRel, join: JoinRel): Rel {
  if (!mergeIsCheap(join.exprs, rel.exprs)) return rel
  const exprs = replaceAll(rel.exprs, through(join.exprs))
  if (keepsFailures(join.exprs, rel.exprs)) return joinOf({ ...join, exprs, schema: rel.schema })
  const before = join.residual === null ? [] : [join.residual]
  const residual = conjoin([...before, ...forceAll(join.exprs)])
  return joinOf({ ...join, residual, exprs, schema: rel.schema })
}

function improveNegate(rel: NegateRel, sole: Sole): Rel {
  const { input } = rel
  if (isEmpty(input)) return input
  if (input.kind === 'negate') return input.input
  if (input.kind === 'plus' && sole(input)) {
    return plusOf(
      input.inputs.map(i => negateOf(i)),
      rel.schema,
    )
  }
  return rel
}

function improvePlus(rel: PlusRel, sole: Sole): Rel {
  const inputs = rel.inputs.flatMap(i => (i.kind === 'plus' && (isEmpty(i) || sole(i)) ? i.inputs : [i]))
  if (inputs.length === 1) return inputs[0]
  return plusOf(inputs, rel.schema, rel)
}

function improveClamp(rel: ClampRel): Rel {
  const { input } = rel
  if (isEmpty(input)) return input
  const mode = clampNeeded(rel.mode, weightBound(input))
  if (mode === null) return input
  if (mode === 'one' && input.kind === 'clamp' && input.mode === 'positive') return clampOf(input.input, 'one')
  return clampOf(input, mode, rel)
}

function improveJoin(rel: JoinRel): Rel {
  const [left, right] = [rel.left, rel.right]
  if ((isEmpty(left) && !planCanFail(right)) || (isEmpty(right) && !planCanFail(left))) return emptyOf(rel.schema)
  const exprs = rel.exprs.map(fold)
  const residual = rel.residual === null ? null : fold(rel.residual)
  if (residual === null || isTrue(residual)) return joinOf({ ...rel, residual: null, exprs }, rel)
  if (isNever(residual) && !planCanFail(left) && !planCanFail(right)) return emptyOf(rel.schema)
  return residualToSides(joinOf({ ...rel, residual, exprs }, rel), residual)
}

/** Conjuncts about one side become filters of that side. */
function residualToSides(rel: JoinRel, residual: Expr): Rel {
  const about = (input: 0 | 1) => (c: Expr) => usedColumns(c)[1 - input].size === 0 && !canFail(c)
  const left = separable(residual, about(0))
  const right = separable(left.rest, about(1))
  if (left.moved.length + right.moved.length === 0) return rel
  const asRow = (side: Rel) => (c: Expr) => replaceColumns(c, column => onto([side.schema])({ ...column, input: 0 }))
  return joinOf({
    ...rel,
    left: left.moved.length === 0 ? rel.left : filterOf(rel.left, conjoin(left.moved.map(asRow(rel.left)))),
    right: right.moved.length === 0 ? rel.right : filterOf(rel.right, conjoin(right.moved.map(asRow(rel.right)))),
    residual: isTrue(right.rest) ? null : right.rest,
  })
}

/** Without functions what is left is that rows of negative weight are not there. */
function improveWindow(rel: WindowRel): Rel {
  if (isEmpty(rel.input)) return emptyOf(rel.schema)
  return rel.functions.length === 0 ? clampOf(rel.input, 'positive') : rel
}

/** Groups without aggregates are the distinct keys. */
function improveAggregate(rel: AggregateRel): Rel {
  if (rel.keys.length === 0) return rel
  if (isEmpty(rel.input)) return emptyOf(rel.schema)
  return rel.aggregates.length === 0 ? clampOf(mapOf(rel.input, rel.keys, rel.schema), 'one') : rel
}
