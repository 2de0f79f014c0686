/**
 * Hoisting of paths. A chain like `left.columns[$c.index]` from a local that is never reassigned leads to the same
 * array every time, so it is read once, into a local named after the column (`left_price`).
 *
 * A path is hoisted if its last step is an index known from a `$`-name, or one of the batch regions below. A path that
 * the template assigns is not, nor is what lies beyond it.
 */
import type { Expression, MemberExpression, Node } from 'estree'
import { hintPart } from '../names.js'
import { staticOf } from './evaluate.js'
import type { Path } from './output.js'
import type { Place } from './place.js'
import { someNode } from './tree.js'

const REGIONS = new Set(['keys', 'keys32', 'weights', 'weights32', 'nulls', 'nulls32', 'lanes32', 'ints', 'floats'])

/** Remembers which path a finished member expression is, if its object is a fixed local or a path. */
export function notePath(place: Place, code: MemberExpression): MemberExpression {
  const { object } = code
  if (object.type === 'Super') return code
  const before = place.out.pathOf(object)
  if (before !== null) place.out.notePath(code, before)
  return code
}

/** `code`, or the local that its path was hoisted to. */
export function hoistPath(place: Place, node: MemberExpression, code: MemberExpression): Expression {
  const path = place.out.paths.get(code)
  if (path === undefined || !isHoistable(node) || place.out.isAssigned(path)) return code
  return place.out.hoistPath(path, code, () => hoistName(place, node, path), place.names)
}

function isHoistable(node: MemberExpression): boolean {
  if (!node.computed) return node.property.type === 'Identifier' && REGIONS.has(node.property.name)
  return mentionsStatic(node.property)
}

function mentionsStatic(node: Node): boolean {
  return someNode(node, part => part.type === 'Identifier' && part.name.startsWith('$'))
}

/** `left_price`, `left_price_lanes`, `left_weights`. */
function hoistName(place: Place, node: MemberExpression, path: Path): string {
  if (!node.computed) return `${path.root}_${path.step.slice(1)}`
  const region = path.before?.step ?? ''
  const suffix = region === '' || region === '.columns' || region.startsWith('[') ? '' : `_${region.slice(1)}`
  return `${path.root}_${indexHint(place, node.property)}${suffix}`
}

/** The name of the column (or whatever else has a name) that the index was read from; else the index. */
function indexHint(place: Place, property: Node): string {
  if (property.type === 'MemberExpression') {
    const owner = staticOf(place, property.object)?.value
    if (typeof owner === 'object' && owner !== null && 'name' in owner && typeof owner.name === 'string') {
      const part = hintPart(owner.name)
      if (part !== '') return part
    }
  }
  return hintPart(String(staticOf(place, property)?.value))
}
