/**
 * Z-sets as values of streams: rows with integer weights, as consolidated batches. A `ZSets` is the group of all Z-sets with
 * the same columns, arranged by the same key (an *indexed* Z-set; all columns unless told otherwise). Its operations are
 * the compiled kernels of its layout, and its operators are compiled from lambdas like those of views.
 *
 * `filter`, `map` and `by` are linear, `join` is bilinear, `distinct` is neither; `Linear` and `Bilinear` say so, and
 * `GroupStream.linear` and `.bilinear` apply them to changes.
 */
import { rowDecoder } from '../../codegen/decode.js'
import { rowEncoder } from '../../codegen/encode.js'
import { type CompiledKernels, kernelsOf } from '../../codegen/kernels.js'
import { type CodeContext, clampCode, joinCode, type PipelineSpec, SourceList, storeCode } from '../../codegen/steps.js'
import { ExpressionError, quote, show, UsageError, WeightOverflowError } from '../base/errors.js'
import type { Cells, Context, Ctx, NoContext, RowFrom } from '../circuit/builder/types.js'
import { type ColumnBuilders, columnSpecs, type InsertOf, type RowOf, type Simplify } from '../circuit/columns.js'
import { columnsLambda, conditionLambda, type NamedExpr } from '../circuit/lambda/index.js'
import { allColumns } from '../circuit/substitute.js'
import type { Failure } from '../engine/errors.js'
import { checkWeight } from '../engine/ingest.js'
import type { Clamp } from '../engine/operators/clamp.js'
import type { PairsStore, ScanStore } from '../engine/operators/feed.js'
import { Pairs, type Probe } from '../engine/operators/join.js'
import { arrangedLayout, type Column, flatLayout, type Layout, type RowSchema, rowSchema } from '../schema/schema.js'
import { appendRows } from '../zset/append.js'
import { Arranger } from '../zset/arrange.js'
import { Batch } from '../zset/batch.js'
import type { Group } from './algebra.js'
import type { Bilinear, Linear } from './stream.js'

declare const ROW: unique symbol

/** A Z-set. Never changed; made and read by its `ZSets`. */
export interface ZSet<R> {
  readonly [ROW]: R
  /** Consolidated. */
  readonly batch: Batch
}

export interface WeightedRow<R> {
  readonly row: R
  readonly weight: bigint
}

const CONTEXT: CodeContext = { mode: 'compiled', unit: 'streams', provenance: ['a stream of Z-sets'] }

/** Rows that fail in a linear operator: the first is thrown. */
class Failures {
  private first: Failure | null = null

  add(failure: Failure): void {
    this.first ??= failure
  }

  raise(what: string): void {
    if (this.first !== null) throw new ExpressionError(`${what}: ${this.first.message}`)
  }
}

const wrap = <R>(batch: Batch): ZSet<R> => Object.freeze({ batch }) as ZSet<R>

/** The group of Z-sets with columns like these. */
export function zsets<C extends ColumnBuilders>(columns: C): ZSets<Simplify<RowOf<C>>, InsertOf<C>> {
  return new ZSets(rowSchema('stream', columnSpecs('zsets', columns)), null)
}

export class ZSets<R, I = R> implements Group<ZSet<R>> {
  readonly zero: ZSet<R>
  readonly layout: Layout
  private readonly kernels: CompiledKernels
  private readonly arranger: Arranger
  /** Layouts of other groups that have the same columns, by whether the key is the same too. */
  private readonly alike = new WeakMap<Layout, boolean>()
  private encode: ReturnType<typeof rowEncoder>['fn'] | null = null

  /** Use `zsets`. `key` are column indexes, null for all columns. */
  constructor(
    readonly schema: RowSchema,
    key: readonly number[] | null,
  ) {
    this.layout = arrangedLayout(schema, key ?? schema.columns.map(c => c.index))
    this.kernels = kernelsOf(this.layout, CONTEXT.mode)
    this.arranger = new Arranger(this.kernels)
    this.zero = wrap(this.arranged())
  }

  /** Rows with weight 1, or another. Throws RowError on a row that does not fit. */
  of(rows: readonly I[], weight = 1n): ZSet<R> {
    const flat = new Batch(flatLayout(this.schema))
    flat.reserve(rows.length)
    this.encode ??= rowEncoder(this.schema, CONTEXT.mode).fn
    flat.length = this.encode(rows, flat, checkWeight('zsets', null, weight))
    return this.scanned(flat, { filter: null, exprs: allColumns(this.schema) }, 'of')
  }

  /** Throws UsageError unless `z` is a Z-set of these columns, arranged by the same key. */
  check(z: ZSet<R>, what: string): void {
    this.batchOf(z, what, true)
  }

  /** The rows of a Z-set of these columns, if `keyed` also of the same key. */
  private batchOf(z: ZSet<unknown>, what: string, keyed: boolean): Batch {
    const batch: unknown = z?.batch
    if (!(batch instanceof Batch)) throw new UsageError(`${what}: expected a Z-set of \`zsets(…)\`, found ${show(z)}`)
    const { layout } = batch
    if (layout === this.layout) return batch
    if (!this.alike.has(layout)) {
      const [here, there] = [this.layout, layout].map(l => columnsText(l.schema.columns))
      if (here !== there)
        throw new UsageError(`${what}: expected a Z-set of columns (${here}), found one of (${there})`)
      this.alike.set(layout, keyText(layout) === keyText(this.layout))
    }
    if (keyed && this.alike.get(layout) === false) {
      const [here, there] = [this.layout, layout].map(keyText)
      throw new UsageError(`${what}: expected a Z-set arranged by (${here}), found one by (${there})`)
    }
    return batch
  }

  /** Rows with their weights, in the order of the key. */
  entries(z: ZSet<R>): WeightedRow<R>[] {
    const batch = this.batchOf(z, 'entries', true)
    const decode = rowDecoder(CONTEXT, this.layout, new SourceList())
    return Array.from({ length: batch.length }, (_, i) => ({ row: decode(batch, i) as R, weight: batch.weights[i] }))
  }

  plus(x: ZSet<R>, y: ZSet<R>): ZSet<R> {
    const [a, b] = [this.batchOf(x, 'plus', true), this.batchOf(y, 'plus', true)]
    if (a.length === 0) return wrap(b)
    if (b.length === 0) return wrap(a)
    const out = new Batch(this.layout, a.length + b.length)
    this.kernels.merge(a, b, out, { i: 0, j: 0 }, a.length + b.length)
    out.order = 'consolidated'
    return wrap(out)
  }

  neg(z: ZSet<R>): ZSet<R> {
    const batch = this.batchOf(z, 'neg', true)
    const out = new Batch(this.layout, batch.length)
    appendRows(batch, 0, batch.length, out)
    for (let i = 0; i < out.length; i++) {
      if (out.weights[i] === LEAST_WEIGHT) throw new WeightOverflowError('neg of a Z-set')
      out.weights[i] = -out.weights[i]
    }
    out.order = 'consolidated'
    return wrap(out)
  }

  equal(x: ZSet<R>, y: ZSet<R>): boolean {
    const [a, b] = [this.batchOf(x, 'equal', true), this.batchOf(y, 'equal', true)]
    if (a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) {
      if (a.weights[i] !== b.weights[i] || this.kernels.compareRows(a, i, b, i) !== 0) return false
    }
    return true
  }

  /** Rows for which the predicate is true. */
  filter<C extends Context = NoContext>(
    predicate: (row: R, ctx: Ctx<C>) => boolean | null | undefined,
    ctx?: C,
  ): Linear<ZSet<R>, ZSet<R>> {
    const filter = conditionLambda({ fn: predicate, ctx, rows: [this.schema], what: 'filter' })
    return this.linear('filter', this, { filter, exprs: allColumns(this.schema) })
  }

  /** A new row of each. The group of the result is `.group`. */
  map<S extends Cells, C extends Context = NoContext>(
    make: (row: R, ctx: Ctx<C>) => S,
    ctx?: C,
  ): Linear<ZSet<R>, ZSet<RowFrom<S>>> & { readonly group: ZSets<RowFrom<S>> } {
    const columns = columnsLambda({ fn: make, ctx, rows: [this.schema], what: 'map' })
    const group = new ZSets<RowFrom<S>>(schemaOf(columns), null)
    return { ...this.linear('map', group, { filter: null, exprs: columns.map(c => c.expr) }), group }
  }

  /** The same rows arranged by key columns: indexed Z-sets, which can be joined. */
  by(...key: readonly (keyof R & string)[]): Linear<ZSet<R>, ZSet<R>> & { readonly group: ZSets<R, I> } {
    const indexes = key.map(name => {
      const column = this.schema.columns.find(c => c.name === name)
      if (column === undefined) throw new UsageError(`by: expected a column, found ${quote(String(name))}`)
      return column.index
    })
    const group = new ZSets<R, I>(this.schema, indexes)
    return { ...this.linear('by', group, { filter: null, exprs: allColumns(this.schema) }), group }
  }

  /** Each row once, if its weight is positive. Not linear: lift it between I and D. */
  distinct(z: ZSet<R>): ZSet<R> {
    const batch = this.batchOf(z, 'distinct', true)
    const out = new Batch(this.layout, batch.length)
    const code = clampCode<Clamp>(CONTEXT, this.layout, 'one')
    code.fn(batch, new BigInt64Array(batch.length), out)
    out.order = 'consolidated'
    return wrap(out)
  }

  /** Pairs of rows with equal keys; weights multiply. REQUIRES: both are arranged by keys of the same types. */
  join<S, T extends Cells, C extends Context = NoContext>(
    other: ZSets<S, never>,
    select: (left: R, right: S, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Bilinear<ZSet<R>, ZSet<S>, ZSet<RowFrom<T>>> & { readonly group: ZSets<RowFrom<T>> } {
    mustMatch(this.layout, other.layout)
    const columns = columnsLambda({ fn: select, ctx, rows: [this.schema, other.schema], what: 'join select' })
    const group = new ZSets<RowFrom<T>>(schemaOf(columns), null)
    const pipeline = group.pipeline({ filter: null, exprs: columns.map(c => c.expr) })
    const { probe } = joinCode<Probe>(CONTEXT.mode, this.layout)
    const store = storeCode(CONTEXT, pipeline, group.layout).pairs<PairsStore>(this.layout, other.layout)
    const apply = (l: ZSet<R>, r: ZSet<S>): ZSet<RowFrom<T>> => {
      const [left, right] = [this.batchOf(l, 'join', true), other.batchOf(r, 'join', true)]
      const failures = new Failures()
      const pairs = new Pairs()
      const { raw } = group.arranger
      for (let from = 0; from < left.length; ) {
        from = probe(left, from, left.length, right, pairs, PAIRS_LIMIT)
        raw.reserve(pairs.count)
        raw.length = store(left, right, pairs.left, pairs.right, 0, pairs.count, raw, failures)
      }
      const joined = wrap<RowFrom<T>>(group.arranged())
      failures.raise('join')
      return joined
    }
    return { name: 'join', group, apply }
  }

  private linear<S>(name: string, group: ZSets<S, never>, part: Part): Linear<ZSet<R>, ZSet<S>> {
    return { name, group, apply: z => group.scanned(this.batchOf(z, name, false), part, name) }
  }

  private pipeline(part: Part): PipelineSpec {
    return { ...part, schema: this.schema, negate: false }
  }

  private scanned(batch: Batch, part: Part, what: string): ZSet<R> {
    const scan = storeCode(CONTEXT, this.pipeline(part), this.layout).scan<ScanStore>(batch.layout)
    const failures = new Failures()
    const { raw } = this.arranger
    raw.reserve(batch.length)
    raw.length = scan(batch, 0, batch.length, raw, failures)
    const rows = wrap<R>(this.arranged())
    failures.raise(what)
    return rows
  }

  /** What lies in the arranger, sorted and summed. */
  private arranged(): Batch {
    const out = new Batch(this.layout)
    this.arranger.arrange(out)
    this.arranger.raw.clear()
    return out
  }
}

/** The one that has no opposite. */
const LEAST_WEIGHT = -(1n << 63n)

/** Pairs that are found before they are handed on. */
const PAIRS_LIMIT = 1 << 16

type Part = Pick<PipelineSpec, 'filter' | 'exprs'>

const schemaOf = (columns: readonly NamedExpr[]): RowSchema =>
  rowSchema(
    'stream',
    columns.map(({ name, expr }) => ({ name, type: expr.type, nullable: expr.nullable })),
  )

const columnsText = (columns: readonly Column[]): string =>
  columns.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '?' : ''}`).join(', ')

const keyText = ({ key, schema }: Layout): string => key.columns.map(c => schema.columns[c].name).join(', ')

function mustMatch(left: Layout, right: Layout): void {
  const types = (layout: Layout): string =>
    layout.key.columns
      .map(c => `${layout.schema.columns[c].type}${layout.schema.columns[c].nullable ? '?' : ''}`)
      .join(', ')
  if (types(left) === types(right)) return
  throw new UsageError(`join: expected keys of the same types, found (${types(left)}) and (${types(right)})`)
}
