/** Slots found by key, tables that grow, and steps taken back. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GroupTable, type Spill } from '../../src/zset/groups.js'
import { extend, hashLanes, SlotIndex } from '../../src/zset/slots.js'
import { encodeString } from '../../src/zset/strings.js'
import { contents, schemaOf } from './support.js'

// Two group columns, then a column for each accumulator.
const schema = schemaOf('groups', 'k:u64', 's:string', 'n:i64', 'sum:i64?', 'x:f64', 'last:string?')
const ACCUMULATORS = [
  { kind: 'count', bits: 0 },
  { kind: 'int', bits: 0 },
  { kind: 'float', bits: 0 },
  { kind: 'count', bits: 0 },
] as const
const newTable = (keyLanes: number) => new GroupTable(keyLanes, schema, 2, ACCUMULATORS, [schema.columns[5]], present)

function keyOf(words: number, key: bigint): Uint32Array {
  return Uint32Array.from({ length: words * 2 }, (_, l) => Number((key >> BigInt(l * 32)) & 0xffffffffn))
}

/** Finds or adds the slot of a key, and marks it as touched in this step, as accumulate does. */
function touch(table: GroupTable, key: bigint): number {
  table.makeRoom()
  const lanes = keyOf(table.keyWords, key)
  let slot = table.find(lanes, 0, null)
  if (slot < 0) {
    slot = table.add(lanes, 0)
    table.rows.length = table.size
    table.rows.columns[0][slot] = BigInt.asUintN(64, key)
    writeLast(table, slot, `group number ${key}`, 1)
    writeLast(table, slot, 'nothing was added until now', 5)
  }
  table.touch(slot)
  return slot
}

const spill = (units: bigint): Spill | undefined => (units === 0n ? undefined : { units, nan: 0n, plus: 0n, minus: 0n })

function writeLast(table: GroupTable, slot: number, text: string, column = 5): void {
  encodeString(text, table.rows.lanes[column], slot * 4, table.rows.heap)
}

/** The accumulators of a slot. */
function numbersOf({ record, records }: GroupTable, slot: number) {
  const base = slot * record.words
  const [valid, sum, x, otherValid] = record.fields
  return {
    count: records.ints[base + record.count],
    valid: records.ints[base + valid],
    otherValid: records.ints[base + otherValid],
    sum: records.ints[base + sum],
    high: records.floats[base + x],
    low: records.floats[base + x + 1],
  }
}

/** Adds `n` to everything that a slot has. */
function change(table: GroupTable, slot: number, n: bigint): void {
  const { record, records } = table
  const base = slot * record.words
  const [valid, sum, x, otherValid] = record.fields
  records.ints[base + record.count] += n
  records.ints[base + valid] += n
  records.ints[base + otherValid] -= n
  records.ints[base + sum] += 3n * n
  records.floats[base + x] += Number(n)
  records.floats[base + x + 1] -= Number(n) / 1024
  table.setSpill(1, slot, spill((table.spillOf(1, slot, false)?.units ?? 0n) + n))
  writeLast(table, slot, `${n} was added to group ${slot}`)
}

/** Writes what follows from the records: a group exists if it counts anything. */
function present(table: GroupTable, from: number, to: number): void {
  for (let slot = from; slot < to; slot++) {
    const { count, sum, high } = numbersOf(table, slot)
    table.rows.columns[2][slot] = count
    table.rows.columns[3][slot] = sum
    table.rows.columns[4][slot] = high
    table.rows.weights[slot] = count === 0n ? 0n : 1n
  }
}

/** What a table knows of the groups that exist. */
function state(table: GroupTable): Map<string, string> {
  const entries = contents(table.allRows()).flatMap(({ row, weight }, slot): [string, string][] => {
    if (weight === 0n) return []
    const numbers = Object.values(numbersOf(table, slot))
    return [[String(row[1]), `${row} ${numbers} ${table.spillOf(1, slot, false)?.units}`]]
  })
  return new Map(entries)
}

describe('GroupTable', () => {
  test.each([1, 2] as const)('keys of %i words: equals a Map; an abort takes the step back', words => {
    const key = fc.oneof(fc.bigInt({ min: 0n, max: 12n }), fc.bigInt({ min: 0n, max: (1n << BigInt(words * 64)) - 1n }))
    const stepArb = fc.record({
      changes: fc.array(fc.tuple(key, fc.bigInt({ min: -2n, max: 2n })), { maxLength: 40, size: 'max' }),
      keep: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(stepArb, { maxLength: 8, size: 'max' }), steps => {
        const table = newTable(words * 2)
        const counts = new Map<bigint, bigint>()
        for (const { changes, keep } of steps) {
          const before = state(table)
          // As if a billion touches had come before: marks begin anew after this step.
          if (!keep && table.size > 5) table.firstMark = 2 ** 30
          for (const [k, n] of changes) change(table, touch(table, k), n)
          if (keep) {
            table.commit()
            for (const [k, n] of changes) counts.set(k, (counts.get(k) ?? 0n) + n)
          } else {
            table.abort()
            expect(state(table)).toEqual(before)
          }
          expect(table.touchedCount).toBe(0)
          for (let slot = 0; slot < table.size; slot++) expect(table.positionOf(slot)).toBeLessThan(0)
        }
        for (const [k, count] of counts) {
          const slot = table.find(keyOf(words, k), 0, null)
          expect(slot).toBeGreaterThanOrEqual(0)
          const numbers = numbersOf(table, slot)
          expect(numbers.count).toBe(count)
          expect(numbers.sum + (table.spillOf(1, slot, false)?.units ?? 0n)).toBe(4n * count)
          const row = table.rowOf(slot)
          expect(contents(row)[slot]).toEqual(contents(table.allRows())[slot])
        }
      }),
      { numRuns: 30, seed: words },
    )
  })

  test('grows: thousands of groups in one step, all found again, all taken back', () => {
    const table = newTable(2)
    for (let k = 0; k < 20; k++) change(table, touch(table, BigInt(k)), 1n)
    table.commit()
    const before = state(table)
    for (let k = 0; k < 3000; k++) {
      change(table, touch(table, BigInt(k) << 32n), 1n)
    }
    expect(table.size).toBe(3019)
    for (let k = 0; k < 3000; k++) expect(table.find(keyOf(1, BigInt(k) << 32n), 0, null)).toBe(k === 0 ? 0 : k + 19)
    expect(table.index.length).toBeGreaterThan(table.size)
    table.abort()
    expect(state(table)).toEqual(before)
    // The slots stay as ghosts and are used again.
    expect(touch(table, 2999n << 32n)).toBe(3018)
    expect(table.usedBytes).toBeLessThanOrEqual(table.allocatedBytes)
  })
})

class Slots extends SlotIndex {
  room(): void {
    if (this.size < this.capacity) return
    const capacity = this.capacity * 2 || 4
    this.growKeys(capacity, extend(this.keys32, new Uint32Array(capacity * this.keyLanes)))
  }
}

describe('SlotIndex', () => {
  test('where hashes collide, `confirm` decides', () => {
    const slots = new Slots(2)
    const names: string[] = []
    const lanes = Uint32Array.of(1, 2, 3, 4)
    const find = (name: string) => slots.find(lanes, 0, slot => names[slot] === name)
    for (let n = 0; n < 100; n++) {
      expect(find(`name ${n}`)).toBe(-1)
      slots.room()
      names.push(`name ${n}`)
      expect(slots.add(lanes, 0)).toBe(n)
    }
    names.forEach((name, n) => {
      expect(find(name)).toBe(n)
    })
    expect(find('no name')).toBe(-1)
    expect(slots.find(Uint32Array.of(1, 2, 3, 5), 0, null)).toBe(-1)
  })

  test('keys that differ in one lane only are spread', () => {
    for (const shift of [0n, 8n, 24n, 32n, 48n, 64n, 96n, 120n]) {
      const places = new Set<number>()
      for (let k = 0n; k < 256n; k++) {
        const [a, b, c, d] = keyOf(2, k << shift)
        places.add(hashLanes(a, b, c, d) & 1023)
      }
      // 256 keys in 1024 places: random hashing takes about 226.
      expect(places.size).toBeGreaterThan(128)
    }
  })
})
