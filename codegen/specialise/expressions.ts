/** Expressions of a template as expressions of the output. */
import type {
  AssignmentExpression,
  BinaryExpression,
  BinaryOperator,
  ConditionalExpression,
  Expression,
  Identifier,
  LogicalExpression,
  MemberExpression,
  Node,
  ObjectExpression,
  Pattern,
  Property,
  SpreadElement,
  TemplateLiteral,
  UnaryExpression,
} from 'estree'
import { show } from '../../src/base/errors.js'
import { id, lit, logic, member, type StaticArgument } from '../ast.js'
import { GLOBALS } from '../names.js'
import { callExpression } from './calls.js'
import { asKey, attempt, literalValue, read, type Static, staticOf, takesRight, unboundName } from './evaluate.js'
import { binary, foldBinary, foldUnary, isPrimitive, literalOf, unaryValue } from './fold.js'
import { hoistPath, notePath } from './paths.js'
import { fail, type Place } from './place.js'

/** What an expression comes to: a value known now, or code. */
export type Reduced = Expression | StaticArgument

/** Specialises one expression. Throws CompileError for what templates cannot say, with its place. */
export function expression(place: Place, node: Node): Expression {
  if (node.type === 'ArrayExpression')
    return { ...node, elements: node.elements.map(item => item && element(place, item)) }
  if (node.type === 'ObjectExpression') return objectExpression(place, node)
  return asCode(place, node, reduce(place, node))
}

function asCode(place: Place, node: Node, reduced: Reduced): Expression {
  return reduced.type === 'StaticArgument' ? literal(place, node, reduced.value) : reduced
}

/** Evaluates what is known of an expression, each part of it once, and specialises the rest. */
export function reduce(place: Place, node: Node): Reduced {
  switch (node.type) {
    case 'Identifier':
      return identifier(place, node)
    case 'Literal':
      return 'regex' in node ? node : known(literalValue(node))
    case 'MemberExpression':
      return memberExpression(place, node)
    case 'CallExpression':
      return callExpression(place, node) ?? missingValue(place, node)
    case 'BinaryExpression':
      return binaryExpression(place, node)
    case 'UnaryExpression':
      return unaryExpression(place, node)
    case 'LogicalExpression':
      return logical(place, node)
    case 'ConditionalExpression':
      return conditional(place, node)
    case 'AssignmentExpression':
      return assignment(place, node)
    case 'UpdateExpression':
      return { ...node, argument: assignable(place, node.argument) }
    default: {
      const whole = staticOf(place, node)
      return whole === null ? rareExpression(place, node) : known(whole.value)
    }
  }
}

function rareExpression(place: Place, node: Node): Expression {
  switch (node.type) {
    case 'NewExpression':
      return { ...node, callee: expression(place, node.callee), arguments: node.arguments.map(a => element(place, a)) }
    case 'SequenceExpression':
      return { ...node, expressions: node.expressions.map(e => expression(place, e)) }
    case 'TemplateLiteral':
      return templateLiteral(place, node)
    case 'ArrayExpression':
    case 'ObjectExpression':
      return expression(place, node)
    default:
      throw unsupported(place, node)
  }
}

export function known(value: unknown): StaticArgument {
  return { type: 'StaticArgument', value }
}

/** The value of what was reduced, in a box, if it is known: a literal's, too. */
export function knownValue(reduced: Reduced): Static | null {
  return reduced.type === 'StaticArgument' ? reduced : literalOf(reduced)
}

function unsupported(place: Place, node: Node): Error {
  return fail(place, node, `templates cannot contain a ${node.type}`)
}

function missingValue(place: Place, node: Node): never {
  throw fail(place, node, 'expected a value here, but this macro has none')
}

function literal(place: Place, node: Node, value: unknown): Expression {
  if (isPrimitive(value)) return lit(value)
  throw fail(
    place,
    node,
    `expected run-time code or a static primitive, found ${show(value)}, which exists only at compile time`,
  )
}

function identifier(place: Place, node: Identifier): Reduced {
  const binding = place.scope.get(node.name) ?? place.statics.get(node.name)
  if (binding !== undefined) return binding.kind === 'code' ? binding.code : known(binding.value)
  const constant = unboundName(place, node)
  if (constant !== null) return known(constant.value)
  if (GLOBALS.has(node.name)) return id(node.name)
  throw fail(
    place,
    node,
    `expected a parameter, a local or a global that templates may use, found ${node.name}`,
    'what a template needs from outside is given to it as a static',
  )
}

function binaryExpression(place: Place, node: BinaryExpression): Reduced {
  if (node.left.type === 'PrivateIdentifier') throw unsupported(place, node)
  const left = reduce(place, node.left)
  const right = reduce(place, node.right)
  if (left.type === 'StaticArgument' && right.type === 'StaticArgument')
    return known(attempt(place, node, () => binary(node.operator, left.value, right.value)).value)
  return foldBinary(node.operator, asCode(place, node.left, left), asCode(place, node.right, right))
}

function unaryExpression(place: Place, node: UnaryExpression): Reduced {
  if (node.operator === 'delete') throw fail(place, node, 'templates cannot use delete')
  const argument = reduce(place, node.argument)
  if (argument.type !== 'StaticArgument') return foldUnary(node.operator, argument)
  return known(attempt(place, node, () => unaryValue(node.operator, argument.value)).value)
}

/** An element of a call's arguments or an array. */
export function element(place: Place, node: Expression | SpreadElement): Expression | SpreadElement {
  return node.type === 'SpreadElement'
    ? { ...node, argument: expression(place, node.argument) }
    : expression(place, node)
}

function memberExpression(place: Place, node: MemberExpression): Reduced {
  if (node.object.type === 'Super' || node.property.type === 'PrivateIdentifier') throw unsupported(place, node)
  const object = reduce(place, node.object)
  const owner = knownValue(object)
  if (owner !== null && node.optional && (owner.value === null || owner.value === undefined)) return known(undefined)
  const property = propertyOf(place, node, node.property)
  if (owner !== null && property.key !== null) return known(read(place, node, owner.value, property.key))
  return hoistPath(place, node, plainMember(place, node, asCode(place, node.object, object), property))
}

/** A property as what it is if it is known, else as code. */
interface Step {
  readonly key: string | number | null
  readonly code: Expression | null
}

function propertyOf(place: Place, node: MemberExpression, property: Expression | Identifier): Step {
  if (!node.computed) return { key: (property as Identifier).name, code: null }
  const reduced = reduce(place, property)
  const value = knownValue(reduced)
  if (value !== null) return { key: asKey(place, property, value.value), code: null }
  return { key: null, code: withoutIdentities(asCode(place, property, reduced)) }
}

/** The member expression itself, and a note of the path it is. */
function plainMember(place: Place, node: MemberExpression, object: Expression, { key, code }: Step): MemberExpression {
  if (node.optional) throw unsupported(place, node)
  if (code !== null) return member(object, code)
  return notePath(place, member(object, typeof key === 'number' ? lit(key) : (key ?? '')))
}

/** `i` for the index `i * 1 + 0`, which constant strides leave behind. Arithmetic in an index is on numbers. */
function withoutIdentities(code: Expression): Expression {
  if (code.type !== 'BinaryExpression' || code.left.type === 'PrivateIdentifier') return code
  const left = withoutIdentities(code.left)
  const right = withoutIdentities(code.right)
  const neutral = code.operator === '*' ? 1 : code.operator === '+' ? 0 : null
  if (neutral !== null && isNumber(right, neutral)) return left
  if (neutral !== null && isNumber(left, neutral)) return right
  return left === code.left && right === code.right ? code : { ...code, left, right }
}

const isNumber = (code: Expression, value: number): boolean => code.type === 'Literal' && code.value === value

function logical(place: Place, { operator, left, right }: LogicalExpression): Reduced {
  const first = reduce(place, left)
  const decided = knownValue(first)
  if (decided !== null) return takesRight(operator, decided.value) ? reduce(place, right) : first
  const test = asCode(place, left, first)
  const second = expression(guarded(place, `on the right of ${operator}`), right)
  const neutral = literalOf(second)
  if (neutral !== null && isBoolean(test) && neutral.value === (operator === '&&')) return test
  return logic(operator, test, second)
}

const YIELDS_BOOLEAN = new Set<BinaryOperator>(['==', '!=', '===', '!==', '<', '<=', '>', '>=', 'in', 'instanceof'])

/** True if the finished expression surely yields a boolean, so that `x && true` is `x`. */
function isBoolean(code: Expression): boolean {
  if (code.type === 'UnaryExpression') return code.operator === '!'
  if (code.type === 'LogicalExpression') return isBoolean(code.left) && isBoolean(code.right)
  return code.type === 'BinaryExpression' && YIELDS_BOOLEAN.has(code.operator)
}

function conditional(place: Place, node: ConditionalExpression): Reduced {
  const reduced = reduce(place, node.test)
  const decided = knownValue(reduced)
  if (decided !== null) return reduce(place, decided.value ? node.consequent : node.alternate)
  const inside = guarded(place, 'in a branch of ?:')
  return {
    type: 'ConditionalExpression',
    test: asCode(place, node.test, reduced),
    consequent: expression(inside, node.consequent),
    alternate: expression(inside, node.alternate),
  }
}

export function guarded(place: Place, guard: string): Place {
  return place.guard === null ? { ...place, guard } : place
}

function assignment(place: Place, node: AssignmentExpression): Expression {
  const left = assignable(place, node.left)
  const inside = isLogical(node.operator) ? guarded(place, `on the right of ${node.operator}`) : place
  return { ...node, left, right: expression(inside, node.right) }
}

function isLogical(operator: string): boolean {
  return operator === '&&=' || operator === '||=' || operator === '??='
}

/** The left side of an assignment. A path that is assigned is never hoisted. */
function assignable(place: Place, node: Pattern | Expression): Identifier | MemberExpression {
  if (node.type === 'MemberExpression') {
    if (node.object.type === 'Super' || node.property.type === 'PrivateIdentifier') throw unsupported(place, node)
    const object = reduce(place, node.object)
    if (knownValue(object) !== null) throw fail(place, node, 'a static value cannot be assigned to')
    const target = plainMember(place, node, object as Expression, propertyOf(place, node, node.property))
    place.out.noteAssigned(target)
    return target
  }
  if (node.type !== 'Identifier') throw fail(place, node, 'expected a name or a member as target of an assignment')
  const binding = place.scope.get(node.name)
  if (binding?.kind === 'code' && binding.code.type === 'Identifier') return binding.code
  throw fail(place, node, `expected a local as target of an assignment, found ${node.name}`)
}

function objectExpression(place: Place, node: ObjectExpression): Expression {
  const properties = node.properties.map((property): Property | SpreadElement => {
    if (property.type === 'SpreadElement') return { ...property, argument: expression(place, property.argument) }
    if (property.kind !== 'init' || property.method) throw unsupported(place, property)
    const key = property.computed ? expression(place, property.key) : property.key
    return { ...property, key, value: expression(place, property.value), shorthand: false }
  })
  return { ...node, properties }
}

function templateLiteral(place: Place, node: TemplateLiteral): Expression {
  return { ...node, expressions: node.expressions.map(e => expression(place, e)) }
}
