import { describe, expect, it } from 'vitest'
import { interpret, printZSet, type Row, type ZSet, zsetOf } from '../../src/circuit/interpret.js'
import type { JoinRel, Rel, Relation, SetRel } from '../../src/circuit/rel.js'
import * as n from '../../src/testing/nodes.js'

const left = n.table('l', [['k', 'i64', true], ['x', 'i64']]) // biome-ignore format: a table reads as one
const right = n.table('r', [
  ['k', 'i64', true],
  ['y', 'f64', true],
])
const [l, r] = [n.source(left), n.source(right)]
const zset = (...rows: [bigint, ...Row][]): ZSet => zsetOf(rows.map(([weight, ...row]) => ({ weight, row })))
const run = (rel: Rel, lefts: ZSet, rights: ZSet = zset()) => {
  const result = interpret(
    rel,
    new Map<Relation, ZSet>([
      [left, lefts],
      [right, rights],
    ]),
  )
  return { rows: printZSet(result.rows).split('\n').filter(Boolean), errors: Object.fromEntries(result.errors) }
}
const lk = n.column(left.schema, 0)
const lx = n.column(left.schema, 1)
const rk = n.column(right.schema, 0, 1)
const ry = n.column(right.schema, 1, 1)
const big = (v: bigint) => n.literal('i64', v)
const inverse = n.call('div', 'i64', big(10n), lx)

describe('linear operators', () => {
  it('drop and record rows that fail', () => {
    const filter = n.filter(l, n.call('gt', 'bool', inverse, big(4n)))
    const { rows, errors } = run(filter, zset([2n, 1n, 0n], [1n, 1n, 2n], [-1n, 2n, 0n], [3n, 1n, 5n]))
    expect(rows).toEqual(['+1 (1n, 2n)'])
    expect(errors).toEqual({ 'division by zero': 1n })
  })

  it('evaluate a shared node once', () => {
    const map = n.map(l, [['c', inverse]])
    const input = zset([1n, null, 0n], [1n, null, 5n])
    expect(run(n.plus(map, map), input)).toEqual({ rows: ['+2 (2n)'], errors: { 'division by zero': 1n } })
    expect(run(n.plus(map, n.map(l, [['c', inverse]])), input).errors).toEqual({ 'division by zero': 2n })
    expect(run(n.plus(map, n.negate(map)), input)).toEqual({ rows: [], errors: { 'division by zero': 1n } })
  })
})

describe('joins', () => {
  const join = (type: JoinRel['type'], nullSafe = false, residual: JoinRel['residual'] = null) =>
    n.join(type, l, r, [[lk, rk, nullSafe]], residual, [
      ['x', lx],
      ['y', type === 'semi' || type === 'anti' ? lk : ry],
    ])
  const lefts = zset([1n, 1n, 10n], [2n, 2n, 20n], [1n, null, 30n])
  const rights = zset([1n, 1n, 1], [3n, 1n, 2], [1n, 3n, 3], [1n, null, 4])

  it.each<[JoinRel['type'], string[]]>([
    ['inner', ['+1 (10n, 1)', '+3 (10n, 2)']],
    ['left', ['+1 (10n, 1)', '+1 (30n, null)', '+2 (20n, null)', '+3 (10n, 2)']],
    ['right', ['+1 (10n, 1)', '+1 (null, 3)', '+1 (null, 4)', '+3 (10n, 2)']],
    ['full', ['+1 (10n, 1)', '+1 (30n, null)', '+1 (null, 3)', '+1 (null, 4)', '+2 (20n, null)', '+3 (10n, 2)']],
    ['semi', ['+1 (10n, 1n)']],
    ['anti', ['+1 (30n, null)', '+2 (20n, 2n)']],
  ])('%s', (type, rows) => {
    expect(run(join(type), lefts, rights)).toEqual({ rows, errors: {} })
  })

  it('match NULL with NULL where asked', () => {
    expect(run(join('inner', true), lefts, rights).rows).toContain('+1 (30n, 4)')
    expect(run(join('anti', true), lefts, rights).rows).toEqual(['+2 (20n, 2n)'])
  })

  it('count a match by the sum of weights', () => {
    const cancelled = zset([2n, 1n, 1], [-2n, 1n, 2])
    expect(run(join('semi'), lefts, cancelled).rows).toEqual([])
    expect(run(join('left'), zset([1n, 1n, 10n]), cancelled).rows).toEqual([
      '+1 (10n, null)',
      '+2 (10n, 1)',
      '-2 (10n, 2)',
    ])
    expect(run(join('semi'), lefts, zset([2n, 1n, 1], [-1n, 1n, 2])).rows).toEqual(['+1 (10n, 1n)'])
  })

  it('record failing keys by row and failing residuals by pair', () => {
    const residual = n.call('gt', 'bool', n.call('div', 'i64', big(1n), n.call('sub', 'i64', lx, big(10n))), big(-9n))
    expect(run(join('left', false, residual), zset([2n, 1n, 10n], [1n, 1n, 11n]), rights)).toEqual({
      rows: ['+1 (11n, 1)', '+2 (10n, null)', '+3 (11n, 2)'],
      errors: { 'division by zero': 8n },
    })
    const keyed = n.join('left', l, r, [[inverse, rk, false]], null, [['x', lx]])
    expect(run(keyed, zset([5n, 1n, 0n], [1n, 1n, 1n]))).toEqual({
      rows: ['+1 (1n)'],
      errors: { 'division by zero': 5n },
    })
  })
})

it.each<[SetRel['op'], string[]]>([
  ['union', ['+1 (1n, 1n)', '+1 (2n, 2n)', '+1 (3n, 3n)']],
  ['intersect', ['+1 (1n, 1n)']],
  ['intersectAll', ['+2 (1n, 1n)']],
  ['except', ['+1 (2n, 2n)']],
  ['exceptAll', ['+1 (1n, 1n)', '+1 (2n, 2n)']],
])('set operation %s', (op, rows) => {
  const other = n.table('o', [['k', 'i64', true], ['x', 'i64']]) // biome-ignore format: a table reads as one
  const a = zset([3n, 1n, 1n], [1n, 2n, 2n], [-1n, 3n, 3n])
  const b = zset([2n, 1n, 1n], [-1n, 2n, 2n], [2n, 3n, 3n])
  const result = interpret(
    n.set(op, l, n.source(other)),
    new Map<Relation, ZSet>([
      [left, a],
      [other, b],
    ]),
  )
  expect(printZSet(result.rows).split('\n')).toEqual(rows)
})

describe('groups', () => {
  const all = (x: typeof lx) => (['count', 'sum', 'avg', 'min', 'max'] as const).map(fn => [fn, fn, x] as const)

  it('aggregate by key, NULL being a key', () => {
    const rel = n.aggregate(l, [['k', lk]], [['n', 'count', null], ...all(lx)])
    expect(run(rel, zset([2n, 1n, 10n], [1n, 1n, 13n], [1n, null, 7n], [-1n, 2n, 1n])).rows).toEqual([
      '+1 (1n, 3n, 3n, 33n, 11, 10n, 13n)',
      '+1 (null, 1n, 1n, 7n, 7, 7n, 7n)',
    ])
  })

  it('give a global row for nothing', () => {
    expect(run(n.aggregate(l, [], all(lx)), zset()).rows).toEqual(['+1 (0n, null, null, null, null)'])
    const nullable = n.aggregate(r, [], all(n.column(right.schema, 1)))
    expect(run(nullable, zset(), zset([4n, 1n, null])).rows).toEqual(['+1 (0n, null, null, null, null)'])
  })

  it('sum floats exactly', () => {
    const rel = n.aggregate(r, [], all(n.column(right.schema, 1)))
    const rights = zset([1n, 1n, 1e16], [1n, 2n, 1], [1n, 3n, -1e16], [1n, 4n, 1e-3])
    expect(run(rel, zset(), rights).rows).toEqual(['+1 (4n, 1.001, 0.25025, -10000000000000000, 10000000000000000)'])
  })

  it('leave out a group that overflows, and rows that fail', () => {
    const rel = n.aggregate(
      l,
      [['k', lk]],
      [
        ['total', 'sum', lx],
        ['i', 'max', inverse],
      ],
    )
    expect(run(rel, zset([1n, 1n, 2n ** 62n], [1n, 1n, 2n ** 62n + 1n], [3n, 2n, 0n], [1n, 2n, 5n]))).toEqual({
      rows: ['+1 (2n, 5n, 2n)'],
      errors: { 'i64 overflow in sum "total"': 1n, 'division by zero': 3n },
    })
  })

  it('take the first rows by order, cut to the limit', () => {
    const rel = n.topK(l, [lk], [{ expr: lx, descending: true }], 3)
    expect(run(rel, zset([2n, 1n, 5n], [2n, 1n, 4n], [9n, 1n, 3n], [-1n, 1n, 9n], [9n, null, 1n])).rows).toEqual([
      '+1 (1n, 4n)',
      '+2 (1n, 5n)',
      '+3 (null, 1n)',
    ])
  })
})

it('computes views that are read, keeps their failures apart, and reports overflow', () => {
  const inner = n.view('inner', n.map(l, [['c', inverse]]))
  const outer = n.distinct(n.source(inner))
  expect(run(outer, zset([2n, null, 0n], [3n, 1n, 5n]))).toEqual({ rows: ['+1 (2n)'], errors: {} })
  const huge = zset([2n ** 62n, 1n, 1n])
  const join = n.join('inner', l, r, [[lk, rk, false]], null, [['x', lx]])
  const inputs = new Map<Relation, ZSet>([
    [left, huge],
    [right, zset([2n, 1n, 1])],
  ])
  expect(interpret(join, inputs).overflow).toBe(true)
  expect(interpret(n.source(n.view('v', join)), inputs).overflow).toBe(true)
  expect(interpret(l, inputs).overflow).toBe(false)
})
