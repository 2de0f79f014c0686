/**
 * Walking and renaming ESTree. These walks make up a good part of the time that compiling takes, mostly in code that
 * the engine has not optimised yet: so they are plain recursion over a table, without closures per node.
 */
import type { Identifier, Node, Statement } from 'estree'

const NONE: readonly string[] = []
const OPERANDS = ['left', 'right']
const BRANCHES = ['test', 'consequent', 'alternate']
const CALL = ['callee', 'arguments']

/** The fields that hold children, in source order. Of an `Identifier` that names a property or label: see below. */
const CHILDREN: Readonly<Record<string, readonly string[] | undefined>> = {
  Identifier: NONE,
  Literal: NONE,
  TemplateElement: NONE,
  EmptyStatement: NONE,
  MemberExpression: ['object', 'property'],
  CallExpression: CALL,
  NewExpression: CALL,
  BinaryExpression: OPERANDS,
  LogicalExpression: OPERANDS,
  AssignmentExpression: OPERANDS,
  UnaryExpression: ['argument'],
  UpdateExpression: ['argument'],
  ConditionalExpression: BRANCHES,
  IfStatement: BRANCHES,
  ExpressionStatement: ['expression'],
  ReturnStatement: ['argument'],
  BlockStatement: ['body'],
  VariableDeclaration: ['declarations'],
  VariableDeclarator: ['id', 'init'],
  ForStatement: ['init', 'test', 'update', 'body'],
  WhileStatement: ['test', 'body'],
  LabeledStatement: ['label', 'body'],
  BreakStatement: NONE,
  ContinueStatement: NONE,
}

/** What a field with children holds. */
type Children = Node | null | undefined | readonly (Node | null)[]

/** The fields of a node that hold children, of rare types without those that hold none in this node. */
function childFields(node: Node): readonly string[] {
  return CHILDREN[node.type] ?? Object.keys(node).filter(key => holdsNodes((node as unknown as Fields)[key]))
}

type Fields = Readonly<Record<string, unknown>>

function holdsNodes(value: unknown): boolean {
  return Array.isArray(value) ? value.some(isNode) : isNode(value)
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

/** True if `test` holds for `node` or a node below it. */
export function someNode(node: Node, test: (node: Node) => boolean): boolean {
  if (test(node)) return true
  const fields = childFields(node)
  for (let k = 0; k < fields.length; k++) {
    const value = (node as unknown as Fields)[fields[k]] as Children
    if (!value) continue
    if ('type' in value) {
      if (someNode(value, test)) return true
    } else {
      for (let n = 0; n < value.length; n++) {
        const item = value[n]
        if (item && someNode(item, test)) return true
      }
    }
  }
  return false
}

/** Calls `visit` on the identifiers in `node` that read or assign a variable: no declarations, property names or labels. */
export function eachUse(node: Node, visit: (identifier: Identifier) => void): void {
  switch (node.type) {
    case 'Identifier':
      visit(node)
      break
    case 'Literal':
      break
    case 'MemberExpression':
      eachUse(node.object, visit)
      if (node.computed) eachUse(node.property, visit)
      break
    case 'BinaryExpression':
    case 'LogicalExpression':
    case 'AssignmentExpression':
      eachUse(node.left, visit)
      eachUse(node.right, visit)
      break
    case 'VariableDeclaration':
      for (const { init } of node.declarations) if (init) eachUse(init, visit)
      break
    case 'ExpressionStatement':
      eachUse(node.expression, visit)
      break
    case 'BlockStatement':
      for (let n = 0; n < node.body.length; n++) eachUse(node.body[n], visit)
      break
    default:
      eachChild(node, visit)
  }
}

function eachChild(node: Node, visit: (identifier: Identifier) => void): void {
  const fields = childFields(node)
  for (let k = 0; k < fields.length; k++) {
    const value = (node as unknown as Fields)[fields[k]] as Children
    if (!value) continue
    if ('type' in value) {
      if (!isPlainName(node, value)) eachUse(value, visit)
    } else {
      for (let n = 0; n < value.length; n++) {
        const item = value[n]
        if (item) eachUse(item, visit)
      }
    }
  }
}

/** True if `child` is an identifier that names a property or a label of `node`, not a variable. */
function isPlainName(node: Node, child: Node): boolean {
  switch (node.type) {
    case 'MemberExpression':
      return child === node.property && !node.computed
    case 'Property':
      return child === node.key && !node.computed
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return child === node.label
    default:
      return false
  }
}

export type List = readonly Statement[]

/** The statements directly inside one, those in the cases of a switch included. */
export function innerStatements(statement: Statement): List {
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
      return NO_STATEMENTS
  }
}

const NO_STATEMENTS: List = []

/** `list` with `change` made to each item; `list` itself if all of them stay the same. */
export function mapped<T>(list: readonly T[], change: (item: T) => T): readonly T[] {
  let changed: T[] | null = null
  for (let n = 0; n < list.length; n++) {
    const item = change(list[n])
    if (item !== list[n]) changed ??= list.slice(0, n)
    changed?.push(item)
  }
  return changed ?? list
}

/** A statement with `change` made to the lists of statements in it; the statement itself if they stay the same. */
export function withLists(statement: Statement, change: (list: List) => List): Statement {
  switch (statement.type) {
    case 'BlockStatement': {
      const body = change(statement.body)
      return body === statement.body ? statement : { ...statement, body: [...body] }
    }
    case 'IfStatement': {
      const consequent = withLists(statement.consequent, change)
      const alternate = statement.alternate ? withLists(statement.alternate, change) : statement.alternate
      const isSame = consequent === statement.consequent && alternate === statement.alternate
      return isSame ? statement : { ...statement, consequent, alternate }
    }
    case 'LabeledStatement':
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement': {
      const body = withLists(statement.body, change)
      return body === statement.body ? statement : { ...statement, body }
    }
    case 'SwitchStatement': {
      const cases = mapped(statement.cases, one => {
        const consequent = change(one.consequent)
        return consequent === one.consequent ? one : { ...one, consequent: [...consequent] }
      })
      return cases === statement.cases ? statement : { ...statement, cases: [...cases] }
    }
    default:
      return statement
  }
}

/** A copy of the tree in which variables are renamed; `rename` returns the new name, or the same. */
export function renameVariables<N extends Node>(node: N, rename: (name: string) => string): N {
  if (node.type === 'Identifier') return { ...node, name: rename(node.name) }
  const copy: Record<string, unknown> = { ...node }
  const visit = (child: unknown): unknown =>
    isNode(child) && !isPlainName(node, child) ? renameVariables(child, rename) : child
  for (const [key, value] of Object.entries(node) as [string, unknown][]) {
    copy[key] = Array.isArray(value) ? (value as unknown[]).map(visit) : visit(value)
  }
  return copy as unknown as N
}
