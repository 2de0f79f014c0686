/**
 * Row programs as code: what `evaluate` computes and what is left to the place where an output is used, and how the
 * macros of one row find what was computed before them.
 */
import type { Expression, Identifier, Statement } from 'estree'
import { assert } from '../../src/base/errors.js'
import type { Expr, Op } from '../../src/circuit/expr.js'
import type { Layout } from '../../src/schema/schema.js'
import { decimalShape } from '../../src/schema/types.js'
import { assign, bin, cond, exprStmt, ifStmt, lit, logic, variable } from '../ast.js'
import type { RowProgramSpec } from '../rows.js'
import { eachUse } from '../specialise/tree.js'
import type { ExpandContext } from '../specialise/types.js'
import { canFail, compile, plainZero, settled, sharedCalls } from './compile.js'
import { keyLanes, storedWords } from './lanes.js'
import { truth } from './logic.js'
import { isLit, LONG_PRECISION, not, type Operand, type Place, Scope } from './scope.js'
import { storeRow } from './store.js'

/** The operators that cost more than a few instructions, or allocate. */
const COSTLY: readonly Op[] = ['concat', 'includes', 'slice', 'upper', 'lower', 'trim', 'udf', 'datePart', 'function']

function isCostly(expr: Expr, known = new Map<Expr, boolean>()): boolean {
  if (expr.kind !== 'call') return false
  let costly = known.get(expr)
  if (costly === undefined) {
    const text = expr.op === 'cast' && (expr.type === 'string' || expr.args[0].type === 'string')
    // Decimals of many digits are computed in memory (`long.ts`).
    const wide = (decimalShape(expr.type)?.precision ?? 0) > LONG_PRECISION
    costly = text || wide || COSTLY.includes(expr.op) || expr.args.some(arg => isCostly(arg, known))
    known.set(expr, costly)
  }
  return costly
}

/** What `evaluate` left for the macros after it, in the function that is being written. */
interface Expansion {
  readonly scope: Scope
  /** Outputs that `evaluate` computed. */
  readonly outputs: ReadonlyMap<number, Operand>
  readonly lanes: Map<Layout, readonly Expression[]>
}

/** Specialised execution. */
export class RowCode {
  readonly canFail: boolean
  readonly #spec: RowProgramSpec
  readonly #early: readonly number[]
  readonly #shared: ReadonlySet<string>
  #expansion: Expansion | null = null

  constructor(spec: RowProgramSpec) {
    this.#spec = spec
    const all = [...(spec.filter === null ? [] : [spec.filter]), ...spec.outputs]
    this.canFail = all.some(canFail)
    this.#shared = sharedCalls(all)
    this.#early = spec.outputs.flatMap((expr, k) => (canFail(expr) || isCostly(expr) ? [k] : []))
  }

  /** `given`: batch and row number of each input. */
  evaluate(given: readonly Expression[], ctx: ExpandContext): Expression {
    const { inputs, filter } = this.#spec
    assert(given.length === inputs.length * 2, 'evaluate is given a batch and a row number for each input')
    const places = inputs.map(({ layout }, n): Place => ({ layout, batch: given[n * 2], at: given[n * 2 + 1] }))
    const status = this.canFail ? ctx.fresh('outcome') : null
    const scope = new Scope(ctx, { places, status, shared: this.#shared })
    if (status !== null) scope.emit(variable(status, lit(1)))
    const test = filter === null ? lit(true) : truth(filter, scope)
    const outputs = new Map<number, Operand>()
    this.#expansion = { scope, outputs, lanes: new Map() }
    if (status === null) return this.#infallible(test, outputs, scope)
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
    return settled(compile(this.#spec.outputs[k], scope), this.#spec.schema.columns[k].name, scope)
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
    return this.#operand(k, expansion, scope).isNull ?? lit(false)
  }

  value(k: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    return plainZero(this.#operand(k, expansion, scope), scope)
  }

  word(k: number, n: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    return storedWords(this.#operand(k, expansion, scope), scope, this.#spec.schema.columns[k].name)[n]
  }

  keyLane(layout: Layout, n: number, ctx: ExpandContext): Expression {
    const { scope, expansion } = this.#now(ctx)
    let lanes = n === 0 ? undefined : expansion.lanes.get(layout)
    if (lanes === undefined) {
      lanes = keyLanes(layout, column => this.#operand(column, expansion, scope), scope)
      expansion.lanes.set(layout, lanes)
    }
    return lanes[n]
  }

  store(to: Place, outputOf: (column: number) => number | null, ctx: ExpandContext): null {
    const { scope, expansion } = this.#now(ctx)
    // Key, null word and cell of one output share its computation.
    const known = new Map<number, Operand>()
    const operands = (column: number): Operand | null => {
      const k = outputOf(column)
      if (k === null) return null
      const operand = known.get(k) ?? this.#once(k, expansion, scope)
      known.set(k, operand)
      return operand
    }
    storeRow(to, operands, scope)
    return null
  }

  /** An output to be used more than once: what is computed is computed now. */
  #once(k: number, expansion: Expansion, scope: Scope): Operand {
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
  eachUse(expr, ({ name }) => {
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
