/**
 * The last pass over a function: puts hoisted consts where their slots are, drops what nobody uses, and removes
 * labels, blocks and branches that partial evaluation left without a purpose. Changes no meaning.
 *
 * Every step returns the very list or statement that it was given if there is nothing to do: so the end is seen
 * without comparing trees, and what is finished is not copied again.
 */
import type { Expression, Identifier, IfStatement, LabeledStatement, Statement } from 'estree'
import { bin, block, ifStmt, unary } from '../ast.js'
import { ends, isPure } from './fold.js'
import type { Output } from './output.js'
import { eachUse, innerStatements, type List, withLists } from './tree.js'

export function tidy(out: Output, body: List): Statement[] {
  // Removing a const may leave a branch empty, and that branch may have been the last use of another const.
  for (let current = tidyList(out, body); ; ) {
    const used = dropUnused(out, current)
    current = tidyList(out, used)
    if (current === used) return [...current]
  }
}

/** What a statement becomes: itself, another, or a list, which may be empty. */
type Tidied = Statement | List

function asList(tidied: Tidied): List {
  return isList(tidied) ? tidied : [tidied]
}

function isList(tidied: Tidied): tidied is List {
  return Array.isArray(tidied)
}

function tidyList(out: Output, list: List): List {
  let changed: Statement[] | null = null
  for (let n = 0; n < list.length; n++) {
    const statement = list[n]
    const tidied = tidyStatement(out, statement)
    if (tidied === statement) {
      changed?.push(statement)
      continue
    }
    changed ??= list.slice(0, n)
    if (isList(tidied)) changed.push(...tidied)
    else changed.push(tidied)
  }
  return changed ?? list
}

function tidyStatement(out: Output, statement: Statement): Tidied {
  switch (statement.type) {
    case 'EmptyStatement':
      return out.slots.get(statement)?.statements ?? NOTHING
    case 'BlockStatement': {
      const body = tidyList(out, statement.body)
      if (body.length === 0) return NOTHING
      return body === statement.body ? statement : block([...body])
    }
    case 'IfStatement':
      return tidyIf(statement, tidyBranch(out, statement.consequent), tidyBranch(out, statement.alternate))
    case 'LabeledStatement':
      return tidyLabel(out, statement)
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement': {
      const body = tidyBranch(out, statement.body)
      return statement.body.type === 'BlockStatement' && statement.body.body === body
        ? statement
        : { ...statement, body: block([...body]) }
    }
    case 'SwitchStatement':
      return withLists(statement, inside => tidyList(out, inside))
    default:
      return statement
  }
}

const NOTHING: List = []

function tidyBranch(out: Output, branch: Statement | null | undefined): List {
  if (!branch) return NOTHING
  return branch.type === 'BlockStatement' ? tidyList(out, branch.body) : asList(tidyStatement(out, branch))
}

function tidyIf(statement: IfStatement, consequent: List, alternate: List): Tidied {
  const { test } = statement
  if (consequent.length === 0 && alternate.length === 0) {
    return isPure(test) ? NOTHING : { type: 'ExpressionStatement', expression: test }
  }
  if (consequent.length === 0) return oneLine(ifStmt(negate(test), [...alternate]))
  if (isBranch(statement.consequent, consequent) && isBranch(statement.alternate, alternate)) return oneLine(statement)
  return oneLine(ifStmt(test, [...consequent], alternate.length === 0 ? undefined : [...alternate]))
}

/** True if `branch` is there just for the statements of `list`. */
function isBranch(branch: Statement | null | undefined, list: List): boolean {
  if (!branch) return list.length === 0
  if (branch.type === 'BlockStatement') return branch.body === list && list.length > 0
  return list.length === 1 && list[0] === branch
}

/** `if (test) return x` without braces. */
function oneLine(statement: IfStatement): IfStatement {
  const body = statement.consequent.type === 'BlockStatement' ? statement.consequent.body : NOTHING
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

function tidyLabel(out: Output, statement: LabeledStatement): Tidied {
  const label = statement.label.name
  if (statement.body.type !== 'BlockStatement') {
    const inside = asList(tidyStatement(out, statement.body))
    if (inside.length === 0) return NOTHING
    const body = inside.length === 1 ? inside[0] : block([...inside])
    if (jumpsTo([body], label) === 0) return body
    return body === statement.body ? statement : { ...statement, body }
  }
  const body = stripTail(tidyList(out, statement.body.body), label)
  const flat = jumpsTo(body, label) === 1 ? intoElse(body, label) : body
  if (jumpsTo(flat, label) === 0) return flat
  return flat === statement.body.body ? statement : { ...statement, body: block([...flat]) }
}

function jumpsTo(list: List, label: string): number {
  let count = 0
  for (const statement of list) {
    const jumps = statement.type === 'BreakStatement' || statement.type === 'ContinueStatement'
    count += jumps ? Number(statement.label?.name === label) : jumpsTo(innerStatements(statement), label)
  }
  return count
}

/** Drops jumps to the end of the labelled block from where control gets there anyway. */
function stripTail(list: List, label: string): List {
  const last = list.at(-1)
  if (last === undefined) return list
  if (last.type === 'BreakStatement' && last.label?.name === label) return stripTail(list.slice(0, -1), label)
  const stripped = stripLast(last, label)
  return stripped === last ? list : [...list.slice(0, -1), ...asList(stripped)]
}

function stripLast(last: Statement, label: string): Tidied {
  switch (last.type) {
    case 'BlockStatement': {
      const body = stripTail(last.body, label)
      return body === last.body ? last : block([...body])
    }
    case 'IfStatement': {
      const consequent = stripTail(statementsOf(last.consequent), label)
      const alternate = last.alternate ? stripTail(statementsOf(last.alternate), label) : NOTHING
      return tidyIf(last, consequent, alternate)
    }
    case 'LabeledStatement': {
      if (last.body.type !== 'BlockStatement') return last
      const body = stripTail(last.body.body, label)
      return body === last.body.body ? last : { ...last, body: block([...body]) }
    }
    default:
      return last
  }
}

function statementsOf(statement: Statement): List {
  return statement.type === 'BlockStatement' ? statement.body : [statement]
}

/** `if (a) { b; break label } c` with the only jump to that label becomes `if (a) { b } else { c }`. */
function intoElse(list: List, label: string): List {
  const at = list.findIndex(statement => jumpsTo([statement], label) === 1)
  const found = list[at]
  if (found?.type !== 'IfStatement' || found.alternate) return list
  const consequent = statementsOf(found.consequent)
  const last = consequent.at(-1)
  if (last?.type !== 'BreakStatement' || last.label?.name !== label) return list
  return [...list.slice(0, at), ...asList(tidyIf(found, consequent.slice(0, -1), list.slice(at + 1)))]
}

/** Drops the consts that the specialiser made and nothing refers to. */
function dropUnused(out: Output, list: List): List {
  if (out.removableNames.size === 0) return list
  const uses = new Map<string, number>()
  for (const name of out.removableNames) uses.set(name, 0)
  const count = (by: 1 | -1) => (identifier: Identifier) => {
    const known = uses.get(identifier.name)
    if (known !== undefined) uses.set(identifier.name, known + by)
  }
  const use = count(1)
  for (let n = 0; n < list.length; n++) eachUse(list[n], use)
  const unuse = count(-1)
  // Backwards: what is used only by a const that goes is declared before it, and so goes in the same pass.
  const used = (inside: List): List => {
    let kept: Statement[] | null = null
    for (let n = inside.length - 1; n >= 0; n--) {
      const statement = inside[n]
      const init = unusedInit(out, statement, uses)
      const next = init === null ? withLists(statement, used) : null
      if (init !== null) eachUse(init, unuse)
      if (next === statement) continue
      kept ??= [...inside]
      if (next === null) kept.splice(n, 1)
      else kept[n] = next
    }
    return kept ?? inside
  }
  return used(list)
}

/** The value of a const that may be dropped, because nothing uses it and computing it has no effect; else null. */
function unusedInit(out: Output, statement: Statement, uses: ReadonlyMap<string, number>): Expression | null {
  if (statement.type !== 'VariableDeclaration' || !out.removable.has(statement)) return null
  const { id, init } = statement.declarations[0]
  return id.type === 'Identifier' && uses.get(id.name) === 0 && init && isPure(init) ? init : null
}
