/**
 * Small constructors for ESTree nodes, used by everything that builds generated code.
 *
 * Values enter the tree only through `lit`, and names only through `id`, so a hostile string is a string literal and
 * nothing else. `StaticArgument` is the one node that is not ESTree: it carries a compile-time value (an object, an
 * array, a function) into a macro, and never reaches the printed text.
 */
import { parseExpressionAt } from 'acorn'
import type {
  ArrayExpression,
  ArrowFunctionExpression,
  AssignmentOperator,
  BinaryOperator,
  BlockStatement,
  CallExpression,
  Expression,
  ExpressionStatement,
  ForStatement,
  Identifier,
  IfStatement,
  LabeledStatement,
  Literal,
  LogicalOperator,
  MemberExpression,
  Pattern,
  ReturnStatement,
  Statement,
  ThrowStatement,
  UnaryOperator,
  VariableDeclaration,
} from 'estree'

/** A compile-time value handed to a macro among its arguments. Appears only in the `args` of `Macro.expand`. */
export interface StaticArgument {
  readonly type: 'StaticArgument'
  readonly value: unknown
}

/** What `lit` can write down. */
export type Primitive = string | number | boolean | bigint | null | undefined

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/

/** An identifier. Throws TypeError if `name` is not an ASCII identifier: names from users must pass `safeName` first. */
export function id(name: string): Identifier {
  if (!IDENTIFIER.test(name)) {
    throw new TypeError(`expected an identifier (letters, digits, _ and $), found ${JSON.stringify(name)}`)
  }
  return { type: 'Identifier', name }
}

/** A literal of any primitive value; negative numbers, NaN, infinities and undefined become the expression that yields them. */
export function lit(value: Primitive): Expression {
  switch (typeof value) {
    case 'undefined':
      return unary('void', literal(0))
    case 'bigint':
      return value < 0n ? unary('-', bigintLiteral(-value)) : bigintLiteral(value)
    case 'number':
      return numberLiteral(value)
    case 'string':
      return { type: 'Literal', value, raw: quote(value) }
    default:
      return literal(value)
  }
}

function literal(value: number | boolean | null): Literal {
  return { type: 'Literal', value, raw: String(value) }
}

function bigintLiteral(value: bigint): Literal {
  return { type: 'Literal', value, bigint: String(value), raw: `${value}n` }
}

function numberLiteral(value: number): Expression {
  if (Number.isNaN(value)) return id('NaN')
  if (value < 0 || Object.is(value, -0)) return unary('-', numberLiteral(-value))
  return value === Infinity ? id('Infinity') : literal(value)
}

/** Single quotes, as in the source style; every character that is not printable ASCII is escaped. */
function quote(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")
  const ascii = inner.replace(/[^\x20-\x7e]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `'${ascii}'`
}

/** `callee(...args)`; a string callee is an identifier. */
export function call(callee: string | Expression, ...args: Expression[]): CallExpression {
  return { type: 'CallExpression', callee: expression(callee), arguments: args, optional: false }
}

/**
 * `object.prop` for an identifier name, `object['prop']` for any other string (a user's column name, say), and
 * `object[prop]` for an expression.
 */
export function member(object: string | Expression, prop: string | Expression): MemberExpression {
  if (typeof prop !== 'string') return index(object, prop)
  const computed = !IDENTIFIER.test(prop)
  return {
    type: 'MemberExpression',
    object: expression(object),
    property: computed ? lit(prop) : id(prop),
    computed,
    optional: false,
  }
}

/** `object[at]`; a number is a literal index. */
export function index(object: string | Expression, at: number | Expression): MemberExpression {
  return {
    type: 'MemberExpression',
    object: expression(object),
    property: typeof at === 'number' ? lit(at) : at,
    computed: true,
    optional: false,
  }
}

/** `left op right`. */
export function bin(operator: BinaryOperator, left: Expression, right: Expression): Expression {
  return { type: 'BinaryExpression', operator, left, right }
}

/** `left op right` for `&&`, `||`, `??`. */
export function logic(operator: LogicalOperator, left: Expression, right: Expression): Expression {
  return { type: 'LogicalExpression', operator, left, right }
}

/** `op argument`. */
export function unary(operator: UnaryOperator, argument: Expression): Expression {
  return { type: 'UnaryExpression', operator, prefix: true, argument }
}

/** `test ? consequent : alternate`. */
export function cond(test: Expression, consequent: Expression, alternate: Expression): Expression {
  return { type: 'ConditionalExpression', test, consequent, alternate }
}

/** `[...elements]`. */
export function array(...elements: Expression[]): ArrayExpression {
  return { type: 'ArrayExpression', elements }
}

/** `new callee(...args)`. */
export function construct(callee: string | Expression, ...args: Expression[]): Expression {
  return { type: 'NewExpression', callee: expression(callee), arguments: args }
}

/** `(...params) => body`. */
export function arrow(params: string[], body: Expression): ArrowFunctionExpression {
  return { type: 'ArrowFunctionExpression', params: params.map(id), body, expression: true }
}

/** `target op value` as an expression. */
export function assign(target: string | Expression, value: Expression, operator: AssignmentOperator = '='): Expression {
  const left = typeof target === 'string' ? id(target) : target
  if (left.type !== 'Identifier' && left.type !== 'MemberExpression') {
    throw new TypeError(`expected an identifier or a member expression to assign to, found ${left.type}`)
  }
  return { type: 'AssignmentExpression', operator, left, right: value }
}

/** `const name = init`. */
export function constant(name: string | Identifier, init: Expression): VariableDeclaration {
  return declaration('const', name, init)
}

/** `let name` or `let name = init`. */
export function variable(name: string | Identifier, init?: Expression): VariableDeclaration {
  return declaration('let', name, init)
}

function declaration(kind: 'const' | 'let', name: string | Pattern, init?: Expression): VariableDeclaration {
  const target = typeof name === 'string' ? id(name) : name
  return {
    type: 'VariableDeclaration',
    kind,
    declarations: [{ type: 'VariableDeclarator', id: target, init: init ?? null }],
  }
}

/** An expression in statement position. */
export function exprStmt(expr: Expression): ExpressionStatement {
  return { type: 'ExpressionStatement', expression: expr }
}

/** `if (test) { … } else { … }`. */
export function ifStmt(test: Expression, consequent: Statement[], alternate?: Statement[]): IfStatement {
  return {
    type: 'IfStatement',
    test,
    consequent: block(consequent),
    alternate: alternate === undefined ? null : elseBranch(alternate),
  }
}

/** `else if` reads better than `else { if }`. */
function elseBranch(body: Statement[]): Statement {
  const only = body.length === 1 ? body[0] : undefined
  return only?.type === 'IfStatement' ? only : block(body)
}

/** `{ … }`. */
export function block(body: Statement[]): BlockStatement {
  return { type: 'BlockStatement', body }
}

/** `return` or `return argument`. */
export function ret(argument?: Expression): ReturnStatement {
  return { type: 'ReturnStatement', argument: argument ?? null }
}

/** `for (let name = from; name < to; name++) { … }`. */
export function forRange(name: string | Identifier, from: Expression, to: Expression, body: Statement[]): ForStatement {
  const counter = typeof name === 'string' ? id(name) : name
  return {
    type: 'ForStatement',
    init: variable(counter, from),
    test: bin('<', counter, to),
    update: { type: 'UpdateExpression', operator: '++', prefix: false, argument: counter },
    body: block(body),
  }
}

/** `while (test) { … }`. */
export function whileStmt(test: Expression, body: Statement[]): Statement {
  return { type: 'WhileStatement', test, body: block(body) }
}

/** `throw argument`. */
export function throwStmt(argument: Expression): ThrowStatement {
  return { type: 'ThrowStatement', argument }
}

/** `label: body`. */
export function labeled(label: string | Identifier, body: Statement): LabeledStatement {
  return { type: 'LabeledStatement', label: typeof label === 'string' ? id(label) : label, body }
}

/** `break` or `break label`. */
export function breakStmt(label?: string | Identifier): Statement {
  return { type: 'BreakStatement', label: typeof label === 'string' ? id(label) : (label ?? null) }
}

/**
 * Parses one expression of trusted internal text, e.g. `parseExpression('a + b')`. Never call it with anything that
 * comes from a user. Throws SyntaxError if something follows the expression.
 */
export function parseExpression(text: string): Expression {
  const node = parseExpressionAt(text, 0, { ecmaVersion: 2022 })
  const rest = text.slice(node.end).trim()
  if (rest !== '') throw new SyntaxError(`expected one expression, found ${JSON.stringify(rest)} after it in: ${text}`)
  return node as unknown as Expression
}

/**
 * The compile-time value of a macro's argument, in a box: of a StaticArgument, or of anything that `lit` writes.
 * `null` for run-time code. (`NaN` and `Infinity` are never names of locals in generated code.)
 */
export function staticValue(arg: Expression | StaticArgument): { readonly value: unknown } | null {
  switch (arg.type) {
    case 'StaticArgument':
      return { value: arg.value }
    case 'Literal':
      return 'regex' in arg ? null : { value: arg.value }
    case 'Identifier':
      return arg.name === 'NaN' ? { value: NaN } : arg.name === 'Infinity' ? { value: Infinity } : null
    case 'UnaryExpression': {
      const inner = staticValue(arg.argument)
      if (inner === null) return null
      if (arg.operator === 'void') return { value: undefined }
      const negatable = typeof inner.value === 'number' || typeof inner.value === 'bigint'
      return arg.operator === '-' && negatable ? { value: -(inner.value as number) } : null
    }
    default:
      return null
  }
}

function expression(value: string | Expression): Expression {
  return typeof value === 'string' ? id(value) : value
}
