/**
 * From the syntax tree of a lambda to typed expressions.
 *
 * JavaScript's meaning is kept where the value exists in JavaScript: `===` is IS NOT DISTINCT FROM, numbers are
 * doubles, bigints exact. NULL is `null` and `undefined` alike, and goes through operators as in SQL. What cannot be
 * expressed is refused with the place and a way out; nothing is guessed.
 */
import type * as acorn from 'acorn'
import { CompileError, quote } from '../../base/errors.js'
import type { Value } from '../../schema/types.js'
import { evaluate } from '../eval.js'
import type { Expr } from '../expr.js'
import { isUntypedNull, literalOf, UNTYPED_NULL } from '../literals.js'
import { callsUdf, columnOf, literal, usedColumns } from '../substitute.js'
import * as typing from '../typing.js'
import { elementOf, makeArray, makeStruct, memberOf } from '../typing-nested.js'
import { isMergeHelper, lowerCall } from './calls.js'
import { contextLiteral, contextMember, isScalarValue } from './context.js'
import { exprMeaning, fieldsOf, type Meaning, type RowMeaning, type Scope } from './meaning.js'
import { closest } from './names.js'
import { type Lambda, type Place, UDF_HINT } from './parse.js'

const GLOBALS: readonly string[] = ['Math', 'Number', 'BigInt', 'String', 'Object']
const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['undefined', null],
  ['NaN', NaN],
  ['Infinity', Infinity],
])
const ARITHMETIC: ReadonlyMap<string, typing.Arithmetic> = new Map([
  ['+', 'add'],
  ['-', 'sub'],
  ['*', 'mul'],
  ['/', 'div'],
  ['%', 'rem'],
  ['**', 'pow'],
])
const ORDERINGS: ReadonlyMap<string, typing.Ordering> = new Map([
  ['<', 'lt'],
  ['<=', 'le'],
  ['>', 'gt'],
  ['>=', 'ge'],
])

export class Lowerer {
  readonly lambda: Lambda
  scope: Scope
  /** Undoes the assignments of temporaries that were made since the innermost branch began. */
  #undo: (() => void)[] = []

  constructor(lambda: Lambda, scope: Scope) {
    this.lambda = lambda
    this.scope = scope
  }

  fail(place: Place, problem: string, hint?: string): never {
    throw this.lambda.error(place, problem, hint)
  }

  /** Runs `make`; an error that does not know its place gets this one. */
  at<T>(place: Place, make: () => T): T {
    try {
      return make()
    } catch (thrown) {
      if (!(thrown instanceof CompileError) || thrown.frame !== null) throw thrown
      const { message, hint } = thrown
      const problem = hint === null ? message : message.slice(0, message.length - `\nhint: ${hint}`.length)
      throw this.lambda.error(place, problem, hint ?? undefined)
    }
  }

  /** Lowers a part that is evaluated on some rows only: temporaries assigned there are unknown afterwards. */
  branch<T>(make: () => T): T {
    const outer = this.#undo
    this.#undo = []
    try {
      return make()
    } finally {
      for (const undo of this.#undo) undo()
      this.#undo = outer
    }
  }

  /** A node whose value must be a scalar. */
  expr(node: acorn.Expression): Expr {
    return this.toExpr(this.meaning(node), node)
  }

  isScalar(m: Meaning): boolean {
    if (m.kind === 'expr') return true
    return m.kind === 'context' && isScalarValue(m.value)
  }

  toExpr(m: Meaning, place: Place): Expr {
    switch (m.kind) {
      case 'expr':
        return m.expr
      case 'context':
        return this.at(place, () => contextLiteral(m))
      case 'row':
        return this.fail(place, 'a whole row is not a value here', 'name a column of it, e.g. row.amount')
      case 'object':
        return this.at(place, () => makeStruct(m.fields))
      case 'global':
        return this.fail(place, `${m.name} is not a value`)
    }
  }

  meaning(node: acorn.Expression | acorn.Super): Meaning {
    switch (node.type) {
      case 'Identifier':
        return this.#identifier(node)
      case 'Literal':
        return exprMeaning(this.#literal(node))
      case 'TemplateLiteral':
        return exprMeaning(this.#template(node))
      case 'MemberExpression':
        return this.#memberExpression(node)
      case 'CallExpression':
        return lowerCall(this, node)
      case 'ChainExpression':
      case 'ParenthesizedExpression':
        // `a?.b`: NULL goes through every operator anyway.
        return this.meaning(node.expression)
      case 'UnaryExpression':
        return exprMeaning(this.#unary(node))
      case 'BinaryExpression':
        return exprMeaning(this.#binary(node))
      case 'LogicalExpression':
        return exprMeaning(this.#logical(node))
      case 'ConditionalExpression': {
        const test = this.expr(node.test)
        const then = this.branch(() => this.meaning(node.consequent))
        const otherwise = this.branch(() => this.meaning(node.alternate))
        return this.choose(node, test, then, otherwise)
      }
      case 'ObjectExpression':
        return this.#object(node)
      case 'ArrayExpression':
        return exprMeaning(this.#array(node))
      case 'SequenceExpression':
        return node.expressions.map(e => this.meaning(e))[node.expressions.length - 1]
      case 'AssignmentExpression':
        return this.#assignment(node)
      default:
        return this.fail(node, `${describeNode(node.type)} cannot be compiled`, UDF_HINT)
    }
  }

  /** `test ? then : otherwise`, of scalars or of objects with the same keys. */
  choose(place: Place, test: Expr, then: Meaning, otherwise: Meaning): Meaning {
    const isRecord = (m: Meaning) => m.kind === 'row' || m.kind === 'object'
    if (!isRecord(then) || !isRecord(otherwise)) {
      const [a, b] = [this.toExpr(then, place), this.toExpr(otherwise, place)]
      return exprMeaning(this.at(place, () => typing.conditional(test, a, b)))
    }
    const [a, b] = [fieldsOf(then), fieldsOf(otherwise)]
    const lone = [...a.keys()].find(k => !b.has(k)) ?? [...b.keys()].find(k => !a.has(k))
    if (lone !== undefined) {
      this.fail(place, `both results need the same columns, found ${quote(lone)} in one of them only`)
    }
    const fields = new Map<string, Expr>()
    for (const [key, expr] of a) {
      fields.set(
        key,
        this.at(place, () => typing.conditional(test, expr, b.get(key) as Expr)),
      )
    }
    return { kind: 'object', fields }
  }

  // Names and members

  #identifier(node: acorn.Identifier): Meaning {
    const found = this.scope.lookup(node.name)
    if (found === null) this.fail(node, `${quote(node.name)} is used where it may have no value`)
    if (found !== undefined) return found
    const constant = CONSTANTS.get(node.name)
    if (constant !== undefined) return exprMeaning(literalOf(constant))
    if (GLOBALS.includes(node.name) || isMergeHelper(node.name)) return { kind: 'global', name: node.name }
    return this.unknown(node, node.name)
  }

  unknown(place: Place, name: string): never {
    const pass = /^[A-Za-z_$][\w$]*$/.test(name) ? name : 'name'
    this.fail(
      place,
      `unknown name ${quote(name)}: a lambda sees its parameters only, not the variables and imports around it`,
      `pass it through the ctx object: (row, { ${pass} }) => …, { ${pass} }`,
    )
  }

  #memberExpression(node: acorn.MemberExpression): Meaning {
    const { computed, property } = node
    if (computed && property.type !== 'PrivateIdentifier' && property.type !== 'Literal') {
      const owner = this.owner(node)
      if (owner.kind === 'expr') {
        const at = this.expr(property)
        const element = this.at(node, () => elementOf(owner.expr, at))
        if (element !== null) return exprMeaning(element)
      }
    }
    return this.member(this.owner(node), this.keyOf(node), node)
  }

  /** What the object of a member expression means. */
  owner(node: acorn.MemberExpression): Meaning {
    const { object } = node
    if (object.type === 'Identifier' && /^__vi(te_ssr)?_import_|^import_|^_.*_\d+$/.test(object.name)) {
      // An import as bundlers write it: name what the author wrote.
      if (this.scope.lookup(object.name) === undefined) this.unknown(node.property, this.keyOf(node))
    }
    return this.meaning(object)
  }

  /** The name of a member; computed ones must be constant. */
  keyOf(node: acorn.MemberExpression): string {
    const { property } = node
    if (property.type === 'PrivateIdentifier') return this.fail(property, 'private members cannot be compiled')
    return node.computed ? this.constantKey(property) : (property as acorn.Identifier).name
  }

  constantKey(node: acorn.Expression): string {
    const key = this.expr(node)
    const constant = !callsUdf(key) && usedColumns(key).every(used => used.size === 0)
    if (!constant) {
      const hint = 'the columns of a row are fixed when the view is compiled'
      return this.fail(node, 'a computed name must be constant', hint)
    }
    return String(evaluate(key, []))
  }

  member(owner: Meaning, key: string, place: Place): Meaning {
    switch (owner.kind) {
      case 'row':
        return exprMeaning(this.#column(owner, key, place))
      case 'object': {
        const field = owner.fields.get(key)
        return field === undefined ? this.fail(place, `the object has no ${quote(key)}`) : exprMeaning(field)
      }
      case 'global':
        return this.#globalMember(owner.name, key, place)
      case 'context':
        if (!isScalarValue(owner.value)) return contextMember(this, owner, key, place)
    }
    const self = this.toExpr(owner, place)
    const member = this.at(place, () => memberOf(self, key))
    if (member !== null) return exprMeaning(member)
    if (key === 'length') return exprMeaning(this.at(place, () => typing.length(self)))
    return this.fail(place, `${typing.typeText(self)} has no member ${quote(key)} in lambdas`, UDF_HINT)
  }

  #column(row: RowMeaning, key: string, place: Place): Expr {
    const column = row.columns.find(c => c.name === key)
    if (column !== undefined) return columnOf(row.schema, column.index, row.input)
    const names = row.columns.map(c => c.name)
    const near = closest(key, names)
    const listed = names.slice(0, 12).map(quote).join(', ') + (names.length > 12 ? ', …' : '')
    return this.fail(
      place,
      `the row has no column ${quote(key)}; it has ${listed || 'none'}`,
      near === null ? undefined : `did you mean ${quote(near)}?`,
    )
  }

  #globalMember(name: string, key: string, place: Place): Meaning {
    if (name === 'Math' || name === 'Number') {
      const owner: object = name === 'Math' ? Math : Number
      const value: unknown = Object.hasOwn(owner, key) ? (owner as Record<string, unknown>)[key] : undefined
      if (typeof value === 'number') return exprMeaning(literalOf(value))
      if (typeof value === 'function') return { kind: 'global', name: `${name}.${key}` }
    }
    if (name === 'Object' && key === 'assign') return { kind: 'global', name: 'Object.assign' }
    return this.fail(place, `${name}.${key} cannot be used in a lambda`, UDF_HINT)
  }

  // Operators

  #literal(node: acorn.Literal): Expr {
    if (node.regex) this.fail(node, 'a regular expression cannot be compiled', UDF_HINT)
    if (typeof node.bigint === 'string') {
      const digits = node.bigint
      return this.at(node, () => literalOf(BigInt(digits)))
    }
    return this.at(node, () => literalOf(node.value as Value))
  }

  #template(node: acorn.TemplateLiteral): Expr {
    const parts: Expr[] = []
    node.quasis.forEach((quasi, i) => {
      const text = quasi.value.cooked ?? ''
      if (text !== '') parts.push(this.at(quasi, () => literalOf(text)))
      if (i < node.expressions.length) parts.push(this.expr(node.expressions[i]))
    })
    return parts.length === 0 ? literalOf('') : this.at(node, () => typing.concat(parts))
  }

  #unary(node: acorn.UnaryExpression): Expr {
    const { operator } = node
    if (operator === 'void' && node.argument.type === 'Literal') return UNTYPED_NULL
    if (operator === '!') {
      // Minifiers write true and false as !0 and !1.
      const { argument } = node
      if (argument.type === 'Literal' && typeof argument.value === 'number') return literal('bool', !argument.value)
      const a = this.expr(argument)
      return this.at(node, () => typing.not(a))
    }
    if (operator !== '-' && operator !== '+') {
      this.fail(node, `the operator ${operator} cannot be compiled`, UDF_HINT)
    }
    const a = this.expr(node.argument)
    if (operator === '-') return this.at(node, () => typing.negate(a))
    return this.at(node, () => typing.plus(a))
  }

  #binary(node: acorn.BinaryExpression): Expr {
    const { operator } = node
    if (node.left.type === 'PrivateIdentifier') return this.fail(node, 'private members cannot be compiled')
    const a = this.expr(node.left)
    const b = this.expr(node.right)
    const ordering = ORDERINGS.get(operator)
    if (ordering !== undefined) return this.at(node, () => typing.compare(ordering, a, b))
    const sign = ARITHMETIC.get(operator)
    if (sign !== undefined) {
      const isText = (e: Expr) => !isUntypedNull(e) && (e.type === 'string' || e.type === 'uuid')
      const joins = sign === 'add' && (isText(a) || isText(b))
      return this.at(node, () => (joins ? typing.concat([a, b]) : typing.arithmetic(sign, a, b)))
    }
    switch (operator) {
      case '===':
      case '!==':
        return this.at(node, () => typing.identical(operator === '===' ? 'is' : 'isnt', a, b))
      case '==':
      case '!=':
        if (!isUntypedNull(a) && !isUntypedNull(b)) {
          this.fail(node, `${operator} converts its operands, which is not compiled`, `use ${operator}=`)
        }
        return this.at(node, () => typing.identical(operator === '==' ? 'is' : 'isnt', a, b))
      default:
        return this.fail(node, `the operator ${operator} cannot be compiled`, UDF_HINT)
    }
  }

  #logical(node: acorn.LogicalExpression): Expr {
    const a = this.expr(node.left)
    const b = this.branch(() => this.expr(node.right))
    if (node.operator === '??') return this.at(node, () => typing.coalesce(a, b))
    const op = node.operator === '&&' ? 'and' : 'or'
    return this.at(node, () => typing.logic(op, a, b))
  }

  /** `(_a = o.note)`: a temporary of a compiler that wrote `??` or `?.` for an older JavaScript. */
  #assignment(node: acorn.AssignmentExpression): Meaning {
    const { left, operator } = node
    const value = this.meaning(node.right)
    if (operator === '=' && left.type === 'Identifier') {
      const { scope } = this
      if (scope.assign(left.name, value)) {
        this.#undo.push(() => scope.assign(left.name, null))
        return value
      }
    }
    return this.fail(node, 'assignments cannot be compiled', 'declare a const for each value')
  }

  #object(node: acorn.ObjectExpression): Meaning {
    const fields = new Map<string, Expr>()
    for (const property of node.properties) {
      if (property.type === 'SpreadElement') {
        for (const [key, expr] of this.#spread(property)) fields.set(key, expr)
        continue
      }
      if (property.kind !== 'init' || property.method) this.fail(property, 'a column cannot be a method', UDF_HINT)
      fields.set(this.#propertyKey(property), this.expr(property.value))
    }
    return { kind: 'object', fields }
  }

  #array(node: acorn.ArrayExpression): Expr {
    const elements = node.elements.map(e => {
      if (e === null) return this.fail(node, 'an array with holes cannot be compiled')
      if (e.type === 'SpreadElement') return this.fail(e, 'elements cannot be spread', 'use .concat')
      return this.expr(e)
    })
    return this.at(node, () => makeArray(elements))
  }

  #spread(node: acorn.SpreadElement): Iterable<readonly [string, Expr]> {
    const part = this.meaning(node.argument)
    if (part.kind === 'row' || part.kind === 'object') return fieldsOf(part)
    return this.fail(node, 'only rows and objects can be spread')
  }

  #propertyKey(property: acorn.Property): string {
    const { key } = property
    if (property.computed) return this.constantKey(key)
    const name = key.type === 'Identifier' ? key.name : String((key as acorn.Literal).value)
    if (name === '__proto__' && !property.shorthand) {
      this.fail(
        property,
        '__proto__ written like this sets the prototype',
        "for a column of that name write ['__proto__']: …",
      )
    }
    return name
  }
}

/** "ArrowFunctionExpression" → "an arrow function expression". */
function describeNode(type: string): string {
  if (type === 'ThisExpression') return '`this`'
  const words = type.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`
}
