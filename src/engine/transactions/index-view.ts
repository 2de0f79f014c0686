/**
 * Reading an index as a transaction or a snapshot sees the table: the index as it is, with what lies over the table laid over
 * it as well (what has changed since, negated, and what was written). These rows are few; they are sorted as the index is
 * whenever it is read, and merged with it term by term.
 */
import { readRow } from '../../../codegen/expr/plain.js'
import { UsageError } from '../../base/errors.js'
import { evaluate } from '../../circuit/eval.js'
import type { IndexDefinition } from '../../circuit/rel.js'
import { encodeValues } from '../../circuit/serialise/values.js'
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import type { Batch } from '../../zset/batch.js'
import type { IndexHandle, IndexRead } from '../indexes/handle.js'
import type { KeyInput, RangeOptions } from '../keys.js'
import { type Bounds, EVERYTHING, type RowRef } from '../read.js'
import type { Entry, RelationReader } from '../relation.js'
import type { ReadSet } from './read-set.js'

type Values = readonly Value[]

/** How the table of an index is seen. */
export interface Seen {
  /** What lies over the table. */
  readonly runs: readonly Batch[]
  /** Where it is remembered what was read, if it is. */
  readonly reads: ReadSet | null
  readonly exclusive: boolean
}

/** A row with the values of the index's terms. */
interface Item<R> {
  readonly terms: Values
  readonly text: string
  readonly weight: bigint
  row(): R
}

/** An index in a transaction or snapshot: reads are those of `IndexHandle`. */
export class IndexView<R> {
  constructor(
    private readonly index: IndexHandle<R>,
    private readonly table: RelationReader<unknown>,
    /** Throws where the table cannot be read. */
    private readonly look: () => Seen,
  ) {}

  get name(): string {
    return this.index.name
  }

  /** Rows whose terms have these values, or begin with them: see `IndexHandle.find`. */
  find(key: KeyInput): R[] {
    const values = this.index.relation.keyOf(key, false)
    const bounds = { ...EVERYTHING, from: values, to: values }
    return this.listed('find', key, bounds, Number.POSITIVE_INFINITY)
  }

  /** Rows in the order of the index, between bounds: see `IndexHandle.range`. What is written later is not in it. */
  range(options: RangeOptions = {}): IterableIterator<R> {
    const { relation } = this.index
    return this.listed('range', options, relation.boundsOf(options), relation.limitOf(options)).values()
  }

  /** All rows in the order of the index, each as often as its weight says. */
  rows(): R[] {
    return this.listed('rows', null, EVERYTHING, Number.POSITIVE_INFINITY)
  }

  /** All distinct rows with their weights, in the order of the index. */
  entries(): Entry<R>[] {
    return [...this.read('rows', null, EVERYTHING)]
  }

  private listed(operation: IndexRead['operation'], key: unknown, bounds: Bounds, limit: number): R[] {
    const rows: R[] = []
    if (limit === 0) return rows
    for (const { row, weight } of this.read(operation, key, bounds)) {
      if (weight < 0n) {
        throw new UsageError(`${this.index.relation.what} cannot be listed as rows: a row has weight ${weight}`)
      }
      for (let n = 0n; n < weight; n++) {
        rows.push(row)
        if (rows.length === limit) return rows
      }
    }
    return rows
  }

  private *read(operation: IndexRead['operation'], key: unknown, bounds: Bounds): Generator<Entry<R>> {
    const { runs, reads, exclusive } = this.look()
    this.index.check(operation, key)
    const { definition } = this.index
    const step = bounds.reverse ? -1 : 1
    if (reads !== null)
      reads.addTest(ref => isWithin(definition, termsOf(definition, valuesOf(ref)), bounds), exclusive)
    const changed = this.changes(runs, bounds).sort((a, b) => step * compareTerms(definition, a.terms, b.terms))
    let c = 0
    // Groups of rows with equal terms.
    for (const group of groupsOf(definition, this.base(bounds))) {
      const before = changed.slice(
        c,
        c + countWhile(changed, c, i => step * compareTerms(definition, i.terms, group[0].terms) < 0),
      )
      c += before.length
      for (const others of groupsOf(definition, before)) yield* summed([], others)
      const same = countWhile(changed, c, i => compareTerms(definition, i.terms, group[0].terms) === 0)
      yield* summed(group, changed.slice(c, c + same))
      c += same
    }
    for (const others of groupsOf(definition, changed.slice(c))) yield* summed([], others)
  }

  private *base(bounds: Bounds): Generator<Item<R>> {
    const { relation, definition } = this.index
    const count = this.table.schema.columns.length
    for (const ref of relation.refs(bounds)) {
      const values = valuesOf(ref).slice(0, count)
      const { batch, row, weight } = ref
      const terms = termsOf(definition, values)
      yield { terms, text: encodeValues(values), weight, row: () => relation.decode(batch, row) }
    }
  }

  private changes(runs: readonly Batch[], bounds: Bounds): Item<R>[] {
    const { definition } = this.index
    const items: Item<R>[] = []
    for (const batch of runs) {
      for (let row = 0; row < batch.length; row++) {
        const weight = batch.weights[row]
        if (weight === 0n) continue
        const values = readRow(batch, row)
        const terms = termsOf(definition, values)
        if (!isWithin(definition, terms, bounds)) continue
        items.push({ terms, text: encodeValues(values), weight, row: () => this.table.decode(batch, row) as R })
      }
    }
    return items
  }
}

const valuesOf = ({ batch, row }: RowRef): Value[] => readRow(batch, row)

const termsOf = ({ terms }: IndexDefinition, values: Values): Value[] => terms.map(t => evaluate(t.expr, values))

/** In the order of the index; of a bound, the first terms alone. */
function compareTerms({ terms }: IndexDefinition, a: Values, b: Values): number {
  const count = Math.min(a.length, b.length)
  for (let k = 0; k < count; k++) {
    const order = compareValues(terms[k].expr.type, a[k], b[k])
    if (order !== 0) return terms[k].descending ? -order : order
  }
  return 0
}

function isWithin(definition: IndexDefinition, terms: Values, { from, to, after, reverse }: Bounds): boolean {
  if (from !== null && compareTerms(definition, terms, from) < 0) return false
  if (to !== null && compareTerms(definition, terms, to) > 0) return false
  return after === null || (reverse ? -1 : 1) * compareTerms(definition, terms, after) > 0
}

function countWhile<T>(items: readonly T[], from: number, holds: (item: T) => boolean): number {
  let count = 0
  while (from + count < items.length && holds(items[from + count])) count++
  return count
}

function* groupsOf<R>(definition: IndexDefinition, items: Iterable<Item<R>>): Generator<Item<R>[]> {
  let group: Item<R>[] = []
  for (const item of items) {
    if (group.length > 0 && compareTerms(definition, group[0].terms, item.terms) !== 0) {
      yield group
      group = []
    }
    group.push(item)
  }
  if (group.length > 0) yield group
}

/** Equal rows together, those of the index first. */
function* summed<R>(base: readonly Item<R>[], changes: readonly Item<R>[]): Generator<Entry<R>> {
  const net = new Map<string, { item: Item<R>; weight: bigint }>()
  for (const item of [...base, ...changes]) {
    const found = net.get(item.text)
    if (found === undefined) net.set(item.text, { item, weight: item.weight })
    else found.weight = BigInt.asIntN(64, found.weight + item.weight)
  }
  for (const { item, weight } of net.values()) if (weight !== 0n) yield { row: item.row(), weight }
}
