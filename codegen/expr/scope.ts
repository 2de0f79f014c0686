/**
 * Where expression code goes, and what an expression has become.
 *
 * A `Scope` is one block of generated code in the making. `compile` returns an `Operand`: pure JavaScript
 * expressions for the value and for whether it is NULL, after emitting whatever statements they need. A nested scope
 * collects its statements apart, so that a branch which turns out to need none can stay an expression.
 *
 * V8 keeps a 64-bit BigInt unboxed only while it does not pass through a merge of control flow, so variables set in
 * branches are *slots*, cells of a typed array, for those types (`join`).
 */
import type { Expression, Identifier, Statement } from 'estree'
import { DECIMAL_OFFSET } from '../../src/schema/decimal.js'
import { zeroBytes } from '../../src/schema/nested.js'
import type { Layout } from '../../src/schema/schema.js'
import { decimalShape, TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import {
  assign,
  bin,
  call,
  constant,
  construct,
  exprStmt,
  ifStmt,
  index,
  lit,
  logic,
  member,
  unary,
  variable,
} from '../ast.js'
import type { ExpandContext } from '../specialise/types.js'
import { decimalWords } from './long.js'

/** A row in generated code: `batch` and `at` are identifiers or literals. */
export interface Place {
  readonly layout: Layout
  readonly batch: Expression
  readonly at: Expression
}

/** A stored string or bytes value: `lanes[at]` is the first of its four lanes. */
export interface GermanCell {
  readonly lanes: Expression
  readonly at: Expression
  readonly heap: Expression
}

export interface Operand {
  readonly type: TypeName
  /** True iff the value is NULL; null if it never is. Pure. */
  readonly isNull: Expression | null
  /**
   * The value as `TYPES[type].js`, pure, and of the right type even when NULL; null for a stored value that has
   * to be decoded first (see `decode`).
   */
  readonly value: Expression | null
  /** Set for literals. */
  readonly literal?: Value
  readonly german?: GermanCell
  /** Both halves of a 128-bit value as it is stored, as u64. */
  readonly words?: { readonly low: Expression; readonly high: Expression }
  /** Emits what is needed to get at `value` where that is null. */
  readonly decode?: (scope: Scope) => Expression
  /** The 32-bit words of the stored form, low first, where they can be had without arithmetic. */
  readonly lanes?: readonly Expression[]
  /** A decimal whose `value` is an i64 of so many bits, its sign included. */
  readonly long?: number
  /** The value may be -0, where the expression's is +0. */
  readonly negativeZero?: boolean
  /** Read from a batch, so that a float is in canonical form already. */
  readonly stored?: boolean
  /** The stored element itself, which is zero where the value is NULL: what a plain copy copies. */
  readonly cell?: Expression
  /** Where the null bit was read: bit `bit` of `lane`; equal keys mean the same lane. */
  readonly nullSource?: { readonly key: string; readonly lane: Expression; readonly bit: number }
}

/** A variable set in several branches. */
export interface Join {
  readonly operand: Operand
  /** Sets it to `from` at the end of `scope`. */
  set(scope: Scope, from: Operand): void
}

/** Sets a variable to an operand's value at the end of a scope. */
type Put = (scope: Scope, from: Operand) => void

/** Decimals of so many digits are i64 to generated code (`long.ts`). */
export const LONG_PRECISION = 18
export const longBits = (precision: number): number => (10n ** BigInt(precision)).toString(2).length + 1

/** The number that stored words are. */
export const decimalOfWords = ({ low, high }: { low: Expression; high: Expression }): Expression =>
  bin('-', bin('|', bin('<<', high, lit(64n)), low), lit(DECIMAL_OFFSET))

/** What all scopes of one row have in common. */
export interface Frame {
  readonly places: readonly Place[]
  /** The variable that becomes 2 when the row fails; null in a program that cannot fail. */
  readonly status: Identifier | null
  /** Keys (`exprKey`) of the calls that occur more than once: they are computed once. */
  readonly shared: ReadonlySet<string>
}

export class Scope {
  readonly ctx: ExpandContext
  readonly frame: Frame
  /** Statements of a nested scope. */
  readonly body: Statement[] = []
  readonly #parent: Scope | null
  readonly #nested: boolean
  readonly #known = new Map<string, unknown>()

  constructor(ctx: ExpandContext, frame: Frame, parent: Scope | null = null, nested = parent !== null) {
    this.ctx = ctx
    this.frame = frame
    this.#parent = parent
    this.#nested = nested
  }

  child(): Scope {
    return new Scope(this.ctx, this.frame, this)
  }

  /** For code at a later point of the template that sees what this scope computed. */
  later(ctx: ExpandContext): Scope {
    return new Scope(ctx, this.frame, this, false)
  }

  emit(statement: Statement): void {
    if (this.#nested) this.body.push(statement)
    else this.ctx.emit(statement)
  }

  /** Emits what a child collected. */
  splice(child: Scope): void {
    for (const statement of child.body) this.emit(statement)
  }

  /** An identifier or literal for `expr`, so that it can be used twice. */
  bind(expr: Expression, hint: string): Expression {
    if (isAtom(expr)) return expr
    const name = this.ctx.fresh(hint)
    this.emit(constant(name, expr))
    return name
  }

  /** `make()`, computed once per row in this scope and those inside it. One key stands for one kind of result. */
  once<T extends object>(key: string, make: () => T): T {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#parent) {
      const known = scope.#known.get(key)
      if (known !== undefined) return known as T
    }
    const made = make()
    this.#known.set(key, made)
    return made
  }

  /** The value of an operand, decoded if it is a stored one; a decoded value is kept for the rest of the scope. */
  valueOf(operand: Operand): Expression {
    if (operand.value !== null) return operand.value
    if (operand.decode === undefined) throw new Error('an operand has neither a value nor a way to get it')
    return operand.decode(this)
  }

  /**
   * A negative bigint, named outside the loop. To V8 `-5n` is not a constant but an operation, whose result it may
   * put on the heap each time.
   */
  negative(value: bigint): Expression {
    return this.ctx.hoist(lit(value), `minus_${-value}`)
  }

  /** Marks the row as failed where `test` holds and, if given, `isNull` does not. */
  failIf(test: Expression, isNull: Expression | null): void {
    this.emit(ifStmt(isNull === null ? test : logic('&&', not(isNull), test), [this.fail()]))
  }

  fail(): Statement {
    const { status } = this.frame
    if (status === null) throw new Error('an expression declared infallible can fail')
    return exprStmt(assign(status, lit(2)))
  }

  /** A variable to set in branches below; until then not NULL and of any value. */
  join(type: TypeName, nullable: boolean, hint: string): Join {
    const nullName = nullable ? this.ctx.fresh(`${hint}_null`) : null
    if (nullName !== null) this.emit(variable(nullName, lit(false)))
    const { put, ...place } = this.#variable(type, hint)
    return {
      operand: { type, isNull: nullName, ...place },
      set: (scope, from) => {
        put(scope, from)
        if (nullName !== null) scope.emit(exprStmt(assign(nullName, from.isNull ?? lit(false))))
      },
    }
  }

  #variable(type: TypeName, hint: string): Pick<Operand, 'value'> & Partial<Operand> & { put: Put } {
    const { storage } = TYPES[type]
    const precision = decimalShape(type)?.precision
    if (precision !== undefined && precision > LONG_PRECISION) return this.#cell(type, hint)
    if (precision !== undefined || storage === 'i64' || storage === 'u64') {
      const words = storage === 'u64' ? new BigUint64Array(1) : new BigInt64Array(1)
      const value = index(this.ctx.constant(words, hint), 0)
      const put: Put = (scope, from) => scope.emit(exprStmt(assign(value, scope.valueOf(from))))
      if (precision !== undefined) return { value, long: longBits(precision), put }
      const lanes = this.ctx.constant(new Uint32Array(words.buffer), `${hint}_lanes`)
      return { value, lanes: [index(lanes, 0), index(lanes, 1)], put }
    }
    const value = this.ctx.fresh(hint)
    this.emit(variable(value, zeroExpression(type)))
    return { value, put: (scope, from) => scope.emit(exprStmt(assign(value, scope.valueOf(from)))) }
  }

  /** Memory for a decimal as it is stored. */
  #cell(type: TypeName, hint: string): Pick<Operand, 'value'> & Partial<Operand> & { put: Put } {
    const cell = new BigUint64Array(2)
    const array = this.ctx.constant(cell, hint)
    const words = { low: index(array, 0), high: index(array, 1) }
    const lanes = this.ctx.constant(new Uint32Array(cell.buffer), `${hint}_lanes`)
    return {
      value: null,
      words,
      lanes: [0, 1, 2, 3].map(n => index(lanes, n)),
      decode: scope => scope.bind(decimalOfWords(words), `${hint}_${type}`),
      put: (scope, from) => {
        const { low, high } = decimalWords(from, scope, hint)
        scope.emit(exprStmt(assign(words.low, low)))
        scope.emit(exprStmt(assign(words.high, high)))
      },
    }
  }

  /** The 32-bit words of a 64-bit value; through memory, since `Number(bigint)` is slow. */
  split(value: Expression, storage: 'i64' | 'u64' | 'f64', hint: string): [Expression, Expression] {
    const view = scratchView(this.ctx, storage)
    const lanes = scratchView(this.ctx, 'u32')
    this.emit(exprStmt(assign(index(view, 0), value)))
    return [this.bind(index(lanes, 0), `${hint}_low`), this.bind(index(lanes, 1), `${hint}_high`)]
  }
}

const scratch = new ArrayBuffer(8)
const VIEWS = {
  i64: new BigInt64Array(scratch),
  u64: new BigUint64Array(scratch),
  f64: new Float64Array(scratch),
  f32: new Float32Array(scratch),
  u32: new Uint32Array(scratch),
  i32: new Int32Array(scratch),
} as const

/** A view of eight bytes that every generated function shares to look at the bits of a value. */
export function scratchView(ctx: ExpandContext, kind: keyof typeof VIEWS): Identifier {
  return ctx.constant(VIEWS[kind], `bits_${kind}`)
}

/** An expression that may be written down twice. */
export function isAtom(expr: Expression): boolean {
  if (expr.type === 'UnaryExpression') return isAtom(expr.argument) && expr.argument.type === 'Literal'
  return expr.type === 'Identifier' || expr.type === 'Literal'
}

/** Negation without `!!`, and with comparisons of equality turned round. */
export function not(expr: Expression): Expression {
  if (expr.type === 'UnaryExpression' && expr.operator === '!') return expr.argument
  if (expr.type === 'Literal' && typeof expr.value === 'boolean') return lit(!expr.value)
  if (expr.type === 'BinaryExpression' && expr.left.type !== 'PrivateIdentifier') {
    if (expr.operator === '===') return bin('!==', expr.left, expr.right)
    if (expr.operator === '!==') return bin('===', expr.left, expr.right)
  }
  return unary('!', expr)
}

export const isLit = (expr: Expression | null, value: unknown): boolean =>
  expr !== null && expr.type === 'Literal' && expr.value === value

/** `a && b`, with decided operands left out. */
export function and(a: Expression, b: Expression): Expression {
  if (isLit(a, true) || isLit(b, false)) return b
  if (isLit(b, true) || isLit(a, false)) return a
  return logic('&&', a, b)
}

/** `a || b`, with decided operands left out. */
export function or(a: Expression, b: Expression): Expression {
  if (isLit(a, false) || isLit(b, true)) return b
  if (isLit(b, false) || isLit(a, true)) return a
  return logic('||', a, b)
}

/** NULL if either is: for operators that are strict. */
export function eitherNull(a: Expression | null, b: Expression | null): Expression | null {
  if (a === null) return b
  return b === null ? a : or(a, b)
}

/** Some value of the type: of what is NULL, and of what failed. (A NULL cell holds zeros, whatever the type.) */
export function zeroValue(type: TypeName): Value {
  switch (TYPES[type].js) {
    case 'boolean':
      return false
    case 'number':
      return 0
    case 'bigint':
      return 0n
    case 'string':
      return type === 'uuid' ? '00000000-0000-0000-0000-000000000000' : ''
    case 'Uint8Array':
      return TYPES[type].shape === null ? NO_BYTES : zeroBytes(type)
  }
}

const NO_BYTES = new Uint8Array(0)

/** The same as code. */
export function zeroExpression(type: TypeName): Expression {
  const zero = zeroValue(type)
  if (!(zero instanceof Uint8Array)) return lit(zero)
  return zero.length === 0 ? construct('Uint8Array', lit(0)) : call(member('Uint8Array', 'of'), ...[...zero].map(lit))
}
