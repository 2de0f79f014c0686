/** Structural identity of relational plans: two plans with one key compute the same relation. */

import { boundKey } from '../circuit/bounds.js'
import { aggregateKey, nodeCanFail } from '../circuit/nodes.js'
import type { Rel, Relation } from '../circuit/rel.js'
import { exprKey, identity } from '../circuit/substitute.js'
import { windowExprs, windowFnKey } from '../circuit/window.js'

/** Numbers relations, so that two tables of one name in one plan would still differ. */
export type NumberOf = (relation: Relation) => number

/** A text that two plans as a whole have in common if they are equal: nodes that can fail are numbered in each. */
export function planKey(root: Rel, numberOf: NumberOf): string {
  const numbers = new Map<object, number>()
  const count = (node: object): number => {
    const number = numbers.get(node) ?? numbers.size
    numbers.set(node, number)
    return number
  }
  return relKey(root, numberOf, new Map(), count)
}

/** A text that is equal for structurally equal plans. */
export function relKey(
  rel: Rel,
  numberOf: NumberOf,
  memo = new Map<Rel, string>(),
  failing: (rel: Rel) => number = identity,
): string {
  const known = memo.get(rel)
  if (known !== undefined) return known
  // A failing row is reported by each node that was written, so nodes that can fail are never taken for one another.
  const own = nodeCanFail(rel) ? `#${failing(rel)}` : ''
  const key = compute(rel, input => relKey(input, numberOf, memo, failing), numberOf) + columnsKey(rel) + own
  memo.set(rel, key)
  return key
}

/**
 * What the columns are, where neither inputs nor expressions say it: a column may be nullable although what computes it
 * is not, and is kept in another layout then.
 */
function columnsKey({ kind, schema }: Rel): string {
  if (kind !== 'map' && kind !== 'join' && kind !== 'asOf' && kind !== 'plus') return ''
  return `(${schema.columns.map(c => (c.nullable ? `${c.type}?` : c.type)).join(' ')})`
}

function compute(rel: Rel, of: (rel: Rel) => string, numberOf: NumberOf): string {
  const list = (exprs: readonly Parameters<typeof exprKey>[0][]) => exprs.map(exprKey).join(';')
  switch (rel.kind) {
    case 'source':
      if (rel.relation.kind === 'variable') return `variable(${identity(rel.relation)})`
      // A table may have got more columns since.
      return `source(${numberOf(rel.relation)}:${rel.schema.columns.length})`
    case 'filter':
      return `filter(${of(rel.input)},${exprKey(rel.predicate)})`
    case 'map':
      return `map(${projected(rel.input, of, numberOf)},${list(rel.exprs)})`
    case 'negate':
      return `negate(${of(rel.input)})`
    case 'plus':
      return `plus(${rel.inputs.map(of).join(',')})`
    case 'join': {
      const on = rel.on.map(([l, r], n) => `${exprKey(l)}=${exprKey(r)}${rel.nullSafe[n] ? '!' : ''}`).join(';')
      const residual = rel.residual === null ? '' : exprKey(rel.residual)
      const band = rel.band ? `,${rel.band.point}:${exprKey(rel.band.hi)}` : ''
      return `join(${rel.type},${of(rel.left)},${of(rel.right)},${on},${residual},${list(rel.exprs)}${band})`
    }
    case 'distinct':
      return `distinct(${of(rel.input)})`
    case 'set':
      return `${rel.op}(${of(rel.left)},${of(rel.right)})`
    case 'clamp':
      return `clamp(${rel.mode},${of(rel.input)})`
    case 'aggregate': {
      const aggregates = rel.aggregates.map(aggregateKey).join(';')
      const counts = rel.counts === undefined ? '' : exprKey(rel.counts)
      return `aggregate(${of(rel.input)},${list(rel.keys)},${aggregates},${counts})`
    }
    case 'recursive':
    case 'fixpoint':
      return `loop(${identity(rel.kind === 'recursive' ? rel.program : rel.loop)},${rel.inputs.map(of).join(',')})`
    case 'result':
      return `result(${of(rel.input)},${rel.index})`
    case 'noise':
      // Each has noise and a budget of its own.
      return `noise(${of(rel.input)})#${identity(rel)}`
    case 'asOf': {
      const on = rel.on.map(pair => pair.map(exprKey).join('=')).join(';')
      return `asOf(${rel.type},${rel.op},${of(rel.left)},${of(rel.right)},${on},${list(rel.times)},${list(rel.exprs)})`
    }
    case 'successor':
      return `successor(${of(rel.input)},${list(rel.keys)},${exprKey(rel.order)},${rel.backwards})`
    case 'gate':
      return `gate(${of(rel.input)},${exprKey(rel.key)},${rel.op},${boundKey(rel.threshold, numberOf)})`
    case 'session':
      return `session(${of(rel.input)},${list(rel.keys)},${exprKey(rel.at)},${rel.gap})`
    case 'unnest':
      return `unnest(${of(rel.input)},${exprKey(rel.array)},${rel.ordinality},${rel.outer})`
    case 'topK': {
      const order = rel.order.map(o => `${exprKey(o.expr)}${o.descending ? 'd' : ''}`).join(';')
      return `topK(${of(rel.input)},${list(rel.keys)},${order},${rel.limit})`
    }
    case 'window': {
      const order = rel.order.map(o => `${exprKey(o.expr)}${o.descending}${o.nullsFirst}`).join(';')
      const functions = rel.functions.map(f => `${windowFnKey(f)}:${f.fallback === null}:${list(windowExprs(f))}`)
      return `window(${of(rel.input)},${list(rel.partition)},${order},${functions.join('|')})`
    }
  }
}

/** What is below a projection: which columns there are besides those that it reads does not matter. */
function projected(rel: Rel, of: (rel: Rel) => string, numberOf: NumberOf): string {
  if (rel.kind === 'source' && rel.relation.kind !== 'variable') return `source(${numberOf(rel.relation)})`
  if (rel.kind !== 'filter' || nodeCanFail(rel)) return of(rel)
  return `filter(${projected(rel.input, of, numberOf)},${exprKey(rel.predicate)})`
}
