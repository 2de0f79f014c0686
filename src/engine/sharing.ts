/**
 * Sharing arrangements between views that want different columns of one relation: a projection is served by any
 * arrangement of the same relation by the same key that holds all of its columns.
 */
import type { Expr } from '../circuit/expr.js'
import type { Rel } from '../circuit/rel.js'
import { columnOf, replaceColumns } from '../circuit/substitute.js'
import type { Arranged, ArrangeOperator } from './operators/arrange.js'

/** A relation as columns of another: `columns[i]` of `base` is column i. */
export interface Projection {
  readonly base: Rel
  readonly columns: readonly number[]
}

/** What `rel` projects; itself, if it is no plain projection. */
export function projectionOf(rel: Rel): Projection {
  if (rel.kind === 'map') {
    const columns = rel.exprs.flatMap((e, i) =>
      e.kind === 'column' && e.nullable === rel.schema.columns[i].nullable && e.type === rel.schema.columns[i].type
        ? [e.index]
        : [],
    )
    if (columns.length === rel.exprs.length) return { base: rel.input, columns }
  }
  return { base: rel, columns: rel.schema.columns.map(c => c.index) }
}

/** An arrangement without an order of its own, by the relation it projects. */
export interface SharedArrangement {
  readonly base: string
  /** Columns of the base, in the arrangement's order. */
  readonly columns: readonly number[]
  /** Key columns of the base, in key order. */
  readonly key: readonly number[]
  readonly operator: ArrangeOperator
}

/** An arrangement as one side of a join sees it: `columns[i]` is where column i of the side lies. */
export interface Side {
  readonly operator: Arranged
  readonly columns: readonly number[]
}

/** One that is not imported into a loop. */
export interface OwnSide extends Side {
  readonly operator: ArrangeOperator
}

/** The arrangement with the fewest columns that serves a projection by these key columns of its base. */
export function findShared(
  known: Iterable<SharedArrangement>,
  base: string,
  columns: readonly number[],
  key: readonly number[],
): OwnSide | null {
  let best: SharedArrangement | null = null
  for (const one of known) {
    if (one.base !== base || one.key.join() !== key.join()) continue
    if (!columns.every(c => one.columns.includes(c))) continue
    if (best === null || one.columns.length < best.columns.length) best = one
  }
  if (best === null) return null
  const { columns: there, operator } = best
  return { operator, columns: columns.map(c => there.indexOf(c)) }
}

/** An expression over the sides of a join as one over the arrangements that serve them. */
export function ontoSides(expr: Expr, left: Side, right: Side): Expr {
  return replaceColumns(expr, column => {
    const side = column.input === 0 ? left : right
    return columnOf(side.operator.kernels.layout.schema, side.columns[column.index], column.input)
  })
}
