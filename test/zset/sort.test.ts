/** The sorter against Array.prototype.sort. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Sorter } from '../../src/zset/sort.js'

/** Rows are keys (as u32 lanes, least significant first) and a payload that decides between equal keys. */
interface Rows {
  readonly lanes: number
  readonly keys32: Uint32Array
  readonly payload: Uint32Array
}

function rowsOf(lanes: number, keys: readonly bigint[], payload: readonly number[]): Rows {
  const keys32 = new Uint32Array(keys.length * lanes)
  keys.forEach((key, i) => {
    for (let l = 0; l < lanes; l++) keys32[i * lanes + l] = Number((key >> BigInt(32 * l)) & 0xffffffffn)
  })
  return { lanes, keys32, payload: Uint32Array.from(payload) }
}

function comparison({ lanes, keys32, payload }: Rows): (i: number, j: number) => number {
  return (i, j) => {
    for (let l = lanes - 1; l >= 0; l--) {
      const [x, y] = [keys32[i * lanes + l], keys32[j * lanes + l]]
      if (x !== y) return x < y ? -1 : 1
    }
    return payload[i] - payload[j]
  }
}

const sorter = new Sorter()

function check(rows: Rows): void {
  const n = rows.payload.length
  const compare = comparison(rows)
  const expected = Array.from({ length: n }, (_, i) => i).sort(compare)
  sorter.sort(rows.keys32, rows.lanes, n, compare)
  const found = [...sorter.permutation.subarray(0, n)]
  expect([...found].sort((i, j) => i - j)).toEqual(Array.from({ length: n }, (_, i) => i))
  // Rows that are equal altogether may come in any order.
  const text = (i: number) => `${rows.keys32.subarray(i * rows.lanes, (i + 1) * rows.lanes).join()} ${rows.payload[i]}`
  expect(found.map(text)).toEqual(expected.map(text))
}

const keyBits = [64n, 128n] as const

/** Keys made of a few patterns: all equal, few different, differing in low or high bits only, dense, random. */
function keysArb(bits: bigint, n: number): fc.Arbitrary<bigint[]> {
  const max = (1n << bits) - 1n
  const list = (key: fc.Arbitrary<bigint>) => fc.array(key, { minLength: n, maxLength: n, size: 'max' })
  const base = fc.bigInt({ min: 0n, max })
  return fc.oneof(
    list(base),
    base.chain(b => list(fc.constantFrom(b, b ^ 1n, b ^ 2n, b))),
    base.chain(b => list(fc.bigInt({ min: 0n, max: 3n }).map(low => (b & ~3n) | low))),
    base.chain(b => list(fc.bigInt({ min: 0n, max: 7n }).map(high => (b & (max >> 3n)) | (high << (bits - 3n))))),
    list(fc.bigInt({ min: 0n, max: BigInt(n) })),
    base.chain(b => list(fc.constant(b))),
  )
}

describe('sort', () => {
  test.each([1, 2, 19, 20, 21, 63, 300])('%i rows', n => {
    for (const bits of keyBits) {
      const payloads = fc.array(fc.nat(3), { minLength: n, maxLength: n, size: 'max' })
      fc.assert(
        fc.property(keysArb(bits, n), payloads, (keys, payload) => check(rowsOf(Number(bits / 32n), keys, payload))),
        { numRuns: n > 100 ? 15 : 30, seed: n },
      )
    }
  })

  test('many rows, wide digits', () => {
    const n = 6000
    let state = 12345
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state
    }
    const word = () => (BigInt(next()) << 32n) | BigInt(next())
    const payload = Array.from({ length: n }, () => next() & 1)
    check(rowsOf(2, Array.from({ length: n }, word), payload))
    check(
      rowsOf(
        4,
        Array.from({ length: n }, () => (word() << 64n) | word()),
        payload,
      ),
    )
    // Every bit varies, but the high ones only seldom: the digits spent on them decide little.
    check(
      rowsOf(
        4,
        Array.from({ length: n }, (_, i) => (i % 1000 === 0 ? word() << 64n : 0n) | (word() % 50n)),
        payload,
      ),
    )
    check(
      rowsOf(
        2,
        Array.from({ length: n }, () => 7n),
        payload,
      ),
    )
  })

  test('rows in order stay as they are, and that is said', () => {
    const n = 500
    const rows = rowsOf(
      2,
      Array.from({ length: n }, (_, i) => BigInt(i >> 1)),
      new Array<number>(n).fill(0),
    )
    expect(sorter.sort(rows.keys32, 2, n, comparison(rows))).toBe(true)
    expect([...sorter.permutation.subarray(0, n)]).toEqual(Array.from({ length: n }, (_, i) => i))
    const reversed = rowsOf(
      2,
      Array.from({ length: n }, (_, i) => BigInt(n - i)),
      new Array<number>(n).fill(0),
    )
    expect(sorter.sort(reversed.keys32, 2, n, comparison(reversed))).toBe(false)
    check(reversed)
  })

  test('no key, no rows', () => {
    check(
      rowsOf(
        0,
        new Array<bigint>(40).fill(0n),
        Array.from({ length: 40 }, (_, i) => (i * 7) % 11),
      ),
    )
    expect(sorter.sort(new Uint32Array(0), 2, 0, () => 0)).toBe(true)
  })
})
