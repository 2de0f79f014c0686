/** Calls in lambdas: methods of strings, members of Math, conversions, and functions of the ctx object. */
import type { CallExpression, Expression, MemberExpression } from 'acorn'
import { TYPES } from '../../schema/types.js'
import type { Expr } from '../expr.js'
import { isUntypedNull, literalOf } from '../literals.js'
import { cast, concat, identical, math, slice, textOp } from '../typing.js'
import { methodOf } from '../typing-methods.js'
import { buildOf } from './functions.js'
import type { Lowerer } from './lower.js'
import { exprMeaning, fieldsOf, type Meaning } from './meaning.js'
import { UDF_HINT } from './parse.js'

const METHODS =
  'startsWith, endsWith, includes, slice, toUpperCase, toLowerCase, trim, concat, toString and the property length'

/** Helpers that compilers put in place of object spread: all of them merge objects from left to right. */
const MERGE_HELPERS: readonly string[] = ['__assign', '__spreadValues', '__spreadProps', '_extends', '_objectSpread']

export const isMergeHelper = (name: string): boolean => MERGE_HELPERS.includes(name)

export function lowerCall(l: Lowerer, node: CallExpression): Meaning {
  const callee = unwrap(node.callee)
  if (callee.type === 'Super') l.fail(callee, 'unsupported call', UDF_HINT)
  if (callee.type === 'MemberExpression') {
    const object = l.owner(callee)
    if (l.isScalar(object)) return exprMeaning(method(l, node, callee, l.toExpr(object, callee.object)))
    return call(l, node, l.member(object, l.keyOf(callee), callee))
  }
  return call(l, node, l.meaning(callee))
}

/** `(0, f)(x)` is how tools call an imported function without a receiver. */
function unwrap(callee: CallExpression['callee']): CallExpression['callee'] {
  if (callee.type === 'ParenthesizedExpression') return unwrap(callee.expression)
  if (callee.type !== 'SequenceExpression' || callee.expressions[0].type !== 'Literal') return callee
  return callee.expressions.length === 2 ? unwrap(callee.expressions[1]) : callee
}

function call(l: Lowerer, node: CallExpression, callee: Meaning): Meaning {
  if (callee.kind === 'global') return callGlobal(l, node, callee.name)
  if (callee.kind !== 'context') l.fail(node.callee, 'this is not a function', UDF_HINT)
  const build = buildOf(callee.value)
  if (build === undefined) {
    const isFunction = typeof callee.value === 'function'
    const problem = isFunction
      ? `${callee.path} is a plain function, whose code cannot be seen`
      : `${callee.path} is not a function`
    l.fail(node.callee, problem, isFunction ? 'wrap it: udf(name, [argument types], result type, f)' : undefined)
  }
  const args = exprArguments(l, node)
  return exprMeaning(l.at(node, () => build(args)))
}

function exprArguments(l: Lowerer, node: CallExpression): Expr[] {
  return plainArguments(l, node).map(a => l.expr(a))
}

function plainArguments(l: Lowerer, node: CallExpression): Expression[] {
  return node.arguments.map(a =>
    a.type === 'SpreadElement' ? l.fail(a, 'spread arguments cannot be compiled', UDF_HINT) : a,
  )
}

function callGlobal(l: Lowerer, node: CallExpression, name: string): Meaning {
  if (name === 'Object.assign' || isMergeHelper(name)) return merge(l, node)
  const args = exprArguments(l, node)
  if (name.startsWith('Math.')) return exprMeaning(l.at(node, () => math(name.slice(5), args)))
  if (args.length !== 1) l.fail(node, `${name}: expected 1 argument, found ${args.length}`)
  const [a] = args
  return exprMeaning(l.at(node, () => convert(l, node, name, a)))
}

function convert(l: Lowerer, node: CallExpression, name: string, a: Expr): Expr {
  if (isUntypedNull(a)) l.fail(node, `${name}(null) has no use here`)
  switch (name) {
    case 'Number':
      return cast('f64', a)
    case 'BigInt':
      return a.type === 'u64' || a.type === 'u128' ? a : cast('i64', a)
    case 'String':
      return cast('string', a)
    case 'Number.isNaN':
      return identical('is', a, literalOf(NaN))
    default:
      return l.fail(node.callee, `${name} cannot be called in a lambda`, UDF_HINT)
  }
}

function merge(l: Lowerer, node: CallExpression): Meaning {
  const fields = new Map<string, Expr>()
  for (const arg of plainArguments(l, node)) {
    const part = l.meaning(arg)
    if (part.kind !== 'row' && part.kind !== 'object') l.fail(arg, 'expected a row or an object')
    for (const [key, expr] of fieldsOf(part)) fields.set(key, expr)
  }
  return { kind: 'object', fields }
}

type Method = (l: Lowerer, node: CallExpression, self: Expr, args: readonly Expr[]) => Expr

const search =
  (op: 'startsWith' | 'endsWith' | 'includes', name: string): Method =>
  (l, node, self, args) => {
    if (args.length !== 1) l.fail(node, `.${name}: expected 1 argument, found ${args.length}`)
    return textOp(op, [self, args[0]], `.${name}`)
  }
const change =
  (op: 'upper' | 'lower' | 'trim', name: string): Method =>
  (l, node, self, args) => {
    if (args.length !== 0) l.fail(node, `.${name}: expected no argument, found ${args.length}`)
    return textOp(op, [self], `.${name}`)
  }

const METHOD_TABLE: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['startsWith', search('startsWith', 'startsWith')],
  ['endsWith', search('endsWith', 'endsWith')],
  ['includes', search('includes', 'includes')],
  ['toUpperCase', change('upper', 'toUpperCase')],
  ['toLowerCase', change('lower', 'toLowerCase')],
  ['trim', change('trim', 'trim')],
  [
    'slice',
    (l, node, self, args) => {
      if (args.length > 2) l.fail(node, `.slice: expected at most 2 arguments, found ${args.length}`)
      return slice(self, args)
    },
  ],
  ['concat', (_l, _node, self, args) => concat([self, ...args])],
  [
    'toString',
    (l, node, self, args) => {
      if (args.length > 0) l.fail(node, '.toString: expected no argument')
      return cast('string', self)
    },
  ],
])

function method(l: Lowerer, node: CallExpression, callee: MemberExpression, self: Expr): Expr {
  const name = l.keyOf(callee)
  if (TYPES[self.type].shape !== null && name !== 'toString') {
    const args = exprArguments(l, node)
    const nested = l.at(node, () => methodOf(self, name, args))
    if (nested !== null) return nested
  }
  const known = METHOD_TABLE.get(name)
  if (known === undefined) {
    l.fail(callee.property, `there is no method ${name} in lambdas`, `there are ${METHODS}; otherwise ${UDF_HINT}`)
  }
  const args = exprArguments(l, node)
  return l.at(node, () => known(l, node, self, args))
}
