/** Random typed expressions over given columns: every operator, failing ones included. */

import type { ColumnExpr, DatePart, Expr, Op } from '../circuit/expr.js'
import { castable, decimalResult, hasDatePart, MATH_ARITY } from '../circuit/scalar.js'
import { arrayOf, isDecimal, TYPES, type TypeName } from '../schema/types.js'
import type { Choices } from './choices.js'
import { call, datePart, fn, literal, math, udf } from './nodes.js'
import { canonical, NESTED_TYPES, SAMPLE_TYPES, samples } from './samples.js'

export const ALL_TYPES = SAMPLE_TYPES
const NUMBERS = ALL_TYPES.filter(t => TYPES[t].js === 'number' && t !== 'date')
const TEXTS = arrayOf({ type: 'string', nullable: false })
const COMPARISONS: readonly Op[] = ['is', 'isnt', 'eq', 'ne', 'lt', 'le', 'gt', 'ge']
const ARITHMETIC: readonly Op[] = ['add', 'sub', 'mul', 'div', 'rem']
const PARTS: readonly DatePart[] = [
  ...(['year', 'quarter', 'month', 'day', 'dayOfWeek', 'dayOfYear', 'hour', 'minute', 'second', 'epoch'] as const),
]
/** Functions whose results are the same on every machine. */
const MATH = ['abs', 'floor', 'ceil', 'round', 'trunc', 'sign', 'sqrt', 'min', 'max'].filter(f => MATH_ARITY.has(f))

/** Makes expressions over `columns`, guided by `choices`. */
export class Expressions {
  private readonly choices: Choices
  private readonly columns: readonly ColumnExpr[]
  constructor(choices: Choices, columns: readonly ColumnExpr[]) {
    this.choices = choices
    this.columns = columns
  }

  /** A column of the type if there is one, or a literal; NULL only where `nullable`. */
  leaf(type: TypeName, nullable = true): Expr {
    const columns = this.columns.filter(c => c.type === type)
    const at = this.choices.below(columns.length + 1)
    if (at < columns.length) return columns[at]
    if (nullable && this.choices.oneIn(8)) return literal(type, null)
    return literal(type, canonical(type, this.choices.pick(samples(type))))
  }

  /** Any expression of the type. `depth` limits nesting. */
  of(type: TypeName, depth: number): Expr {
    if (depth <= 0) return this.leaf(type)
    const below = (t: TypeName): Expr => this.of(t, depth - 1)
    const general: (() => Expr)[] = [
      () => this.leaf(type),
      () => this.leaf(type),
      () => call('coalesce', type, this.leaf(type), below(type)),
      () => call('if', type, below('bool'), below(type), below(type)),
      () => this.castTo(type, depth),
    ]
    return this.choices.pick([...general, ...this.special(type, depth)])()
  }

  /** A type that one of the columns has, or any. */
  type(): TypeName {
    const at = this.choices.below(this.columns.length + 1)
    return at < this.columns.length ? this.columns[at].type : this.choices.pick(ALL_TYPES)
  }

  private castTo(type: TypeName, depth: number): Expr {
    const sources = ALL_TYPES.filter(t => t !== type && castable(t, type))
    if (sources.length === 0) return this.leaf(type)
    const own = sources.filter(t => this.columns.some(c => c.type === t))
    return call('cast', type, this.of(this.choices.pick(own.length > 0 ? own : sources), depth - 1))
  }

  private special(type: TypeName, depth: number): (() => Expr)[] {
    const below = (t: TypeName): Expr => this.of(t, depth - 1)
    switch (type) {
      case 'bool':
        return this.conditions(depth)
      case 'i64':
      case 'u64':
        return [
          () => call(this.choices.pick(ARITHMETIC), type, below(type), this.leaf(type)),
          () => call(this.choices.pick(ARITHMETIC), type, this.leaf(type), below(type)),
          ...(type === 'i64' ? [() => call('neg', type, below(type)), () => udf(PARITY, type, below(type))] : []),
        ]
      case 'f64':
        return this.floats(depth)
      case 'string':
        return [
          () => call('concat', type, this.leaf(type), below(type)),
          () => fn('arrayAt', type, below(TEXTS), this.leaf('i8')),
          () => fn('jsonText', type, below('json')),
          () => call('slice', type, below(type), this.leaf('i8'), this.leaf('i8')),
          () => call('slice', type, below(type), this.leaf('f64')),
          () => call(this.choices.pick(['upper', 'lower', 'trim'] as const), type, below(type)),
        ]
      default:
        return this.shaped(type, depth)
    }
  }

  /** Of intervals, instants, decimals, and of what has parts. */
  private shaped(type: TypeName, depth: number): (() => Expr)[] {
    const below = (t: TypeName): Expr => this.of(t, depth - 1)
    const { shape } = TYPES[type]
    if (type === 'timestamp' || type === 'timestamptz') {
      return [() => call(this.choices.pick(['add', 'sub'] as const), type, below(type), this.leaf('interval'))]
    }
    switch (shape?.kind) {
      case 'interval':
        return [
          () => call(this.choices.pick(['add', 'sub'] as const), type, below(type), this.leaf(type)),
          () => call('mul', type, this.leaf(type), below('f64')),
          () => call('neg', type, below(type)),
          () => fn('between', type, below('timestamp'), this.leaf('timestamp')),
        ]
      case 'decimal':
        return [() => this.decimal(type, depth), () => call('neg', type, below(type))]
      case 'array':
        return [
          () => fn('arrayConcat', type, below(type), this.leaf(type)),
          () => fn('arraySlice', type, below(type), this.leaf('i8')),
          () =>
            fn('makeArray', type, shape.element.nullable ? below(shape.element.type) : this.solid(shape.element.type)),
        ]
      case 'json':
        return [
          () => fn('toJson', type, below(this.type())),
          () => fn('jsonGet', type, below(type), this.choices.oneIn(2) ? this.leaf('string') : this.leaf('i8')),
          () => fn('parseJson', type, below('string')),
        ]
      default:
        return []
    }
  }

  private solid(type: TypeName): Expr {
    return literal(type, canonical(type, this.choices.pick(samples(type))))
  }

  private decimal(type: TypeName, depth: number): Expr {
    const other = this.choices.pick(NESTED_TYPES.filter(isDecimal))
    const op = this.choices.pick(['add', 'sub', 'mul', 'div', 'rem'] as const)
    const result = decimalResult(op, type, other)
    const value = result === null ? this.leaf(type) : call(op, result, this.of(type, depth - 1), this.leaf(other))
    return result === type ? value : call('cast', type, value)
  }

  private conditions(depth: number): (() => Expr)[] {
    const below = (t: TypeName): Expr => this.of(t, depth - 1)
    const compare = (): Expr => {
      const type = this.type()
      const op = this.choices.pick(COMPARISONS)
      // Any two number types are comparable, and so are i64 and u64.
      const other = this.choices.oneIn(4) ? this.choices.pick(comparableWith(type)) : type
      return call(op, 'bool', below(type), this.leaf(other))
    }
    const text = (): Expr =>
      call(
        this.choices.pick(['startsWith', 'endsWith', 'includes'] as const),
        'bool',
        below('string'),
        this.leaf('string'),
      )
    return [
      compare,
      compare,
      compare,
      text,
      () => call('isNull', 'bool', below(this.type())),
      () => call('not', 'bool', below('bool')),
      () => call('and', 'bool', below('bool'), below('bool')),
      () => call('or', 'bool', below('bool'), below('bool')),
      () => fn('arrayIncludes', 'bool', this.of(TEXTS, depth - 1), this.leaf('string')),
      () => fn('jsonContains', 'bool', below('json'), this.leaf('json')),
    ]
  }

  private floats(depth: number): (() => Expr)[] {
    const number = (): Expr => this.of(this.choices.pick(NUMBERS), depth - 1)
    return [
      () => call(this.choices.pick(ARITHMETIC), 'f64', number(), number()),
      () => call('neg', 'f64', number()),
      () => call('length', 'f64', this.of(this.choices.pick(['string', 'bytes'] as const), depth - 1)),
      () => this.mathCall(number),
      () => fn('arrayLength', 'f64', this.of(TEXTS, depth - 1)),
      () => fn('jsonLength', 'f64', this.of('json', depth - 1)),
      () => this.part(depth),
    ]
  }

  private mathCall(number: () => Expr): Expr {
    const fn = this.choices.pick(MATH)
    const [least] = MATH_ARITY.get(fn) ?? [1]
    const count = Math.max(least, fn === 'min' || fn === 'max' ? 2 : 1)
    return math(fn, ...Array.from({ length: count }, number))
  }

  private part(depth: number): Expr {
    const type = this.choices.pick(['date', 'timestamp', 'timestamptz', 'time'] as const)
    const part = this.choices.pick(PARTS.filter(p => hasDatePart(p, type)))
    return datePart(part, this.of(type, depth - 1))
  }
}

/** A user function that sees NULL, throws on some values and returns NULL on others. */
export const PARITY = {
  name: 'parity',
  fn: (x: bigint | null) => {
    if (x === 3n) throw new Error('three is not liked')
    return x === null ? -1n : x < 0n ? null : x % 2n
  },
}

function comparableWith(type: TypeName): readonly TypeName[] {
  if (NUMBERS.includes(type)) return NUMBERS
  return type === 'i64' || type === 'u64' ? ['i64', 'u64'] : [type]
}
