/** A MemTable is a Map from rows to weights, whichever way the rows came in. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { UsageError, WeightOverflowError } from '../../src/base/errors.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import { MemTable } from '../../src/storage/memtable/memtable.js'
import { Batch } from '../../src/zset/batch.js'
import {
  batchOf,
  type Collide,
  contents,
  flaw,
  I64_MAX,
  I64_MIN,
  LAYOUTS,
  MODES,
  rowOf,
  runOf,
  schemaOf,
  sumOf,
  textOf,
  twoHashes,
  type Weighted,
  weights,
} from '../zset/support.js'

/** Small enough that lists spill and deltas of a few dozen rows become runs. */
const SMALL = { listBytes: 1 << 14 }

const named = (name: string) => LAYOUTS.find(l => l.schema.name === name) as Layout

/** A schema with more columns than one function copies. */
const broad = arrangedLayout(
  schemaOf(
    'broad',
    'id:u64',
    ...Array.from({ length: 140 }, (_, n) => `c${n}:${['i8', 'i32?', 'f64', 'string', 'u16', 'u128'][n % 6]}`),
  ),
  [0],
)

const randomLayout = fc
  .array(fc.tuple(fc.constantFrom(...(Object.keys(TYPES) as TypeName[])), fc.boolean()), {
    minLength: 1,
    maxLength: 9,
    size: 'max',
  })
  .chain(types => {
    const schema = schemaOf('random', ...types.map(([type, nullable], n) => `c${n}:${type}${nullable ? '?' : ''}`))
    const some = fc.shuffledSubarray(schema.columns.map(c => c.index))
    return fc.tuple(some, some, fc.boolean()).map(([key, order, descending]) =>
      arrangedLayout(
        schema,
        key.slice(0, 3),
        order.filter(c => !key.includes(c)).map(index => ({ index, descending })),
      ),
    )
  })

interface Delta {
  readonly rows: Weighted[]
  readonly owned: boolean
}

const deltas = (layout: Layout, count: number) =>
  fc.array(rowOf(layout.schema), { minLength: 1, maxLength: 120, size: 'max' }).chain(pool => {
    const rows = (maxLength: number) =>
      fc
        .array(fc.tuple(fc.nat(0xffff), weights), { maxLength, size: 'max' })
        .map(picks => picks.map(([n, weight]): Weighted => ({ row: pool[n % pool.length], weight })))
    return fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.record({ rows: rows(2), owned: fc.boolean() }) },
        { weight: 3, arbitrary: fc.record({ rows: rows(20), owned: fc.boolean() }) },
        { weight: 2, arbitrary: fc.record({ rows: rows(150), owned: fc.boolean() }) },
        { weight: 1, arbitrary: fc.constant('retract all' as const) },
      ),
      { maxLength: count, size: 'max' },
    )
  })

/** What everybody may see of a table. */
function read(table: MemTable, collide: Collide | null): Map<string, bigint> {
  for (const run of table.runs()) {
    expect(run.order).toBe('consolidated')
    expect(flaw(table.kernels.layout, run, collide)).toBeNull()
  }
  return sumOf(...table.runs().map(contents))
}

/** The rows that `lookup` finds for the key of each row of `probe`, against all rows with these key words. */
function checkLookups(table: MemTable, probe: Batch): void {
  const lanes = probe.layout.key.words * 2
  const keyOf = (batch: Batch, i: number) => batch.keys32.slice(i * lanes, (i + 1) * lanes).join()
  const all = new Map<string, Weighted[]>()
  for (const run of table.runs()) {
    contents(run).forEach((row, i) => {
      const key = keyOf(run, i)
      all.set(key, [...(all.get(key) ?? []), row])
    })
  }
  for (let p = 0; p < probe.length; p++) {
    const out = new Batch(probe.layout)
    table.lookup(probe, p, out)
    expect(sumOf(contents(out))).toEqual(sumOf(all.get(keyOf(probe, p)) ?? []))
    expect([...out.weights.subarray(0, out.length)].includes(0n)).toBe(false)
  }
}

function checkTransmuted(table: MemTable, expected: Map<string, bigint>, collide: Collide | null): void {
  const { layout } = table.kernels
  const out = table.transmute()
  expect(flaw(layout, out, collide)).toBeNull()
  expect(sumOf(contents(out))).toEqual(expected)
  expect(out.order).toBe('consolidated')
  // It fits: what a shard writes is just these regions.
  expect(out.capacity).toBe(out.length)
  expect(out.weights.length).toBe(out.length)
  expect(out.keys.length).toBe(out.length * layout.key.words)
  expect(out.usedBytes).toBe(out.allocatedBytes)
  // Every long string lies in the heap once.
  const long = new Set<string>()
  for (const { row } of contents(out)) {
    for (const { index } of layout.stored.filter(c => c.info.storage === 'german')) {
      const value = row[index]
      const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from((value as Uint8Array | null) ?? [])
      if (bytes.length > 12) long.add(bytes.toString('latin1'))
    }
  }
  expect(out.heap.length).toBe([...long].reduce((sum, text) => sum + text.length, 0))
}

function play(
  layout: Layout,
  mode: 'generic' | 'compiled',
  list: readonly (Delta | 'retract all')[],
  collide: Collide | null,
) {
  const table = new MemTable(kernelsOf(layout, mode), SMALL)
  const seen: { runs: readonly Batch[]; was: Weighted[][] }[] = []
  let all: Weighted[] = []
  let lsn = 0n
  for (const action of list) {
    const rows = action === 'retract all' ? all.map(r => ({ ...r, weight: -r.weight })) : action.rows
    const owned = action !== 'retract all' && action.owned
    const delta = runOf(layout, rows, collide)
    const given = contents(delta)
    const probe = runOf(layout, rows.slice(0, 5), collide)
    table.insert(delta, ++lsn, owned)
    if (!owned) {
      // The batch stays the caller's, who may change it.
      expect(contents(delta)).toEqual(given)
      delta.weights.fill(77n)
      delta.keys.fill(1n)
    }
    all = [...all, ...given]
    const expected = sumOf(all)
    if (lsn % 3n === 0n) expect(read(table, collide)).toEqual(expected)
    if (lsn % 4n === 0n) seen.push({ runs: table.runs(), was: table.runs().map(contents) })
    if (lsn % 2n === 0n) checkLookups(table, probe)
    expect(table.rowCount).toBeGreaterThanOrEqual(expected.size)
  }
  const expected = sumOf(all)
  expect(read(table, collide)).toEqual(expected)
  checkTransmuted(table, expected, collide)
  table.seal()
  expect(read(table, collide)).toEqual(expected)
  checkTransmuted(table, expected, collide)
  // Whatever was handed out has not changed.
  for (const { runs, was } of seen) expect(runs.map(contents)).toEqual(was)
}

describe.each(MODES)('equals a Map, %s', mode => {
  test.each(['one', 'small', 'floats', 'pair', 'wide', 'texts', 'long', 'nothing', 'ranked', 'rankedText'])(
    '%s',
    name => {
      fc.assert(
        fc.property(deltas(named(name), 20), list => play(named(name), mode, list, null)),
        { numRuns: 4, seed: name.length },
      )
    },
  )

  test.each(['types', 'nulls'])('%s', name => {
    fc.assert(
      fc.property(deltas(named(name), 10), list => play(named(name), mode, list, null)),
      { numRuns: 3, seed: 7 },
    )
  })

  test('random schemas', () => {
    fc.assert(
      fc.property(
        randomLayout.chain(layout => fc.tuple(fc.constant(layout), deltas(layout, 12))),
        ([layout, list]) => play(layout, mode, list, null),
      ),
      { numRuns: 8, seed: 21 },
    )
  })

  test('hashes that collide', () => {
    fc.assert(
      fc.property(deltas(named('texts'), 20), list => play(named('texts'), mode, list, twoHashes)),
      { numRuns: 5, seed: 11 },
    )
  })

  test('more columns than one function copies', () => {
    fc.assert(
      fc.property(deltas(broad, 4), list => play(broad, mode, list, null)),
      { numRuns: 1, seed: 3 },
    )
  })
})

const numbers = arrangedLayout(schemaOf('numbers', 'k:u64', 'v:i32'), [0])
const kernels = kernelsOf(numbers)

/** Keys from..to, each once. */
function rangeOf(from: number, to: number, weight = 1n): Batch {
  const batch = new Batch(numbers, to - from)
  for (let i = 0; i < to - from; i++) {
    batch.keys[i] = BigInt(from + i)
    batch.columns[1][i] = i & 7
    batch.weights[i] = weight
  }
  batch.length = to - from
  batch.order = 'consolidated'
  return batch
}

describe('paths', () => {
  test('small deltas go to the list, large ones become runs, and runs stay few', () => {
    const table = new MemTable(kernels)
    for (let n = 0; n < 80; n++) table.insert(rangeOf(n * 10, n * 10 + 3), 1n)
    expect(table.runs().length).toBe(1)
    table.insert(rangeOf(5000, 15_000), 2n)
    expect(table.runs().map(run => run.length)).toEqual([10_000, 240])
    for (let n = 0; n < 40; n++) {
      table.insert(rangeOf(20_000 + n * 7, 24_000 + n * 7), BigInt(n + 3))
      expect(table.runs().length).toBeLessThan(9)
    }
    expect(table.rowCount).toBeGreaterThan(10_000)
  })

  test('a list that is full becomes a run, and its memory serves again', () => {
    const table = new MemTable(kernels, { listBytes: 1 << 14, capacityBytes: 1 << 20 })
    const sums = new Map<string, bigint>()
    for (let n = 0; n < 1500; n++) {
      const k = BigInt((n * 7919) % 800)
      table.insert(runOf(numbers, [{ row: [k, 0], weight: 1n }]), BigInt(n + 1))
      sums.set(textOf([k, 0]), (sums.get(textOf([k, 0])) ?? 0n) + 1n)
    }
    expect(sumOf(...table.runs().map(contents))).toEqual(sums)
    expect(table.usedBytes).toBeLessThan(1500 * 20 + (1 << 14))
  })

  test('runs are the same until the next insertion', () => {
    const table = new MemTable(kernels)
    table.insert(rangeOf(0, 5), 1n)
    const runs = table.runs()
    expect(table.runs()).toBe(runs)
    table.insert(rangeOf(5, 6), 2n)
    expect(table.runs()).not.toBe(runs)
    expect(runs[0].length).toBe(5)
  })

  test('ghosts are not seen, and come back', () => {
    const table = new MemTable(kernels)
    for (const weight of [1n, -1n, 1n, -1n, 2n]) {
      table.insert(rangeOf(4, 5, weight), 1n)
      expect(table.rowCount).toBe(1)
    }
    expect(contents(table.runs()[0])).toEqual([{ row: [4n, 0], weight: 2n }])
    table.insert(rangeOf(4, 5, -2n), 1n)
    expect(table.runs()).toEqual([])
    const out = new Batch(numbers)
    table.lookup(rangeOf(4, 5), 0, out)
    expect(out.length).toBe(0)
    expect(table.transmute().length).toBe(0)
  })
})

describe('transmutation', () => {
  test.each([
    ['ascend', [0, 4000, 5000, 5300]],
    ['descend', [1300, 300, 0, 5300]],
    ['touch in a row', [0, 3999, 4998, 5297]],
  ])('of runs whose keys %s', (_, [a, b, c, d]) => {
    const table = new MemTable(kernels, SMALL)
    const runs = [rangeOf(a, a + 4000), rangeOf(b, b + 1000), rangeOf(c, c + 300), rangeOf(d, d + 50)]
    for (const run of runs) table.insert(run, 1n)
    const out = table.transmute()
    expect(flaw(numbers, out)).toBeNull()
    expect(sumOf(contents(out))).toEqual(sumOf(...runs.map(contents)))
  })
})

describe('bookkeeping', () => {
  test('LSNs, occupancy and sealing', () => {
    const table = new MemTable(kernels, { capacityBytes: 4096 })
    expect([table.minLsn, table.maxLsn, table.rowCount, table.usedBytes, table.full]).toEqual([0n, 0n, 0, 0, false])
    table.insert(new Batch(numbers), 3n)
    expect(table.minLsn).toBe(0n)
    table.insert(rangeOf(0, 1), 5n)
    table.insert(rangeOf(0, 2), 5n)
    table.insert(rangeOf(7, 8), 9n)
    expect([table.minLsn, table.maxLsn, table.rowCount]).toEqual([5n, 9n, 3])
    expect(() => table.insert(rangeOf(0, 1), 8n)).toThrow('LSNs ascend')
    expect(table.full).toBe(false)
    table.insert(rangeOf(100, 300), 10n)
    expect(table.full).toBe(true)
    expect(table.usedBytes).toBeGreaterThanOrEqual(4096)
    table.seal()
    expect(table.sealed).toBe(true)
    expect(() => table.insert(rangeOf(0, 1), 11n)).toThrow(UsageError)
    expect(table.transmute().length).toBe(203)
  })

  test('a delta that is not consolidated, and a layout without keys, are refused', () => {
    const raw = batchOf(numbers, [{ row: [1n, 1], weight: 1n }])
    expect(() => new MemTable(kernels).insert(raw, 1n)).toThrow('consolidated')
  })
})

describe('weights near the ends of i64', () => {
  const huge = fc.constantFrom(I64_MAX, I64_MIN, I64_MAX - 1n, 1n, -1n, 1n << 62n, -(1n << 62n), -I64_MAX)

  test.each(MODES)('what fits is taken, what does not is refused and changes nothing, %s', mode => {
    const some = fc.array(fc.tuple(huge, fc.nat(2), fc.constantFrom(1, 1, 160)), { maxLength: 10, size: 'max' })
    fc.assert(
      fc.property(some, list => {
        const table = new MemTable(kernelsOf(numbers, mode), SMALL)
        const sums = new Map<string, bigint>()
        list.forEach(([weight, k, size]) => {
          // A large delta has one row that matters, and many others.
          const rows: Weighted[] = Array.from({ length: size }, (_, i) => ({ row: [BigInt(k + i * 3), 0], weight: 1n }))
          rows[0] = { row: rows[0].row, weight }
          const delta = runOf(numbers, rows)
          const after = new Map(sums)
          for (const { row, weight } of rows) after.set(textOf(row), (after.get(textOf(row)) ?? 0n) + weight)
          const overflows = [...after.values()].some(sum => BigInt.asIntN(64, sum) !== sum)
          if (overflows) {
            const { rowCount } = table
            expect(() => table.prepare(delta)).toThrow(WeightOverflowError)
            expect(() => table.insert(delta, 1n)).toThrow(WeightOverflowError)
            expect(table.rowCount).toBeLessThanOrEqual(rowCount)
          } else {
            table.prepare(delta)
            table.insert(delta, 1n)
            sums.clear()
            for (const [text, sum] of after) if (sum !== 0n) sums.set(text, sum)
          }
          expect(sumOf(...table.runs().map(contents))).toEqual(sums)
          expect([...sums.values()].some(sum => Math.abs(Number(sum)) > table.weightBound)).toBe(false)
        })
        expect(sumOf(contents(table.transmute()))).toEqual(sums)
      }),
      { numRuns: 20, seed: 8 },
    )
  })
})

test('rows of any order of keys come out in order', () => {
  const orders: ((n: number) => number)[] = [n => n, n => 4000 - n, n => (n * 7919) % 4001, n => n ^ 1, n => n & 255]
  for (const order of orders) {
    for (const size of [1, 3, 40]) {
      const table = new MemTable(kernels, { listBytes: 1 << 18 })
      const sums = new Map<string, bigint>()
      for (let n = 0; n < 800; n += size) {
        const rows: Weighted[] = Array.from({ length: size }, (_, i) => {
          const row: Value[] = [BigInt(order(n + i)), 0]
          sums.set(textOf(row), (sums.get(textOf(row)) ?? 0n) + 1n)
          return { row, weight: 1n }
        })
        table.insert(runOf(numbers, rows), 1n)
      }
      const out = table.transmute()
      expect(flaw(numbers, out)).toBeNull()
      expect(sumOf(contents(out))).toEqual(sums)
    }
  }
})
