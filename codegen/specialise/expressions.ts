/** Expressions of a template as expressions of the output. */
import type {
  AssignmentExpression,
  Expression,
  Identifier,
  MemberExpression,
  Node,
  ObjectExpression,
  Pattern,
  Property,
  SpreadElement,
  TemplateLiteral,
} from 'estree'
import { show } from '../../src/base/errors.js'
import { id, lit, logic, member } from '../ast.js'
import { GLOBALS } from '../names.js'
import { callExpression } from './calls.js'
import { propertyKey, staticOf, takesRight } from './evaluate.js'
import { foldBinary, foldUnary, isPrimitive, literalOf } from './fold.js'
import { hoistPath, notePath } from './paths.js'
import { fail, type Place } from './place.js'

/** Specialises one expression. Throws CompileError for what templates cannot say, with its place. */
export function expression(place: Place, node: Node): Expression {
  if (node.type === 'ArrayExpression')
    return { ...node, elements: node.elements.map(item => item && element(place, item)) }
  if (node.type === 'ObjectExpression') return objectExpression(place, node)
  if (node.type === 'Identifier') {
    const binding = place.scope.get(node.name)
    if (binding?.kind === 'code') return binding.code
  }
  const known = staticOf(place, node)
  if (known !== null) return literal(place, node, known.value)
  switch (node.type) {
    case 'Literal':
      return node
    case 'Identifier':
      return identifier(place, node)
    case 'MemberExpression':
      return memberExpression(place, node)
    case 'CallExpression':
      return callExpression(place, node) ?? missingValue(place, node)
    case 'NewExpression':
      return { ...node, callee: expression(place, node.callee), arguments: node.arguments.map(a => element(place, a)) }
    case 'UnaryExpression':
      if (node.operator === 'delete') throw fail(place, node, 'templates cannot use delete')
      return foldUnary(node.operator, expression(place, node.argument))
    case 'BinaryExpression':
      if (node.left.type === 'PrivateIdentifier') throw unsupported(place, node)
      return foldBinary(node.operator, expression(place, node.left), expression(place, node.right))
    case 'LogicalExpression':
      return logical(place, node.operator, node.left, node.right)
    case 'ConditionalExpression':
      return conditional(place, node.test, node.consequent, node.alternate)
    case 'AssignmentExpression':
      return assignment(place, node)
    case 'UpdateExpression':
      return { ...node, argument: assignable(place, node.argument) }
    case 'SequenceExpression':
      return { ...node, expressions: node.expressions.map(e => expression(place, e)) }
    case 'TemplateLiteral':
      return templateLiteral(place, node)
    default:
      throw unsupported(place, node)
  }
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

function identifier(place: Place, node: Identifier): Expression {
  if (GLOBALS.has(node.name)) return id(node.name)
  throw fail(
    place,
    node,
    `expected a parameter, a local or a global that templates may use, found ${node.name}`,
    'what a template needs from outside is given to it as a static',
  )
}

/** An element of a call's arguments or an array. */
export function element(place: Place, node: Expression | SpreadElement): Expression | SpreadElement {
  return node.type === 'SpreadElement'
    ? { ...node, argument: expression(place, node.argument) }
    : expression(place, node)
}

function memberExpression(place: Place, node: MemberExpression): Expression {
  return hoistPath(place, node, plainMember(place, node))
}

/** The member expression itself, with what is below it specialised, and a note of the path it is. */
function plainMember(place: Place, node: MemberExpression): MemberExpression {
  if (node.object.type === 'Super' || node.optional) throw unsupported(place, node)
  const object = expression(place, node.object)
  const key = propertyKey(place, node)
  const property =
    key === null ? withoutIdentities(expression(place, node.property)) : typeof key === 'number' ? lit(key) : key
  const code = member(object, property)
  return key === null ? code : notePath(place, code)
}

/** `i` for the index `i * 1 + 0`, which constant strides leave behind. Arithmetic in an index is on numbers. */
function withoutIdentities(code: Expression): Expression {
  if (code.type !== 'BinaryExpression' || code.left.type === 'PrivateIdentifier') return code
  const left = withoutIdentities(code.left)
  const right = withoutIdentities(code.right)
  const neutral = code.operator === '*' ? 1 : code.operator === '+' ? 0 : null
  if (neutral !== null && literalOf(right)?.value === neutral) return left
  if (neutral !== null && literalOf(left)?.value === neutral) return right
  return left === code.left && right === code.right ? code : { ...code, left, right }
}

function logical(place: Place, operator: '&&' | '||' | '??', left: Expression, right: Expression): Expression {
  const known = staticOf(place, left)
  if (known !== null) return expression(place, takesRight(operator, known.value) ? right : left)
  const first = expression(place, left)
  const folded = literalOf(first)
  if (folded !== null) return takesRight(operator, folded.value) ? expression(place, right) : first
  const second = expression(guarded(place, `on the right of ${operator}`), right)
  const neutral = literalOf(second)
  if (neutral !== null && isBoolean(first) && neutral.value === (operator === '&&')) return first
  return logic(operator, first, second)
}

/** True if the finished expression surely yields a boolean, so that `x && true` is `x`. */
function isBoolean(code: Expression): boolean {
  if (code.type === 'UnaryExpression') return code.operator === '!'
  if (code.type === 'LogicalExpression') return isBoolean(code.left) && isBoolean(code.right)
  return code.type === 'BinaryExpression' && /^([=!]==?|[<>]=?|in|instanceof)$/.test(code.operator)
}

function conditional(place: Place, test: Expression, yes: Expression, no: Expression): Expression {
  const known = staticOf(place, test)
  if (known !== null) return expression(place, known.value ? yes : no)
  const code = expression(place, test)
  const folded = literalOf(code)
  if (folded !== null) return expression(place, folded.value ? yes : no)
  const inside = guarded(place, 'in a branch of ?:')
  return {
    type: 'ConditionalExpression',
    test: code,
    consequent: expression(inside, yes),
    alternate: expression(inside, no),
  }
}

export function guarded(place: Place, guard: string): Place {
  return place.guard === null ? { ...place, guard } : place
}

function assignment(place: Place, node: AssignmentExpression): Expression {
  const left = assignable(place, node.left)
  const inside = /^(&&|\|\||\?\?)=$/.test(node.operator) ? guarded(place, `on the right of ${node.operator}`) : place
  return { ...node, left, right: expression(inside, node.right) }
}

/** The left side of an assignment. A path that is assigned is never hoisted. */
function assignable(place: Place, node: Pattern | Expression): Identifier | MemberExpression {
  if (node.type === 'MemberExpression') {
    if (node.object.type !== 'Super' && staticOf(place, node.object) !== null) {
      throw fail(place, node, 'a static value cannot be assigned to')
    }
    const target = plainMember(place, node)
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
