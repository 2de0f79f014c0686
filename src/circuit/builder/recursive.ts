/** Recursion as a program writes it: `q.recursive(base, self => …)`, and the same for relations defined by one another. */
import { CompileError, quote, show } from '../../base/errors.js'
import type { RowSchema } from '../../schema/schema.js'
import { plusOf } from '../nodes.js'
import { DEFAULT_LIMIT, recursiveOf, variableOf, variableSource } from '../recursion/program.js'
import type { Rel } from '../rel.js'
import { checkOptions } from './check.js'
import { Query, relOf } from './query.js'
import { alignSchemas } from './sets.js'
import { sourceRel } from './sources.js'

export interface RecursiveOptions {
  /** Most iterations from nothing to the result; beyond it the relations are empty and the view holds an error. Default 10,000. */
  readonly limit?: number
}

/** `recursive` of one base, or of several with names. */
export function recursive(bases: unknown, step: unknown, options: RecursiveOptions = {}): unknown {
  if (typeof step !== 'function') {
    throw new CompileError(`recursive: expected a function self => …, found ${show(step)}`)
  }
  const limit = limitOf(options)
  if (bases instanceof Query || sourceRel(bases) !== null) {
    const build = (selves: Record<string, Query<unknown>>): unknown => ({ self: step(selves.self) as unknown })
    return define({ self: bases }, build, limit).self
  }
  if (typeof bases !== 'object' || bases === null || Object.keys(bases).length === 0) {
    const expected = 'a query, a table or a view to begin with, or an object of them'
    throw new CompileError(`recursive: expected ${expected}, found ${show(bases)}`)
  }
  return define({ ...bases }, step as (selves: Record<string, Query<unknown>>) => unknown, limit)
}

function limitOf(options: RecursiveOptions): number {
  checkOptions('recursive', options, ['limit'])
  const { limit = DEFAULT_LIMIT } = options
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new CompileError(`recursive: expected a limit from 1 to ${MAX_LIMIT} iterations, found ${show(limit)}`)
}

/** Iterations are kept as 32-bit numbers. */
const MAX_LIMIT = 2 ** 31 - 1

function define(
  bases: Readonly<Record<string, unknown>>,
  step: (selves: Record<string, Query<unknown>>) => unknown,
  limit: number,
): Record<string, Query<unknown>> {
  const names = Object.keys(bases)
  const starts = names.map(name => relOf(bases[name], `recursive ${quote(name)}`))
  const variables = starts.map(start => variableOf(start.schema))
  const built = step(
    Object.fromEntries(names.map((name, k) => [name, new Query<unknown>(variableSource(variables[k]))])),
  )
  if (typeof built !== 'object' || built === null) {
    throw new CompileError(
      `recursive: expected the callback to return ${names.map(quote).join(', ')}, found ${show(built)}`,
    )
  }
  const steps = new Map(Object.entries(built))
  const extra = [...steps.keys()].find(name => !names.includes(name))
  if (extra !== undefined) {
    throw new CompileError(`recursive: the callback returns ${quote(extra)}, which has no base`, {
      hint: 'begin with an empty relation: q.empty({ id: u64(), … })',
    })
  }
  const bodies = names.map((name, k) => body(name, starts[k], steps.get(name)))
  const relations = recursiveOf({ names, variables, bodies, limit })
  return Object.fromEntries(names.map((name, k) => [name, new Query<unknown>(relations[k])]))
}

/** What the relation consists of: its base, and what follows from the relations. */
function body(name: string, base: Rel, step: unknown): Rel {
  const what = `recursive ${quote(name)}`
  const next = relOf(step, what)
  const [left, right, schema] = alignSchemas(base, next, what)
  mustHoldNulls(what, base.schema, schema)
  return plusOf([left, right], schema)
}

function mustHoldNulls(what: string, base: RowSchema, whole: RowSchema): void {
  const widened = whole.columns.find((c, i) => c.nullable && !base.columns[i].nullable)
  if (widened === undefined) return
  throw new CompileError(`${what}: column ${quote(widened.name)} may be NULL in what follows, and not in the base`, {
    hint: `exclude NULL with .filter and ??, or let the base have a column that can be NULL`,
  })
}
