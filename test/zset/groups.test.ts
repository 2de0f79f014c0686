/** Slots found by key, tables that grow, and steps taken back. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { writeRow } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { flatLayout } from '../../src/schema/schema.js'
import { GroupTable, type Spill } from '../../src/zset/groups.js'
import { hashLanes, SlotIndex } from '../../src/zset/slots.js'
import { contents, schemaOf } from './support.js'

const schema = schemaOf('groups', 'k:u64', 's:string', 'n:i64?')
const rows = kernelsOf(flatLayout(schema))
const ACCUMULATORS = [
  { kind: 'count', counted: true },
  { kind: 'int', counted: true },
  { kind: 'float', counted: false },
  { kind: 'extreme', counted: false },
] as const

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
    writeRow(table.rows, slot, [BigInt.asUintN(64, key), `group number ${key}`, null])
  }
  if (table.touchedAt[slot] !== 0) return slot
  const t = table.touchedCount++
  table.touched[t] = slot
  table.touchedAt[slot] = t + 1
  table.undoCounts[t] = table.counts[slot]
  ACCUMULATORS.forEach(({ kind, counted }, a) => {
    if (counted) table.undoValid[a][t] = table.valid[a][slot]
    if (kind === 'int') table.undoSums[a][t] = table.sums[a][slot]
    if (kind === 'float') {
      table.undoHighs[a][t] = table.highs[a][slot]
      table.undoLows[a][t] = table.lows[a][slot]
    }
  })
  rows.copyRow(table.rows, slot, table.undoRows, t)
  return slot
}

const spill = (units: bigint): Spill | undefined => (units === 0n ? undefined : { units, nan: 0n, plus: 0n, minus: 0n })

/** Adds `n` to everything that a slot has. */
function change(table: GroupTable, slot: number, n: bigint): void {
  table.counts[slot] += n
  table.valid[0][slot] += n
  table.valid[1][slot] -= n
  table.sums[1][slot] += 3n * n
  table.highs[2][slot] += Number(n)
  table.lows[2][slot] -= Number(n) / 1024
  table.setSpill(1, slot, spill((table.spills[1].get(slot)?.units ?? 0n) + n))
  table.rows.weights[slot] = table.counts[slot] === 0n ? 0n : 1n
  writeRow(table.rows, slot, [...contents(table.rows)[slot].row.slice(0, 2), table.counts[slot]])
}

function abort(table: GroupTable): void {
  table.abort((t, slot) => rows.copyRow(table.undoRows, t, table.rows, slot))
}

/** What a table knows of the groups that exist. */
function state(table: GroupTable): Map<string, string> {
  const entries = contents(table.rows).flatMap(({ row, weight }, slot): [string, string][] => {
    if (table.counts[slot] === 0n) return []
    const numbers = [table.counts, table.valid[0], table.valid[1], table.sums[1], table.highs[2], table.lows[2]]
    return [
      [
        String(row[1]),
        `${weight} ${numbers.map(list => list[slot]).join()} ${table.spills[1].get(slot)?.units} ${row[2]}`,
      ],
    ]
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
        const table = new GroupTable(words, schema, ACCUMULATORS)
        const counts = new Map<bigint, bigint>()
        for (const { changes, keep } of steps) {
          const before = state(table)
          for (const [k, n] of changes) change(table, touch(table, k), n)
          if (keep) {
            table.commit()
            for (const [k, n] of changes) counts.set(k, (counts.get(k) ?? 0n) + n)
          } else {
            abort(table)
            expect(state(table)).toEqual(before)
          }
          expect(table.touchedCount).toBe(0)
          expect(table.touchedAt.every(t => t === 0)).toBe(true)
        }
        for (const [k, count] of counts) {
          const slot = table.find(keyOf(words, k), 0, null)
          expect(slot).toBeGreaterThanOrEqual(0)
          expect(table.counts[slot]).toBe(count)
          expect(table.sums[1][slot] + (table.spills[1].get(slot)?.units ?? 0n)).toBe(4n * count)
        }
      }),
      { numRuns: 30, seed: words },
    )
  })

  test('grows: thousands of groups in one step, all found again, all taken back', () => {
    const table = new GroupTable(1, schema, ACCUMULATORS)
    for (let k = 0; k < 20; k++) change(table, touch(table, BigInt(k)), 1n)
    table.commit()
    const before = state(table)
    for (let k = 0; k < 3000; k++) {
      const slot = touch(table, BigInt(k) << 32n)
      table.counts[slot]++
      table.rows.weights[slot] = 1n
    }
    expect(table.size).toBe(3019)
    for (let k = 0; k < 3000; k++) expect(table.find(keyOf(1, BigInt(k) << 32n), 0, null)).toBe(k === 0 ? 0 : k + 19)
    expect(table.index.length).toBeGreaterThan(table.size)
    abort(table)
    expect(state(table)).toEqual(before)
    // The slots stay as ghosts and are used again.
    expect(touch(table, 2999n << 32n)).toBe(3018)
    expect(table.usedBytes).toBeLessThanOrEqual(table.allocatedBytes)
  })
})

class Slots extends SlotIndex {
  room(): void {
    if (this.size === this.capacity) this.growKeys(this.capacity * 2 || 4)
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
