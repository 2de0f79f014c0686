import { describe, expect, it } from 'vitest'
import { addRow, type Interpretation, interpret, printZSet, type ZSet } from '../../src/circuit/interpret.js'
import { lower } from '../../src/circuit/lower.js'
import { inputsOf, nodeCanFail, nodesOf, schemaOf } from '../../src/circuit/nodes.js'
import { printRel } from '../../src/circuit/print.js'
import type { JoinRel, Rel, Relation } from '../../src/circuit/rel.js'
import { call, columnOf } from '../../src/circuit/substitute.js'
import type { Value } from '../../src/schema/types.js'
import { picker, randomInputs, randomPlan, sourceOf, TABLES } from './random-plans.js'

const shown = ({ rows, errors }: Interpretation): string =>
  `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]) => `${m} × ${w}`).sort())}`

const PRIMITIVES = ['source', 'filter', 'map', 'negate', 'plus', 'join', 'clamp', 'aggregate', 'topK']

/** What later stages rely on; see lower.ts. */
function checkLowered(root: Rel): void {
  for (const rel of nodesOf(root)) {
    expect(PRIMITIVES).toContain(rel.kind)
    if (rel.kind === 'plus') {
      for (const input of inputsOf(rel)) expect(shape(input)).toEqual(shape(rel))
    }
    if (rel.kind === 'join') {
      expect(rel.type).toBe('inner')
      expect(rel.on.length).toBeGreaterThan(0)
      for (const [a, b] of rel.on) {
        expect([a.kind, b.kind, a.type, a.nullable]).toEqual(['column', 'column', b.type, b.nullable])
      }
    }
    if (rel.kind === 'aggregate') {
      for (const e of [...rel.keys, ...rel.aggregates.flatMap(a => a.args)]) expect(e.kind).toBe('column')
    }
    if (rel.kind === 'topK') {
      for (const e of [...rel.keys, ...rel.order.map(o => o.expr)]) expect(e.kind).toBe('column')
    }
  }
}

const shape = (rel: Rel) => rel.schema.columns.map(c => [c.type, c.nullable])
const names = (rel: Rel) => rel.schema.columns.map(c => c.name)

describe('lower', () => {
  it.each([0, 3])('keeps rows and failures of random circuits (risk %i of 10)', risk => {
    for (let seed = 1; seed <= 400; seed++) {
      const pick = picker(seed * 7919 + risk)
      const plan = randomPlan(1 + pick(3), risk, pick)
      const lowered = lower(plan)
      checkLowered(lowered)
      expect(shape(lowered), `seed ${seed}`).toEqual(shape(plan))
      expect(names(lowered), `seed ${seed}`).toEqual(names(plan))
      for (let i = 0; i < 3; i++) {
        const inputs = randomInputs(pick)
        expect(shown(interpret(lowered, inputs)), `seed ${seed}`).toBe(shown(interpret(plan, inputs)))
      }
    }
  })

  const orders = sourceOf(TABLES[0])
  const customers = sourceOf(TABLES[1])
  const divided = call('div', [columnOf(orders.schema, 2), columnOf(orders.schema, 0)], 'i64')

  const join = (parts: Partial<JoinRel>): JoinRel => ({
    kind: 'join',
    type: 'inner',
    left: orders,
    right: customers,
    on: [[columnOf(orders.schema, 1), columnOf(customers.schema, 0, 1)]],
    nullSafe: [false],
    residual: null,
    exprs: [columnOf(orders.schema, 0)],
    schema: schemaOf('joined', [{ name: 'id', type: 'i64', nullable: false }]),
    ...parts,
  })

  it('computes what an expansion needs twice once', () => {
    const left: Rel = { kind: 'distinct', schema: orders.schema, input: orders }
    const lowered = lower({ kind: 'set', op: 'intersect', schema: orders.schema, left, right: orders })
    expect(printRel(lowered)).toBe(
      [
        'plus',
        '  #1 clamp one',
        '    clamp one',
        '      table orders',
        '  negate',
        '    clamp positive',
        '      plus',
        '        #1 (see above)',
        '        negate',
        '          clamp one',
        '            table orders',
      ].join('\n'),
    )
  })

  it('drops NULL keys from what is joined, not from what has no match', () => {
    expect(printRel(lower(join({ type: 'anti' })))).toBe(
      [
        'map { id }',
        '  plus',
        '    table orders',
        '    negate',
        '      map { id, customer, amount, note }',
        '        inner join on left.customer === right.id → { id: left.id, customer: left.customer, amount: left.amount, note: left.note }',
        '          map { id, customer: customer ?? 0n, amount, note }',
        '            filter !(customer === null)',
        '              table orders',
        '          clamp one',
        '            map { id }',
        '              table customers',
      ].join('\n'),
    )
  })

  it('evaluates a key that can fail, and a residual that can fail, in one node each', () => {
    const residual = call('lt', [divided, columnOf(customers.schema, 0, 1)], 'bool')
    const keys = [[divided, columnOf(customers.schema, 0, 1)] as const]
    for (const type of ['left', 'right', 'full', 'semi', 'anti'] as const) {
      const lowered = lower(join({ type, on: keys, residual }))
      expect(
        nodesOf(lowered)
          .filter(nodeCanFail)
          .map(r => r.kind)
          .sort(),
      ).toEqual(['join', 'map'])
    }
  })

  it('compares keys of different integer types by value', () => {
    const points = sourceOf(TABLES[2])
    const on = [[columnOf(orders.schema, 0), columnOf(points.schema, 0, 1)] as const]
    const inputs = new Map<Relation, ZSet>([
      [TABLES[0], zset([-1n, null, 0n, null], [2n, null, 0n, null], [2n ** 63n - 1n, null, 0n, null])],
      [
        TABLES[2],
        zset(
          [2n ** 64n - 1n, 0, null, null],
          [2n, 0, null, null],
          [2n ** 63n - 1n, 0, null, null],
          [0n, 0, null, null],
        ),
      ],
    ])
    const rel = join({ right: points, on })
    expect(printZSet(interpret(lower(rel), inputs).rows)).toBe(printZSet(zset([2n], [2n ** 63n - 1n])))
    expect(printZSet(interpret(rel, inputs).rows)).toBe(printZSet(zset([2n], [2n ** 63n - 1n])))
  })

  it('refuses keys that no conversion makes comparable', () => {
    const on = [[columnOf(orders.schema, 0), columnOf(customers.schema, 2, 1)] as const]
    expect(() => lower(join({ on }))).toThrow('cannot join a key of type i64 with one of type string')
  })

  it('keeps weights that a product of weights would leave i64 for out of residual semijoins', () => {
    const residual = call('lt', [columnOf(orders.schema, 2), columnOf(customers.schema, 0, 1)], 'bool')
    const many: ZSet = new Map()
    addRow(many, [1n, 1n, 0n, null], 2n ** 62n)
    const inputs = new Map<Relation, ZSet>([
      [TABLES[0], many],
      [TABLES[1], zset([1n, null, 'x'])],
    ])
    for (const r of [residual, call('lt', [divided, columnOf(customers.schema, 0, 1)], 'bool')]) {
      const result = interpret(lower(join({ type: 'semi', residual: r })), inputs)
      expect([printZSet(result.rows), result.overflow]).toEqual([`+${2n ** 62n} (1n)`, false])
    }
  })
})

function zset(...rows: (readonly Value[])[]): ZSet {
  const result: ZSet = new Map()
  for (const row of rows) addRow(result, row, 1n)
  return result
}
