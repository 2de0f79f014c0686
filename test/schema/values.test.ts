import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { civilFromDays, daysFromCivil, daysOfMicros, formatTimestamp, microsOfDay } from '../../src/schema/calendar.js'
import { TYPES, type TypeName } from '../../src/schema/types.js'
import * as values from '../../src/schema/values.js'
import { normalise, Problem } from '../../src/schema/values.js'

const bad = (type: TypeName, value: unknown): string => {
  const result = normalise(type, value)
  return result instanceof Problem ? result.message : `accepted ${String(result)}`
}

describe('normalise', () => {
  it('accepts and canonicalises what a type takes', () => {
    expect(normalise('bool', true)).toBe(true)
    expect(normalise('i8', -128)).toBe(-128)
    expect(Object.is(normalise('u32', -0), 0)).toBe(true)
    expect(normalise('u64', 7)).toBe(7n)
    expect(normalise('u128', 2n ** 128n - 1n)).toBe(2n ** 128n - 1n)
    expect(Object.is(normalise('f64', -0), 0)).toBe(true)
    expect(normalise('f64', NaN)).toBeNaN()
    expect(normalise('f32', 0.1)).toBe(Math.fround(0.1))
    expect(normalise('f32', Infinity)).toBe(Infinity)
    expect(normalise('uuid', '123E4567-E89B-12D3-A456-426614174000')).toBe('123e4567-e89b-12d3-a456-426614174000')
    expect(normalise('date', '1970-01-02')).toBe(1)
    expect(normalise('date', new Date('2000-03-01T00:00:00Z'))).toBe(11017)
    expect(normalise('time', '23:59:59.999999')).toBe(86_399_999_999n)
    expect(normalise('time', '00:01')).toBe(60_000_000n)
    expect(normalise('timestamp', '1970-01-01T00:00:01.5')).toBe(1_500_000n)
    expect(normalise('timestamp', '1970-01-01 00:00:01Z')).toBe(1_000_000n)
    expect(normalise('timestamptz', '1970-01-01T02:00:00+02:00')).toBe(0n)
    expect(normalise('timestamptz', new Date(-1))).toBe(-1000n)
    expect(normalise('bytes', Buffer.from([1, 2]))).toEqual(Buffer.from([1, 2]))
  })

  it.each<[TypeName, unknown, string]>([
    ['u8', 256, 'expected u8, an integer from 0 to 255, found 256'],
    ['i32', 1.5, 'found 1.5'],
    ['i32', 5n, 'found 5n'],
    ['i32', NaN, 'found NaN'],
    ['i64', 2 ** 53, 'found 9007199254740992'],
    ['i64', 2n ** 63n, 'found 9223372036854775808n'],
    ['u64', -1, 'found -1'],
    ['bool', 1, 'expected a boolean, found 1'],
    ['f64', '1', 'expected a number, found the string "1"'],
    ['f32', 1e39, '1e+39 is out of range for f32'],
    ['string', 'a\ud800b', 'lone surrogate U+D800 at position 1'],
    ['string', 5, 'expected a string, found 5'],
    ['string', null, 'found null'],
    ['bytes', [1], 'expected a Uint8Array, found an object (Array)'],
    ['uuid', '123e4567', 'found the string "123e4567"'],
    ['date', '2001-02-29', 'found the string "2001-02-29"'],
    ['date', '2001-00-01', 'found'],
    ['date', new Date(1), 'found the Date 1970-01-01T00:00:00.001Z'],
    ['date', new Date(NaN), 'found an invalid Date'],
    ['date', '+9999999-01-01', 'found'],
    ['time', '24:00', 'found'],
    ['time', -1n, 'found -1n'],
    ['timestamp', '1970-01-01T00:00:00+01:00', 'found'],
    ['timestamptz', '1970-01-01T00:00:60', 'found'],
    ['timestamptz', new Date(NaN), 'found an invalid Date'],
  ])('refuses %s from %s', (type, value, message) => {
    expect(bad(type, value)).toContain(message)
  })

  it('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(TYPES) as TypeName[])), fc.anything(), (type, value) => {
        const result = normalise(type, value)
        return result instanceof Problem ? result.message !== '' : typeof result !== 'undefined'
      }),
      { seed: 1 },
    )
  })

  it('counts the bytes of long strings', () => {
    expect(bad('string', '€'.repeat(89_478_486))).toBe('expected at most 268435456 bytes, found 268435458 bytes')
  })
})

describe('the calendar', () => {
  const days = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

  it('agrees with Date where Date reaches', () => {
    const reach = fc.integer({ min: -99_999_999, max: 99_999_999 })
    fc.assert(
      fc.property(reach, n => {
        const date = new Date(n * 86_400_000)
        const civil = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
        expect(civilFromDays(n)).toEqual(civil)
        expect(daysFromCivil(civil.year, civil.month, civil.day)).toBe(n)
        const micros = BigInt(n) * 86_400_000_000n + 1_234_000n
        expect(`${formatTimestamp(micros)}Z`).toBe(new Date(n * 86_400_000 + 1234).toISOString())
      }),
      { seed: 1 },
    )
  })

  it('round-trips every date and timestamp through text', () => {
    fc.assert(
      fc.property(days, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (date, micros) => {
        expect(normalise('date', values.formatValue('date', date))).toBe(date)
        for (const type of ['timestamp', 'timestamptz'] as const) {
          expect(normalise(type, values.formatValue(type, micros))).toBe(micros)
        }
        const time = microsOfDay(micros)
        expect(normalise('time', values.formatValue('time', time))).toBe(time)
        expect(BigInt(daysOfMicros(micros)) * 86_400_000_000n + time).toBe(micros)
      }),
      { seed: 1 },
    )
  })
})

describe('order', () => {
  it('puts NULL first and NaN last, and knows no -0', () => {
    expect(values.compareValues('i32', null, -5)).toBeLessThan(0)
    expect(values.compareValues('i32', null, null)).toBe(0)
    expect(values.compareValues('f64', NaN, Infinity)).toBeGreaterThan(0)
    expect(values.equalValues('f64', NaN, NaN)).toBe(true)
    expect(values.equalValues('f64', 0, -0)).toBe(true)
    expect(values.compareValues('bool', false, true)).toBeLessThan(0)
    expect(values.compareValues('bytes', Uint8Array.of(1), Uint8Array.of(1, 0))).toBeLessThan(0)
  })

  it('orders text as its UTF-8 bytes', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'é', '\ud7ff', '\ue000', '\uffff', '😀', '𐀀') })
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b))
        expect(Math.sign(values.compareStrings(a, b))).toBe(bytes)
        expect(values.utf8Length(a)).toBe(Buffer.byteLength(a))
        expect(values.encodeUtf8(a)).toEqual(new TextEncoder().encode(a))
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it('orders uuids as 128-bit numbers, and converts them', () => {
    const u128 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })
    fc.assert(
      fc.property(u128, u128, (a, b) => {
        const [x, y] = [values.uuidFromU128(a), values.uuidFromU128(b)]
        expect(Math.sign(values.compareValues('uuid', x, y))).toBe(a < b ? -1 : a > b ? 1 : 0)
        expect(values.uuidToU128(x)).toBe(a)
        expect(values.uuidFromWords(...values.uuidToWords(x))).toBe(x)
      }),
      { seed: 1 },
    )
  })

  it('finds lone surrogates exactly', () => {
    expect(values.loneSurrogateAt('a😀b')).toBe(-1)
    expect(values.loneSurrogateAt('\ude00')).toBe(0)
    expect(values.loneSurrogateAt('😀\ud83d')).toBe(2)
    expect(values.encodeUtf8('\ud83d')).toBeInstanceOf(Problem)
  })
})
