/**
 * Values that find bugs, by type: a few small ones first, which collide often enough that rows repeat and joins
 * match, then extremes.
 */
import { assert } from '../base/errors.js'
import { formatDecimal } from '../schema/decimal.js'
import type { JsonValue } from '../schema/nested.js'
import {
  arrayOf,
  decimalOf,
  mapOf,
  type Part,
  type PlainTypeName,
  type Shape,
  structOf,
  TYPES,
  type TypeName,
  type Value,
} from '../schema/types.js'
import { type NonNullValue, normalise, Problem } from '../schema/values.js'

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

const INTERVALS = [
  ...['0 s', '1 day', '24 hours', '1 month', '30 days', '-1 month', '1 month -30 days', '00:00:00.000001'],
  ...['2147483647 months 2147483647 days', '-2147483648 months -2147483648 days', '9223372036854775807 us'],
]
const JSONS: readonly JsonValue[] = [
  ...[1, 'a', true, { a: 1 }, [], {}, [1], 0.5, -1e300, '', [null, [{}]], { a: null, b: [1, 'b'] }],
  ...[{ b: 1, a: 2, '10': 3, '9': 4 }, 'abcdefghijklm', '\0', '😀', { ['__proto__']: 1 }, { '': '' }],
]

/** The values of a type as users see them that are made from those of its parts. */
function nestedSamples(shape: Shape): readonly unknown[] {
  const parts = (part: Part): unknown[] => {
    const values = samples(part.type)
    return part.nullable ? [...values.slice(0, 2), null, ...values.slice(2)] : [...values]
  }
  switch (shape.kind) {
    case 'json':
      return JSONS
    case 'interval':
      return INTERVALS
    case 'decimal': {
      const most = '9'.repeat(shape.precision)
      const units = ['0', '1', '2', '-1', '10', most, `-${most}`, String(10n ** BigInt(shape.scale))]
      return [...new Set(units.filter(u => u.replace('-', '').length <= shape.precision))].map(u =>
        formatDecimal(BigInt(u), shape.scale),
      )
    }
    case 'array': {
      const e = parts(shape.element)
      return [[], [e[0]], [e[1]], [e[0], e[1]], [e[1], e[0]], [e[0], e[0], e[0]], ...e.slice(2).map(x => [x]), e]
    }
    case 'map': {
      const [k, v] = [parts({ type: shape.key, nullable: false }), parts(shape.value)]
      const pair = (i: number, j: number): unknown[] => [k[i % k.length], v[j % v.length]]
      return [[], [pair(0, 0)], [pair(0, 1)], [pair(1, 0)], [pair(1, 0), pair(0, 2)], ...v.map((_, j) => [pair(2, j)])]
    }
    case 'struct': {
      const fields = shape.fields.map(parts)
      const most = Math.max(...fields.map(f => f.length))
      return Array.from({ length: most }, (_, i) =>
        Object.fromEntries(shape.fields.map((f, n) => [f.name, fields[n][i % fields[n].length]])),
      )
    }
  }
}

function computeSamples(type: TypeName): readonly NonNullValue[] {
  const { js, min, max, shape } = TYPES[type]
  if (shape !== null) {
    return nestedSamples(shape).map(value => {
      // A decimal as a bigint would be a whole number to whoever takes it.
      if (shape.kind === 'decimal') return value as string
      const canonical = normalise(type, value)
      if (canonical instanceof Problem) throw new Error(`sample of ${type}: ${canonical.message}`)
      return canonical
    })
  }
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

/** Types with parameters that tests use: small and large, nested, with and without NULL inside. */
export const NESTED_TYPES: readonly TypeName[] = Object.freeze([
  decimalOf(10, 2),
  decimalOf(38, 10),
  arrayOf({ type: 'i64', nullable: true }),
  arrayOf({ type: 'string', nullable: false }),
  mapOf('string', { type: 'i64', nullable: true }),
  structOf([
    { name: 'x', type: 'f64', nullable: true },
    { name: 'tags', type: arrayOf({ type: 'string', nullable: false }), nullable: false },
  ]),
])

/** Every type without parameters, and some of those with. */
export const SAMPLE_TYPES: readonly TypeName[] = Object.freeze([
  ...(Object.keys(TYPES) as PlainTypeName[]),
  ...NESTED_TYPES,
])

const cache = new Map<TypeName, readonly NonNullValue[]>()

/**
 * Never empty; simple values first. They are what a user may hand in and not all canonical: -0, decimals as text.
 */
export function samples(type: TypeName): readonly NonNullValue[] {
  const known = cache.get(type)
  if (known !== undefined) return known
  const values = Object.freeze(computeSamples(type))
  cache.set(type, values)
  return values
}

/** A sample as rows and literals hold it. */
export function canonical(type: TypeName, sample: NonNullValue): Value {
  const result = normalise(type, sample)
  assert(!(result instanceof Problem), `a sample of ${type} fits it`)
  return result
}
