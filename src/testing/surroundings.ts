/** What random nodes of any kind are made of: choices, relations to read, and expressions over their columns. */
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { Rel, TableDefinition } from '../circuit/rel.js'
import type { TypeName } from '../schema/types.js'
import type { Choices } from './choices.js'
import { Expressions } from './expressions.js'
import * as n from './nodes.js'

/** Most columns of a generated node. */
const MAX_COLUMNS = 5
const EXPRESSION_DEPTH = 3

export abstract class Surroundings {
  constructor(readonly choices: Choices) {}

  /** A relation of at most so many operators on a path. */
  abstract relation(depth: number): Rel

  /** Tables among the relations. */
  abstract get tables(): TableDefinition[]

  expressions(...columns: readonly (readonly ColumnExpr[])[]): Expressions {
    return new Expressions(this.choices, columns.flat())
  }

  expression(type: TypeName, ...columns: readonly (readonly ColumnExpr[])[]): Expr {
    return this.expressions(...columns).of(type, EXPRESSION_DEPTH)
  }

  /** Output columns: existing ones, mostly, and computed ones. */
  outputs(columns: readonly ColumnExpr[], least = 1): n.Output[] {
    const count = Math.min(MAX_COLUMNS, Math.max(least, columns.length) + this.choices.below(2))
    return Array.from({ length: count }, (_, i): n.Output => {
      const plain = columns.length > 0 && !this.choices.oneIn(3)
      return [`c${i}`, plain ? columns[(i + this.choices.below(2)) % columns.length] : this.computed(columns)]
    })
  }

  computed(columns: readonly ColumnExpr[]): Expr {
    return this.expression(this.expressions(columns).type(), columns)
  }
}

export const columnsOf = (rel: Rel, input: 0 | 1 = 0, nullable = false): ColumnExpr[] =>
  rel.schema.columns.map(c => n.column(rel.schema, c.index, input, nullable))

/** What rows are grouped or ordered by: a column, mostly. */
export const groupKey = (c: Surroundings, columns: readonly ColumnExpr[]): Expr =>
  c.choices.oneIn(4) ? c.computed(columns) : c.choices.pick(columns)

export const anOrder = (c: Surroundings, columns: readonly ColumnExpr[]) =>
  Array.from({ length: c.choices.below(3) }, () => {
    return { expr: groupKey(c, columns), descending: c.choices.oneIn(2) }
  })

/** With names that no further window takes for its own. */
export function renamed(rel: Rel): Rel {
  return n.map(
    rel,
    columnsOf(rel).map((column, i): n.Output => [`c${i}`, column]),
  )
}
