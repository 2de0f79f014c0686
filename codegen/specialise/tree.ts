/** Walking and renaming ESTree. */
import type { Identifier, Node } from 'estree'

/** Calls `visit` on each direct child node, in source order. */
export function eachChild(node: Node, visit: (child: Node) => void): void {
  const fields = node as unknown as Record<string, unknown>
  for (const key in fields) {
    const value = fields[key]
    if (typeof value !== 'object' || value === null || key === 'loc') continue
    if (!Array.isArray(value)) {
      if (isNode(value)) visit(value)
      continue
    }
    for (const item of value as unknown[]) if (isNode(item)) visit(item)
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

/** True if `test` holds for `node` or a node below it. */
export function someNode(node: Node, test: (node: Node) => boolean): boolean {
  if (test(node)) return true
  let found = false
  eachChild(node, child => {
    found ||= someNode(child, test)
  })
  return found
}

/**
 * Calls `visit` on the identifiers in `node` that stand for variables, declarations included: no property names, keys
 * or labels.
 */
export function eachReference(node: Node, visit: (identifier: Identifier) => void): void {
  if (node.type === 'Identifier') visit(node)
  else
    eachChild(node, child => {
      if (child.type !== 'Identifier') eachReference(child, visit)
      else if (!isPlainName(node, child)) visit(child)
    })
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
