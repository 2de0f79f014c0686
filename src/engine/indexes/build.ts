/** Makes an index on a table that may hold rows: its arrangement catches up in chunks, like a view. */
import { kernelsOf } from '../../../codegen/kernels.js'
import { quote } from '../../base/errors.js'
import type { IndexDefinition, SourceRel, TableDefinition } from '../../circuit/rel.js'
import type { Progress } from '../backfill.js'
import type { Circuit } from '../circuit.js'
import { type IndexFace, IndexRelation } from './handle.js'
import { planIndex } from './plan.js'
import { IndexReader } from './reader.js'

/** The rows of a table, as a relation. */
export const rowsOf = (relation: TableDefinition): SourceRel => ({ kind: 'source', schema: relation.schema, relation })

/** `version` counts the changes of the table. */
export function buildIndex<R>(
  circuit: Circuit,
  table: TableDefinition,
  definition: IndexDefinition,
  version: () => number,
  progress?: Progress,
): IndexFace<R> {
  const plan = planIndex(rowsOf(table), definition.terms)
  const purpose = `index ${quote(definition.name)} of table ${quote(table.schema.name)}`
  const operator = circuit.addArrangement(table, purpose, plan.rel, plan.key, plan.order, progress)
  const kernels = kernelsOf(operator.kernels.layout, circuit.mode)
  const relation = new IndexRelation<R>(
    definition.name,
    table.schema,
    plan.rel.schema,
    plan.terms.map(t => t.index),
    circuit.contextOf(table),
    new IndexReader(operator.trace, kernels, plan),
    version,
  )
  return { definition, operator, relation }
}
