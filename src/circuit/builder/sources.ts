/** Where queries begin: tables and views, as definitions or as handles of a database. */
import { CompileError, show } from '../../base/errors.js'
import type { Relation, SourceRel } from '../rel.js'

/**
 * The database whose handle a source came from. Sources made from definitions have none and fit any database; a
 * database refuses circuits with sources of another.
 */
export const sourceOwners = new WeakMap<SourceRel, object>()

/** The source node of a definition or handle, or null if `given` is neither. */
export function sourceRel(given: unknown): SourceRel | null {
  if (typeof given !== 'object' || given === null) return null
  const handle = given as { definition?: unknown; database?: unknown }
  const isHandle = handle.definition !== undefined
  const relation = isHandle ? handle.definition : given
  if (!isRelation(relation)) return null
  const rel: SourceRel = Object.freeze({ kind: 'source', schema: relation.schema, relation })
  if (isHandle && typeof handle.database === 'object' && handle.database !== null) {
    sourceOwners.set(rel, handle.database)
  }
  return rel
}

function isRelation(value: unknown): value is Relation {
  if (typeof value !== 'object' || value === null) return false
  const { kind, schema } = value as { kind?: unknown; schema?: unknown }
  return (kind === 'table' || kind === 'view') && typeof schema === 'object' && schema !== null
}

export function refuseSource(what: string, given: unknown): never {
  throw new CompileError(`${what}: expected a query, a table, a view or a handle of one, found ${show(given)}`)
}
