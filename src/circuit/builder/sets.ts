/** Making the two sides of a set operation alike. */
import { CompileError, quote } from '../../base/errors.js'
import { type Column, type RowSchema, rowSchema } from '../../schema/schema.js'
import type { Rel } from '../rel.js'
import { columnOf } from '../substitute.js'

/**
 * Both inputs under one schema: columns in the left side's order, each nullable if it is in either. A side that has
 * them otherwise gets a map in front. Throws CompileError unless names and types agree.
 */
export function alignSchemas(left: Rel, right: Rel, what: string): readonly [left: Rel, right: Rel, schema: RowSchema] {
  const others = new Map(right.schema.columns.map(c => [c.name, c]))
  const extra = right.schema.columns.find(c => !left.schema.columns.some(l => l.name === c.name))
  if (extra !== undefined) differ(what, `column ${quote(extra.name)} is in the second one only`)
  const specs = left.schema.columns.map(column => {
    const other = others.get(column.name)
    if (other === undefined) return differ(what, `column ${quote(column.name)} is in the first one only`)
    if (other.type !== column.type) {
      differ(what, `column ${quote(column.name)} is ${column.type} in the first and ${other.type} in the second`)
    }
    return { name: column.name, type: column.type, nullable: column.nullable || other.nullable }
  })
  const schema = rowSchema(what, specs)
  return [aligned(left, schema), aligned(right, schema), schema]
}

function differ(what: string, problem: string): never {
  throw new CompileError(`${what}: expected two relations with the same columns: ${problem}`, {
    hint: 'bring them in line with map, e.g. .map(r => ({ id: i64(r.id) })) with casts from `fn`',
  })
}

function aligned(rel: Rel, schema: RowSchema): Rel {
  const same = (c: Column) => {
    const own = rel.schema.columns[c.index]
    return own.name === c.name && own.nullable === c.nullable
  }
  if (schema.columns.every(same)) return rel
  const indexes = schema.columns.map(c => rel.schema.columns.findIndex(own => own.name === c.name))
  const exprs = indexes.map(i => columnOf(rel.schema, i))
  return Object.freeze({ kind: 'map', input: rel, exprs: Object.freeze(exprs), schema })
}
