/** Failed rows as users see them: the view and the operator that they wrote, and the columns that they know. */
import { quote } from '../base/errors.js'
import { nodesOf } from '../circuit/nodes.js'
import type { ViewDefinition } from '../circuit/rel.js'
import { present } from '../schema/values.js'
import type { Failure, FailureEntry } from './errors.js'

/** A failed row as `view.errors()` lists it. */
export interface ViewError {
  /** The view whose definition failed: the one that was asked, or one that it reads. */
  readonly view: string
  /** The operator of the builder, with the column that it computes: `map "ratio"`, `filter`. */
  readonly operator: string
  readonly message: string
  /** The values that the operator saw; of a group that failed, its key. A name that both sides of a join have is `right.…` too. */
  readonly row: Readonly<Record<string, unknown>>
  readonly weight: bigint
}

/** Failures of a view's operators, as its user sees them. */
export function presentErrors(definition: ViewDefinition, entries: readonly FailureEntry[]): ViewError[] {
  if (entries.length === 0) return []
  const known = columnNames(definition)
  return entries.map(entry => ({
    ...{ view: definition.schema.name, operator: entry.operator ?? 'an operator', message: entry.message },
    ...{ row: rowOf(entry, known), weight: entry.weight },
  }))
}

/** Names of all columns that the definition mentions; others were made by the planner. */
function columnNames({ rel, schema }: ViewDefinition): ReadonlySet<string> {
  return new Set([schema, ...nodesOf(rel).map(node => node.schema)].flatMap(s => s.columns.map(c => c.name)))
}

function rowOf({ row, columns }: Failure, known: ReadonlySet<string>): Record<string, unknown> {
  const shown: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [i, { name, type }] of columns.entries()) {
    if (known.has(name)) shown[name in shown ? `right.${name}` : name] = present(type, row[i])
  }
  return { ...shown }
}

/** One of the failures in words, as seen from view `name`. */
export const errorText = (name: string, { view, operator, message }: ViewError): string =>
  `${view === name ? '' : `view ${quote(view)}, `}${operator}: ${message}`
