import { describe, expect, it } from 'vitest'
import { conjoin, conjuncts, force, forced, keepsFailures, separable } from '../../src/circuit/conditions.js'
import { evaluate } from '../../src/circuit/eval.js'
import type { Expr } from '../../src/circuit/expr.js'
import { fold } from '../../src/circuit/optimise/fold.js'
import { printExpr } from '../../src/circuit/print.js'
import { Failure } from '../../src/circuit/scalar.js'
import { call, canFail, columnOf, exprKey, FALSE, literal, TRUE } from '../../src/circuit/substitute.js'
import type { Value } from '../../src/schema/types.js'
import { picker, randomExpr, tableOf } from './random-plans.js'

const { schema } = tableOf('t', { a: 'i64', b: 'i64?', x: 'f64', s: 'string?', p: 'bool', q: 'bool?' })
const [a, b, , , p, q] = schema.columns.map(c => columnOf(schema, c.index))
const n = (value: bigint): Expr => literal('i64', value)
const fails = call('gt', [call('div', [n(1n), a], 'i64'), n(0n)], 'bool')

/** The value, or the message if there is none. */
function outcome(expr: Expr, row: readonly Value[]): unknown {
  try {
    return evaluate(expr, row)
  } catch (failure) {
    if (failure instanceof Failure) return failure.message
    throw failure
  }
}

function randomRow(pick: (bound: number) => number): Value[] {
  const or = (value: Value): Value => (pick(3) === 0 ? null : value)
  return [
    BigInt(pick(3) - 1),
    or(BigInt(pick(3))),
    pick(3) / 2,
    or(['', 'a', '1'][pick(3)]),
    pick(2) === 0,
    or(pick(2) === 0),
  ]
}

describe('fold', () => {
  it('keeps value and failure of random expressions', () => {
    let smaller = 0
    for (let seed = 1; seed <= 3000; seed++) {
      const pick = picker(seed)
      const expr = randomExpr((['bool', 'i64', 'f64', 'string'] as const)[pick(4)], [schema], 4, 4, pick)
      const folded = fold(expr)
      if (folded !== expr) smaller++
      for (let i = 0; i < 4; i++) {
        const row = randomRow(pick)
        expect(outcome(folded, row), `seed ${seed}: ${printExpr(expr)} became ${printExpr(folded)}`).toEqual(
          outcome(expr, row),
        )
      }
      if (!canFail(expr)) expect(canFail(folded)).toBe(false)
    }
    expect(smaller).toBeGreaterThan(300)
  })

  it('leaves alone what always fails, and what is evaluated only to fail', () => {
    const never = call('div', [n(1n), n(0n)], 'i64')
    expect(fold(never)).toBe(never)
    expect(fold(force(fails))).toEqual(force(fails))
    expect(fold(force(a))).toEqual(TRUE)
    expect(printExpr(fold(call('and', [fails, FALSE], 'bool')))).toBe('1n / a > 0n && false')
    expect(fold(call('and', [FALSE, fails], 'bool'))).toBe(FALSE)
  })
})

describe('conditions', () => {
  it('makes one filter of several', () => {
    const random = (seed: number) => {
      const pick = picker(seed)
      return { pick, filters: [1, 2, 3].map(() => randomExpr('bool', [schema], 2, 4, pick)) }
    }
    for (let seed = 1; seed <= 1000; seed++) {
      const { pick, filters } = random(seed)
      const one = conjoin(filters)
      for (let i = 0; i < 5; i++) {
        const row = randomRow(pick)
        // One after the other: the first that is not TRUE decides.
        const [expected] = [...filters.map(f => outcome(f, row)).filter(v => v !== true), true]
        const passes = outcome(one, row)
        expect(passes === true, `seed ${seed}`).toBe(expected === true)
        expect(typeof passes === 'string' ? passes : '', `seed ${seed}`).toBe(
          typeof expected === 'string' ? expected : '',
        )
      }
    }
  })

  it('separates only what neither fails nor hides a failure', () => {
    const parts = (expr: Expr) => {
      const { moved, rest } = separable(expr, () => true)
      return [moved.map(e => printExpr(e)), printExpr(rest)]
    }
    const and = (...all: Expr[]): Expr => call('and', all, 'bool')
    expect(parts(and(p, q))).toEqual([['p', 'q'], 'true'])
    expect(parts(and(p, fails, q))).toEqual([['p'], '1n / a > 0n && q'])
    expect(parts(and(q, fails))).toEqual([[], 'q && 1n / a > 0n'])
    expect(conjuncts(and(and(p, q), fails))).toHaveLength(3)
    expect(forced(force(fails))).toBe(fails)
  })

  it('knows when substitution changes which failure comes first', () => {
    const column = (index: number): Expr => ({ ...a, index, kind: 'column', input: 0, name: `c${index}` })
    const inner = [call('div', [n(1n), a], 'i64'), b, call('div', [n(2n), a], 'i64')]
    expect(keepsFailures(inner, [column(0), column(2)])).toBe(true)
    expect(keepsFailures(inner, [call('add', [column(0), column(2)], 'i64')])).toBe(true)
    expect(keepsFailures(inner, [column(2), column(0)])).toBe(false)
    expect(keepsFailures(inner, [column(0)])).toBe(false)
    expect(keepsFailures(inner, [call('and', [p, call('is', [column(0), column(2)], 'bool')], 'bool')])).toBe(false)
    expect(keepsFailures([a, b], [call('div', [column(0), column(1)], 'i64')])).toBe(true)
  })

  it('tells expressions apart by what they compute', () => {
    const key = exprKey
    expect(key(columnOf(schema, 0))).toBe(key({ ...columnOf(schema, 0), name: 'other' }))
    expect(key(literal('f64', -0))).not.toBe(key(literal('f64', 0)))
    expect(key(literal('string', '1'))).not.toBe(key(n(1n)))
    expect(key(literal('i64', 1n))).not.toBe(key(literal('u64', 1n)))
    let one: Expr = a
    let two: Expr = columnOf(schema, 0)
    for (let i = 0; i < 200; i++) {
      one = call('add', [one, one], 'i64')
      two = call('add', [two, two], 'i64')
    }
    expect(key(one)).toBe(key(two))
    expect(key(one)).not.toBe(key(call('add', [two, two], 'i64')))
  })
})
