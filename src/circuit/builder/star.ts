/**
 * Joins of several relations on one key: `q.joinAll([a, b, c], [keys of each], select)`. They go one after the other, from
 * the first on; the arrangement of each by the key is shared with other joins, and what was joined so far is arranged by
 * it, too. The columns of a result are chosen at the end, and others are dropped on the way.
 */
import { CompileError, quote, showWhole } from '../../base/errors.js'
import { rowSchema } from '../../schema/schema.js'
import { allOf } from '../conditions.js'
import type { Expr } from '../expr.js'
import { columnsLambda } from '../lambda/index.js'
import { mapOf, schemaOf, withColumns } from '../nodes.js'
import type { JoinRel, Rel } from '../rel.js'
import { allColumns, columnOf, replaceColumns } from '../substitute.js'
import { comparable, identical, typeText } from '../typing.js'
import { splitCondition } from './joins.js'

const WHAT = 'joinAll'

/** A relation with its key's columns, by name. */
interface Spoke {
  readonly rel: Rel
  readonly keys: ReadonlyMap<string, number>
}

/** Throws CompileError unless there are two relations at least, and keys of the same names for all of them. */
export function starRel(rels: readonly Rel[], keys: unknown, select: unknown, ctx: unknown): Rel {
  if (rels.length < 2) throw new CompileError(`${WHAT}: expected two relations or more, found ${rels.length}`)
  if (!Array.isArray(keys) || keys.length !== rels.length) {
    throw new CompileError(`${WHAT}: expected ${rels.length} lambdas for the keys, found ${showWhole(keys)}`)
  }
  const spokes = rels.map((rel, i) => spokeOf(rel, keys[i], ctx, `${WHAT} key of relation ${i + 1}`))
  const names = [...spokes[0].keys.keys()]
  for (const [i, spoke] of spokes.entries()) {
    const other = [...spoke.keys.keys()]
    if (other.length === names.length && names.every(name => spoke.keys.has(name))) continue
    const [want, found] = [names, other].map(list => list.map(quote).join(', '))
    throw new CompileError(`${WHAT}: expected the key ${want} of relation ${i + 1}, found ${found}`)
  }
  let joined = spokes[0].rel
  const starts = [0]
  for (const [i, spoke] of spokes.slice(1).entries()) {
    starts.push(joined.schema.columns.length)
    joined = meet(joined, spokes[0], spoke, names, i + 2)
  }
  const columns = columnsLambda({ fn: select, ctx, rows: rels.map(r => r.schema), what: `${WHAT} select` })
  const whole = joined.schema
  const exprs = columns.map(({ expr }) => replaceColumns(expr, c => columnOf(whole, starts[c.input] + c.index)))
  const specs = columns.map(({ name, expr }) => ({ name, type: expr.type, nullable: expr.nullable }))
  return mapOf(joined, exprs, rowSchema(WHAT, specs))
}

/** Keys that are computed become columns behind the relation's own. */
function spokeOf(rel: Rel, key: unknown, ctx: unknown, what: string): Spoke {
  const exprs = columnsLambda({ fn: key, ctx, rows: [rel.schema], what })
  const wide = withColumns(
    rel,
    exprs.map(k => k.expr),
    'key',
  )
  return { rel: wide.rel, keys: new Map(exprs.map((k, i) => [k.name, wide.at[i]])) }
}

/** `joined`, whose first columns are those of `first`, with the rows of `spoke` that have its key. */
function meet(joined: Rel, first: Spoke, spoke: Spoke, names: readonly string[], number: number): Rel {
  const at = (rel: Rel, keys: Spoke['keys'], name: string, input: 0 | 1): Expr =>
    columnOf(rel.schema, keys.get(name) as number, input)
  const equal = names.map(name => {
    const [a, b] = [at(joined, first.keys, name, 0), at(spoke.rel, spoke.keys, name, 1)]
    if (comparable(a, b) !== null) return identical('is', a, b)
    const found = `${typeText(a)} in relation 1 and ${typeText(b)} in relation ${number}`
    throw new CompileError(`${WHAT}: expected the key ${quote(name)} to be of one type, found ${found}`)
  })
  const join: JoinRel = {
    ...{ kind: 'join', type: 'inner', left: joined, right: spoke.rel, ...splitCondition(allOf(equal)) },
    exprs: Object.freeze([...allColumns(joined.schema), ...allColumns(spoke.rel.schema, 1)]),
    schema: schemaOf(WHAT, [...joined.schema.columns, ...spoke.rel.schema.columns]),
  }
  return Object.freeze(join)
}
