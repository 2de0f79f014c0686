import { describe, expect, it } from 'vitest'
import type { Expr } from '../../src/circuit/expr.js'
import { type Interpretation, interpret, printZSet } from '../../src/circuit/interpret.js'
import { lower } from '../../src/circuit/lower.js'
import { nodeCanFail, nodesOf, schemaOf, specsOf } from '../../src/circuit/nodes.js'
import { linearChain, optimise } from '../../src/circuit/optimise.js'
import { printRel } from '../../src/circuit/print.js'
import type { AggregateFn, AggregateSpec, JoinRel, Rel } from '../../src/circuit/rel.js'
import { allColumns, call, columnOf, literal } from '../../src/circuit/substitute.js'
import { picker, randomInputs, randomPlan, sourceOf, TABLES } from './random-plans.js'

const shown = ({ rows, errors }: Interpretation): string =>
  `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]) => `${m} × ${w}`).sort())}`

const shape = (rel: Rel) => rel.schema.columns.map(c => [c.name, c.type, c.nullable])

describe('optimise', () => {
  it.each([0, 3, 6])('keeps rows and failures of random circuits (risk %i of 10)', risk => {
    for (let seed = 100_001; seed <= 100_150; seed++) {
      const pick = picker(seed * 7919 + risk)
      const plan = randomPlan(1 + pick(3), risk, pick)
      const optimised = optimise(lower(plan))
      expect(shape(optimised), `seed ${seed}`).toEqual(shape(plan))
      for (let i = 0; i < 3; i++) {
        const inputs = randomInputs(pick)
        expect(shown(interpret(optimised, inputs)), `seed ${seed}`).toBe(shown(interpret(plan, inputs)))
      }
    }
  })

  const orders = sourceOf(TABLES[0])
  const customers = sourceOf(TABLES[1])
  const [id, customer, amount, note] = allColumns(orders.schema)
  const divided = call('div', [amount, id], 'i64')
  const more = (expr: Expr, than: bigint): Expr => call('gt', [expr, literal('i64', than)], 'bool')
  const filter = (input: Rel, predicate: Expr): Rel => ({ kind: 'filter', schema: input.schema, input, predicate })
  const map = (input: Rel, exprs: readonly Expr[]): Rel => {
    return {
      kind: 'map',
      schema: schemaOf(
        'm',
        specsOf(exprs, i => `c${i}`),
      ),
      input,
      exprs,
    }
  }
  const aggregate = (fn: AggregateFn, args: readonly Expr[], name: string): AggregateSpec => {
    return { fn, args, name, filter: null, distinct: false, order: [], detail: null }
  }
  const grouped = (input: Rel, keys: readonly Expr[], aggregates: readonly AggregateSpec[]): Rel => {
    const specs = aggregates.map(a => ({ name: a.name, type: 'i64' as const, nullable: a.fn !== 'count' }))
    return { kind: 'aggregate', input, keys, aggregates, schema: schemaOf('g', [...specsOf(keys, String), ...specs]) }
  }
  const join = (parts: Partial<JoinRel>): Rel => {
    const exprs = parts.exprs ?? [id, columnOf(customers.schema, 2, 1)]
    return {
      kind: 'join',
      type: 'inner',
      left: orders,
      right: customers,
      on: [[id, columnOf(customers.schema, 0, 1)]],
      nullSafe: [false],
      residual: null,
      schema: schemaOf(
        'j',
        specsOf(exprs, i => `c${i}`),
      ),
      ...parts,
      exprs,
    }
  }
  const text = (rel: Rel): string => printRel(optimise(lower(rel)))
  const lines = (...all: string[]): string => all.join('\n')

  it('fuses filters and maps into one of each', () => {
    const sum = call('if', [more(id, 0n), id, amount], 'i64')
    const rel = filter(
      map(filter(filter(orders, more(id, 1n)), more(amount, 2n)), [sum, note]),
      more(columnOf(map(orders, [sum]).schema, 0), 3n),
    )
    expect(text(rel)).toBe(
      lines(
        'map { c0: id > 0n ? id : amount, note }',
        '  filter id > 1n && amount > 2n && (id > 0n ? id : amount) > 3n',
        '    table orders',
      ),
    )
  })

  it('forces a failure that a filter behind it would hide', () => {
    const rel = map(orders, [divided, note])
    const onNote = call('eq', [columnOf(rel.schema, 1), literal('string', 'x')], 'bool')
    expect(text(filter(rel, onNote))).toBe(
      lines(
        'map { c0: amount / id, note }',
        '  filter (amount / id === null || true) && note == "x"',
        '    table orders',
      ),
    )
    // Nothing to force where the filter itself evaluates it first.
    expect(text(filter(rel, more(columnOf(rel.schema, 0), 1n)))).toBe(
      lines('map { c0: amount / id, note }', '  filter amount / id > 1n', '    table orders'),
    )
  })

  it('does not evaluate behind a NULL what a second filter would not have seen', () => {
    const rel = filter(filter(orders, more(customer, 1n)), more(divided, 1n))
    expect(text(rel)).toBe(lines('filter customer > 1n === true && amount / id > 1n', '  table orders'))
  })

  it('gives what can fail and has several readers a chain of its own', () => {
    const shared = filter(orders, more(divided, 1n))
    const two: Rel = {
      kind: 'plus',
      schema: map(orders, [id]).schema,
      inputs: [map(shared, [id]), map(shared, [amount])],
    }
    const plan = optimise(lower(two))
    expect(nodesOf(plan).filter(nodeCanFail)).toHaveLength(1)
    for (const rel of nodesOf(plan)) if (rel.kind === 'map') expect(linearChain(rel).input.kind).toMatch(/map|source/)
  })

  it('never computes a user function twice for a row', () => {
    const udf = { name: 'slow', fn: () => 1n }
    const slow: Expr = { kind: 'call', op: 'udf', args: [id], type: 'i64', nullable: false, detail: null, udf }
    const rel = map(orders, [slow])
    const plan = optimise(lower(filter(rel, more(columnOf(rel.schema, 0), 1n))))
    expect(printRel(plan)).toBe(lines('filter c0 > 1n', '  map { c0: slow(id) }', '    table orders'))
    expect(linearChain(plan).input.kind).toBe('map')
  })

  it('pushes conditions to the sides of a join and keeps only columns that are read', () => {
    const region = columnOf(customers.schema, 2, 1)
    const residual = call('and', [more(amount, 1n), call('eq', [region, literal('string', 'x')], 'bool')], 'bool')
    expect(text(join({ residual, on: [[customer, columnOf(customers.schema, 1, 1)]] }))).toBe(
      lines(
        'inner join on left.customer === right.boss → { id: left.id, region: right.region }',
        '  map { id, customer: customer ?? 0n }',
        '    filter !(customer === null) && amount > 1n',
        '      table orders',
        '  map { boss: boss ?? 0n, region }',
        '    filter !(boss === null) && region == "x"',
        '      table customers',
      ),
    )
  })

  it('leaves a table whole that is joined by its primary key', () => {
    expect(text(join({ exprs: [id] }))).toContain('\n  table customers')
  })

  it('drops aggregates that nobody reads, unless they can fail', () => {
    const aggregates: AggregateSpec[] = [
      aggregate('count', [], 'n'),
      aggregate('max', [amount], 'most'),
      aggregate('sum', [amount], 'total'),
    ]
    const group = grouped(orders, [customer], aggregates)
    expect(text(map(group, [columnOf(group.schema, 0), columnOf(group.schema, 1)]))).toContain('count(), sum(amount)\n')
    const safe = grouped(orders, [customer], aggregates.slice(0, 2))
    expect(text(map(safe, [columnOf(safe.schema, 0)]))).toBe(
      lines('clamp one', '  map { customer }', '    table orders'),
    )
  })

  it('filters groups before grouping, but not where a failing group would be hidden', () => {
    const count = grouped(orders, [customer], [aggregate('count', [], 'n')])
    expect(text(filter(count, more(columnOf(count.schema, 0), 1n)))).toBe(
      lines('aggregate by (customer): count()', '  map { customer }', '    filter customer > 1n', '      table orders'),
    )
    const sum = grouped(orders, [customer], [aggregate('sum', [amount], 'n')])
    expect(text(filter(sum, more(columnOf(sum.schema, 0), 1n)))).toMatch(/^filter customer > 1n\n/)
    const all = grouped(orders, [], [aggregate('count', [], 'n')])
    expect(text(filter(all, literal('bool', false)))).toBe('plus')
  })

  it('drops clamps that change nothing', () => {
    const count = grouped(orders, [customer], [aggregate('count', [], 'n')])
    const distinct = (input: Rel): Rel => ({ kind: 'distinct', schema: input.schema, input })
    expect(text(distinct(distinct(count)))).toBe(text(count))
    expect(text(distinct(distinct(orders)))).toBe(lines('clamp one', '  table orders'))
    expect(text(distinct(map(count, [columnOf(count.schema, 1)])))).toMatch(/^clamp one/)
  })

  it('computes equal sub-plans once, but each failure where it was asked for', () => {
    const twice = (make: () => Rel): Rel => ({ kind: 'plus', schema: make().schema, inputs: [make(), make()] })
    const distinct = (input: Rel): Rel => ({ kind: 'distinct', schema: input.schema, input })
    const safe = optimise(lower(twice(() => distinct(filter(orders, more(amount, 1n))))))
    expect(nodesOf(safe).filter(r => r.kind === 'clamp')).toHaveLength(1)
    const unsafe = optimise(lower(twice(() => distinct(filter(orders, more(divided, 1n))))))
    expect(nodesOf(unsafe).filter(r => r.kind === 'clamp')).toHaveLength(2)
  })

  it('knows what is empty, but not what fails on the way', () => {
    expect(text(filter(orders, literal('bool', null)))).toBe('plus')
    expect(text(join({ left: filter(orders, literal('bool', false)) }))).toBe('plus')
    expect(text(filter(map(orders, [divided]), literal('bool', false)))).not.toBe('plus')
  })

  it('keeps the names of the result', () => {
    const schema = schemaOf(
      'v',
      orders.schema.columns.map(c => ({ ...c, name: `${c.name}!` })),
    )
    const renamed = optimise(lower({ kind: 'map', schema, input: orders, exprs: allColumns(orders.schema) }))
    expect(renamed.schema.columns.map(c => c.name)).toEqual(['id!', 'customer!', 'amount!', 'note!'])
  })

  it('stays small and quick where maps double what they read', () => {
    let rel: Rel = map(orders, [id])
    for (let i = 0; i < 40; i++) {
      const c = columnOf(rel.schema, 0)
      rel = map(rel, [call('add', [c, c], 'i64')])
    }
    const plan = optimise(lower(rel))
    expect(nodesOf(plan).length).toBeLessThan(20)
  })
})
