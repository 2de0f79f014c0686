/**
 * The last pass over a function: puts hoisted consts where their slots are, drops what nobody uses, and removes
 * labels, blocks and branches that partial evaluation left without a purpose. Changes no meaning.
 */
import type { Expression, IfStatement, LabeledStatement, Statement } from 'estree'
import { bin, block, ifStmt, unary } from '../ast.js'
import { ends, isPure } from './fold.js'
import type { Output } from './output.js'
import { eachReference } from './tree.js'

export function tidy(out: Output, body: readonly Statement[]): Statement[] {
  let current = dropUnused(out, tidyList(out, body))
  // Removing a const may leave a branch empty, and that branch may have been the last use of another const.
  for (let before = -1; before !== countStatements(current); ) {
    before = countStatements(current)
    current = dropUnused(out, tidyList(out, current))
  }
  return current
}

function countStatements(list: readonly Statement[]): number {
  return list.reduce((sum, statement) => sum + 1 + countStatements(inner(statement)), 0)
}

/** The statements directly inside one, those in the cases of a switch included. */
function inner(statement: Statement): Statement[] {
  switch (statement.type) {
    case 'BlockStatement':
      return statement.body
    case 'IfStatement':
      return statement.alternate ? [statement.consequent, statement.alternate] : [statement.consequent]
    case 'LabeledStatement':
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      return [statement.body]
    case 'SwitchStatement':
      return statement.cases.flatMap(one => one.consequent)
    default:
      return []
  }
}

function tidyList(out: Output, list: readonly Statement[]): Statement[] {
  const flat = list.flatMap(statement => out.slots.get(statement)?.statements ?? [statement])
  return flat.flatMap(statement => tidyStatement(out, statement))
}

function tidyStatement(out: Output, statement: Statement): Statement[] {
  switch (statement.type) {
    case 'EmptyStatement':
      return []
    case 'BlockStatement': {
      const body = tidyList(out, statement.body)
      return body.length === 0 ? [] : [block(body)]
    }
    case 'IfStatement':
      return tidyIf(statement, tidyBranch(out, statement.consequent), tidyBranch(out, statement.alternate))
    case 'LabeledStatement':
      return tidyLabel(out, statement)
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      return [{ ...statement, body: block(tidyBranch(out, statement.body)) }]
    case 'SwitchStatement': {
      const cases = statement.cases.map(one => ({ ...one, consequent: tidyList(out, one.consequent) }))
      return [{ ...statement, cases }]
    }
    default:
      return [statement]
  }
}

function tidyBranch(out: Output, branch: Statement | null | undefined): Statement[] {
  if (!branch) return []
  return tidyList(out, branch.type === 'BlockStatement' ? branch.body : [branch])
}

function tidyIf(statement: IfStatement, consequent: Statement[], alternate: Statement[]): Statement[] {
  const { test } = statement
  if (consequent.length === 0 && alternate.length === 0) {
    return isPure(test) ? [] : [{ type: 'ExpressionStatement', expression: test }]
  }
  if (consequent.length === 0) return [oneLine(ifStmt(negate(test), alternate))]
  return [oneLine(ifStmt(test, consequent, alternate.length === 0 ? undefined : alternate))]
}

/** `if (test) return x` without braces. */
function oneLine(statement: IfStatement): IfStatement {
  const body = statement.consequent.type === 'BlockStatement' ? statement.consequent.body : []
  const only = body.length === 1 && !statement.alternate ? body[0] : undefined
  return only !== undefined && ends(only) && only.type !== 'IfStatement'
    ? { ...statement, consequent: only }
    : statement
}

function negate(test: Expression): Expression {
  if (test.type === 'UnaryExpression' && test.operator === '!') return test.argument
  if (test.type === 'BinaryExpression' && test.left.type !== 'PrivateIdentifier') {
    if (test.operator === '===') return bin('!==', test.left, test.right)
    if (test.operator === '!==') return bin('===', test.left, test.right)
  }
  return unary('!', test)
}

function tidyLabel(out: Output, statement: LabeledStatement): Statement[] {
  const label = statement.label.name
  if (statement.body.type !== 'BlockStatement') {
    const [only, ...more] = tidyStatement(out, statement.body)
    if (only === undefined) return []
    const body = more.length === 0 ? only : block([only, ...more])
    return jumpsTo([body], label) === 0 ? [body] : [{ ...statement, body }]
  }
  const body = stripTail(tidyList(out, statement.body.body), label)
  const flat = jumpsTo(body, label) === 1 ? intoElse(body, label) : body
  if (jumpsTo(flat, label) > 0) return [{ ...statement, body: block(flat) }]
  return flat
}

function jumpsTo(list: readonly Statement[], label: string): number {
  let count = 0
  for (const statement of list) {
    const jumps = statement.type === 'BreakStatement' || statement.type === 'ContinueStatement'
    count += jumps ? Number(statement.label?.name === label) : jumpsTo(inner(statement), label)
  }
  return count
}

/** Drops jumps to the end of the labelled block from where control gets there anyway. */
function stripTail(list: readonly Statement[], label: string): Statement[] {
  const last = list.at(-1)
  const before = list.slice(0, -1)
  switch (last?.type) {
    case 'BreakStatement':
      return last.label?.name === label ? stripTail(before, label) : [...list]
    case 'BlockStatement':
      return [...before, block(stripTail(last.body, label))]
    case 'IfStatement': {
      const consequent = stripTail(statementsOf(last.consequent), label)
      const alternate = last.alternate ? stripTail(statementsOf(last.alternate), label) : []
      return [...before, ...tidyIf(last, consequent, alternate)]
    }
    case 'LabeledStatement':
      if (last.body.type !== 'BlockStatement') return [...list]
      return [...before, { ...last, body: block(stripTail(last.body.body, label)) }]
    default:
      return [...list]
  }
}

function statementsOf(statement: Statement): Statement[] {
  return statement.type === 'BlockStatement' ? statement.body : [statement]
}

/** `if (a) { b; break label } c` with the only jump to that label becomes `if (a) { b } else { c }`. */
function intoElse(list: Statement[], label: string): Statement[] {
  const at = list.findIndex(statement => jumpsTo([statement], label) === 1)
  const found = list[at]
  if (found?.type !== 'IfStatement' || found.alternate) return list
  const consequent = statementsOf(found.consequent)
  const last = consequent.at(-1)
  if (last?.type !== 'BreakStatement' || last.label?.name !== label) return list
  return [...list.slice(0, at), ...tidyIf(found, consequent.slice(0, -1), list.slice(at + 1))]
}

/** Drops the consts that the specialiser made and nothing refers to. */
function dropUnused(out: Output, list: readonly Statement[]): Statement[] {
  const uses = new Map<string, number>()
  eachReference(block([...list]), ({ name }) => uses.set(name, (uses.get(name) ?? 0) + 1))
  const isUnused = (statement: Statement): boolean => {
    if (statement.type !== 'VariableDeclaration' || !out.removable.has(statement)) return false
    const declarator = statement.declarations[0]
    if (declarator?.id.type !== 'Identifier' || !declarator.init || !isPure(declarator.init)) return false
    return uses.get(declarator.id.name) === 1
  }
  const filter = (statements: readonly Statement[]): Statement[] =>
    statements.filter(statement => !isUnused(statement)).map(within)
  const one = (statement: Statement): Statement => within(isUnused(statement) ? block([]) : statement)
  const within = (statement: Statement): Statement => {
    switch (statement.type) {
      case 'BlockStatement':
        return block(filter(statement.body))
      case 'IfStatement': {
        const alternate = statement.alternate ? one(statement.alternate) : null
        return { ...statement, consequent: one(statement.consequent), alternate }
      }
      case 'LabeledStatement':
      case 'ForStatement':
      case 'ForOfStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        return { ...statement, body: one(statement.body) }
      case 'SwitchStatement':
        return { ...statement, cases: statement.cases.map(c => ({ ...c, consequent: filter(c.consequent) })) }
      default:
        return statement
    }
  }
  return filter(list)
}
