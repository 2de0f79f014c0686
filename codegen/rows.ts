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
import type { Expression, Identifier, Statement } from 'estree'
import { assert } from '../src/base/errors.js'
import { evaluate } from '../src/circuit/eval.js'
import type { Expr, Op } from '../src/circuit/expr.js'
import { Failure } from '../src/circuit/scalar.js'
import { flatLayout, type Layout, type RowSchema } from '../src/schema/schema.js'
import type { TypeName, Value } from '../src/schema/types.js'
import { normalise } from '../src/schema/values.js'
import type { Batch } from '../src/zset/batch.js'
import { assign, bin, call, cond, exprStmt, ifStmt, lit, logic, variable } from './ast.js'
import { canFail, compile, plainZero } from './expr/compile.js'
import { wordsOf } from './expr/hash.js'
import { keyLanes, storedWords } from './expr/lanes.js'
import { truth } from './expr/logic.js'
import { keyLanesOf, readRow, writeRow } from './expr/plain.js'
import { isLit, not, type Operand, type Place, Scope, unshared, zeroValue } from './expr/scope.js'
import { storeRow } from './expr/store.js'
import { eachReference } from './specialise/tree.js'
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
  /** (left, i [, right, j]) → the message of the failure of that row. */
  readonly failure: Macro
}

/** Builds the program. REQUIRES: expressions speak of the inputs' schemas; output k has the type of column k. */
export function rowProgram(spec: RowProgramSpec): RowProgram {
  assert(spec.outputs.length === spec.schema.columns.length, 'a row program has an output for every column')
  const generic = new GenericRow(spec)
  const code = new RowCode(spec)
  const describe = (...args: readonly unknown[]): string => generic.describe(args)
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
      (args, ctx) => code.evaluate(args, ctx),
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
    failure: macro(describe as (...args: never[]) => string, (args, ctx) =>
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

  /** The message of a row's failure, found by running it again. */
  describe(args: readonly unknown[]): string {
    const [left, right] = this.#rows(args)
    const { filter, outputs } = this.spec
    try {
      if (filter === null || evaluate(filter, left, right) === true) for (const o of outputs) evaluate(o, left, right)
    } catch (failure) {
      if (failure instanceof Failure) return failure.message
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

/** The operators that cost more than a few instructions, or allocate. */
const COSTLY: readonly Op[] = ['concat', 'includes', 'slice', 'upper', 'lower', 'trim', 'udf', 'datePart']

function isCostly(expr: Expr): boolean {
  if (expr.kind !== 'call') return false
  const text = expr.op === 'cast' && (expr.type === 'string' || expr.args[0].type === 'string')
  return text || COSTLY.includes(expr.op) || expr.args.some(isCostly)
}

/** What `evaluate` left for the macros after it, in the function that is being written. */
interface Expansion {
  readonly scope: Scope
  /** Outputs that `evaluate` computed. */
  readonly outputs: ReadonlyMap<number, Operand>
  readonly lanes: Map<Layout, readonly Expression[]>
}

/** Specialised execution. */
class RowCode {
  readonly canFail: boolean
  readonly #spec: RowProgramSpec
  readonly #early: readonly number[]
  #expansion: Expansion | null = null

  constructor(spec: RowProgramSpec) {
    this.#spec = spec
    const all = [...(spec.filter === null ? [] : [spec.filter]), ...spec.outputs]
    this.canFail = all.some(canFail)
    this.#early = spec.outputs.flatMap((expr, k) => (canFail(expr) || isCostly(expr) ? [k] : []))
  }

  evaluate(args: readonly MacroArgument[], ctx: ExpandContext): Expression {
    const { inputs, filter } = this.#spec
    const given = args.map(arg => run(arg, ctx))
    assert(given.length === inputs.length * 2, 'evaluate is given a batch and a row number for each input')
    const places = inputs.map(({ layout }, n): Place => ({ layout, batch: given[n * 2], at: given[n * 2 + 1] }))
    const status = this.canFail ? ctx.fresh('outcome') : null
    const scope = new Scope(ctx, places, status)
    if (status !== null) scope.emit(variable(status, lit(1)))
    const test = filter === null ? lit(true) : truth(filter, scope)
    const outputs = new Map<number, Operand>()
    this.#expansion = { scope, outputs, lanes: new Map() }
    if (status === null) return unshared(this.#infallible(test, outputs, scope))
    if (!isLit(test, true)) scope.emit(drop(test, status, filter !== null && canFail(filter)))
    const guarded = filter !== null && this.#early.length > 0
    if (guarded) this.#behind(bin('===', status, lit(1)), outputs, scope)
    else for (const k of this.#early) outputs.set(k, this.#compute(k, scope))
    return status
  }

  #infallible(test: Expression, outputs: Map<number, Operand>, scope: Scope): Expression {
    const always = isLit(test, true)
    if (always || this.#early.length === 0) {
      for (const k of this.#early) outputs.set(k, this.#compute(k, scope))
      return always ? lit(1) : cond(test, lit(1), lit(0))
    }
    const kept = scope.bind(test, 'kept')
    this.#behind(kept, outputs, scope)
    return cond(kept, lit(1), lit(0))
  }

  /** Computes the early outputs in a branch of their own, into variables outside it. */
  #behind(test: Expression, outputs: Map<number, Operand>, scope: Scope): void {
    const inner = scope.child()
    for (const k of this.#early) {
      const expr = this.#spec.outputs[k]
      const operand = compile(expr, inner)
      // A test of the input's null bits holds outside as well.
      const outside = operand.isNull === null || !mentions(operand.isNull, declared(inner.body))
      const join = scope.join(expr.type, !outside, this.#spec.schema.columns[k].name)
      join.set(inner, operand)
      const isNull = outside ? operand.isNull : join.operand.isNull
      outputs.set(k, { ...join.operand, isNull, negativeZero: operand.negativeZero })
    }
    scope.emit(ifStmt(test, inner.body))
  }

  /** In straight line: value and null flag become constants. */
  #compute(k: number, scope: Scope): Operand {
    const { name } = this.#spec.schema.columns[k]
    const operand = compile(this.#spec.outputs[k], scope)
    const value = scope.bind(scope.valueOf(operand), name)
    return { ...operand, value, isNull: operand.isNull && scope.bind(operand.isNull, `${name}_null`) }
  }

  #now(ctx: ExpandContext): { scope: Scope; expansion: Expansion } {
    const expansion = this.#expansion
    if (expansion === null) throw new Error(`${this.#spec.schema.name}: outputs are used before evaluate`)
    return { scope: expansion.scope.later(ctx), expansion }
  }

  #operand(k: number, expansion: Expansion, scope: Scope): Operand {
    return expansion.outputs.get(k) ?? compile(this.#spec.outputs[k], scope)
  }

  isNull(k: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    return unshared(this.#operand(k, expansion, scope).isNull ?? lit(false))
  }

  value(k: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    return unshared(plainZero(this.#operand(k, expansion, scope), scope))
  }

  word(k: number, n: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    return unshared(storedWords(this.#operand(k, expansion, scope), scope, this.#spec.schema.columns[k].name)[n])
  }

  keyLane(layout: Layout, n: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    let lanes = n === 0 ? undefined : expansion.lanes.get(layout)
    if (lanes === undefined) {
      lanes = keyLanes(layout, column => this.#operand(column, expansion, scope), scope)
      expansion.lanes.set(layout, lanes)
    }
    return unshared(lanes[n])
  }

  store(to: Place, outputOf: (column: number) => number | null, ctx: ExpandContext): null {
    const { scope, expansion } = this.#now(ctx)
    // Key, null word and cell of one output share its computation.
    const known = new Map<number, Operand>()
    const operands = (column: number): Operand | null => {
      const k = outputOf(column)
      if (k === null) return null
      const operand = known.get(k) ?? this.#settled(k, expansion, scope)
      known.set(k, operand)
      return operand
    }
    storeRow(to, operands, scope)
    return null
  }

  /** An output to be used more than once: what is computed is computed now. */
  #settled(k: number, expansion: Expansion, scope: Scope): Operand {
    const operand = this.#operand(k, expansion, scope)
    const plain = this.#spec.outputs[k].kind !== 'call'
    if (plain || operand.isNull === null) return operand
    const { name } = this.#spec.schema.columns[k]
    return { ...operand, isNull: scope.bind(operand.isNull, `${name}_null`) }
  }
}

/** The names that statements declare at their own level. */
function declared(body: readonly Statement[]): ReadonlySet<string> {
  const names = body.flatMap(s => (s.type === 'VariableDeclaration' ? s.declarations : [])).map(d => d.id)
  return new Set(names.flatMap(name => (name.type === 'Identifier' ? [name.name] : [])))
}

function mentions(expr: Expression, names: ReadonlySet<string>): boolean {
  let found = false
  eachReference(expr, ({ name }) => {
    found ||= names.has(name)
  })
  return found
}

/** `status = 0` where the filter is not TRUE; a failure stays one. */
function drop(test: Expression, status: Identifier, failable: boolean) {
  const dropped = not(test)
  return ifStmt(failable ? logic('&&', bin('===', status, lit(1)), dropped) : dropped, [
    exprStmt(assign(status, lit(0))),
  ])
}
