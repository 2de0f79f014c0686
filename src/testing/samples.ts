/**
 * Values that find bugs, by type: a few small ones first, which collide often enough that rows repeat and joins
 * match, then extremes.
 */
import { TYPES, type TypeName } from '../schema/types.js'
import type { NonNullValue } from '../schema/values.js'

const FLOATS = [0, 1, 2, -1, 0.5, NaN, Infinity, -Infinity, 1e16, 5e-324, 1.7976931348623157e308, -0, 0.1]
const F32 = [0, 1, 2, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 24, 2 ** -149, 3.4028234663852886e38, -0]
/** 12 bytes fit in a cell and 13 do not; several share their first four bytes. */
const STRINGS = [
  ...['', 'a', 'b', 'ab', 'abcd', 'abcde', 'abcdefghijkl', 'abcdefghijklm', 'abcdefghijkln', '1', '-5'],
  ...[
    '\0',
    'a\0',
    'é',
    'ﬀ',
    '\uffff',
    '😀',
    '😀😀😀',
    '😀😀😀!',
    ' a ',
    '__proto__',
    '2001-02-03',
    'NULL',
    '"\'`$' + '{1}*/',
  ],
]
const UUIDS = [
  ...['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000001'],
  ...['ffffffff-ffff-ffff-ffff-ffffffffffff', '80000000-0000-0000-8000-000000000000'],
]

function computeSamples(type: TypeName): readonly NonNullValue[] {
  const { js, min, max } = TYPES[type]
  switch (type) {
    case 'bool':
      return [false, true]
    case 'f64':
      return FLOATS
    case 'f32':
      return F32
    case 'string':
      return STRINGS
    case 'bytes':
      return STRINGS.map(s => new TextEncoder().encode(s)).concat(Uint8Array.of(255), new Uint8Array(13).fill(255))
    case 'uuid':
      return UUIDS
    default: {
      const [least, most] = [min ?? 0n, max ?? 0n]
      const integers = [0n, 1n, 2n, 3n, -1n, least, most, least + 1n, most - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 64n]
      const fitting = integers.filter(n => n >= least && n <= most)
      return js === 'bigint' ? fitting : fitting.map(Number)
    }
  }
}

const cache = new Map<TypeName, readonly NonNullValue[]>()

/** Never empty; simple values first. Includes -0, which is not canonical: it is what a user may hand in. */
export function samples(type: TypeName): readonly NonNullValue[] {
  const known = cache.get(type)
  if (known !== undefined) return known
  const values = Object.freeze(computeSamples(type))
  cache.set(type, values)
  return values
}
