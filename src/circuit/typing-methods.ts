/** Methods of arrays and maps in lambdas, typed; see `typing-nested.ts`. Throws CompileError without a frame. */
import { isDecimal, type TypeName } from '../schema/types.js'
import type { ColumnExpr, Expr } from './expr.js'
import { isUntypedNull, nullOf } from './literals.js'
import { castable } from './scalar.js'
import { literal } from './substitute.js'
import { cast, comparable, compare, conditional, isNull, typeText } from './typing.js'
import { apply, kindOf, meet, operand, position, refuse } from './typing-nested.js'

type Method = (self: Expr, args: readonly Expr[]) => Expr

const ARRAY_METHODS: Readonly<Record<string, readonly [least: number, most: number, Method]>> = {
  includes: [1, 1, (a, [x]) => find(a, elementLike(a, x, '.includes'), 'arrayIncludes')],
  indexOf: [1, 1, (a, [x]) => find(a, elementLike(a, x, '.indexOf'), 'arrayIndexOf')],
  at: [1, 1, (a, [x]) => apply('arrayAt', [a, position(x, '.at')], operand(a, 'array', '.at').element.type)],
  concat: [
    1,
    1,
    (a, [b]) => {
      const [x, y] = meet(a, b) ?? [a, b]
      if (x.type !== y.type) refuse(`.concat cannot put ${typeText(a)} and ${typeText(b)} together`)
      return apply('arrayConcat', [x, y], x.type)
    },
  ],
  slice: [
    0,
    2,
    (a, bounds) =>
      apply(
        'arraySlice',
        [a, ...(bounds.length === 0 ? [literal('f64', 0)] : bounds.map(b => position(b, '.slice')))],
        a.type,
      ),
  ],
  join: [
    0,
    1,
    (a, [separator]) => {
      if (operand(a, 'array', '.join').element.type !== 'string')
        refuse(`.join needs an array of strings, found ${typeText(a)}`)
      return apply('arrayJoin', [a, separator ?? literal('string', ',')], 'string')
    },
  ],
}

const MAP_METHODS: Readonly<Record<string, readonly [least: number, most: number, Method]>> = {
  get: [1, 1, (a, [k]) => apply('mapGet', [a, keyLike(a, k, '.get')], operand(a, 'map', '.get').value.type)],
  has: [1, 1, (a, [k]) => apply('mapHas', [a, keyLike(a, k, '.has')], 'bool')],
}

/** Looks for `x` as `===` does, so that NULL finds elements that are NULL. */
function find(a: Expr, x: Expr, by: 'arrayIncludes' | 'arrayIndexOf'): Expr {
  const isBoolean = by === 'arrayIncludes'
  const found = apply(by, [a, x], isBoolean ? 'bool' : 'f64')
  if (!x.nullable) return found
  const at = apply('arrayIndexOfNull', [a], 'f64')
  const foundNull = isBoolean ? compare('ge', at, literal('f64', 0)) : at
  return x.kind === 'literal' ? foundNull : conditional(isNull(x), foundNull, found)
}

const elementLike = (a: Expr, x: Expr, what: string): Expr =>
  likePart(operand(a, 'array', what).element.type, x, `${what} of ${typeText(a)}`)
const keyLike = (a: Expr, x: Expr, what: string): Expr =>
  likePart(operand(a, 'map', what).key, x, `${what} of ${typeText(a)}`)

/** A value to be compared with parts of a type, as far as `===` compares them: a literal takes the type. */
function likePart(type: TypeName, x: Expr, what: string): Expr {
  if (isUntypedNull(x)) return nullOf(type)
  const part: ColumnExpr = { kind: 'column', input: 0, index: 0, name: what, type, nullable: true }
  const met = comparable(part, x)
  if (met?.[0] === part) return met[1]
  // They meet in a type that is not the part's, unless this value can take it.
  if (met !== null && castable(x.type, type) && (x.kind === 'literal' || !isDecimal(type))) return cast(type, x)
  return refuse(`${what}: expected ${typeText(part)}, found ${typeText(x)}`)
}

/** A method of arrays or maps, or null if the value has no methods of its own. */
export function methodOf(self: Expr, name: string, args: readonly Expr[]): Expr | null {
  const kind = kindOf(self)
  const methods = kind === 'array' ? ARRAY_METHODS : kind === 'map' ? MAP_METHODS : null
  if (methods === null) return null
  if (!Object.hasOwn(methods, name))
    refuse(`${kind}s have no method ${name} in lambdas`, `there are ${Object.keys(methods).join(', ')}`)
  const [least, most, method] = methods[name]
  if (args.length < least || args.length > most)
    refuse(`.${name}: expected ${least === most ? least : `${least} to ${most}`} argument(s), found ${args.length}`)
  return method(self, args)
}
