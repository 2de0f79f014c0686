/**
 * Common sub-plans: equal nodes become one object, which is computed once. Nodes that can fail are left alone,
 * since each of them records its own failures.
 */

import { boundKey } from '../bounds.js'
import type { Expr } from '../expr.js'
import { aggregateKey, inputsOf, nodeCanFail, nodesOf, withInputs } from '../nodes.js'
import type { JoinRel, Rel } from '../rel.js'
import { exprKey, identity } from '../substitute.js'
import { windowExprs, windowFnKey } from '../window.js'

export function share(root: Rel): Rel {
  const representatives = new Map<string, Rel>()
  const done = new Map<Rel, Rel>()
  for (const original of nodesOf(root)) {
    const inputs = inputsOf(original).map(input => done.get(input) as Rel)
    const rel = withInputs(original, inputs)
    const key = nodeCanFail(rel) ? `own ${identity(rel)}` : nodeKey(rel)
    const representative = representatives.get(key) ?? rel
    representatives.set(key, representative)
    done.set(original, representative)
  }
  return done.get(root) as Rel
}

/** Text that nodes which compute the same have in common. REQUIRES: inputs are representatives. */
function nodeKey(rel: Rel): string {
  const inputs = inputsOf(rel).map(identity).join(' ')
  const columns = rel.schema.columns.map(c => (c.nullable ? `${c.type}?` : c.type)).join(' ')
  return `${rel.kind} [${inputs}] (${columns}) ${details(rel)}`
}

const keys = (exprs: readonly Expr[]): string => exprs.map(exprKey).join(' ')

const bandKey = ({ band }: JoinRel): string => (band ? `${band.point} ${exprKey(band.hi)}` : '')

function details(rel: Rel): string {
  switch (rel.kind) {
    case 'source':
      return `${identity(rel.relation)} ${rel.schema.columns.length}`
    case 'filter':
      return exprKey(rel.predicate)
    case 'map':
      return keys(rel.exprs)
    case 'clamp':
      return rel.mode
    case 'set':
      return rel.op
    case 'join':
      return [
        rel.type,
        keys(rel.on.flat()),
        rel.nullSafe,
        rel.residual && exprKey(rel.residual),
        keys(rel.exprs),
        bandKey(rel),
      ].join(' | ')
    case 'aggregate':
      return `${keys(rel.keys)} | ${rel.aggregates.map(aggregateKey)} | ${rel.counts && exprKey(rel.counts)}`
    case 'topK':
      return `${rel.limit} | ${keys(rel.keys)} | ${rel.order.map(o => `${o.descending} ${exprKey(o.expr)}`)}`
    case 'window': {
      const order = rel.order.map(o => `${o.descending}${o.nullsFirst} ${exprKey(o.expr)}`)
      const functions = rel.functions.map(f => `${windowFnKey(f)} ${keys(windowExprs(f))} ${f.fallback === null}`)
      return `${keys(rel.partition)} | ${order} | ${functions}`
    }
    case 'recursive':
      return `${identity(rel.program)} ${rel.index}`
    case 'fixpoint':
      return `${identity(rel.loop)}`
    case 'result':
      return `${rel.index}`
    case 'noise':
      return `${identity(rel)}`
    case 'asOf':
      return [rel.type, rel.op, keys(rel.on.flat()), rel.nullSafe, keys(rel.times), keys(rel.exprs)].join(' | ')
    case 'successor':
      return `${rel.backwards} ${keys(rel.keys)} | ${exprKey(rel.order)}`
    case 'gate':
      return `${rel.op} ${exprKey(rel.key)} ${boundKey(rel.threshold, identity)}`
    case 'session':
      return `${rel.gap} ${exprKey(rel.at)} | ${keys(rel.keys)}`
    case 'unnest':
      return `${rel.ordinality} ${rel.outer} ${exprKey(rel.array)}`
    case 'negate':
    case 'plus':
    case 'distinct':
      return ''
  }
}
