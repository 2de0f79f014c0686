/**
 * How an index lies in memory: which columns make up its arrangement's key, and which follow in the order.
 *
 * An index is an arrangement of the table's rows, so it is kept, shared and saved like any other. Its key holds as many
 * of the terms as fit into 128 bits, order-preserving and side by side. Text, bytes, and what is too wide enter by
 * their first 64 bits (`prefix`), if there is room: the whole value follows in the order and decides between equal
 * prefixes. Of terms after that only the order knows. The first term is always ascending there: an index that begins
 * with a descending one is arranged the other way round and read backwards.
 */
import { mapOf } from '../../circuit/nodes.js'
import type { IndexTerm, Rel, SourceRel } from '../../circuit/rel.js'
import { allColumns, call } from '../../circuit/substitute.js'
import type { ColumnSpec } from '../../schema/schema.js'
import { specOf, uniqueSchema } from '../plan-aggregate.js'

/** A column of an index's relation, and which way it is sorted. */
export interface TermColumn {
  readonly index: number
  readonly descending: boolean
}

export interface IndexPlan {
  /** The table's columns, then those of terms that are none of them. */
  readonly rel: Rel
  /** Columns of the arrangement's key. */
  readonly key: readonly number[]
  /** What the arrangement is sorted by after the key. */
  readonly order: readonly TermColumn[]
  /** The terms, in the direction of the arrangement. */
  readonly terms: readonly TermColumn[]
  /** The index is the arrangement read backwards. */
  readonly reversed: boolean
}

const KEY_BITS = 128
const PREFIX_BITS = 64

/** An ordered index. */
export function planIndex(source: SourceRel, terms: readonly IndexTerm[]): IndexPlan {
  const reversed = terms[0].descending
  const { rel, columns } = withTerms(source, terms)
  const ordered = columns.map((index, n) => ({ index, descending: terms[n].descending !== reversed }))
  const key: number[] = []
  let bits = 0
  for (const term of ordered) {
    const { info, nullable } = rel.schema.columns[term.index]
    const width = info.keyBits + (nullable ? 1 : 0)
    const fits = info.keyBits > 0 && bits + width <= KEY_BITS
    if (!term.descending && fits) {
      key.push(term.index)
      bits += width
      continue
    }
    const isWide = info.keyBits === 0 || info.keyBits > PREFIX_BITS
    if (term.descending || !isWide || bits + PREFIX_BITS + (nullable ? 1 : 0) > KEY_BITS) break
    const prefixed = withPrefix(source, rel, term.index)
    key.push(prefixed.schema.columns.length - 1)
    return { rel: prefixed, key, order: ordered.slice(key.length - 1), terms: ordered, reversed }
  }
  return { rel, key, order: ordered.slice(key.length), terms: ordered, reversed }
}

/** For equality alone: the terms as they are, packed or hashed. */
export function planGroups(source: SourceRel, terms: readonly IndexTerm[]): IndexPlan {
  const { rel, columns } = withTerms(source, terms)
  return {
    rel,
    key: columns,
    order: [],
    terms: columns.map(index => ({ index, descending: false })),
    reversed: false,
  }
}

/** The table's rows, with a column for each term; `columns` says which. */
function withTerms(source: SourceRel, terms: readonly IndexTerm[]): { rel: Rel; columns: number[] } {
  const exprs = [...allColumns(source.schema)] as IndexTerm['expr'][]
  const specs: ColumnSpec[] = source.schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
  const columns = terms.map(({ expr, name }) => {
    if (expr.kind === 'column') return expr.index
    exprs.push(expr)
    specs.push(specOf(expr, name))
    return exprs.length - 1
  })
  if (exprs.length === source.schema.columns.length) return { rel: source, columns }
  return { rel: mapOf(source, exprs, uniqueSchema(source.schema.name, specs)), columns }
}

function withPrefix(source: SourceRel, rel: Rel, index: number): Rel {
  const exprs = rel.kind === 'map' ? rel.exprs : allColumns(source.schema)
  const prefix = call('prefix', [exprs[index]], 'u64')
  const specs = rel.schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
  const name = `${rel.schema.columns[index].name} prefix`
  return mapOf(source, [...exprs, prefix], uniqueSchema(source.schema.name, [...specs, specOf(prefix, name)]))
}
