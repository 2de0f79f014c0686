/** Operators on values known at compile time, and what can be said about finished expressions. */
import type { BinaryOperator, Expression, Node, Statement, UnaryOperator } from 'estree'
import { bin, lit, type Primitive, staticValue, unary } from '../ast.js'
import { someNode } from './tree.js'

/** The value of a finished expression in a box, if it is a literal. */
export function literalOf(code: Expression): { readonly value: Primitive } | null {
  const found = staticValue(code)
  return found !== null && isPrimitive(found.value) ? { value: found.value } : null
}

export function isPrimitive(value: unknown): value is Primitive {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol')
}

/** JavaScript's own operators. Throws what they throw, e.g. TypeError for `1n + 1`. */
export function binary(operator: BinaryOperator, a: unknown, b: unknown): unknown {
  const x = a as number
  const y = b as number
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '/':
      return x / y
    case '%':
      return x % y
    case '**':
      return x ** y
    case '&':
      return x & y
    case '|':
      return x | y
    case '^':
      return x ^ y
    case '<<':
      return x << y
    case '>>':
      return x >> y
    case '>>>':
      return x >>> y
    default:
      return compare(operator, x, y)
  }
}

function compare(operator: BinaryOperator, x: unknown, y: unknown): boolean {
  switch (operator) {
    case '===':
      return x === y
    case '!==':
      return x !== y
    case '==':
      // biome-ignore lint/suspicious/noDoubleEquals: this is the operator of the template
      return x == y
    case '!=':
      // biome-ignore lint/suspicious/noDoubleEquals: this is the operator of the template
      return x != y
    case '<':
      return (x as number) < (y as number)
    case '<=':
      return (x as number) <= (y as number)
    case '>':
      return (x as number) > (y as number)
    case '>=':
      return (x as number) >= (y as number)
    default:
      throw new TypeError(`the operator ${operator} is not evaluated at compile time`)
  }
}

export function unaryValue(operator: UnaryOperator, value: unknown): unknown {
  switch (operator) {
    case '-':
      return -(value as number)
    case '+':
      return +(value as number)
    case '!':
      return !value
    case '~':
      return ~(value as number)
    case 'typeof':
      return typeof value
    case 'void':
      return undefined
    default:
      throw new TypeError(`the operator ${operator} is not evaluated at compile time`)
  }
}

/** `a op b`, folded if both are literals. */
export function foldBinary(operator: BinaryOperator, a: Expression, b: Expression): Expression {
  const x = literalOf(a)
  const y = literalOf(b)
  if (x === null || y === null || operator === 'in' || operator === 'instanceof') return bin(operator, a, b)
  const value = binary(operator, x.value, y.value)
  return isPrimitive(value) ? lit(value) : bin(operator, a, b)
}

/** `op a`, folded if `a` is a literal. */
export function foldUnary(operator: UnaryOperator, a: Expression): Expression {
  const x = literalOf(a)
  if (x === null || operator === 'delete') return unary(operator, a)
  const value = unaryValue(operator, x.value)
  return isPrimitive(value) ? lit(value) : unary(operator, a)
}

const EFFECTS = new Set([
  'AssignmentExpression',
  'UpdateExpression',
  'CallExpression',
  'NewExpression',
  'TaggedTemplateExpression',
])

/** True if evaluating the expression changes nothing, so that it may be dropped when nobody wants its value. */
export function isPure(code: Expression): boolean {
  return code.type === 'Identifier' || code.type === 'Literal' || !someNode(code, hasEffect)
}

function hasEffect(node: Node): boolean {
  return EFFECTS.has(node.type) || (node.type === 'UnaryExpression' && node.operator === 'delete')
}

const SIMPLE = new Set(['Identifier', 'Literal', 'UnaryExpression', 'BinaryExpression'])

/** True if repeating the expression costs next to nothing: operators on identifiers and literals. */
export function isSimple(code: Expression): boolean {
  return !someNode(code, node => !SIMPLE.has(node.type))
}

/** An identifier or a literal: may stand anywhere any number of times. */
export function isAtom(code: Expression): boolean {
  return code.type === 'Identifier' || literalOf(code) !== null
}

/** True if control never goes past the statement. */
export function ends(statement: Statement | undefined): boolean {
  switch (statement?.type) {
    case 'ReturnStatement':
    case 'ThrowStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return true
    case 'BlockStatement':
      return ends(statement.body.at(-1))
    case 'IfStatement':
      return ends(statement.consequent) && ends(statement.alternate ?? undefined)
    default:
      return false
  }
}
