/**
 * Gates: rows that pass when a signal, the clock or a waterline, has reached their time, or until it has passed it.
 *
 *     filter(r => r.at >= ago('1 hour'))     until the clock is an hour further
 *     emitFinal(r => r.windowEnd)            once no row of that time will change any more
 */
import { CompileError, quote } from '../../base/errors.js'
import { TYPES } from '../../schema/types.js'
import { type Bound, boundsOf, monotoneIn } from '../bounds.js'
import { CLOCK } from '../clock.js'
import { allOf, conjuncts } from '../conditions.js'
import type { CallExpr, Expr } from '../expr.js'
import { valueLambda } from '../lambda/index.js'
import { lower } from '../lower.js'
import { filterOf } from '../nodes.js'
import { isNow, mentionsNow } from '../now.js'
import { printExpr } from '../print.js'
import type { GateRel, Rel } from '../rel.js'
import { call, columnOf, literal, rebuild, usedColumns } from '../substitute.js'
import { typeText } from '../typing.js'
import { isTimeType } from './spans.js'

const TURNED = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' } as const

/** A filter whose condition may compare with the present time. */
export function filterRel(input: Rel, condition: Expr): Rel {
  const all = conjuncts(condition)
  const timed = all.filter(mentionsNow)
  if (timed.length === 0) return Object.freeze({ kind: 'filter', input, predicate: condition, schema: input.schema })
  const plain = all.filter(c => !mentionsNow(c))
  return timed.reduce<Rel>(clockGate, plain.length === 0 ? input : filterOf(input, allOf(plain)))
}

function clockGate(input: Rel, comparison: Expr): Rel {
  const what = `filter: ${printExpr(comparison)}`
  const hint = 'compare a time of the row by size with now() or ago(…), and join conditions with &&'
  if (comparison.kind !== 'call' || !Object.hasOwn(TURNED, comparison.op)) {
    throw new CompileError(`${what}: now() cannot stand here`, { hint })
  }
  const op = comparison.op as GateRel['op']
  const [a, b] = comparison.args
  const isTurned = mentionsNow(a)
  const [key, time] = isTurned ? [b, a] : [a, b]
  if (mentionsNow(key) || usedColumns(time)[0].size > 0) {
    throw new CompileError(`${what}: now() cannot stand here`, { hint })
  }
  const value = withoutNow(time)
  if (value.nullable || monotoneIn(value) === null || value.type !== key.type) {
    throw new CompileError(`${what}: expected a function of now() that goes on with it, of type ${key.type}`, { hint })
  }
  const signal = { kind: 'waterline', table: CLOCK, column: 0 } as const
  return gate(input, key, isTurned ? TURNED[op] : op, { kind: 'value', signal, value }, what)
}

/** The time as a function of column 0. */
function withoutNow(time: Expr): Expr {
  if (isNow(time)) return { ...columnOf(CLOCK.schema, 0), name: 'now()' }
  return time.kind === 'call' ? rebuild(time as CallExpr, time.args.map(withoutNow)) : time
}

export function finalRel(input: Rel, fn: unknown, ctx: unknown): Rel {
  const what = 'emitFinal'
  const key = valueLambda({ fn, ctx, rows: [input.schema], what })
  if (key.kind !== 'column') throw new CompileError(`${what}: expected a column, found ${printExpr(key)}`)
  const bound = boundsOf(lower(input))[key.index]
  if (bound === null) {
    throw new CompileError(`${what}: column ${quote(key.name)} may change for ever: it follows from no waterline`, {
      hint: 'take the end of a window over a column with .lateness(…), and group by it',
    })
  }
  return gate(input, key, 'lt', bound, what)
}

function gate(rel: Rel, given: Expr, op: GateRel['op'], threshold: Bound, what: string): Rel {
  if (!isTimeType(given.type)) {
    throw new CompileError(`${what}: ${typeText(given)} is no time`, {
      hint: 'a time is a timestamp, timestamptz, date or integer',
    })
  }
  const present = call('not', [call('isNull', [given], 'bool')], 'bool')
  const zero = literal(given.type, TYPES[given.type].js === 'number' ? 0 : 0n)
  const [input, key] = given.nullable
    ? [filterOf(rel, present), call('coalesce', [given, zero], given.type)]
    : [rel, given]
  return Object.freeze<GateRel>({ kind: 'gate', input, key, op, threshold, schema: rel.schema })
}
