/**
 * Lowering: every relational operator in terms of the few that have kernels (source, filter, map, negate, plus,
 * inner join, clamp, aggregate, topK, window, fixpoint). Nodes that an expansion needs twice are one object, computed once.
 *
 * With pos(x) = max(w, 0) and one(x) = [w > 0] on the weights of whole rows:
 *
 *     distinct(x)      = one(x)
 *     union(a, b)      = one(pos a + pos b)
 *     except(a, b)     = pos(one a − one b)
 *     exceptAll(a, b)  = pos(pos a − pos b)
 *     intersect(a, b)  = one a − pos(one a − one b)
 *     intersectAll     = pos a − pos(pos a − pos b)
 *
 * Afterwards every operator with state reads plain columns: what the user wrote as expressions (keys, arguments,
 * order) is computed by a map below it, which fuses with whatever comes before. ENSURES:
 *
 * - joins are inner; `on` pairs columns of equal type and nullability, and keys match iff they are equal, NULL
 *   equal to NULL (rows whose NULL matches nothing are filtered out below);
 * - keys and arguments of aggregates, keys and order of topK, all expressions of windows are columns; a window's order
 *   has NULL where rows have it: first, in descending order last; inputs of plus have equal columns;
 * - the last two pairs of a join by range are no equalities (`band.ts`), its residual says all of them; the array of
 *   unnest is a column, and columns of its input that it does not pass on stand behind those that it does;
 * - the same rows come out and the same failures are recorded as `rel.ts` defines.
 */
import type { ColumnExpr } from './expr.js'
import { lowerAggregate } from './lower-aggregate.js'
import { lowerAsOf } from './lower-asof.js'
import { lowerJoin } from './lower-join.js'
import { lowerWindow } from './lower-window.js'
import {
  clampOf,
  conform,
  filterOf,
  inputsOf,
  mapOf,
  minus,
  negateOf,
  plusOf,
  withColumns,
  withInputs,
} from './nodes.js'
import { withOrigins } from './origin.js'
import { actsByRow } from './recursion/program.js'
import { lowerRecursion } from './recursion/timed.js'
import type { FixpointRel, RecursiveProgram, RecursiveRel, Rel, SessionRel, SetRel, TopKRel, UnnestRel } from './rel.js'
import { allColumns, columnOf } from './substitute.js'

/** The circuit in primitives. The schema stays. Sources that are views stay sources. */
export function lower(root: Rel): Rel {
  const fixpoints = new Map<RecursiveProgram, FixpointRel>()
  const solved = ({ program, inputs }: RecursiveRel): FixpointRel => {
    let fixpoint = fixpoints.get(program)
    if (fixpoint === undefined) {
      // What acts on single rows is lowered when these have their iterations.
      const body = once((rel, visit) => {
        return actsByRow(rel) ? withInputs(rel, inputsOf(rel).map(visit)) : lowerNode(rel, visit)
      })
      fixpoint = lowerRecursion(program, inputs.map(visit), program.bodies.map(body), lowerAlone)
      fixpoints.set(program, fixpoint)
    }
    return fixpoint
  }
  const visit = once((rel): Rel => {
    if (rel.kind !== 'recursive') return lowerNode(rel, visit)
    return Object.freeze({ kind: 'result', schema: rel.schema, input: solved(rel), index: rel.index })
  })
  return visit(root)
}

/** Computes something of each node once. */
function once(make: (rel: Rel, visit: (rel: Rel) => Rel) => Rel): (rel: Rel) => Rel {
  const done = new Map<Rel, Rel>()
  const visit = (rel: Rel): Rel => {
    let result = done.get(rel)
    if (result === undefined) {
      result = make(withOrigins(rel), visit)
      done.set(rel, result)
    }
    return result
  }
  return visit
}

/** One node, over inputs that are lowered already. */
const lowerAlone = (rel: Rel): Rel => lowerNode(rel, input => input)

function lowerNode(rel: Rel, visit: (rel: Rel) => Rel): Rel {
  switch (rel.kind) {
    case 'source':
    case 'recursive':
    case 'fixpoint':
    case 'result':
      return rel
    case 'filter':
      return filterOf(visit(rel.input), rel.predicate, rel)
    case 'map':
      return mapOf(visit(rel.input), rel.exprs, rel.schema, rel)
    case 'negate':
      return negateOf(visit(rel.input), rel)
    case 'plus':
      return plusOf(
        rel.inputs.map(i => conform(visit(i), rel.schema)),
        rel.schema,
        rel,
      )
    case 'clamp':
      return clampOf(visit(rel.input), rel.mode, rel)
    case 'distinct':
      return clampOf(visit(rel.input), 'one')
    case 'set':
      return lowerSet(rel, conform(visit(rel.left), rel.schema), conform(visit(rel.right), rel.schema))
    case 'join':
      return lowerJoin(rel, visit(rel.left), visit(rel.right))
    case 'aggregate':
      return lowerAggregate(rel, visit(rel.input))
    case 'topK':
      return lowerTopK(rel, visit(rel.input))
    case 'window':
      return lowerWindow(rel, visit(rel.input))
    case 'noise':
      return Object.freeze({ ...rel, input: conform(visit(rel.input), rel.schema) })
    case 'asOf':
      return lowerAsOf(rel, visit(rel.left), visit(rel.right))
    case 'successor':
      return Object.freeze({ ...rel, input: visit(rel.input) })
    case 'gate': {
      const wide = withColumns(visit(rel.input), [rel.key], 'time')
      return Object.freeze({ ...rel, input: wide.rel, key: columnOf(wide.rel.schema, wide.at[0]) })
    }
    case 'session':
      return lowerSession(rel, visit(rel.input))
    case 'unnest':
      return lowerUnnest(rel, visit(rel.input))
  }
}

function lowerSet(rel: SetRel, a: Rel, b: Rel): Rel {
  const mode = rel.op === 'exceptAll' || rel.op === 'intersectAll' || rel.op === 'union' ? 'positive' : 'one'
  const left = clampOf(a, mode)
  const right = a === b ? left : clampOf(b, mode)
  if (rel.op === 'union') return clampOf(plusOf([left, right], rel.schema), 'one')
  const onlyLeft = clampOf(minus(left, right), 'positive')
  return rel.op === 'except' || rel.op === 'exceptAll' ? onlyLeft : minus(left, onlyLeft)
}

/** The array becomes a column behind the row's own, which are the first of what comes out. */
function lowerUnnest(rel: UnnestRel, input: Rel): Rel {
  const wide = withColumns(input, [rel.array], 'array')
  return Object.freeze({ ...rel, input: wide.rel, array: columnOf(wide.rel.schema, wide.at[0]) })
}

/** As for unnest: keys and time are columns. */
function lowerSession(rel: SessionRel, input: Rel): Rel {
  const wide = withColumns(input, [...rel.keys, rel.at], 'session')
  const columns = wide.at.map(i => columnOf(wide.rel.schema, i))
  return Object.freeze({ ...rel, input: wide.rel, keys: columns.slice(0, -1), at: columns[columns.length - 1] })
}

/** Expressions among keys and order become columns behind the row's own; a map takes them off again. */
function lowerTopK(rel: TopKRel, input: Rel): Rel {
  const columns = allColumns(input.schema)
  const wide = withColumns(input, [...rel.keys, ...rel.order.map(o => o.expr)], 'order')
  const column = (i: number): ColumnExpr => columnOf(wide.rel.schema, wide.at[i])
  const top: TopKRel = Object.freeze({
    ...rel,
    schema: wide.rel.schema,
    input: wide.rel,
    keys: rel.keys.map((_, i) => column(i)),
    order: rel.order.map((o, i) => Object.freeze({ ...o, expr: column(rel.keys.length + i) })),
  })
  return wide.rel === input ? Object.freeze({ ...top, schema: rel.schema }) : mapOf(top, columns, rel.schema)
}
