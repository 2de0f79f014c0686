/**
 * The step functions of operators: row programs put into the loops of `templates/`. One function here per kind of
 * loop; the operators in `src/engine/operators` call what these return.
 */
import { WeightOverflowError } from '../src/base/errors.js'
import type { ColumnExpr, Expr } from '../src/circuit/expr.js'
import { originsIn } from '../src/circuit/origin.js'
import type { Failure } from '../src/circuit/scalar.js'
import { exprKey } from '../src/circuit/substitute.js'
import {
  arrangedLayout,
  type Column,
  flatLayout,
  type Layout,
  layoutFingerprint,
  type RowSchema,
  rowSchema,
} from '../src/schema/schema.js'
import type { TypeName } from '../src/schema/types.js'
import type { Batch } from '../src/zset/batch.js'
import { sameCell } from '../src/zset/cells.js'
import { copyString } from '../src/zset/strings.js'
import { clamp } from '../templates/clamp.js'
import { $copyRow } from '../templates/copy.js'
import { pairsStore, scanStore } from '../templates/linear.js'
import { probe } from '../templates/probe.js'
import { probeIntervals, probePoints } from '../templates/range.js'
import { $below, $bucketOf, $lowerBound, $notAbove, $search } from '../templates/seek.js'
import { $multiply } from '../templates/weights.js'
import { build, type Mode, type Statics } from './build.js'
import { readRow } from './expr/plain.js'
import { areLow, keyStatics } from './keys.js'
import { type RowProgram, rowProgram } from './rows.js'
import { external, type Macro, type Template } from './specialise/types.js'

/** Where code is made for: its mode, the view (or table) it belongs to, and where its text is collected. */
export interface CodeContext {
  readonly mode: Mode
  readonly unit: string
  /** Header lines. */
  readonly provenance: readonly string[]
}

/** A fused linear pipeline as data: what one feed does to each row it reads. */
export interface PipelineSpec {
  readonly filter: Expr | null
  readonly exprs: readonly Expr[]
  /** Of the rows that come out. */
  readonly schema: RowSchema
  readonly negate: boolean
}

/** Collects the text of generated functions under unique names; of those that are made later, when they have been. */
export class SourceList {
  readonly #texts = new Map<string, string>()
  readonly #later: { readonly name: string; readonly key: string }[] = []

  add(name: string, text: string): void {
    let unique = name
    for (let n = 2; this.#texts.has(unique) && this.#texts.get(unique) !== text; n++) unique = `${name}_${n}`
    this.#texts.set(unique, text)
  }

  /** Announces a function that `make` will find under `key`, for whichever view needs it first. */
  expect(name: string, key: string): void {
    this.#later.push({ name, key })
  }

  get texts(): ReadonlyMap<string, string> {
    for (const { name, key } of this.#later) {
      const made = cache.get(key)
      if (made !== undefined) this.add(name, made.source)
    }
    return this.#texts
  }
}

interface Cached {
  readonly fn: unknown
  readonly source: string
}

/** Generated functions by what they were made from; the oldest go first. */
const cache = new Map<string, Cached>()
const MAX_CACHED = 4096

/**
 * Makes a step function, or takes the one that was made before from the same schema and circuit: `key` says
 * everything that the statics depend on. A function is shared with what V8 has learnt about it.
 */
export function make<F>(
  context: CodeContext,
  sources: SourceList,
  name: string,
  template: unknown,
  key: readonly unknown[],
  statics: () => Statics,
): F {
  const full = fullKey(context, name, key)
  let built = cache.get(full)
  if (built === undefined) {
    const unit = { name: context.unit, provenance: context.provenance }
    built = build<F>(context.mode, unit, name, template as Template, statics())
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string)
    cache.set(full, built)
  }
  sources.add(name, built.source)
  return built.fn as F
}

function fullKey(context: CodeContext, name: string, key: readonly unknown[]): string {
  return JSON.stringify([context.mode, context.unit, context.provenance, name, key])
}

/** Like `make`, but for functions that many views never call: made by the first call. */
export function makeLazily<F>(
  context: CodeContext,
  sources: SourceList,
  name: string,
  template: unknown,
  key: readonly unknown[],
  statics: () => Statics,
): () => F {
  sources.expect(name, fullKey(context, name, key))
  let fn: F | null = null
  return () => {
    fn ??= make<F>(context, sources, name, template, key, statics)
    return fn
  }
}

/** Equal for pipelines that do the same. */
export function pipelineKey({ filter, exprs, schema, negate }: PipelineSpec): unknown[] {
  // What fails says whose it is.
  const origins = originsIn(filter === null ? exprs : [filter, ...exprs])
  return [
    ...(origins.length === 0 ? [] : [origins]),
    filter === null ? null : exprKey(filter),
    exprs.map(e => exprKey(e)),
    layoutFingerprint(flatLayout(schema)),
    negate,
  ]
}

const checkProduct = (where: string) =>
  external((x: bigint, y: bigint): void => {
    const product = x * y
    if (BigInt.asIntN(64, product) !== product) throw new WeightOverflowError(where)
  }, 'checkProduct')

/** What every loop over a program needs: the program, its failures, and how weights of pairs multiply. */
export function loopStatics(
  context: CodeContext,
  pipeline: PipelineSpec,
  inputs: readonly Layout[],
): Statics & { $row: RowProgram } {
  const names = inputs.length === 1 ? ['input'] : ['left', 'right']
  const $row = rowProgram({
    inputs: inputs.map((layout, n) => ({ layout, name: names[n] })),
    filter: pipeline.filter,
    outputs: pipeline.exprs,
    schema: pipeline.schema,
  })
  return {
    $row,
    $failure: failureOf($row),
    $negate: pipeline.negate,
    $multiply,
    $checkProduct: checkProduct(`view ${JSON.stringify(context.unit)}`),
  }
}

/** A failed row as data: message, whose it is, and the values it was computed from with their columns. */
function failureOf(program: RowProgram): Macro {
  const describe = program.failure as unknown as (...args: unknown[]) => Failure
  const columnsOf = columnsCache()
  return external((left: Batch, i: number, right?: Batch, j?: number) => {
    const isPair = right !== undefined && j !== undefined
    const { message, origin } = isPair ? describe(left, i, right, j) : describe(left, i)
    const row = isPair ? [...readRow(left, i), ...readRow(right, j)] : readRow(left, i)
    return { message, row, operator: origin, columns: columnsOf(left.layout, isPair ? right.layout : null) }
  }, 'failure')
}

/** Names and types of the columns of one row or two, the same list for the same layouts as the last time. */
function columnsCache() {
  const last: (Layout | null)[] = [null, null]
  let columns: { readonly name: string; readonly type: TypeName }[] = []
  return (first: Layout, second: Layout | null) => {
    if (last[0] !== first || last[1] !== second) {
      columns = [first, ...(second === null ? [] : [second])].flatMap(({ schema }) =>
        schema.columns.map(({ name, type }) => ({ name, type })),
      )
      last.splice(0, 2, first, second)
    }
    return columns
  }
}

/** Loops that write into a batch of layout `out`: flat, or arranged (raw, to be sorted). */
export function storeCode(context: CodeContext, pipeline: PipelineSpec, out: Layout) {
  const sources = new SourceList()
  const statics = (inputs: readonly Layout[]): Statics => {
    const base = loopStatics(context, pipeline, inputs)
    return { ...base, $store: base.$row.storeInto(out) }
  }
  const key = (inputs: readonly Layout[]) => [...pipelineKey(pipeline), [...inputs, out].map(layoutFingerprint)]
  const name = out.key.kind === 'none' ? 'store' : 'arrange'
  return {
    get sources() {
      return sources.texts
    },
    scan: <F>(input: Layout): F =>
      make<F>(context, sources, `${name}Rows`, scanStore, key([input]), () => statics([input])),
    pairs: <F>(left: Layout, right: Layout): F =>
      make<F>(context, sources, `${name}Pairs`, pairsStore, key([left, right]), () => statics([left, right])),
  }
}

/**
 * The search of a join, which is one for both directions, and for all joins with keys of one kind. REQUIRES: the keys
 * have the same columns' types and may be NULL alike, in the same order.
 */
export function joinCode<F>(mode: Mode, layout: Layout) {
  const { key } = layout
  const sources = new SourceList()
  const context = {
    mode,
    unit: 'join',
    provenance: [`search of all joins by keys of ${areLow(layout) ? 32 : key.words * 64} bits, ${key.kind}`],
  }
  const fn = make<F>(context, sources, 'probe', probe, [key.words, key.kind, areLow(layout)], () => ({
    $words: key.words,
    ...keyStatics(layout),
    $lowerBound,
    $search,
    $bucketOf,
    $confirm: key.kind === 'hash' ? external(sameKey) : null,
  }))
  return {
    probe: fn,
    left: fn,
    right: fn,
    get sources() {
      return sources.texts
    },
  }
}

/**
 * The searches of a join by range: `point` is the side with points, `hi` a column of the other one, over its arrangement's
 * rows. REQUIRES: both are arranged as templates/range.js says.
 */
export function rangeCode<F>(context: CodeContext, intervals: Layout, point: 0 | 1, hi: ColumnExpr) {
  const sources = new SourceList()
  const points = make<F>(context, sources, 'probePoints', probePoints, [layoutFingerprint(intervals), hi.index], () => {
    const schema = rowSchema('hi', [{ name: 'hi', type: hi.type, nullable: hi.nullable }])
    const $hi = rowProgram({ inputs: [{ layout: intervals, name: 'delta' }], filter: null, outputs: [hi], schema })
    return { $hi, $lanes: $hi.keyLanes(arrangedLayout(schema, [0])), $below, $notAbove, $lowerBound }
  })
  const shared = {
    mode: context.mode,
    unit: 'join',
    provenance: ['search of joins by range, of points among intervals'],
  }
  const ranges = make<F>(shared, sources, 'probeIntervals', probeIntervals, [], () => ({
    $below,
    $notAbove,
    $lowerBound,
  }))
  return {
    left: point === 0 ? ranges : points,
    right: point === 0 ? points : ranges,
    get sources() {
      return sources.texts
    },
  }
}

/** Equality of the key columns of rows in two layouts. */
function sameKey(a: Batch, i: number, b: Batch, j: number): boolean {
  const left = a.layout.schema.columns
  const right = b.layout.schema.columns
  const leftKey = a.layout.key.columns
  const rightKey = b.layout.key.columns
  for (let k = 0; k < leftKey.length; k++) {
    if (!sameCell(a, left[leftKey[k]], i, b, right[rightKey[k]], j)) return false
  }
  return true
}

/** Equality of rows in pairs of columns. */
export function confirmColumns(pairs: readonly (readonly [Column, Column])[]) {
  return (a: Batch, i: number, b: Batch, j: number): boolean => pairs.every(([x, y]) => sameCell(a, x, i, b, y, j))
}

/** The clamp kernel of an arrangement by all columns. */
export function clampCode<F>(
  context: CodeContext,
  layout: Layout,
  mode: string,
): { fn: F; sources: ReadonlyMap<string, string> } {
  const sources = new SourceList()
  const fn = make<F>(context, sources, 'clamp', clamp, [layoutFingerprint(layout), mode], () => ({
    $layout: layout,
    $mode: mode,
    $copyRow,
    $copyString: external(copyString),
    $overflow: external(() => {
      throw new WeightOverflowError(`view ${JSON.stringify(context.unit)}`)
    }, 'overflow'),
  }))
  return { fn, sources: sources.texts }
}
