/**
 * Whether a database's views, indexes and constraints are what its tables make of them: everything that follows from rows
 * is computed again, in memory and from nothing, and compared.
 */
import type { TableDef } from '../../circuit/columns.js'
import { CLOCK_NAME } from '../../circuit/now.js'
import { toJson } from '../../circuit/serialise/values.js'
import { checkConstraints, checkIndexes } from '../constraints/verify.js'
import { Database } from '../database.js'
import type { ViewHandle } from '../handles/view.js'
import { Recomputation } from '../recomputed.js'
import { beyondRows, clocksUnder, tablesUnder } from '../repeatable.js'

export interface CheckFinding {
  readonly kind: 'view' | 'index' | 'constraint'
  /** The table of an index or constraint, else null. */
  readonly table: string | null
  readonly name: string
  readonly problem: string
}

export interface CheckReport {
  readonly findings: readonly CheckFinding[]
  /** What was compared. */
  readonly tables: number
  readonly views: number
  readonly indexes: number
  /**
   * Views that read a stream, whose rows are not there to be computed with, that hold back rows until they are final, or
   * have noise, which is drawn anew.
   */
  readonly skipped: readonly string[]
}

/** Checks all of a database; needs memory for its rows. `progress` hears what is looked at. */
export function checkDatabase(database: Database, progress: (what: string) => void = () => {}): CheckReport {
  progress('constraints')
  const constraints = checkConstraints(database).map(f => ({ kind: 'constraint' as const, ...f }))
  progress('indexes')
  const indexes = checkIndexes(database).map(f => ({ kind: 'index' as const, ...f }))
  const { current } = new Recomputation(new Database({}), database.definitions)
  const skipped = database.views.filter(view => beyondRows(view.definition, current) !== null).map(view => view.name)
  const checked = database.views.filter(view => !skipped.includes(view.name))
  const views = checked.flatMap(view => {
    progress(`view ${view.name}`)
    const problem = viewProblem(database, view)
    return problem === null ? [] : [{ kind: 'view' as const, table: null, name: view.name, problem }]
  })
  return {
    findings: [...constraints, ...indexes, ...views],
    tables: database.tables.length,
    views: checked.length,
    indexes: database.tables.reduce((sum, table) => sum + table.indexes.length, 0),
    skipped,
  }
}

/** What is wrong with a view, or null. */
function viewProblem(database: Database, view: ViewHandle<unknown>): string | null {
  const fresh = new Database({})
  const { registry } = fresh.definitions
  const again = new Recomputation(fresh, database.definitions)
  for (const table of tablesUnder(view.definition, again.current))
    again.load(table, database.table(table as TableDef<unknown>).entries())
  if (database.now !== null) fresh.advance(database.now)
  for (const clock of clocksUnder(view.definition, again.current)) {
    const own = registry.named(CLOCK_NAME)
    if (own !== undefined) registry.alias(clock, own)
  }
  const { handle } = again.viewOf(view.definition)
  const errors = [handle, view].map(v => v.errors().length)
  if (errors[0] !== errors[1]) return `expected ${errors[0]} failed rows, found ${errors[1]}`
  return firstDifference(textsOf(handle), textsOf(view))
}

function* textsOf(view: ViewHandle<unknown>): Generator<string> {
  for (const { row, weight } of view.relation.entries()) {
    yield `${weight < 0n ? '' : '+'}${weight} ${JSON.stringify(toJson(Object.entries(row as object)))}`
  }
}

/** Two sequences in one order: the first place where they part, in words. */
function firstDifference(expected: Iterator<string>, found: Iterator<string>): string | null {
  for (let n = 1; ; n++) {
    const [a, b] = [expected.next(), found.next()]
    if (a.done === true && b.done === true) return null
    if (a.value === b.value) continue
    const text = ({ done, value }: IteratorResult<string>) => (done === true ? 'the end' : value)
    return `row ${n}: expected ${text(a)}, found ${text(b)}`
  }
}
