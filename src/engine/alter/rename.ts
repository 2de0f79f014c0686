/** Views that read a relation which was renamed or altered, and the renaming of views. */
import { GnitzError, quote } from '../../base/errors.js'
import type { Rel, Relation, ViewDefinition } from '../../circuit/rel.js'
import { circuitOf, circuitText } from '../../circuit/serialise/circuit.js'
import type { Definitions } from '../definitions.js'
import { udfIn } from '../definitions.js'
import type { Defined, ViewEntry } from '../registry.js'

/**
 * Lets a view read `now` where it reads `old`, of which it has the columns that it had. Returns what undoes it.
 * REQUIRES: nobody finds `old` any more.
 */
export function rebase(definitions: Definitions, view: ViewEntry, old: Relation, now: Relation): () => void {
  const { registry } = definitions
  const before = view.definition
  const relation = (name: string): Relation => {
    if (name === old.schema.name) return now
    const found = registry.named(name)
    if (found !== undefined) return found.definition
    throw new GnitzError('INTERNAL', `view ${quote(view.name)} reads ${quote(name)}, which is not there`)
  }
  const text = circuitText(before.rel, r => registry.known(r)?.name ?? r.schema.name)
  const rel = circuitOf(text, { relation, udf: name => udfIn(before.rel, name) }) as Rel
  return definitions.redefine(view, Object.freeze({ ...before, rel }))
}

/** What the catalog is to forget and to hold, and what undoes the change. */
export interface Renaming {
  readonly before: Defined[]
  readonly after: Defined[]
  undo(): void
}

/** Gives a view another name. Throws UsageError if it is taken; then nothing has changed. */
export function renameView(definitions: Definitions, view: ViewEntry, name: string): Renaming {
  const { registry } = definitions
  registry.mustBeFree(name)
  const readers = registry.viewsOver(view)
  const list = (): Defined[] => [view, ...readers].map(entry => ({ ...entry }))
  const before = list()
  const old = view.definition
  const { unclaimed } = view
  const now: ViewDefinition = Object.freeze({ ...old, schema: Object.freeze({ ...old.schema, name }) })
  const call = (definition: ViewDefinition, isUnclaimed: boolean): void => {
    registry.remove(view)
    view.name = definition.schema.name
    view.unclaimed = isUnclaimed
    definitions.redefine(view, definition)
    registry.add(view)
    view.handle.relation.rename(view.name)
  }
  call(now, true)
  registry.numbered(now, view.id)
  const undos = readers.map(reader => rebase(definitions, reader, old, now))
  const undo = (): void => {
    for (const each of undos) each()
    call(old, unclaimed)
  }
  return { before, after: list(), undo }
}
