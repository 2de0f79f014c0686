/**
 * Evaluates what a template knows at compile time. An expression is *static* if every name in it is: a `$`-name, or
 * `undefined`, `NaN`, `Infinity`. `staticOf` returns its value in a box, or null for code that runs later.
 *
 * Static calls are made while specialising, possibly more than once, so what they call must be a pure function.
 */
import type {
  CallExpression,
  Expression,
  Identifier,
  Literal,
  MemberExpression,
  Node,
  ObjectExpression,
  Property,
} from 'estree'
import { quote, show } from '../../src/base/errors.js'
import { binary, literalOf, unaryValue } from './fold.js'
import { fail, type Place } from './place.js'
import { isInline, isMacro } from './types.js'

export interface Static {
  readonly value: unknown
}

/** The value of a template's expression, if it is known now. Throws CompileError where evaluating it fails. */
export function staticOf(place: Place, node: Node): Static | null {
  switch (node.type) {
    case 'Literal':
      return 'regex' in node ? null : { value: literalValue(node) }
    case 'Identifier':
      return staticName(place, node)
    case 'MemberExpression':
      return staticMember(place, node)
    case 'CallExpression':
      return staticCall(place, node)
    case 'TemplateLiteral':
      return staticTemplate(place, node.quasis, node.expressions)
    case 'ArrayExpression': {
      const items = node.elements.map(item => (item === null ? null : staticOf(place, item)))
      return items.every(item => item !== null) ? { value: items.map(item => item.value) } : null
    }
    case 'ObjectExpression':
      return staticObject(place, node)
    default:
      return staticOperator(place, node)
  }
}

/** The build leaves a big integer's value to be made of its digits (see parsed.ts). */
export function literalValue(node: Literal): Literal['value'] {
  if (node.value === undefined && 'bigint' in node) node.value = BigInt(node.bigint)
  return node.value
}

function staticOperator(place: Place, node: Node): Static | null {
  switch (node.type) {
    case 'UnaryExpression': {
      const argument = staticOf(place, node.argument)
      if (argument === null) return null
      return attempt(place, node, () => unaryValue(node.operator, argument.value))
    }
    case 'BinaryExpression': {
      const left = staticOf(place, node.left)
      const right = left && staticOf(place, node.right)
      return left && right && attempt(place, node, () => binary(node.operator, left.value, right.value))
    }
    case 'LogicalExpression': {
      const left = staticOf(place, node.left)
      if (left === null) return null
      return takesRight(node.operator, left.value) ? staticOf(place, node.right) : left
    }
    case 'ChainExpression':
      return staticOf(place, node.expression)
    case 'ConditionalExpression': {
      const test = staticOf(place, node.test)
      return test && staticOf(place, test.value ? node.consequent : node.alternate)
    }
    default:
      return null
  }
}

/** True if the value of `left op right` is that of `right`. */
export function takesRight(operator: '&&' | '||' | '??', left: unknown): boolean {
  return operator === '&&' ? Boolean(left) : operator === '||' ? !left : left === null || left === undefined
}

/** The static value of `node`; throws CompileError if it is not known at compile time. `what` names its place. */
export function needStatic(place: Place, node: Node, what: string): unknown {
  const found = staticOf(place, node)
  if (found === null) throw fail(place, node, `expected ${what} that is known at compile time, found run-time code`)
  return found.value
}

const CONSTANTS = new Map<string, unknown>([
  ['undefined', undefined],
  ['NaN', NaN],
  ['Infinity', Infinity],
])

function staticName(place: Place, node: Identifier): Static | null {
  const binding = place.scope.get(node.name) ?? place.statics.get(node.name)
  if (binding !== undefined) return binding.kind === 'static' ? binding : literalOf(binding.code)
  return unboundName(place, node)
}

/** The value of a name that nothing in the template declares. */
export function unboundName(place: Place, node: Identifier): Static | null {
  if (CONSTANTS.has(node.name)) return { value: CONSTANTS.get(node.name) }
  if (!node.name.startsWith('$')) return null
  throw fail(place, node, `no value was given for ${node.name}`)
}

function staticMember(place: Place, node: MemberExpression): Static | null {
  if (node.object.type === 'Super' || node.property.type === 'PrivateIdentifier') return null
  const object = staticOf(place, node.object)
  if (object === null) return null
  const key = propertyKey(place, node)
  if (key === null) return null
  if (node.optional && (object.value === null || object.value === undefined)) return { value: undefined }
  return { value: read(place, node, object.value, key) }
}

/** The property a member expression reads, if it is known at compile time. */
export function propertyKey(place: Place, node: MemberExpression): string | number | null {
  if (!node.computed) return node.property.type === 'Identifier' ? node.property.name : null
  const found = staticOf(place, node.property)
  return found === null ? null : asKey(place, node.property, found.value)
}

export function asKey(place: Place, node: Node, value: unknown): string | number {
  if (typeof value === 'string' || typeof value === 'number') return value
  throw fail(place, node, `expected a string or a number as index, found ${show(value)}`)
}

/** What everything inherits from: nothing of it is visible to a template, except the methods below. */
const BUILT_IN = new Set<object>([
  Object.prototype,
  Function.prototype,
  Array.prototype,
  String.prototype,
  Number.prototype,
  Boolean.prototype,
  BigInt.prototype,
  Map.prototype,
  Set.prototype,
])

const METHODS = new Set(['includes', 'indexOf', 'slice', 'startsWith', 'endsWith', 'has', 'get'])

/** A property of a static value. Throws CompileError if there is none. */
export function read(place: Place, node: Node, object: unknown, key: string | number): unknown {
  if (object === null || object === undefined) {
    throw fail(place, node, `cannot read ${quote(String(key))} of ${show(object)}`)
  }
  const whole = Object(object) as object
  for (let owner: object | null = whole; owner !== null; owner = Object.getPrototypeOf(owner) as object | null) {
    if (!Object.hasOwn(owner, key)) continue
    if (BUILT_IN.has(owner) && !METHODS.has(String(key)) && key !== 'size') break
    return Reflect.get(whole, key, object)
  }
  throw fail(place, node, `${show(object)} has no property ${quote(String(key))}`)
}

/** Pure functions of the language that are called at compile time when their arguments are known. */
const GLOBAL_CALLS = new Map<string, (...args: never[]) => unknown>([
  ['BigInt', BigInt],
  ['BigInt.asIntN', BigInt.asIntN],
  ['BigInt.asUintN', BigInt.asUintN],
  ['Number', Number],
  ['String', String],
  ['Math.abs', Math.abs],
  ['Math.ceil', Math.ceil],
  ['Math.clz32', Math.clz32],
  ['Math.floor', Math.floor],
  ['Math.log2', Math.log2],
  ['Math.max', Math.max],
  ['Math.min', Math.min],
])

function staticCall(place: Place, node: CallExpression): Static | null {
  const target = callTarget(place, node)
  if (target === null || isMacro(target.fn) || isInline(target.fn)) return null
  return applyStatic(place, node, target)
}

/** The result of a plain function, if all arguments are known. */
export function applyStatic(place: Place, node: CallExpression, target: CallTarget): Static | null {
  const args = node.arguments.map(argument => staticOf(place, argument))
  if (!args.every(argument => argument !== null)) {
    if (!target.mustBeStatic) return null
    throw fail(
      place,
      node,
      'a plain static function is called at compile time, but not all of its arguments are known then',
      'pass a macro, external(fn) to call it at run time, or inline(fn) to insert its body',
    )
  }
  return attempt(place, node, () =>
    Reflect.apply(
      target.fn,
      target.self,
      args.map(argument => argument.value),
    ),
  )
}

export interface CallTarget {
  readonly fn: (...args: never[]) => unknown
  readonly self: unknown
  /** True for a function that was given statically: there is no other way to call it. */
  readonly mustBeStatic: boolean
}

/** The function that a call reaches, if that is known at compile time. */
export function callTarget(place: Place, node: CallExpression): CallTarget | null {
  const { callee } = node
  if (callee.type === 'Super') return null
  const global = GLOBAL_CALLS.get(globalName(place, callee))
  if (global !== undefined) return { fn: global, self: undefined, mustBeStatic: false }
  const method = callee.type === 'MemberExpression' && callee.object.type !== 'Super' ? callee : null
  const self = method === null ? null : staticOf(place, method.object)
  const fn = staticOf(place, callee)
  if (fn === null) return null
  if (typeof fn.value !== 'function') throw fail(place, callee, `expected a function, found ${show(fn.value)}`)
  return { fn: fn.value as (...args: never[]) => unknown, self: self?.value, mustBeStatic: true }
}

function globalName(place: Place, callee: Expression): string {
  if (callee.type === 'Identifier') return place.scope.get(callee.name) === undefined ? callee.name : ''
  if (callee.type !== 'MemberExpression' || callee.computed || callee.object.type !== 'Identifier') return ''
  return callee.property.type === 'Identifier' ? `${globalName(place, callee.object)}.${callee.property.name}` : ''
}

function staticTemplate(
  place: Place,
  quasis: readonly { value: { cooked?: string | null } }[],
  expressions: readonly Expression[],
): Static | null {
  const values = expressions.map(expression => staticOf(place, expression))
  if (!values.every(value => value !== null)) return null
  return {
    value: quasis
      .map((quasi, n) => (quasi.value.cooked ?? '') + (n < values.length ? String(values[n]?.value) : ''))
      .join(''),
  }
}

function staticObject(place: Place, node: ObjectExpression): Static | null {
  const entries: [string, unknown][] = []
  for (const property of node.properties) {
    if (property.type !== 'Property' || property.kind !== 'init' || property.method) return null
    const key = objectKey(place, property)
    const value = staticOf(place, property.value)
    if (key === null || value === null) return null
    entries.push([key, value.value])
  }
  return { value: Object.fromEntries(entries) }
}

function objectKey(place: Place, property: Property): string | null {
  if (!property.computed && property.key.type === 'Identifier') return property.key.name
  const key = staticOf(place, property.key)
  return key === null ? null : String(key.value)
}

/** Runs what may throw, and says where in the template it did. */
export function attempt(place: Place, node: Node, run: () => unknown): Static {
  try {
    return { value: run() }
  } catch (error) {
    throw fail(
      place,
      node,
      `evaluating this at compile time failed: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
