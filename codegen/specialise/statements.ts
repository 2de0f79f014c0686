/** Statements of a template as statements of the output. Loops and jumps are in `loops.ts`. */
import type {
  Expression,
  ExpressionStatement,
  Identifier,
  IfStatement,
  Node,
  Statement,
  VariableDeclaration,
} from 'estree'
import { assign, constant, exprStmt, ifStmt, ret, throwStmt, variable } from '../ast.js'
import { NameScope } from '../names.js'
import { callExpression, inlineCallee, inlineReturn, inlineStatement, inlineValue } from './calls.js'
import { needStatic } from './evaluate.js'
import { expression, knownValue, reduce } from './expressions.js'
import { ends, isPure, literalOf } from './fold.js'
import { jump, labelledStatement, loopStatement, switchStatement } from './loops.js'
import type { ParsedTemplate } from './parse.js'
import { declare, fail, fixed, type Place, Scope } from './place.js'

/** The body of a function: of the template itself, or of one that is inlined. */
export function functionBody(place: Place, template: ParsedTemplate): void {
  const { body } = template.fn
  if (body.type === 'BlockStatement') statements(place, body.body)
  else returnStatement(place, body)
}

/** A statement list. What follows a return, break, continue or throw is dropped. */
export function statements(place: Place, nodes: readonly Statement[]): void {
  for (const node of nodes) {
    statement(place, node)
    if (ends(place.list.at(-1))) return
  }
}

export function statement(place: Place, node: Statement): void {
  switch (node.type) {
    case 'VariableDeclaration':
      declaration(place, node)
      break
    case 'ExpressionStatement':
      expressionStatement(place, node)
      break
    case 'IfStatement':
      ifStatement(place, node)
      break
    case 'BlockStatement':
      statements({ ...place, scope: new Scope(place.scope) }, node.body)
      break
    case 'ReturnStatement':
      returnStatement(place, node.argument ?? null)
      break
    case 'ThrowStatement':
      place.list.push(throwStmt(expression(place, node.argument)))
      break
    case 'BreakStatement':
    case 'ContinueStatement':
      jump(place, node)
      break
    case 'LabeledStatement':
      labelledStatement(place, node)
      break
    case 'SwitchStatement':
      switchStatement(place, node)
      break
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      loopStatement(place, node, [])
      break
    case 'EmptyStatement':
      break
    default:
      throw fail(place, node, `templates cannot contain a ${node.type}`)
  }
}

/** The statements of a branch or loop body, as a block of the output. `before` may put something at its start. */
export function nested(place: Place, node: Statement, before?: (inside: Place) => void): Statement[] {
  const list: Statement[] = []
  const inside = { ...place, list, names: new NameScope(place.names), scope: new Scope(place.scope) }
  before?.(inside)
  statement(inside, node)
  return list
}

function declaration(place: Place, node: VariableDeclaration): void {
  if (node.kind !== 'const' && node.kind !== 'let') throw fail(place, node, `expected const or let, found ${node.kind}`)
  for (const { id: target, init } of node.declarations) {
    if (target.type !== 'Identifier') throw fail(place, target, 'expected a name, found a pattern')
    if (target.name.startsWith('$')) staticDeclaration(place, node, target, init ?? null)
    else runtimeDeclaration(place, node.kind, target, init ?? null)
  }
}

function staticDeclaration(place: Place, node: VariableDeclaration, target: Identifier, init: Node | null): void {
  if (node.kind !== 'const' || init === null) throw fail(place, node, `expected const ${target.name} = …`)
  if (place.scope.has(target.name)) throw fail(place, target, `${target.name} is declared above`)
  place.scope.set(target.name, { kind: 'static', value: needStatic(place, init, `a value for ${target.name}`) })
}

function runtimeDeclaration(place: Place, kind: 'const' | 'let', target: Identifier, init: Node | null): void {
  const name = declare(place, target, target.name)
  if (init === null) {
    place.list.push(variable(name))
    fixed(place, name.name, false)
    return
  }
  const callee = inlineCallee(place, init)
  let declared = false
  const into = (): Identifier => {
    declared = true
    place.list.push(variable(name))
    return name
  }
  const code =
    callee !== null && init.type === 'CallExpression' ? inlineValue(place, init, callee, into) : expression(place, init)
  if (kind === 'const' && isSmallLiteral(code)) {
    place.scope.set(target.name, { kind: 'code', code })
    return
  }
  if (!declared) place.list.push(kind === 'const' ? constant(name, code) : variable(name, code))
  // A value that comes out of several returns never changes afterwards, unless the template's own local is a let.
  fixed(place, name.name, kind === 'const')
}

/**
 * True for literals that may as well stand where the const is used, which decides tests of it. A negative big integer
 * is an operation on its own, which is why a template gives it a name.
 */
function isSmallLiteral(code: Expression): boolean {
  const found = literalOf(code)
  return found !== null && (typeof found.value === 'number' || typeof found.value === 'boolean')
}

function expressionStatement(place: Place, node: ExpressionStatement): void {
  if ('directive' in node) return
  const root = node.expression
  if (root.type === 'AssignmentExpression' && root.operator === '=' && root.left.type === 'Identifier') {
    const callee = inlineCallee(place, root.right)
    const target = place.scope.get(root.left.name)
    if (callee !== null && root.right.type === 'CallExpression' && target?.kind === 'code') {
      const { code } = target
      if (code.type === 'Identifier') {
        const value = inlineValue(place, root.right, callee, () => code)
        if (value !== code) place.list.push(exprStmt(assign(code, value)))
        return
      }
    }
  }
  const callee = inlineCallee(place, root)
  if (callee !== null && root.type === 'CallExpression') {
    inlineStatement(place, root, callee)
    return
  }
  const code = root.type === 'CallExpression' ? callExpression(place, root) : reduce(place, root)
  if (code !== null && code.type !== 'StaticArgument' && !isPure(code)) place.list.push(exprStmt(code))
}

function ifStatement(place: Place, node: IfStatement): void {
  const test = reduce(place, node.test)
  const decided = knownValue(test)
  if (decided !== null || test.type === 'StaticArgument') {
    const branch = decided?.value ? node.consequent : node.alternate
    if (branch) statement({ ...place, scope: new Scope(place.scope) }, branch)
    return
  }
  const consequent = nested(place, node.consequent)
  const alternate = node.alternate ? nested(place, node.alternate) : undefined
  place.list.push(ifStmt(test, consequent, alternate))
}

function returnStatement(place: Place, argument: Node | null): void {
  const callee = inlineCallee(place, argument)
  if (callee !== null && argument?.type === 'CallExpression') inlineReturn(place, argument, callee)
  else place.list.push(argument === null ? ret() : ret(expression(place, argument)))
}
