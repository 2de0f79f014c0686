/**
 * A reader for the part of JavaScript that templates are written in.
 *
 * A general parser takes longer over a template than the specialiser does, all the more in a process that has just
 * started, and users wait for it. This one relies on the engine having parsed the text before: the text is valid, so
 * it only needs to find the structure, and whatever it does not know it leaves to the general parser.
 */
import type {
  AssignmentOperator,
  BinaryOperator,
  BlockStatement,
  Expression,
  ForStatement,
  Identifier,
  LogicalOperator,
  Node,
  Pattern,
  Statement,
  SwitchCase,
  UnaryOperator,
  VariableDeclaration,
} from 'estree'
import { Tokens, UNREADABLE } from './tokens.js'

/** How tightly binary operators bind. Those that are missing are not read here. */
const BINDING = new Map<string, number>(
  [['??', '||'], ['&&'], ['|'], ['^'], ['&'], ['===', '!==', '==', '!='], ['<', '>', '<=', '>=']]
    .concat([
      ['<<', '>>', '>>>'],
      ['+', '-'],
      ['*', '/', '%'],
    ])
    .flatMap((operators, n) => operators.map((operator): [string, number] => [operator, n + 1])),
)

const LOGICAL = new Set(['&&', '||', '??'])
const ASSIGNING = new Set(['=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=', '>>>='])
const PREFIX = new Set(['-', '+', '!', '~', 'typeof', 'void'])

/** Words that begin something this reader does not know, where a value is expected. */
const UNKNOWN = new Set('async await class delete function import let super this yield'.split(' '))
const WORDS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
])

/**
 * The tree of `source`, the text of a function or arrow function; its nodes have a `start`, where they begin in
 * `source`. Null if there is anything in it that this reader does not know. REQUIRES: valid JavaScript.
 */
export function readFunction(source: string): Node | null {
  try {
    return new Reader(source).wholeFunction()
  } catch (error) {
    if (error === UNREADABLE) return null
    throw error
  }
}

class Reader extends Tokens {
  private node<N extends Node>(start: number, node: N): N {
    ;(node as N & { start: number }).start = start
    return node
  }

  private name(): Identifier {
    const name = this.token
    const start = this.start
    if (!this.isWord()) throw UNREADABLE
    this.advance()
    return this.node(start, { type: 'Identifier', name })
  }

  /** The end of a statement: a semicolon, or where one may be left out. */
  private finish(): void {
    if (this.eat(';') || this.token === '}' || this.token === '') return
    if (!this.onNewLine() || this.token === 'in' || this.token === 'instanceof') throw UNREADABLE
  }

  wholeFunction(): Node {
    const start = this.start
    const isArrow = this.token !== 'function'
    let id: Identifier | null = null
    if (!isArrow) {
      this.advance()
      if (this.token !== '(') id = this.name()
    }
    const params = isArrow && this.token !== '(' ? [this.name()] : this.parameters()
    if (isArrow) this.expect('=>')
    const expression = isArrow && this.token !== '{'
    const body = expression ? this.assignment() : this.block()
    if (this.token !== '') throw UNREADABLE
    const common = { params, generator: false, async: false }
    return isArrow
      ? this.node(start, { ...common, type: 'ArrowFunctionExpression', body, expression })
      : this.node(start, { ...common, type: 'FunctionExpression', id, body: body as BlockStatement })
  }

  private parameters(): Identifier[] {
    this.expect('(')
    const params: Identifier[] = []
    while (!this.eat(')')) {
      params.push(this.name())
      if (this.token !== ')') this.expect(',')
    }
    return params
  }

  private block(): BlockStatement {
    const start = this.start
    this.expect('{')
    const body: Statement[] = []
    while (!this.eat('}')) body.push(this.statement())
    return this.node(start, { type: 'BlockStatement', body })
  }

  private statement(): Statement {
    const start = this.start
    switch (this.token) {
      case '{':
        return this.block()
      case ';':
        this.advance()
        return this.node(start, { type: 'EmptyStatement' })
      case 'const':
      case 'let': {
        const declaration = this.declaration()
        this.finish()
        return declaration
      }
      case 'if': {
        const test = this.head()
        const consequent = this.statement()
        const alternate = this.eat('else') ? this.statement() : null
        return this.node(start, { type: 'IfStatement', test, consequent, alternate })
      }
      case 'for':
        return this.for()
      case 'while': {
        const test = this.head()
        return this.node(start, { type: 'WhileStatement', test, body: this.statement() })
      }
      case 'switch':
        return this.switch()
      case 'return':
      case 'break':
      case 'continue':
      case 'throw':
        return this.jump(this.token)
      case 'do':
      case 'try':
      case 'var':
      case 'with':
      case 'debugger':
        throw UNREADABLE
      default:
        return this.labelledOrExpression(start)
    }
  }

  /** The word of a statement, and the expression in parentheses after it. */
  private head(): Expression {
    this.advance()
    this.expect('(')
    const test = this.expression()
    this.expect(')')
    return test
  }

  private labelledOrExpression(start: number): Statement {
    const expression = this.expression()
    if (expression.type === 'Identifier' && this.eat(':')) {
      return this.node(start, { type: 'LabeledStatement', label: expression, body: this.statement() })
    }
    this.finish()
    if (expression.type === 'Literal' && typeof expression.value === 'string') throw UNREADABLE
    return this.node(start, { type: 'ExpressionStatement', expression })
  }

  private jump(word: 'return' | 'break' | 'continue' | 'throw'): Statement {
    const start = this.start
    this.advance()
    const isBare = this.token === ';' || this.token === '}' || this.token === '' || this.onNewLine()
    if (word === 'throw') {
      const argument = this.expression()
      this.finish()
      return this.node(start, { type: 'ThrowStatement', argument })
    }
    if (word === 'return') {
      const argument = isBare ? null : this.expression()
      this.finish()
      return this.node(start, { type: 'ReturnStatement', argument })
    }
    const label = isBare ? null : this.name()
    this.finish()
    return this.node(start, { type: word === 'break' ? 'BreakStatement' : 'ContinueStatement', label })
  }

  private declaration(): VariableDeclaration {
    const start = this.start
    const kind = this.token === 'const' ? 'const' : 'let'
    this.advance()
    const declarations: VariableDeclaration['declarations'] = []
    do {
      const at = this.start
      const id = this.name()
      const init = this.eat('=') ? this.assignment() : null
      declarations.push(this.node(at, { type: 'VariableDeclarator', id, init }))
    } while (this.eat(','))
    return this.node(start, { type: 'VariableDeclaration', declarations, kind })
  }

  private for(): Statement {
    const start = this.start
    this.advance()
    this.expect('(')
    let init: ForStatement['init'] = null
    if (this.token === 'const' || this.token === 'let') init = this.declaration()
    else if (this.token !== ';') init = this.expression()
    if (init?.type === 'VariableDeclaration' && this.eat('of')) {
      const right = this.assignment()
      this.expect(')')
      return this.node(start, { type: 'ForOfStatement', await: false, left: init, right, body: this.statement() })
    }
    this.expect(';')
    const test = this.token === ';' ? null : this.expression()
    this.expect(';')
    const update = this.token === ')' ? null : this.expression()
    this.expect(')')
    return this.node(start, { type: 'ForStatement', init, test, update, body: this.statement() })
  }

  private switch(): Statement {
    const start = this.start
    const discriminant = this.head()
    this.expect('{')
    const cases: SwitchCase[] = []
    while (!this.eat('}')) {
      const at = this.start
      const isDefault = this.eat('default')
      if (!isDefault) this.expect('case')
      const test = isDefault ? null : this.expression()
      this.expect(':')
      const consequent: Statement[] = []
      while (this.token !== 'case' && this.token !== 'default' && this.token !== '}') {
        consequent.push(this.statement())
      }
      cases.push(this.node(at, { type: 'SwitchCase', consequent, test }))
    }
    return this.node(start, { type: 'SwitchStatement', discriminant, cases })
  }

  private expression(): Expression {
    const start = this.start
    const first = this.assignment()
    if (this.token !== ',') return first
    const expressions = [first]
    while (this.eat(',')) expressions.push(this.assignment())
    return this.node(start, { type: 'SequenceExpression', expressions })
  }

  private assignment(): Expression {
    const start = this.start
    const left = this.binary(this.unary(), start, 0)
    if (this.token === '?') {
      this.advance()
      const consequent = this.assignment()
      this.expect(':')
      return this.node(start, { type: 'ConditionalExpression', test: left, consequent, alternate: this.assignment() })
    }
    if (!ASSIGNING.has(this.token)) return left
    if (left.type !== 'Identifier' && left.type !== 'MemberExpression') throw UNREADABLE
    const operator = this.token as AssignmentOperator
    this.advance()
    const target: Pattern = left
    return this.node(start, { type: 'AssignmentExpression', operator, left: target, right: this.assignment() })
  }

  /** `left` and the operators after it that bind more tightly than `limit`. */
  private binary(left: Expression, start: number, limit: number): Expression {
    let result = left
    for (;;) {
      const operator = this.token
      const binding = BINDING.get(operator) ?? 0
      if (binding <= limit) return result
      this.advance()
      const at = this.start
      const right = this.binary(this.unary(), at, binding)
      result = LOGICAL.has(operator)
        ? this.node(start, {
            type: 'LogicalExpression',
            left: result,
            operator: operator as LogicalOperator,
            right,
          })
        : this.node(start, { type: 'BinaryExpression', left: result, operator: operator as BinaryOperator, right })
    }
  }

  private unary(): Expression {
    const start = this.start
    const operator = this.token
    if (PREFIX.has(operator)) {
      this.advance()
      const argument = this.unary()
      return this.node(start, { type: 'UnaryExpression', operator: operator as UnaryOperator, prefix: true, argument })
    }
    if (operator === '++' || operator === '--') {
      this.advance()
      return this.node(start, { type: 'UpdateExpression', operator, prefix: true, argument: this.unary() })
    }
    const argument = this.subscripts(this.value(), start, true)
    if ((this.token !== '++' && this.token !== '--') || this.onNewLine()) return argument
    const suffix = this.token
    this.advance()
    return this.node(start, { type: 'UpdateExpression', operator: suffix, prefix: false, argument })
  }

  private subscripts(object: Expression, start: number, calls: boolean): Expression {
    let result = object
    for (;;) {
      if (this.eat('.')) {
        const property = this.name()
        result = this.member(start, result, property, false)
      } else if (this.eat('[')) {
        const property = this.expression()
        this.expect(']')
        result = this.member(start, result, property, true)
      } else if (calls && this.eat('(')) {
        const args = this.list(')')
        result = this.node(start, { type: 'CallExpression', callee: result, arguments: args, optional: false })
      } else return result
    }
  }

  private member(start: number, object: Expression, property: Expression, computed: boolean): Expression {
    return this.node(start, { type: 'MemberExpression', object, property, computed, optional: false })
  }

  private list(close: string): Expression[] {
    const items: Expression[] = []
    while (!this.eat(close)) {
      items.push(this.assignment())
      if (this.token !== close) this.expect(',')
    }
    return items
  }

  private value(): Expression {
    const start = this.start
    const token = this.token
    const c = token.charCodeAt(0)
    if (this.isWord()) return this.word(token, start)
    if (c >= 48 && c <= 57) return this.number(token, start)
    this.advance()
    switch (token) {
      case '(': {
        const inside = this.expression()
        this.expect(')')
        if (this.token === '=>') throw UNREADABLE
        return inside
      }
      case '[':
        return this.node(start, { type: 'ArrayExpression', elements: this.list(']') })
      default:
        if (c !== 39 && c !== 34) throw UNREADABLE
        return this.node(start, { type: 'Literal', value: token.slice(1, -1), raw: token })
    }
  }

  private word(word: string, start: number): Expression {
    if (UNKNOWN.has(word)) throw UNREADABLE
    const value = WORDS.get(word)
    if (value === undefined && word !== 'new') {
      const name = this.name()
      if (this.token === '=>') throw UNREADABLE
      return name
    }
    this.advance()
    if (value !== undefined) return this.node(start, { type: 'Literal', value, raw: word })
    const at = this.start
    const callee = this.subscripts(this.value(), at, false)
    const args = this.eat('(') ? this.list(')') : []
    return this.node(start, { type: 'NewExpression', callee, arguments: args })
  }

  private number(token: string, start: number): Expression {
    this.advance()
    if (!token.endsWith('n')) return this.node(start, { type: 'Literal', value: Number(token), raw: token })
    const bigint = token.slice(0, -1)
    const value = BigInt(bigint)
    return this.node(start, { type: 'Literal', value, raw: token, bigint: String(value) })
  }
}
