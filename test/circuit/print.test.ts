import { describe, expect, it } from 'vitest'
import type { Expr } from '../../src/circuit/expr.js'
import { printExpr, printName } from '../../src/circuit/print.js'
import { call, literal } from '../../src/circuit/substitute.js'
import type { TypeName } from '../../src/schema/types.js'

const column = (name: string, type: TypeName = 'i64', input: 0 | 1 = 0): Expr => {
  return { kind: 'column', input, index: 0, name, type, nullable: true }
}
const [a, b, c] = ['a', 'b', 'c'].map(name => column(name))
const n = (value: bigint): Expr => literal('i64', value)

describe('printExpr', () => {
  it.each<[Expr, string]>([
    [call('mul', [call('add', [a, b], 'i64'), c], 'i64'), '(a + b) * c'],
    [call('add', [a, call('mul', [b, c], 'i64')], 'i64'), 'a + b * c'],
    [call('sub', [a, call('sub', [b, c], 'i64')], 'i64'), 'a - (b - c)'],
    [call('and', [call('gt', [a, n(1n)], 'bool'), call('or', [b, c], 'bool')], 'bool'), 'a > 1n && (b || c)'],
    [call('not', [call('eq', [a, b], 'bool')], 'bool'), '!(a == b)'],
    [call('not', [call('isNull', [a], 'bool')], 'bool'), '!(a === null)'],
    [call('neg', [call('add', [a, b], 'i64')], 'i64'), '-(a + b)'],
    [call('add', [call('coalesce', [a, n(0n)], 'i64'), b], 'i64'), '(a ?? 0n) + b'],
    [call('if', [a, b, call('if', [a, b, c], 'i64')], 'i64'), 'a ? b : a ? b : c'],
    [call('upper', [call('concat', [a, b], 'string')], 'string'), '(a + b).toUpperCase()'],
    [call('slice', [a, literal('f64', 0), literal('f64', 2.5)], 'string'), 'a.slice(0, 2.5)'],
    [call('length', [a], 'f64'), 'a.length'],
    [call('cast', [a], 'i32'), 'i32(a)'],
    [literal('string', 'say "x"\n'), '"say \\"x\\"\\n"'],
    [literal('date', 0), 'date("1970-01-01")'],
    [literal('bytes', Uint8Array.of(1, 2)), 'bytes(1,2)'],
    [literal('string', null), 'null'],
    [column('"); process.exit('), '"\\"); process.exit("'],
    [column('a b', 'i64', 1), 'right["a b"]'],
  ])('%#: %s', (expr, text) => {
    expect(printExpr(expr)).toBe(text)
  })

  it('names the parts of a date and functions', () => {
    const part: Expr = {
      kind: 'call',
      op: 'datePart',
      args: [a],
      type: 'f64',
      nullable: true,
      detail: 'year',
      udf: null,
    }
    const math: Expr = { ...part, op: 'math', detail: 'sqrt' }
    const udf: Expr = { ...part, op: 'udf', detail: null, udf: { name: 'my fn', fn: () => 1 } }
    expect([part, math, udf].map(e => printExpr(e))).toEqual(['year(a)', 'Math.sqrt(a)', '"my fn"(a)'])
  })

  it('stays short where sub-expressions are shared', () => {
    let expr: Expr = a
    for (let i = 0; i < 100; i++) expr = call('add', [expr, expr], 'i64')
    expect(printExpr(expr).length).toBeLessThan(2100)
  })

  it('quotes names that are no identifiers', () => {
    expect(['ok_1', '__proto__', '1a', '', '*/', '😀'].map(printName)).toEqual([
      'ok_1',
      '__proto__',
      '"1a"',
      '""',
      '"*/"',
      '"😀"',
    ])
  })
})
