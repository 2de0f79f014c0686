/** What is known about the weights of a relation, whatever the tables hold. */
import type { ClampMode, JoinRel, Rel } from '../rel.js'

/** `unit`: 0 or 1. `natural`: not negative. */
export type WeightBound = 'unit' | 'natural' | 'any'

const known = new WeakMap<Rel, WeightBound>()

export function weightBound(rel: Rel): WeightBound {
  let bound = known.get(rel)
  if (bound === undefined) {
    bound = findBound(rel)
    known.set(rel, bound)
  }
  return bound
}

const atLeastNatural = (rel: Rel): boolean => weightBound(rel) !== 'any'

function findBound(rel: Rel): WeightBound {
  switch (rel.kind) {
    case 'source':
      // Tables may be given rows of negative weight.
      if (rel.relation.kind === 'view') return weightBound(rel.relation.rel)
      if (rel.relation.kind === 'variable') return 'unit'
      return rel.relation.appendOnly === true ? 'natural' : 'any'
    case 'filter':
      return weightBound(rel.input)
    case 'map': {
      const bound = weightBound(rel.input)
      return bound === 'unit' && !keepsAll(rel.exprs, 0, rel.input, []) ? 'natural' : bound
    }
    case 'negate':
      return 'any'
    case 'plus':
      if (rel.inputs.length === 1) return weightBound(rel.inputs[0])
      return rel.inputs.every(atLeastNatural) ? 'natural' : 'any'
    case 'join':
      return joinBound(rel)
    case 'clamp':
      return rel.mode !== 'positive' || weightBound(rel.input) === 'unit' ? 'unit' : 'natural'
    case 'window':
      return 'natural'
    case 'successor':
      return weightBound(rel.input) === 'unit' ? 'unit' : 'natural'
    case 'asOf':
      return 'any'
    case 'gate':
    case 'session':
      return weightBound(rel.input)
    case 'unnest':
      return atLeastNatural(rel.input) ? 'natural' : 'any'
    case 'topK':
      return weightBound(rel.input) === 'unit' ? 'unit' : 'natural'
    case 'set':
      return rel.op === 'intersectAll' || rel.op === 'exceptAll' ? 'natural' : 'unit'
    case 'noise':
    case 'distinct':
    case 'aggregate':
    case 'recursive':
    case 'fixpoint':
    case 'result':
      return 'unit'
  }
}

function joinBound(rel: JoinRel): WeightBound {
  if (rel.type !== 'inner' || !atLeastNatural(rel.left) || !atLeastNatural(rel.right)) return 'any'
  const bothUnit = weightBound(rel.left) === 'unit' && weightBound(rel.right) === 'unit'
  // A key column of the right row is known from the left one.
  const implied = (rel.band ? rel.on.slice(0, -2) : rel.on).flatMap(([a, b]) =>
    a.type === b.type && b.kind === 'column' ? [b.index] : [],
  )
  const tellsApart = keepsAll(rel.exprs, 0, rel.left, []) && keepsAll(rel.exprs, 1, rel.right, implied)
  return bothUnit && tellsApart ? 'unit' : 'natural'
}

/** Whether every column of the input (but those `implied`) is among the expressions, so that rows stay distinct. */
function keepsAll(exprs: JoinRel['exprs'], input: 0 | 1, rel: Rel, implied: readonly number[]): boolean {
  const kept = new Set(implied)
  for (const e of exprs) if (e.kind === 'column' && e.input === input) kept.add(e.index)
  return rel.schema.columns.every(c => kept.has(c.index))
}

/** The clamp that is needed to get `mode` on weights of the given bound; null if none. */
export function clampNeeded(mode: ClampMode, bound: WeightBound): ClampMode | null {
  if (bound === 'unit') return null
  if (bound === 'any') return mode
  return mode === 'positive' ? null : 'one'
}
