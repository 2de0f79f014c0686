/** Canonical bytes of nested values: one value has one encoding, and their order is that of the values. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDecimal, rescale } from '../../src/schema/decimal.js'
import { decodeInterval, encodeInterval, formatInterval, parseInterval, spanOf } from '../../src/schema/interval.js'
import { elementAt, elementsOf, jsonAt, packJson, unpackJson } from '../../src/schema/nested.js'
import { arrayOf, decimalOf, knownType, mapOf, structOf, TYPES, type TypeName } from '../../src/schema/types.js'
import { compareValues, normalise, Problem, present } from '../../src/schema/values.js'
import { NESTED_TYPES, samples } from '../../src/testing/samples.js'

const canonical = (type: TypeName, value: unknown): Uint8Array => {
  const result = normalise(type, value)
  if (result instanceof Problem) throw new Error(result.message)
  return result as Uint8Array
}
const problem = (type: TypeName, value: unknown): string => (normalise(type, value) as Problem).message

describe('types', () => {
  test('are known by their names, and by nothing else', () => {
    for (const type of [
      ...NESTED_TYPES,
      arrayOf({ type: mapOf('date', { type: 'json', nullable: true }), nullable: false }),
    ]) {
      expect(knownType(type)).toBe(type)
      expect(Object.keys(TYPES)).not.toContain(type)
    }
    expect(structOf([{ name: 'a:"b', type: 'i8', nullable: true }])).toBe('struct("a:\\"b":i8?)')
    for (const name of [
      'array',
      'array()',
      'array(nope)',
      'array(i64',
      'decimal(39,0)',
      'decimal(3,4)',
      'decimal(03,1)',
    ]) {
      expect(knownType(name)).toBe(null)
    }
    for (const name of [
      'struct()',
      'struct("a":i8,"a":i8)',
      'map(i8)',
      'array(i64) ',
      'toString',
      `${'array('.repeat(40)}i8`,
    ]) {
      expect(knownType(name)).toBe(null)
    }
  })
})

describe('values', () => {
  test('come back as they went in, and their bytes are taken too', () => {
    for (const type of [...NESTED_TYPES, 'json', 'interval'] as const) {
      for (const sample of samples(type)) {
        const value = canonical(type, sample)
        expect(normalise(type, present(type, value))).toEqual(value)
        if (TYPES[type].storage === 'german') expect(normalise(type, value)).toEqual(value)
      }
    }
  })

  test('bytes that are no encoding are refused', () => {
    const types = [...NESTED_TYPES, 'json', 'interval'].filter(
      t => TYPES[t as TypeName].storage === 'german',
    ) as TypeName[]
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.nat(), fc.uint8Array({ maxLength: 12 }), (type, n, noise) => {
        const good = samples(type)[n % samples(type).length] as Uint8Array
        const bytes = Uint8Array.of(...good.subarray(0, good.length - (n % 3)), ...noise)
        const result = normalise(type, bytes)
        if (!(result instanceof Problem)) expect(result).toEqual(bytes)
      }),
      { numRuns: 300 },
    )
  })

  test('arrays and json are ordered by their first difference', () => {
    const numbers = arrayOf({ type: 'i64', nullable: true })
    const ordered = [[], [null], [-(2n ** 63n)], [-1n], [-1n, null], [-1n, 5n], [0n], [1n], [2n ** 63n - 1n]]
    const json = [
      false,
      true,
      -1e300,
      -1,
      0,
      0.5,
      2,
      '',
      'a',
      'a\0',
      'aa',
      'b',
      [],
      [1],
      [1, 'a'],
      [2],
      {},
      { a: 1 },
      { a: 2 },
    ]
    for (const [type, values] of [
      [numbers, ordered],
      ['json', json],
    ] as const) {
      values.forEach((a, i) => {
        values.forEach((b, j) => {
          expect(Math.sign(compareValues(type, canonical(type, a), canonical(type, b)))).toBe(Math.sign(i - j))
        })
      })
    }
  })

  test('json is what JSON.parse gives, whatever the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        if (value === null) return
        const bytes = canonical('json', value)
        expect(unpackJson(bytes)).toEqual(JSON.parse(JSON.stringify(value)))
        if (typeof value !== 'object' || Array.isArray(value)) return
        const turned = Object.fromEntries(Object.entries(value).reverse())
        expect(packJson(turned as never)).toEqual(bytes)
        for (const name of Object.keys(value)) expect(jsonAt(bytes, name)).toEqual(packJson(value[name] as never))
      }),
      { numRuns: 100 },
    )
  })

  test('elements are found without the others', () => {
    const type = arrayOf({ type: 'string', nullable: true })
    const bytes = canonical(type, ['a', null, 'b\0c', ''])
    expect([0, 1, 2, 3, 4, -1].map(i => elementAt(type, bytes, i))).toEqual([
      'a',
      null,
      'b\0c',
      '',
      undefined,
      undefined,
    ])
    expect(elementsOf(type, bytes)).toEqual(['a', null, 'b\0c', ''])
  })

  test('what does not fit says where', () => {
    const type = structOf([{ name: 'tags', type: arrayOf({ type: 'u8', nullable: false }), nullable: false }])
    expect(problem(type, { tags: [1, 256] })).toBe(
      'field "tags": element 1: expected u8, an integer from 0 to 255, found 256',
    )
    expect(problem(type, { tags: [null] })).toBe('field "tags": element 0: expected a value, found null')
    expect(problem(type, { tags: [], x: 1 })).toContain('"x": the struct has no such field')
    expect(
      problem(mapOf('i8', { type: 'i8', nullable: false }), [
        [1, 1],
        [1, 2],
      ]),
    ).toContain('found one twice')
    expect(problem('json', { a: [Number.NaN] })).toBe('"a": [0]: JSON has no number NaN')
    const cyclic: { own?: unknown } = {}
    cyclic.own = [cyclic]
    expect(problem('json', cyclic)).toBe(
      'expected JSON of at most 200 levels, found more, or a value that is part of itself',
    )
    expect(problem('json', 2n ** 53n + 1n)).toContain('is no number that JSON.parse gives')
    expect(problem(decimalOf(4, 2), '1.234')).toContain('at most 2 digits after the point')
    expect(problem(decimalOf(4, 2), 100)).toContain('expected a decimal(4,2), found 100')
  })
})

test('decimals: text, numbers, rounding half away from zero', () => {
  const type = decimalOf(10, 2)
  for (const value of ['12.5', 12.5, '1.25e1', '0012.50', ' 12.5'.trim()])
    expect(present(type, canonical(type, value))).toBe('12.50')
  expect(present(type, canonical(type, 7n))).toBe('7.00')
  expect([25n, 15n, -25n, 14n].map(n => rescale(n, 2, 1))).toEqual([3n, 2n, -3n, 1n])
  expect(parseDecimal('.')).toBe(null)
  expect(parseDecimal('1e9999')).toBe(null)
})

test('intervals: text, parts and order', () => {
  for (const text of [
    '1 year 2 mons 3 days 04:05:06.5',
    '-1 years',
    '00:00:00',
    '1 day -00:00:01',
    '-1 mons +3 days',
  ]) {
    expect(formatInterval(parseInterval(text) as never)).toBe(text)
  }
  expect(parseInterval('P1Y2M3DT4H5M6.5S')).toEqual(parseInterval('1 year 2 mons 3 days 04:05:06.5'))
  for (const text of ['', 'soon', '1', '1 day 2', '1.5 months', '25:61:00', 'P', '99999999999 years'])
    expect(parseInterval(text)).toBe(null)
  const part = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const any = fc.record({ months: part, days: part, micros: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) })
  fc.assert(
    fc.property(any, any, (a, b) => {
      expect(decodeInterval(encodeInterval(a))).toEqual(a)
      const order = compareValues('interval', encodeInterval(a), encodeInterval(b))
      if (spanOf(a) !== spanOf(b)) expect(order > 0).toBe(spanOf(a) > spanOf(b))
    }),
  )
})
