/**
 * Row programs: what happens to one row, or one pair of rows, in a fused linear pipeline. A filter decides whether
 * the row goes on, output expressions make the new row of it.
 *
 * In a template:
 *
 *     const status = $row.evaluate(left, i)             // pairs: (left, i, right, j)
 *     if (status === 1) { $row.store(out, k); k++ }
 *     else if (status === 2) fail($row.failure(left, i), …)
 *
 * Every member that is a `Macro` writes code when specialised, and when called as a plain function does the same
 * thing with the interpreter. `evaluate` comes first; the others speak of the row it saw last, and must stand where
 * its block is in sight. Outputs that can fail or are costly are computed by `evaluate`; the others where they are
 * used, so a row that is dropped does not pay for them.
 */
import type { Expression } from 'estree'
import { assert } from '../src/base/errors.js'
import { evaluate } from '../src/circuit/eval.js'
import type { Expr } from '../src/circuit/expr.js'
import { Failure } from '../src/circuit/scalar.js'
import { flatLayout, type Layout, type RowSchema } from '../src/schema/schema.js'
import type { TypeName, Value } from '../src/schema/types.js'
import { normalise } from '../src/schema/values.js'
import type { Batch } from '../src/zset/batch.js'
import { wordsOf } from '../src/zset/hash.js'
import { call } from './ast.js'
import { keyLanesOf, readRow, writeRow } from './expr/plain.js'
import { RowCode } from './expr/row-code.js'
import { zeroValue } from './expr/scope.js'
import { type ExpandContext, type Macro, type MacroArgument, macro, runtimeArgument } from './specialise/types.js'

/** One input relation of the program. */
export interface RowInput {
  readonly layout: Layout
  readonly name: string
}

export interface RowProgramSpec {
  /** One, or two for pairs of a join. */
  readonly inputs: readonly RowInput[]
  readonly filter: Expr | null
  readonly outputs: readonly Expr[]
  /** Of the outputs. */
  readonly schema: RowSchema
}

export interface RowOutput {
  readonly name: string
  readonly type: TypeName
  readonly nullable: boolean
  /** () → boolean; the literal false if the output is never NULL. */
  readonly isNull: Macro
  /** () → the value as `TYPES[type].js`, canonical; if NULL, any value of that type. */
  readonly value: Macro
  /**
   * () → a 32-bit word of the value as a column stores it, low word first, signed or unsigned; 1, 2 or 4 of them,
   * none for strings and bytes. Unspecified if NULL.
   */
  readonly words: readonly Macro[]
}

/** For `storeColumns`: output → column of `layout.schema`. Key columns of a packed key may be left out. */
export interface StoreMap {
  readonly layout: Layout
  readonly columns: readonly { readonly output: number; readonly target: number }[]
}

export interface RowProgram {
  readonly spec: RowProgramSpec
  /** False: status is never 2. */
  readonly canFail: boolean
  /** False: status is never 0. */
  readonly filters: boolean
  /**
   * (left, i [, right, j]) → status: 0 = dropped by the filter, 1 = kept, 2 = failed (see `failure`).
   * REQUIRES: statement position, `const status = $row.evaluate(…)`.
   */
  readonly evaluate: Macro
  readonly outputs: readonly RowOutput[]
  /**
   * (out, k): writes columns and null words of row k; not the weight. REQUIRES: `out` is flat, of `schema`, and has
   * room for row k in regions that are not replaced while the loop runs. Long strings are appended to `out.heap`.
   */
  readonly store: Macro
  /** The same for any layout over `schema`: key lanes too, and of the columns those that it stores. */
  storeInto(layout: Layout): Macro
  /**
   * (out, k, StoreMap): only the listed columns, and all null words of row k: those of other columns say not NULL.
   * Columns the layout keeps in a packed key count for the null words only; the key is not written.
   */
  readonly storeColumns: Macro
  /**
   * The key of the outputs in an arrangement: a macro () → u32 for each of its 2 or 4 lanes, low first.
   * REQUIRES: lane 0 comes before the others, in the same block or one around them.
   */
  keyLanes(layout: Layout): readonly Macro[]
  /** (left, i [, right, j]) → the `Failure` of that row. */
  readonly failure: Macro
}

/** Builds the program. REQUIRES: expressions speak of the inputs' schemas; output k has the type of column k. */
export function rowProgram(spec: RowProgramSpec): RowProgram {
  assert(spec.outputs.length === spec.schema.columns.length, 'a row program has an output for every column')
  const generic = new GenericRow(spec)
  const code = new RowCode(spec)
  const describe = (...args: readonly unknown[]): Failure => generic.describe(args)
  const storeInto = (layout: Layout): Macro =>
    macro(
      (out: Batch, k: number) => writeRow(out, k, generic.row),
      ([out, k], ctx) => code.store({ layout, batch: run(out, ctx), at: run(k, ctx) }, c => c, ctx),
    )
  return {
    spec,
    canFail: code.canFail,
    filters: spec.filter !== null,
    evaluate: macro(
      (...args: never[]) => generic.evaluate(args),
      (args, ctx) =>
        code.evaluate(
          args.map(arg => run(arg, ctx)),
          ctx,
        ),
    ),
    outputs: spec.outputs.map((_, k) => rowOutput(spec.schema, k, generic, code)),
    store: storeInto(flatLayout(spec.schema)),
    storeInto,
    storeColumns: storeColumns(generic, code),
    keyLanes: layout => {
      const lanes = Array.from({ length: layout.key.words * 2 }, (_, n) => n)
      return lanes.map(n =>
        macro(
          () => keyLanesOf(layout, generic.row)[n],
          (_, ctx) => code.keyLane(layout, n, ctx),
        ),
      )
    },
    failure: macro(describe as (...args: never[]) => Failure, (args, ctx) =>
      call(ctx.constant(describe, 'describeFailure'), ...args.map(arg => run(arg, ctx))),
    ),
  }
}

const run = (arg: MacroArgument, ctx: ExpandContext): Expression => runtimeArgument(arg, ctx)

function rowOutput(schema: RowSchema, k: number, generic: GenericRow, code: RowCode): RowOutput {
  const { name, type, nullable, info } = schema.columns[k]
  const count = info.storage === 'german' ? 0 : Math.max(1, info.sizeBytes / 4)
  const filled = () => generic.row[k] ?? (zeroValue(type) as Exclude<Value, null>)
  return {
    name,
    type,
    nullable,
    isNull: macro(
      () => generic.row[k] === null,
      (_, ctx) => code.isNull(k, ctx),
    ),
    value: macro(filled, (_, ctx) => code.value(k, ctx)),
    words: Array.from({ length: count }, (_, n) =>
      macro(
        () => wordsOf(type, filled())[n],
        (_args, ctx) => code.word(k, n, ctx),
      ),
    ),
  }
}

function storeColumns(generic: GenericRow, code: RowCode): Macro {
  return macro(
    (out: Batch, k: number, { layout, columns }: StoreMap) => {
      const values: (Value | undefined)[] = layout.schema.columns.map(() => undefined)
      for (const { output, target } of columns) values[target] = generic.row[output]
      const keys = out.keys.slice(k * layout.key.words, (k + 1) * layout.key.words)
      writeRow(out, k, values)
      out.keys.set(keys, k * layout.key.words)
    },
    ([out, k, map], ctx) => {
      assert(map.type === 'StaticArgument', 'the third argument of storeColumns is a static StoreMap')
      const { layout, columns } = map.value as StoreMap
      const outputs = new Map(columns.map(({ output, target }) => [target, output]))
      const keyless: Layout = { ...layout, key: { kind: 'none', columns: [], words: 0, fields: [] } }
      const to = { layout: keyless, batch: run(out, ctx), at: run(k, ctx) }
      return code.store(to, target => outputs.get(target) ?? null, ctx)
    },
  )
}

/** Generic execution. */
class GenericRow {
  /** The outputs of the last row that was kept. */
  row: readonly Value[] = []

  constructor(private readonly spec: RowProgramSpec) {}

  evaluate(args: readonly unknown[]): number {
    const [left, right] = this.#rows(args)
    const { filter, outputs } = this.spec
    try {
      if (filter !== null && evaluate(filter, left, right) !== true) return 0
      this.row = outputs.map(expr => canonical(expr.type, evaluate(expr, left, right)))
      return 1
    } catch (failure) {
      if (failure instanceof Failure) return 2
      throw failure
    }
  }

  /** A row's failure, found by running it again. */
  describe(args: readonly unknown[]): Failure {
    const [left, right] = this.#rows(args)
    const { filter, outputs } = this.spec
    try {
      if (filter === null || evaluate(filter, left, right) === true) for (const o of outputs) evaluate(o, left, right)
    } catch (failure) {
      if (failure instanceof Failure) return failure
      throw failure
    }
    assert(false, 'a row that failed fails again when it is evaluated again')
  }

  #rows([left, i, right, j]: readonly unknown[]): [Value[], Value[]] {
    const second = this.spec.inputs.length > 1 ? readRow(right as Batch, j as number) : []
    return [readRow(left as Batch, i as number), second]
  }
}

function canonical(type: TypeName, value: Value): Value {
  return typeof value === 'number' && value !== null ? (normalise(type, value) as number) : value
}
