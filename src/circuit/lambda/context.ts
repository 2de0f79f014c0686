/** The ctx object of a lambda: its values become literals when the lambda is compiled. */
import { CompileError, quote, show } from '../../base/errors.js'
import { normalise, Problem } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import { literalOf, UNTYPED_NULL } from '../literals.js'
import { literal } from '../substitute.js'
import type { Lowerer } from './lower.js'
import type { ContextMeaning, Meaning } from './meaning.js'
import { closest } from './names.js'
import type { Place } from './parse.js'

/** Whether a ctx value stands for itself: everything but functions and objects of further values. */
export const isScalarValue = (value: unknown): boolean =>
  value === null || typeof value !== 'object'
    ? typeof value !== 'function'
    : value instanceof Date || value instanceof Uint8Array

/** A ctx value as a literal. Throws CompileError if it cannot be one. */
export function contextLiteral(m: ContextMeaning): Expr {
  const { value } = m
  switch (typeof value) {
    case 'boolean':
    case 'number':
    case 'bigint':
    case 'string':
      return literalOf(value)
    case 'function':
      throw new CompileError(`${m.path} is a function, expected a value: call it`)
  }
  if (value === null) return UNTYPED_NULL
  if (value instanceof Uint8Array) return literalOf(value.slice())
  if (value instanceof Date) {
    const micros = normalise('timestamptz', value)
    if (micros instanceof Problem) throw new CompileError(`${m.path}: ${micros.message}`)
    return literal('timestamptz', micros)
  }
  throw new CompileError(
    `${m.path}: expected a parameter (number, bigint, string, boolean, null, Date), found ${show(value)}`,
  )
}

/** A member of the ctx object, or of an object in it: own properties only. */
export function contextMember(l: Lowerer, owner: ContextMeaning, key: string, place: Place): Meaning {
  const { value, path } = owner
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) {
    const names = typeof value === 'object' && value !== null ? Object.keys(value) : []
    const near = closest(key, names)
    const hint =
      near !== null ? `did you mean ${quote(near)}?` : `pass it after the lambda: (row, { ${key} }) => …, { ${key} }`
    return l.fail(place, `${path} has no ${quote(key)}`, hint)
  }
  return { kind: 'context', value: (value as Record<string, unknown>)[key], path: `${path}.${key}` }
}
