/**
 * Typed construction of expressions: each function checks its operands, adapts literals to them, and gives a node
 * with the right result type and nullability. Nothing is folded here.
 *
 * Throws CompileError without a frame; who knows the place in the source adds it.
 *
 * Kinds of operands: *numbers* (up to 32 bits, f32, f64; a date counts as its days) whose arithmetic is f64, and
 * *bigints* (i64, u64; times and timestamps count as their µs) whose arithmetic is exact. The two do not mix, except
 * that a literal takes the type of the other operand where that loses nothing.
 */
import { CompileError } from '../base/errors.js'
import { isBigIntType, isNumberType, TYPES, type TypeName } from '../schema/types.js'
import type { CallExpr, DatePart, Expr, LiteralExpr, Udf } from './expr.js'
import { adaptLiteral, isUntypedNull, literalOf, nullOf, unifyLiteral } from './literals.js'
import { castable, cast as castValue, Failure, hasDatePart, MATH_ARITY } from './scalar.js'
import { call, detailed, literal, sameExpr } from './substitute.js'
import { meet, shapedArithmetic, shapedNegation } from './typing-nested.js'

function refuse(problem: string, hint?: string): never {
  throw new CompileError(problem, hint === undefined ? {} : { hint })
}

const TYPE_TEXT: Partial<Record<TypeName, string>> = { bool: 'a boolean', string: 'a string', bytes: 'bytes' }

/** A type as it reads in a message. */
export const typeText = (e: Expr): string =>
  isUntypedNull(e) ? 'null' : (TYPE_TEXT[e.type] ?? `${/^[aeio]|^f\d/.test(e.type) ? 'an' : 'a'} ${e.type}`)

const INSTANTS = ['time', 'timestamp', 'timestamptz'] as const
const BIG_INTEGERS: readonly TypeName[] = ['i64', 'u64', 'u128']
const isInteger64 = (t: TypeName): boolean => t === 'i64' || t === 'u64' || INSTANTS.some(i => i === t)

/** How to make the two operands meet. */
function mixHint(a: TypeName, b: TypeName): string {
  const special = (['uuid', 'date', ...INSTANTS] as const).find(t => a === t || b === t)
  if (special !== undefined) return `convert one side, e.g. with ${special}(x) from \`fn\``
  if (isNumberType(a) !== isNumberType(b) && (isBigIntType(a) || isBigIntType(b))) {
    return 'convert one side: BigInt(x) makes an exact integer, Number(x) the nearest double'
  }
  if (a !== b && isInteger64(a) && isInteger64(b)) return 'convert one side with i64(x) or u64(x) from `fn`'
  return 'convert one side with a function from `fn`, or use udf(...)'
}

// Arithmetic

export type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'rem' | 'pow'

const SIGNS: Readonly<Record<Arithmetic, string>> = { add: '+', sub: '-', mul: '*', div: '/', rem: '%', pow: '**' }

/** `a op b` of two numbers (f64) or two bigints (u64 if both are, else i64; fails on overflow). */
export function arithmetic(op: Arithmetic, left: Expr, right: Expr): Expr {
  const shaped = shapedArithmetic(op, SIGNS[op], left, right)
  if (shaped !== null) return shaped
  const a = adaptBigInt(left, right)
  const b = adaptBigInt(right, left)
  if (isNumberType(a.type) && isNumberType(b.type)) return call(op, [a, b], 'f64')
  if (isInteger64(a.type) && isInteger64(b.type)) {
    if (op === 'pow') refuse('** is for numbers, found bigints', 'use Number(x) ** y, or udf(...)')
    return call(op, [a, b], a.type === 'u64' && b.type === 'u64' ? 'u64' : 'i64')
  }
  for (const e of [a, b]) {
    if (e.type === 'u128') refuse(`u128 has no arithmetic, found it in ${SIGNS[op]}`, 'use i64(x) or f64(x) from `fn`')
    if (isUntypedNull(e) || (!isNumberType(e.type) && !isBigIntType(e.type))) {
      refuse(`${SIGNS[op]} needs numbers or bigints, found ${typeText(e)}`)
    }
  }
  refuse(
    `${SIGNS[op]} cannot mix ${typeText(a)} (${jsText(a)}) and ${typeText(b)} (${jsText(b)})`,
    mixHint(a.type, b.type),
  )
}

const jsText = (e: Expr): string => TYPES[e.type].js

/** A bigint literal next to another bigint takes its type, if in range. */
function adaptBigInt(e: Expr, other: Expr): Expr {
  if (e.kind !== 'literal' || typeof e.value !== 'bigint' || !BIG_INTEGERS.includes(other.type)) return e
  if (other.kind === 'literal' && other.type === 'i64') return e
  return adaptLiteral(e, other.type) ?? e
}

/** `-a`: f64 of a number, i64 of a bigint. A literal is negated on the spot. */
export function negate(a: Expr): Expr {
  if (a.kind === 'literal' && typeof a.value === 'number') return literal('f64', 0 - a.value)
  if (a.kind === 'literal' && typeof a.value === 'bigint' && BIG_INTEGERS.includes(a.type)) return literalOf(-a.value)
  if (isUntypedNull(a)) refuse('- needs a number or a bigint, found null')
  const shaped = shapedNegation(a)
  if (shaped !== null) return shaped
  if (isNumberType(a.type)) return call('neg', [a], 'f64')
  if (isInteger64(a.type)) return call('neg', [a], 'i64')
  refuse(`- needs a number or a bigint, found ${typeText(a)}`)
}

/** Unary `+`: a number as it is, text parsed as one. */
export function plus(a: Expr): Expr {
  if (isUntypedNull(a)) refuse('+ needs a number, found null')
  if (isNumberType(a.type)) return a
  if (a.type === 'string') return cast('f64', a)
  refuse(`+ needs a number, found ${typeText(a)}`, isBigIntType(a.type) ? 'use Number(x)' : undefined)
}

// Comparison

export type Ordering = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

/** Three-valued comparison: NULL if an operand is. */
export function compare(op: Ordering, left: Expr, right: Expr): Expr {
  if (isUntypedNull(left) || isUntypedNull(right)) {
    refuse('a comparison by size with null is never true', 'test for NULL with === null or !== null')
  }
  return call(op, compared(left, right), 'bool')
}

/** IS [NOT] DISTINCT FROM: `===` and `!==`. Never NULL; NULL is the same as NULL, NaN the same as NaN. */
export function identical(op: 'is' | 'isnt', left: Expr, right: Expr): Expr {
  if (isUntypedNull(right) || isUntypedNull(left)) {
    const test = isNull(isUntypedNull(right) ? left : right)
    return op === 'is' ? test : not(test)
  }
  return call(op, compared(left, right), 'bool')
}

function compared(left: Expr, right: Expr): readonly [Expr, Expr] {
  return (
    comparable(left, right) ??
    refuse(`cannot compare ${typeText(left)} with ${typeText(right)}`, mixHint(left.type, right.type))
  )
}

/** Both as they are compared, or null if they are not. REQUIRES: neither is the untyped NULL. */
export function comparable(left: Expr, right: Expr): readonly [Expr, Expr] | null {
  const a = left.kind === 'literal' && right.kind !== 'literal' ? (adaptLiteral(left, right.type) ?? left) : left
  const b = right.kind === 'literal' ? (adaptLiteral(right, a.type) ?? right) : right
  if (a.type === b.type) return [a, b]
  const met = meet(a, b)
  if (met !== null) return met
  const plainNumber = (t: TypeName) => isNumberType(t) && t !== 'date'
  if (plainNumber(a.type) && plainNumber(b.type)) return [a, b]
  return BIG_INTEGERS.includes(a.type) && BIG_INTEGERS.includes(b.type) ? [a, b] : null
}

// Logic

/** A condition: a boolean, or the NULL literal as one. */
export function condition(a: Expr, what: string): Expr {
  if (isUntypedNull(a)) return nullOf('bool')
  if (a.type === 'bool') return a
  const test = a.type === 'string' ? "x !== ''" : TYPES[a.type].js === 'bigint' ? 'x !== 0n' : 'x !== 0'
  refuse(`${what} needs a boolean, found ${typeText(a)}`, `write the test out, e.g. x !== null or ${test}`)
}

/** Three-valued AND, OR; evaluated from left to right as far as needed. */
export function logic(op: 'and' | 'or', a: Expr, b: Expr): Expr {
  const sign = op === 'and' ? '&&' : '||'
  return call(op, [condition(a, sign), condition(b, sign)], 'bool')
}

export const not = (a: Expr): Expr => call('not', [condition(a, '!')], 'bool')

export const isNull = (a: Expr): Expr => call('isNull', [isUntypedNull(a) ? nullOf('bool') : a], 'bool')

/** The first operand that is not NULL. */
export function coalesce(first: Expr, second: Expr): Expr {
  const [a, b] = unify(first, second, '??')
  const flat = [a, b].flatMap(e => (e.kind === 'call' && e.op === 'coalesce' && e.type === a.type ? e.args : [e]))
  return call('coalesce', flat, resultType(a, b))
}

/**
 * `test ? then : otherwise`; a test that is NULL counts as false. `x === null ? y : x` and its relatives, which is
 * what tools make of `x ?? y`, become coalesce, so that the result is known not to be NULL.
 */
export function conditional(test: Expr, then: Expr, otherwise: Expr): Expr {
  const tested = nullTest(test)
  if (tested !== null) {
    const [same, other] = tested.whenNull ? [otherwise, then] : [then, otherwise]
    if (sameExpr(same, tested.expr)) return coalesce(same, other)
  }
  const [a, b] = unify(then, otherwise, '?:')
  return call('if', [condition(test, '?:'), a, b], resultType(a, b))
}

/** What a test asks about being NULL, if that is all it asks. */
function nullTest(test: Expr): { expr: Expr; whenNull: boolean } | null {
  if (test.kind !== 'call') return null
  const [a, b] = test.args
  if (test.op === 'isNull') return { expr: a, whenNull: true }
  if (test.op === 'not') {
    const inner = nullTest(a)
    return inner === null ? null : { expr: inner.expr, whenNull: !inner.whenNull }
  }
  if (test.op !== 'and' && test.op !== 'or') return null
  // `x !== null && x !== undefined`: both ask the same.
  const [left, right] = [nullTest(a), nullTest(b)]
  if (left === null || right === null || left.whenNull !== right.whenNull) return null
  return left.whenNull === (test.op === 'or') && sameExpr(left.expr, right.expr) ? left : null
}

const resultType = (a: Expr, b: Expr): TypeName => (a.type === b.type ? a.type : 'f64')

/** Both as one type: the same, or any two numbers. */
function unify(first: Expr, second: Expr, what: string): readonly [Expr, Expr] {
  if (isUntypedNull(first) && isUntypedNull(second))
    refuse(`${what} of null and null has no type`, 'use a cast from `fn`')
  const a = first.kind === 'literal' ? (unifyLiteral(first, second.type) ?? first) : first
  const b = second.kind === 'literal' ? (unifyLiteral(second, a.type) ?? second) : second
  if (a.type === b.type) return [a, b]
  const met = meet(a, b)
  if (met !== null) return met
  const plainNumber = (t: TypeName) => isNumberType(t) && t !== 'date'
  if (plainNumber(a.type) && plainNumber(b.type)) return [a, b]
  refuse(`${what} gives either ${typeText(a)} or ${typeText(b)}, expected one type`, mixHint(a.type, b.type))
}

// Text

/** A string operand: text as it is; a uuid as its text. */
export function asText(a: Expr, what: string): Expr {
  if (a.type === 'string' && !isUntypedNull(a)) return a
  if (a.type === 'uuid') return cast('string', a)
  refuse(`${what} needs a string, found ${typeText(a)}`)
}

/** `+` on strings and template literals: everything is made text; NULL if an operand is NULL. */
export function concat(parts: readonly Expr[]): Expr {
  const args = parts.map(p => {
    if (isUntypedNull(p)) refuse('null cannot be made part of a string', "use x ?? '' where NULL should be empty")
    return cast('string', p)
  })
  const flat = args.flatMap(a => (a.kind === 'call' && a.op === 'concat' ? a.args : [a]))
  return flat.length === 1 ? flat[0] : call('concat', flat, 'string')
}

export function length(a: Expr): Expr {
  return call('length', [a.type === 'bytes' ? a : asText(a, '.length')], 'f64')
}

/** Operators of one string, or of two. */
export function textOp(
  op: 'startsWith' | 'endsWith' | 'includes' | 'upper' | 'lower' | 'trim',
  args: readonly Expr[],
  what: string,
): Expr {
  const texts = args.map(a => asText(a, what))
  return call(op, texts, texts.length === 2 ? 'bool' : 'string')
}

export function slice(a: Expr, bounds: readonly Expr[]): Expr {
  const positions = bounds.length === 0 ? [literal('f64', 0)] : bounds.map(b => numberArgument(b, '.slice'))
  return call('slice', [asText(a, '.slice'), ...positions], 'string')
}

function numberArgument(a: Expr, what: string): Expr {
  if (isNumberType(a.type) && !isUntypedNull(a)) return a
  const hint = isBigIntType(a.type) && !isUntypedNull(a) ? 'use Number(x)' : undefined
  refuse(`${what} needs a number, found ${typeText(a)}`, hint)
}

// Functions

/** `Math[name](…)`. */
export function math(name: string, args: readonly Expr[]): Expr {
  const arity = MATH_ARITY.get(name)
  if (arity === undefined) {
    refuse(
      `Math.${name} is not a function of expressions`,
      `there are ${[...MATH_ARITY.keys()].join(', ')}; or use udf(...)`,
    )
  }
  if (args.length < arity[0] || args.length > arity[1]) {
    const expected = arity[0] === arity[1] ? `${arity[0]}` : `${arity[0]} to ${arity[1]}`
    refuse(`Math.${name}: expected ${expected} argument(s), found ${args.length}`)
  }
  const numbers = args.map(a => numberArgument(a, `Math.${name}`))
  if (name === 'pow') return arithmetic('pow', numbers[0], numbers[1])
  return detailed('math', name, numbers, 'f64')
}

export function datePart(part: DatePart, a: Expr): Expr {
  if (isUntypedNull(a) || !hasDatePart(part, a.type)) {
    refuse(`${typeText(a)} has no ${part}`, `convert it first, e.g. timestamptz(x) from \`fn\``)
  }
  return detailed('datePart', part, [a], 'f64')
}

/**
 * Conversion to `type`; fails on a row where it would lose something. A literal is converted on the spot, and is
 * refused if it cannot be.
 */
export function cast(type: TypeName, a: Expr): Expr {
  if (isUntypedNull(a)) return nullOf(type)
  if (a.type === type) return a
  if (a.kind === 'literal' && a.value !== null && castable(a.type, type)) return castLiteral(type, a)
  if (castable(a.type, type)) return call('cast', [a], type)
  // A number that counts days or µs must be whole; the integer in between says so.
  if (a.type === 'f64' || a.type === 'f32') {
    const whole: TypeName = type === 'date' ? 'i32' : 'i64'
    if (castable(whole, type)) return cast(type, cast(whole, a))
  }
  refuse(`${typeText(a)} cannot be made ${type}`)
}

function castLiteral(type: TypeName, a: LiteralExpr): LiteralExpr {
  try {
    return literal(type, castValue(a.type, type, a.value as NonNullable<LiteralExpr['value']>))
  } catch (thrown) {
    if (thrown instanceof Failure) refuse(thrown.message)
    throw thrown
  }
}

export interface Parameter {
  readonly type: TypeName
  readonly nullable: boolean
}

/**
 * A call of a user function. Arguments take the parameters' types where nothing is lost in kind (a checked cast
 * between numbers or between bigints). A parameter that is not nullable makes the result NULL when it gets NULL; the
 * function is not called then.
 */
export function udfCall(udf: Udf, parameters: readonly Parameter[], result: Parameter, args: readonly Expr[]): Expr {
  if (args.length !== parameters.length) {
    refuse(`${udf.name}: expected ${parameters.length} argument(s), found ${args.length}`)
  }
  const given = args.map((a, i) => udfArgument(udf.name, i, parameters[i].type, a))
  const plain: CallExpr = Object.freeze({
    ...call('udf', given, result.type),
    nullable: result.nullable,
    udf,
  })
  const guarded = given.filter((a, i) => a.nullable && !parameters[i].nullable)
  if (guarded.length === 0) return plain
  const missing = guarded.map(isNull).reduce((a, b) => logic('or', a, b))
  return call('if', [missing, nullOf(result.type), plain], result.type)
}

function udfArgument(name: string, index: number, type: TypeName, a: Expr): Expr {
  if (isUntypedNull(a)) return nullOf(type)
  if (a.type === type) return a
  const adapted = a.kind === 'literal' ? adaptLiteral(a, type) : null
  if (adapted !== null && adapted.type === type) return adapted
  const numbers = isNumberType(a.type) && isNumberType(type)
  const bigints = isInteger64(a.type) && isInteger64(type)
  if (numbers || bigints || (a.type === 'uuid' && type === 'string')) return cast(type, a)
  refuse(`${name}: argument ${index + 1}: expected ${type}, found ${typeText(a)}`, mixHint(a.type, type))
}
