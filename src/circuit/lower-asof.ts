/**
 * Lowering of as-of joins. Of the right rows of a key and a time, one counts (`first`); each of these is what left rows
 * meet from its time on until the next (`successor`), so that what is left is a join by range:
 *
 *     first = top 1 of R by (keys, time)                       one row a time
 *     steps = first with the next time behind                  or the previous one, for `ge` and `gt`
 *     le      time <= t < next        lt    time < t <= next
 *     ge      previous < t <= time    gt    previous <= t < time
 *
 * A left row meets one step at most, so those that meet none are the left rows less those of the join, weights and all.
 *
 * A change of a right row changes the steps at its time and before (after) it, and these meet the left rows between
 * two times: a change costs by the left rows whose match it changes.
 */

import type { RowSchema } from '../schema/schema.js'
import { TYPES, type TypeName } from '../schema/types.js'
import { allOf } from './conditions.js'
import type { Expr } from './expr.js'
import { lowerJoin } from './lower-join.js'
import { filterOf, mapOf, minus, plusOf, schemaOf, specsOf, withColumns } from './nodes.js'
import type { AsOfRel, JoinRel, Rel, SuccessorRel, TopKRel } from './rel.js'
import { allColumns, call, columnOf, literal, onto, replaceAll, replaceColumns } from './substitute.js'

/** Over sides that are lowered already. */
export function lowerAsOf(rel: AsOfRel, leftRel: Rel, rightRel: Rel): Rel {
  const own = (input: 0 | 1, side: Rel): Expr[] =>
    [...rel.on.map(pair => pair[input]), rel.times[input]].map(e =>
      replaceColumns(e, c => columnOf(side.schema, c.index)),
    )
  const left = withColumns(leftRel, own(0, leftRel), 'time')
  const right = withColumns(rightRel, own(1, rightRel), 'time')
  const steps = stepsOf(rel, right.rel, right.at)
  const key = (side: Rel, at: readonly number[], n: number, input: 0 | 1): Expr => columnOf(side.schema, at[n], input)
  const n = rel.on.length
  const t = key(left.rel, left.at, n, 0)
  const time = key(steps, right.at, n, 1)
  const beyond = columnOf(steps.schema, steps.schema.columns.length - 1, 1)
  const place = onto([left.rel.schema, steps.schema])
  const join = (exprs: readonly Expr[], schema: RowSchema): Rel => {
    const parts: JoinRel = {
      ...{ kind: 'join', type: 'inner', left: left.rel, right: steps, exprs, schema },
      on: rel.on.map((_, k) => [key(left.rel, left.at, k, 0), key(steps, right.at, k, 1)] as const),
      nullSafe: rel.nullSafe,
      residual: within(rel.op, t, time, beyond),
    }
    return lowerJoin(parts, left.rel, steps)
  }
  if (rel.type === 'inner') return join(replaceAll(rel.exprs, place), rel.schema)
  return withUnmatched(rel, left.rel, steps, join)
}

/** The pairs, and the left rows of no pair with NULL for the right columns. */
function withUnmatched(rel: AsOfRel, left: Rel, steps: Rel, join: (exprs: readonly Expr[], schema: RowSchema) => Rel) {
  const columns = [...allColumns(left.schema), ...allColumns(steps.schema, 1)]
  const pairs = join(columns, schemaOf('pairs', specsOf(columns, String)))
  const found = allColumns(pairs.schema)
  const width = left.schema.columns.length
  const matched = mapOf(
    pairs,
    replaceAll(rel.exprs, c => (c.input === 0 ? found[c.index] : found[width + c.index])),
    rel.schema,
  )
  const rest = minus(left, mapOf(pairs, found.slice(0, width), left.schema))
  const unmatched = mapOf(
    rest,
    replaceAll(rel.exprs, c => (c.input === 0 ? columnOf(left.schema, c.index) : literal(c.type, null))),
    rel.schema,
  )
  return plusOf([matched, unmatched], rel.schema)
}

/** One row for each key and time, with the next (or previous) time behind all columns. */
function stepsOf(rel: AsOfRel, right: Rel, at: readonly number[]): Rel {
  const all = allColumns(right.schema)
  const places = at.map(i => all[i])
  const absent = places.filter((c, i) => c.nullable && rel.nullSafe[i] !== true)
  const present = absent.map(c => call('not', [call('isNull', [c], 'bool')], 'bool'))
  const input = present.length === 0 ? right : filterOf(right, allOf(present))
  const own = rel.right.schema.columns.length
  const first: TopKRel = Object.freeze({
    ...{ kind: 'topK', schema: input.schema, input, limit: 1, keys: places },
    order: all.slice(0, own).map(expr => Object.freeze({ expr, descending: true })),
  })
  const time = places[places.length - 1]
  const keys = places.slice(0, -1)
  const schema = schemaOf(input.schema.name, [
    ...input.schema.columns,
    { name: 'beyond', type: time.type, nullable: true },
  ])
  // Of a key that has the time in it there is no other time.
  if (keys.some(key => key.index === time.index)) return mapOf(first, [...all, literal(time.type, null)], schema)
  const steps: SuccessorRel = {
    ...{ kind: 'successor', input: first, keys, order: time, schema },
    backwards: rel.op === 'ge' || rel.op === 'gt',
  }
  return Object.freeze(steps)
}

/** Whether a left row's time is met by a step. The comparison with the far end is said twice, once for `band.ts`. */
function within(op: AsOfRel['op'], t: Expr, time: Expr, beyond: Expr): Expr {
  const back = op === 'le' || op === 'lt'
  const near = back ? call(op, [time, t], 'bool') : call(op === 'ge' ? 'le' : 'lt', [t, time], 'bool')
  const strict = op === 'le' ? 'lt' : op === 'lt' ? 'le' : op === 'ge' ? 'lt' : 'le'
  const far = call(strict, back ? [t, beyond] : [beyond, t], 'bool')
  const open = call('or', [call('isNull', [beyond], 'bool'), far], 'bool')
  const end = back ? greatest(time.type) : least(time.type)
  if (end === null) return allOf([near, open])
  const bound = call('coalesce', [beyond, end], time.type)
  return allOf([near, call('le', back ? [t, bound] : [bound, t], 'bool'), open])
}

function greatest(type: TypeName): Expr | null {
  if (type === 'f64' || type === 'f32') return literal(type, NaN)
  const { max, js } = TYPES[type]
  return max === null ? null : literal(type, js === 'number' ? Number(max) : max)
}

function least(type: TypeName): Expr | null {
  if (type === 'f64' || type === 'f32') return literal(type, -Infinity)
  const { min, js } = TYPES[type]
  return min === null ? null : literal(type, js === 'number' ? Number(min) : min)
}
