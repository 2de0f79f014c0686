/** Whether a view can be computed again from what its tables hold, by whoever has lost what it was, or doubts it. */
import { signalsOf } from '../circuit/bounds.js'
import { nodesOf } from '../circuit/nodes.js'
import { isClock } from '../circuit/now.js'
import type { Rel, TableDefinition, ViewDefinition } from '../circuit/rel.js'

/** What a view is now that another one reads, which may know it as it was before its table was altered. */
export type Current = (view: ViewDefinition) => ViewDefinition

/** All nodes of a circuit, those of views that it reads included. */
function* allNodesOf(rel: Rel, current: Current): Generator<Rel> {
  for (const node of nodesOf(rel)) {
    yield node
    if (node.kind === 'source' && node.relation.kind === 'view') yield* allNodesOf(current(node.relation).rel, current)
  }
}

/** The tables that a view reads, directly and through views. */
export function tablesUnder({ rel }: ViewDefinition, current: Current): Set<TableDefinition> {
  const tables = new Set<TableDefinition>()
  for (const node of allNodesOf(rel, current)) {
    if (node.kind === 'source' && node.relation.kind === 'table') tables.add(node.relation)
  }
  return tables
}

/** The clocks that a view looks at; one, but perhaps by two definitions. */
export function clocksUnder({ rel }: ViewDefinition, current: Current): Set<TableDefinition> {
  const signals = [...allNodesOf(rel, current)].flatMap(node => (node.kind === 'gate' ? signalsOf(node.threshold) : []))
  return new Set(signals.flatMap(({ table }) => (table.kind === 'table' && isClock(table) ? [table] : [])))
}

const LATE = 'what was late depends on the order in which rows came'

/** Why a view does not follow from the rows of its tables, and the clock; null if it does. */
export function beyondRows(view: ViewDefinition, current: Current): string | null {
  if (view.waterlines !== undefined) return LATE
  for (const node of allNodesOf(view.rel, current)) {
    if (node.kind === 'source' && node.relation.kind === 'view' && node.relation.waterlines !== undefined) return LATE
    if (node.kind === 'noise') return 'its noise would be drawn again, which would tell more than its budget allows'
    if (node.kind === 'gate' && !signalsOf(node.threshold).every(signal => isClock(signal.table))) {
      return 'what it holds as final depends on rows that may have gone since'
    }
  }
  for (const { stream, schema } of tablesUnder(view, current)) {
    if (stream) return `it reads the stream "${schema.name}", whose rows are not kept`
  }
  return null
}
