/** Streams: the operators of DBSP's paper and their identities; Z-sets compiled; nested clocks; the laws as users run them. */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { i64, open, string, table, u32, view } from '../../src/index.js'
import {
  booleans,
  Circuit,
  changesOf,
  type Group,
  type GroupStream,
  i64Ring,
  integers,
  iterate,
  minPlus,
  pairs,
  Relations,
  recursive,
  writeTo,
  type ZSet,
  zsets,
} from '../../src/streams/index.js'
import {
  checkBilinear,
  checkGroup,
  checkIncrementalOf,
  checkLinear,
  checkRing,
  checkSemiring,
  checkTimeInvariant,
  runStream,
} from '../../src/testing/index.js'

const OPTIONS = { runs: 30, seed: 1 }
const edges = zsets({ x: u32(), y: u32() })
type Edge = { x: number; y: number }
const edgeArb = fc.record({ x: fc.nat(3), y: fc.nat(3) })
const zsetArb: fc.Arbitrary<ZSet<Edge>> = fc
  .array(fc.tuple(edgeArb, fc.constantFrom(1n, 1n, 2n, -1n)), { maxLength: 6 })
  .map(rows => rows.map(([row, w]) => edges.of([row], w)).reduce((a, b) => edges.plus(a, b), edges.zero))
const bigintArb = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n })
const numbers = (operator: (s: GroupStream<bigint>) => GroupStream<bigint>, values: readonly bigint[]) =>
  runStream(operator, integers, values)

describe('algebra', () => {
  it('instances obey their laws', () => {
    checkRing(integers, bigintArb, OPTIONS)
    checkRing(i64Ring, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), OPTIONS)
    checkSemiring(booleans, fc.boolean(), OPTIONS)
    checkSemiring(minPlus, fc.oneof(fc.nat(), fc.constant(Number.POSITIVE_INFINITY)), OPTIONS)
    checkGroup(pairs(integers, i64Ring), fc.tuple(bigintArb, fc.bigInt({ min: -5n, max: 5n })), OPTIONS)
    checkGroup(edges, zsetArb, OPTIONS)
  })

  it('broken ones are found out', () => {
    const minus: Group<bigint> = { ...integers, plus: (a, b) => a - b }
    expect(() => checkGroup(minus, bigintArb, OPTIONS)).toThrow('plus is associative')
    const saturating = { ...minPlus, times: (a: number, b: number) => Math.min(a + b, 10) }
    expect(() => checkSemiring(saturating, fc.nat(20), OPTIONS)).toThrow('law broken')
  })
})

describe('streams of numbers', () => {
  const values = [3n, 1n, 4n, 1n, 5n]

  it('are delayed, integrated, differentiated', () => {
    expect(numbers(s => s.delay(), values)).toEqual([0n, 3n, 1n, 4n, 1n])
    expect(numbers(s => s.integrate(), values)).toEqual([3n, 4n, 8n, 9n, 14n])
    expect(numbers(s => s.differentiate(), values)).toEqual([3n, -2n, 3n, -3n, 4n])
    expect(numbers(s => s.delta0(), values)).toEqual([3n, 0n, 0n, 0n, 0n])
    expect(numbers(s => s.integrate().differentiate(), values)).toEqual(values)
    expect(numbers(s => s.differentiate().integrate(), values)).toEqual(values)
    expect(numbers(s => s.neg().plus(s).minus(s.delay()), values)).toEqual([0n, -3n, -1n, -4n, -1n])
  })

  it('are fed back through a delay', () => {
    const fibonacci = (s: GroupStream<bigint>) =>
      s.circuit.feedback(integers, past => past.plus(past.delay()).plus(s.delta0()))
    expect(numbers(fibonacci, [1n, 0n, 0n, 0n, 0n, 0n])).toEqual([1n, 1n, 2n, 3n, 5n, 8n])
    const integral = (s: GroupStream<bigint>) => s.circuit.feedback(integers, past => past.plus(s))
    expect(numbers(integral, values)).toEqual(numbers(s => s.integrate(), values))
  })

  it('are applied to, folded, generated and looked at', () => {
    const circuit = new Circuit()
    const ticks = circuit.generator(time => BigInt(time), integers)
    const seen: [bigint, number][] = []
    const total = circuit.sum(ticks, ticks, ticks).inspect((value, time) => seen.push([value, time]))
    const text = total.apply2(ticks, (a, b) => `${a}/${b}`)
    const all = circuit.applyN([ticks, total], parts => parts.join())
    const longest = text.streamFold('', (a, b) => (b.length >= a.length ? b : a))
    for (let t = 0; t < 3; t++) circuit.step()
    expect(seen).toEqual([
      [0n, 0],
      [3n, 1],
      [6n, 2],
    ])
    expect([text.value, all.value, longest.value]).toEqual(['6/2', '2,6', '6/2'])
    expect(() => new Circuit().input(integers).plus(ticks)).toThrow('found one of another')
  })

  it('operators that users define have laws', () => {
    const double = { name: 'double', group: integers, apply: (a: bigint) => 2n * a }
    checkLinear(double, integers, bigintArb, OPTIONS)
    expect(() => checkLinear({ ...double, apply: a => a + 1n }, integers, bigintArb, OPTIONS)).toThrow(
      'double is linear',
    )
    const times = { name: 'times', group: integers, apply: integers.times }
    const side = { group: integers, value: bigintArb }
    checkBilinear(times, side, side, OPTIONS)
    checkIncrementalOf(
      s => s.bilinear(s, times),
      a => a * a,
      integers,
      integers,
      bigintArb,
      OPTIONS,
    )
    checkTimeInvariant(s => s.bilinear(s.delay(), times), integers, integers, bigintArb, OPTIONS)
    expect(() =>
      checkTimeInvariant(s => s.delta0(), integers, integers, fc.bigInt({ min: 1n, max: 9n }), OPTIONS),
    ).toThrow('time-invariant')
  })
})

describe('streams of Z-sets', () => {
  const bySource = edges.by('x')
  const byTarget = edges.by('y')
  const path = byTarget.group.join(bySource.group, (p, e) => ({ x: p.x, y: e.y }))

  it('have compiled operators that obey their laws', () => {
    checkLinear(
      edges.filter(e => e.x < e.y),
      edges,
      zsetArb,
      OPTIONS,
    )
    checkLinear(
      edges.map(e => ({ sum: e.x + e.y })),
      edges,
      zsetArb,
      OPTIONS,
    )
    checkLinear(bySource, edges, zsetArb, OPTIONS)
    const left = { group: byTarget.group, value: zsetArb.map(byTarget.apply) }
    checkBilinear(path, left, { group: bySource.group, value: zsetArb.map(bySource.apply) }, OPTIONS)
    checkIncrementalOf(
      s => s.linear(byTarget).bilinear(s.linear(bySource), path),
      z => path.apply(byTarget.apply(z), bySource.apply(z)),
      ...([edges, path.group, zsetArb, OPTIONS] as const),
    )
    expect(() =>
      checkLinear({ name: 'distinct', group: edges, apply: z => edges.distinct(z) }, edges, zsetArb),
    ).toThrow('distinct is linear')
  })

  it('are added up from lists, in any order and number', () => {
    const lists = fc.array(fc.array(zsetArb, { maxLength: 5 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(lists, ticks => {
        const circuit = new Circuit()
        const sums = circuit.generator(t => ticks[t]).consolidate(edges)
        for (const parts of ticks) {
          circuit.step()
          const sum = parts.reduce((a, b) => edges.plus(a, b), edges.zero)
          expect(edges.entries(sums.value)).toEqual(edges.entries(sum))
        }
      }),
      { numRuns: 30, seed: 1 },
    )
    const circuit = new Circuit()
    circuit.generator(() => 5 as never).consolidate(edges)
    expect(() => circuit.step()).toThrow('consolidate: expected a list of values to add up, found 5')
  })

  it('of other columns or keys are refused', () => {
    const circuit = new Circuit()
    const input = circuit.input(edges)
    const names = zsets({ x: u32(), name: string().nullable() })
    const other = 'expected a Z-set of columns (x u32, y u32), found one of (x u32, name string?)'
    expect(() => input.push(names.of([{ x: 1, name: 'a' }]) as never)).toThrow(`push: ${other}`)
    expect(() => input.push(names.zero as never)).toThrow(`push: ${other}`)
    expect(() => input.push({ x: 1, y: 2 } as never)).toThrow('push: expected a Z-set of `zsets(…)`, found')
    expect(() => input.plus(circuit.input(names) as never)).toThrow(`plus: ${other}`)
    expect(() => edges.filter(e => e.x > 1).apply(names.zero as never)).toThrow(`filter: ${other}`)
    expect(() => edges.entries(names.zero as never)).toThrow(`entries: ${other}`)
    const keyed = bySource.apply(edges.of([{ x: 1, y: 2 }]))
    expect(() => input.push(keyed)).toThrow('push: expected a Z-set arranged by (x, y), found one by (x)')
    // The same columns, defined elsewhere.
    input.push(zsets({ x: u32(), y: u32() }).of([{ x: 1, y: 2 }]))
    circuit.step()
    expect(edges.entries(input.value)).toEqual([{ row: { x: 1, y: 2 }, weight: 1n }])
    expect(() => pairs(edges, integers).check?.([names.zero as never, 0n], 'both')).toThrow(`both: ${other}`)
  })

  it('have weights of 64 bits', () => {
    expect(() => edges.of([{ x: 1, y: 2 }], 1n << 63n)).toThrow('expected a weight: a 64-bit integer')
    expect(() => edges.neg(edges.of([{ x: 1, y: 2 }], -(1n << 63n)))).toThrow('a weight left the range')
  })

  it('are read as rows with weights', () => {
    const z = edges.plus(
      edges.of([
        { x: 2, y: 1 },
        { x: 1, y: 2 },
        { x: 1, y: 2 },
      ]),
      edges.of([{ x: 2, y: 1 }], -1n),
    )
    expect(edges.entries(z)).toEqual([{ row: { x: 1, y: 2 }, weight: 2n }])
    expect(edges.entries(edges.distinct(edges.plus(z, edges.of([{ x: 0, y: 0 }], -3n))))).toEqual([
      { row: { x: 1, y: 2 }, weight: 1n },
    ])
    expect(() => edges.of([{ x: -1, y: 0 }])).toThrow('column "x"')
    expect(() => edges.by('z' as never)).toThrow('by: expected a column, found "z"')
    expect(() =>
      zsets({ n: i64() })
        .map(r => ({ n: 1n / r.n }))
        .apply(zsets({ n: i64() }).of([{ n: 0 }])),
    ).toThrow('map: division by zero')
  })

  it('reach a fixpoint in nested time', () => {
    const circuit = new Circuit()
    const input = circuit.input<ZSet<Edge>>(edges)
    const total = input.integrate()
    const closure = recursive(circuit, edges, (inner, past) => {
      const base = inner.constant(total)
      const next = past.linear(byTarget).apply2(base.linear(bySource), path.apply, path.group)
      return base.apply2(next, (a, b) => edges.distinct(edges.plus(a, b)), edges)
    })
    const changes = closure.differentiate()
    const texts = (z: ZSet<Edge>) => edges.entries(z).map(({ row, weight }) => `${weight}:${row.x}${row.y}`)
    input.push(
      edges.of([
        { x: 1, y: 2 },
        { x: 2, y: 3 },
        { x: 3, y: 1 },
      ]),
    )
    circuit.step()
    expect(texts(closure.value)).toHaveLength(9)
    input.push(edges.of([{ x: 3, y: 1 }], -1n))
    circuit.step()
    expect(texts(closure.value)).toEqual(['1:12', '1:13', '1:23'])
    expect(texts(changes.value)).toHaveLength(6)
  })

  it('iterate until a condition holds', () => {
    const circuit = new Circuit()
    const input = circuit.input(integers)
    const steps = iterate(circuit, inner => {
      const start = inner.import(input)
      const n = inner.feedback(integers, past =>
        past
          .plus(start)
          .apply2(start, (v, first) => (first !== 0n ? v : v % 2n === 0n ? v / 2n : 3n * v + 1n), integers),
      )
      return { until: n.condition(v => v <= 1n), result: n.streamFold(0, count => count + 1) }
    })
    const lengths = [6n, 1n, 27n].map(n => {
      input.push(n)
      circuit.step()
      return steps.value
    })
    expect(lengths).toEqual([9, 1, 112])
    const endless = iterate(
      circuit,
      inner => {
        const one = inner.generator(() => 1)
        return { until: one.condition(v => v === 0), result: one }
      },
      { limit: 7 },
    )
    expect(endless.value).toBeUndefined()
    expect(() => circuit.step()).toThrow('not at its end after 7 ticks')
  })
})

it('refuses what is no stream, and ticks within a tick', () => {
  const circuit = new Circuit()
  const ones = circuit.generator(() => 1)
  expect(() => iterate(circuit, () => undefined as never)).toThrow('expected a stream, found undefined')
  expect(() => iterate(circuit, inner => ({ result: inner.generator(() => 1) }) as never)).toThrow(
    'expected a condition',
  )
  expect(() => ones.apply2(5 as never, Math.max)).toThrow('expected a stream, found 5')
  for (const call of ['step', 'reset'] as const) {
    const own = new Circuit()
    own.generator(() => 1).inspect(() => own[call]())
    expect(() => own.step()).toThrow(`${call}: a function of the circuit called it in the middle of a tick`)
  }
})

it('weights need not be integers', () => {
  const ways = new Relations<readonly [string, string], number>(minPlus)
  const roads = ways.of([
    { row: ['a', 'b'], weight: 5 },
    { row: ['b', 'c'], weight: 1 },
    { row: ['a', 'c'], weight: 9 },
  ])
  const twice = ways.join(roads, roads, ways, (p, q) => (p[1] === q[0] ? ([p[0], q[1]] as const) : null))
  expect(ways.plus(roads, twice).get('["a","c"]')?.weight).toBe(6)
  const sets = new Relations<number, boolean>(booleans)
  const some = sets.of([1, 2, 2].map(row => ({ row, weight: true })))
  expect([...sets.map(some, sets, n => n % 2).values()]).toHaveLength(2)
  expect(sets.equal(sets.plus(some, some), some)).toBe(true)
})

it('changes of a view come in, and changes go out to a table', () => {
  const source = table('source', { x: u32(), y: u32() })
  const target = table('target', { x: u32(), y: u32() })
  const db = open()
  db.createTable(target)
  const ordered = db.createView(view('ordered', q => q.from(source).filter(e => e.x < e.y)))
  db.insert(source, [
    { x: 1, y: 2 },
    { x: 2, y: 1 },
  ])
  const circuit = new Circuit()
  const { stream, end } = changesOf(circuit, ordered, edges)
  const mirrored = stream.linear(edges.map(e => ({ x: e.y, y: e.x })))
  const sync = () => {
    circuit.step()
    writeTo(db, target, mirrored)
    return db
      .table(target)
      .entries()
      .map(({ row, weight }) => [row.x, row.y, weight])
  }
  expect(sync()).toEqual([[2, 1, 1n]])
  db.transact(tx => {
    tx.delete(source, { x: 1, y: 2 })
    tx.insert(source, { x: 5, y: 7 })
  })
  expect(sync()).toEqual([[7, 5, 1n]])
  expect(() => writeTo(db, target, circuit.input(integers) as never)).toThrow('expected a stream of Z-sets')
  end()
})

it('what is followed comes with an addition for each weight, not for each row', () => {
  const db = open()
  const source = db.createTable(table('source', { x: u32(), y: u32() }))
  db.transact(tx => {
    for (let x = 0; x < 40; x++) tx.add(source, { x, y: 0 }, x % 2 === 0 ? 1n : 3n)
  })
  const group = zsets({ x: u32(), y: u32() })
  const plus = vi.spyOn(group, 'plus')
  const circuit = new Circuit()
  const { stream } = changesOf(circuit, source, group)
  expect(plus).toHaveBeenCalledTimes(2)
  circuit.step()
  expect(group.entries(stream.value)).toEqual(source.entries())
})
