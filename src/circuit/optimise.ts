/**
 * The optimiser: same rows and same failures for less work and less state. It rewrites a lowered circuit until no
 * rule applies; the rules are in `optimise/`:
 *
 * - `rules.ts`: constant folding, fusing of filters and maps, predicate pushdown, removal of clamps and of what is empty;
 * - `prune.ts`: projection pushdown;
 * - `share.ts`: common sub-plans become one object.
 *
 * A rule never moves, repeats or drops an expression that can fail in a way that changes which failures are
 * recorded (`conditions.ts`).
 */
import { assert } from '../base/errors.js'
import type { RowSchema } from '../schema/schema.js'
import type { Expr } from './expr.js'
import { lower } from './lower.js'
import { countReaders, mapOf, nodeCanFail, rewrite } from './nodes.js'
import { prune } from './optimise/prune.js'
import { improve } from './optimise/rules.js'
import { share } from './optimise/share.js'
import type { Rel, ViewDefinition } from './rel.js'
import { allColumns } from './substitute.js'

/** Far more rounds than any circuit needs: each moves or merges something one node further. */
const MAX_ROUNDS = 2000

const plans = new WeakMap<ViewDefinition, Rel>()

/**
 * A view's circuit, lowered and improved; once for a definition, in however many databases it is. Two definitions never
 * share nodes that can fail, even if they are made of one circuit.
 */
export function planOf(definition: ViewDefinition): Rel {
  let plan = plans.get(definition)
  if (plan === undefined) {
    plan = optimise(lower(definition.rel))
    plans.set(definition, plan)
  }
  return plan
}

/**
 * The circuit, improved. REQUIRES: `root` is lowered. ENSURES: schema (names included), rows and failures are the
 * same; operators with state read plain columns; of the nodes between two operators with state every filter and
 * map is part of a `linearChain`. A sub-plan that is used in several places is one object.
 */
export function optimise(root: Rel): Rel {
  let rel = root
  let before: Rel
  let rounds = 0
  do {
    before = rel
    rel = share(rel)
    for (let last: Rel | null = null; last !== rel; ) {
      assert(rounds++ < MAX_ROUNDS, 'rewriting a circuit comes to an end')
      last = rel
      rel = improveOnce(rel)
    }
    rel = prune(rel)
  } while (rel !== before)
  return named(separateShared(rel), root.schema)
}

/** One round. A rule fires only where the inputs are what they were when readers were counted. */
function improveOnce(root: Rel): Rel {
  const readers = countReaders(root)
  const sole = (rel: Rel): boolean => readers.get(rel) === 1
  return rewrite(root, (rel, original) => (rel === original ? improve(rel, sole) : rel))
}

/**
 * A filter that can fail and feeds several inputs must run once. A map that keeps every column in between makes it
 * a chain of its own, into which `linearChain` of its readers does not reach.
 */
function separateShared(root: Rel): Rel {
  const readers = countReaders(root)
  return rewrite(root, (rel, original) => {
    const alone = original.kind === 'filter' && nodeCanFail(original) && readers.get(original) !== 1
    return alone ? mapOf(rel, allColumns(rel.schema), rel.schema) : rel
  })
}

/** The relation under the names of `schema`. */
function named(rel: Rel, schema: RowSchema): Rel {
  const { columns } = rel.schema
  if (columns.every((c, i) => c.name === schema.columns[i].name)) return rel
  return rel.kind === 'source' ? mapOf(rel, allColumns(rel.schema), schema) : Object.freeze({ ...rel, schema })
}

/** A filter and then a map over `input`, either of which may be missing. */
export interface LinearChain {
  readonly input: Rel
  readonly filter: Expr | null
  readonly exprs: readonly Expr[] | null
}

/**
 * The linear part that ends in `rel`: what one loop does to each row of `input`. In an optimised circuit `input`
 * is no map or filter itself, except where fusing would be wrong or wasteful, and then it is to be computed on its
 * own, once for all its readers: it can fail and has several readers, or it computes something costly (or calls a
 * user function) that would be computed repeatedly.
 */
export function linearChain(rel: Rel): LinearChain {
  if (rel.kind === 'filter') return { input: rel.input, filter: rel.predicate, exprs: null }
  if (rel.kind !== 'map') return { input: rel, filter: null, exprs: null }
  const { input, exprs } = rel
  return input.kind === 'filter'
    ? { input: input.input, filter: input.predicate, exprs }
    : { input, filter: null, exprs }
}
