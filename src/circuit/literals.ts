/**
 * Literals of expressions: which type a JavaScript value has, and how a literal takes the type of what it meets.
 */
import { CompileError, show } from '../base/errors.js'
import { isNumberType, TYPES, type TypeName, type Value } from '../schema/types.js'
import { inRange, normalise, Problem } from '../schema/values.js'
import type { Expr, LiteralExpr } from './expr.js'
import { literal } from './substitute.js'

/** `null` in a lambda, before anything says of which type. Recognised by identity. */
export const UNTYPED_NULL: LiteralExpr = literal('bool', null)

export const isUntypedNull = (e: Expr): boolean => e === UNTYPED_NULL

/** NULL of a type. */
export const nullOf = (type: TypeName): LiteralExpr => literal(type, null)

/**
 * The literal of a JavaScript value: numbers are f64; bigints are i64, else u64, else u128, whichever holds them.
 * Throws CompileError on a bigint that none holds and on text that is not well-formed.
 */
export function literalOf(value: Value): LiteralExpr {
  if (value === null) return UNTYPED_NULL
  switch (typeof value) {
    case 'boolean':
      return literal('bool', value)
    case 'number':
      return literal('f64', value + 0)
    case 'bigint': {
      const type = (['i64', 'u64', 'u128'] as const).find(t => inRange(t, value))
      if (type === undefined) throw new CompileError(`the literal ${show(value)} fits neither i64 nor u128`)
      return literal(type, value)
    }
    case 'string':
      return literal('string', wellFormed('string', value))
    default:
      return literal('bytes', wellFormed('bytes', value))
  }
}

function wellFormed(type: TypeName, value: string | Uint8Array): Value {
  const checked = normalise(type, value)
  if (checked instanceof Problem) throw new CompileError(`literal: ${checked.message}`)
  return checked
}

const DAY_MICROS = 86_400_000_000n

/**
 * The literal as one that can be compared with type `to`, or null if it has no such form. Numbers stay f64 next to
 * numbers. Text next to a uuid, a date or a time must be one: throws CompileError if not.
 */
export function adaptLiteral(lit: LiteralExpr, to: TypeName): LiteralExpr | null {
  const { value, type } = lit
  if (value === null) return literal(to, null)
  if (type === to) return lit
  if (to === 'json' && !(value instanceof Uint8Array)) return jsonLiteral(value)
  if (TYPES[to].shape !== null && to !== 'interval') return null
  if (typeof value === 'number') return adaptNumber(lit, value, to)
  if (typeof value === 'bigint') return adaptBigInt(lit, value, to)
  if (typeof value === 'string' && type === 'string' && TEXT_FORMS.includes(to)) {
    const parsed = normalise(to, value)
    if (parsed instanceof Problem) throw new CompileError(parsed.message)
    return literal(to, parsed)
  }
  return null
}

const TEXT_FORMS: readonly TypeName[] = ['uuid', 'date', 'time', 'timestamp', 'timestamptz', 'interval']

/** Text, numbers and booleans as json, as far as JSON has them. */
function jsonLiteral(value: Value): LiteralExpr | null {
  const json = normalise('json', value)
  return json instanceof Problem ? null : literal('json', json)
}

function adaptNumber(lit: LiteralExpr, value: number, to: TypeName): LiteralExpr | null {
  if (lit.type === 'date') return null
  if (isNumberType(to) && to !== 'date') return lit
  if (!Number.isInteger(value) || TYPES[to].min === null) return null
  const exact = BigInt(value)
  if (inRange(to, exact)) return literal(to, to === 'date' ? value : exact)
  return to === 'date' ? null : outOfRange(exact, to)
}

function adaptBigInt(lit: LiteralExpr, value: bigint, to: TypeName): LiteralExpr | null {
  if (lit.type === 'timestamptz') {
    // From a Date: an instant, which is also a timestamp in UTC, and a date if at midnight.
    if (to === 'timestamp') return literal(to, value)
    return to === 'date' && value % DAY_MICROS === 0n ? literal(to, Number(value / DAY_MICROS)) : null
  }
  if (!['i64', 'u64', 'u128'].includes(lit.type)) return null
  if (isNumberType(to)) {
    if (BigInt(Number(value)) !== value) return null
    if (to !== 'date') return literal('f64', Number(value))
  }
  if (TYPES[to].min === null) return null
  if (inRange(to, value)) return literal(to, to === 'date' ? Number(value) : value)
  return to === 'date' ? null : outOfRange(value, to)
}

/** Integers of any width compare exactly, so a literal out of a column's range may stay what it is. */
function outOfRange(value: bigint, to: TypeName): LiteralExpr | null {
  return to === 'i64' || to === 'u64' || to === 'u128' ? literalOf(value) : null
}

/**
 * The literal as exactly of type `to`, as one branch of `?:` or `??` next to the other, or null if it would change
 * its value or its kind (a number does not become a bigint).
 */
export function unifyLiteral(lit: LiteralExpr, to: TypeName): LiteralExpr | null {
  const { value, type } = lit
  if (value === null) return literal(to, null)
  if (type === to) return lit
  if (typeof value === 'number' && type === 'f64' && isNumberType(to)) {
    const exact = normalise(to, value)
    return exact instanceof Problem || !Object.is(exact, value) ? null : literal(to, exact)
  }
  if (typeof value === 'bigint' && TYPES[to].js === 'bigint') {
    return type !== 'timestamptz' && inRange(to, value) ? literal(to, value) : null
  }
  if (typeof value === 'string' && type === 'string' && to === 'uuid') return adaptLiteral(lit, to)
  return null
}
