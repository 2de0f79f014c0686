import { describe, expect, it } from 'vitest'
import { evaluate } from '../../src/circuit/eval.js'
import type { CallExpr, Expr, Op } from '../../src/circuit/expr.js'
import { cast, castable, datePart, Failure, hasDatePart } from '../../src/circuit/scalar.js'
import { TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import { normalise } from '../../src/schema/values.js'

const lit = (type: TypeName, value: Value): Expr => ({ kind: 'literal', value, type, nullable: value === null })
const f64 = (x: number | null): Expr => lit('f64', x)
const i64 = (x: bigint | null): Expr => lit('i64', x)
const str = (x: string | null): Expr => lit('string', x)
const TRUE = lit('bool', true)
const FALSE = lit('bool', false)
const NULL = lit('bool', null)
const op = (name: Op, type: TypeName, args: Expr[], rest: Partial<CallExpr> = {}): Expr => ({
  ...{ kind: 'call', op: name, args, type, nullable: true, detail: null, udf: null },
  ...rest,
})
const FAILING = op('eq', 'bool', [op('div', 'i64', [i64(1n), i64(0n)]), i64(1n)])
const run = (expr: Expr): Value | string => {
  try {
    return evaluate(expr, [])
  } catch (problem) {
    if (problem instanceof Failure) return `! ${problem.message}`
    throw problem
  }
}
const ERROR = '! division by zero'

describe('three-valued logic', () => {
  it.each<[Op, Expr, Expr, Value | string]>([
    ['and', TRUE, TRUE, true],
    ['and', TRUE, NULL, null],
    ['and', NULL, TRUE, null],
    ['and', FALSE, NULL, false],
    ['and', NULL, FALSE, false],
    ['and', FALSE, FAILING, false],
    ['and', NULL, FAILING, ERROR],
    ['and', FAILING, FALSE, ERROR],
    ['or', FALSE, FALSE, false],
    ['or', TRUE, FAILING, true],
    ['or', NULL, TRUE, true],
    ['or', NULL, FALSE, null],
    ['or', NULL, FAILING, ERROR],
    ['or', FAILING, TRUE, ERROR],
    ['eq', NULL, TRUE, null],
    ['eq', NULL, FAILING, ERROR],
    ['is', NULL, NULL, true],
    ['is', NULL, FALSE, false],
    ['isnt', NULL, FALSE, true],
    ['isnt', TRUE, TRUE, false],
  ])('%s', (name, a, b, expected) => {
    expect(run(op(name, 'bool', [a, b]))).toBe(expected)
  })

  it('evaluates only what it needs', () => {
    expect(run(op('not', 'bool', [NULL]))).toBe(null)
    expect(run(op('not', 'bool', [FALSE]))).toBe(true)
    expect(run(op('isNull', 'bool', [NULL]))).toBe(true)
    expect(run(op('isNull', 'bool', [FAILING]))).toBe(ERROR)
    expect(run(op('coalesce', 'bool', [NULL, TRUE, FAILING]))).toBe(true)
    expect(run(op('coalesce', 'bool', [NULL, NULL]))).toBe(null)
    expect(run(op('if', 'bool', [NULL, FAILING, TRUE]))).toBe(true)
    expect(run(op('if', 'bool', [TRUE, NULL, FAILING]))).toBe(null)
  })
})

describe('arithmetic', () => {
  const [MIN, MAX] = [TYPES.i64.min ?? 0n, TYPES.i64.max ?? 0n]
  it.each<[Op, TypeName, Value[], Value | string]>([
    ['add', 'i64', [MAX, 1n], `! i64 overflow in ${MAX} + 1`],
    ['mul', 'i64', [5n, MAX], '! i64 overflow in 5 * 9223372036854775807'],
    ['sub', 'u64', [1n, 2n], '! u64 overflow in 1 - 2'],
    ['add', 'u64', [2n ** 64n - 2n, 1n], 2n ** 64n - 1n],
    ['div', 'i64', [-7n, 2n], -3n],
    ['div', 'i64', [MIN, -1n], `! i64 overflow in ${MIN} / -1`],
    ['rem', 'i64', [-7n, 2n], -1n],
    ['rem', 'i64', [MIN, -1n], 0n],
    ['rem', 'i64', [1n, 0n], ERROR],
    ['neg', 'i64', [MIN], `! i64 overflow in -(${MIN})`],
    ['add', 'i64', [null, 1n], null],
    ['add', 'i32', [2147483647, 1], '! i32 overflow in 2147483647 + 1'],
    ['add', 'f64', [0.1, 0.2], 0.1 + 0.2],
    ['div', 'f64', [1, 0], Infinity],
    ['div', 'f64', [0, 0], NaN],
    ['rem', 'f64', [-7.5, 2], -1.5],
    ['pow', 'f64', [2, 0.5], Math.SQRT2],
  ])('%s %s %s', (name, type, args, expected) => {
    const exprs = args.map(a => lit(type, a))
    expect(run(op(name, type, exprs))).toEqual(expected)
  })

  it('has no -0', () => {
    const zero = op('mul', 'f64', [f64(0), f64(-1)])
    expect(Object.is(run(zero), 0)).toBe(true)
    expect(run(op('div', 'f64', [f64(1), zero]))).toBe(Infinity)
    expect(Object.is(run(f64(-0)), 0)).toBe(true)
    expect(Object.is(run(op('math', 'f64', [f64(-0.5)], { detail: 'round' })), 0)).toBe(true)
    expect(Object.is(run(op('rem', 'f64', [f64(-4), f64(2)])), 0)).toBe(true)
  })

  it('compares numbers of different types by value, NaN greatest', () => {
    const is = (name: Op, a: Expr, b: Expr) => run(op(name, 'bool', [a, b]))
    expect(is('lt', lit('u64', 2n ** 64n - 1n), i64(-1n))).toBe(false)
    expect(is('eq', lit('i32', 3), f64(3))).toBe(true)
    expect(is('gt', f64(NaN), f64(Infinity))).toBe(true)
    expect(is('eq', f64(NaN), f64(NaN))).toBe(true)
    expect(is('le', f64(NaN), f64(NaN))).toBe(true)
    expect(is('lt', i64(5n), f64(5.5))).toBe(true)
    expect(is('gt', str('😀'), str('\uffff'))).toBe(true)
    expect(is('ne', str('a'), str('b'))).toBe(true)
  })
})

describe('strings', () => {
  it('cut and joined stay well-formed', () => {
    expect(run(op('slice', 'string', [str('a😀b'), f64(0), f64(2)]))).toBe('a\ufffd')
    expect(run(op('slice', 'string', [str('a😀b'), f64(-2)]))).toBe('\ufffdb')
    expect(run(op('concat', 'string', [str('a'), str('b'), str('c')]))).toBe('abc')
    expect(run(op('concat', 'string', [str('a'), str(null)]))).toBe(null)
    expect(run(op('length', 'f64', [str('a😀')]))).toBe(3)
    expect(run(op('length', 'f64', [lit('bytes', Uint8Array.of(1, 2))]))).toBe(2)
    expect(run(op('upper', 'string', [str('ß')]))).toBe('SS')
    expect(run(op('lower', 'string', [str('É')]))).toBe('é')
    expect(run(op('trim', 'string', [str(' a\n')]))).toBe('a')
    for (const [name, ok] of [
      ['startsWith', 'ab'],
      ['endsWith', 'bc'],
      ['includes', 'b'],
    ] as const) {
      expect(run(op(name, 'bool', [str('abc'), str(ok)]))).toBe(true)
      expect(run(op(name, 'bool', [str('abc'), str('x')]))).toBe(false)
    }
  })
})

describe('casts', () => {
  it.each<[TypeName, TypeName, Value, Value | string]>([
    ['f64', 'u8', 300, 'cannot cast 300 to u8'],
    ['f64', 'i32', 1.5, 'cannot cast 1.5 to i32'],
    ['f64', 'i64', NaN, 'cannot cast NaN to i64'],
    ['f64', 'i64', -5, -5n],
    ['f64', 'f32', 1e39, 'cannot cast 1e+39 to f32'],
    ['f64', 'f32', 0.1, Math.fround(0.1)],
    ['f64', 'bool', 2, 'cannot cast 2 to bool'],
    ['u64', 'i64', 2n ** 63n, 'cannot cast 9223372036854775808 to i64'],
    ['u64', 'f64', 2n ** 53n + 1n, 2 ** 53],
    ['bool', 'i64', true, 1n],
    ['bool', 'string', false, 'false'],
    ['string', 'i64', ' -12 ', -12n],
    ['string', 'i64', '0x10', 'cannot cast "0x10" to i64'],
    ['string', 'i64', '', 'cannot cast "" to i64'],
    ['string', 'u8', '+7', 7],
    ['string', 'f64', '1e400', Infinity],
    ['string', 'f64', '.5', 0.5],
    ['string', 'f64', '-NaN', NaN],
    ['string', 'f64', '1_0', 'cannot cast "1_0" to f64'],
    ['string', 'bool', 'true', true],
    ['string', 'date', '2000-02-30', 'cannot cast "2000-02-30" to date'],
    ['string', 'timestamp', '1970-01-02', 86_400_000_000n],
    ['string', 'uuid', '00000000-0000-0000-0000-0000000000FF', '00000000-0000-0000-0000-0000000000ff'],
    ['uuid', 'u128', '00000000-0000-0000-0000-0000000000ff', 255n],
    ['u128', 'uuid', 255n, '00000000-0000-0000-0000-0000000000ff'],
    ['timestamp', 'date', -1n, -1],
    ['timestamp', 'time', -1n, 86_399_999_999n],
    ['date', 'timestamp', 1, 86_400_000_000n],
    ['date', 'timestamp', 2 ** 31 - 1, 'cannot cast +5881580-07-11 to timestamp'],
    ['date', 'string', -719_529, '-000001-12-31'],
    ['timestamptz', 'string', 1n, '1970-01-01T00:00:00.000001Z'],
    ['f64', 'string', 1e21, '1e+21'],
    ['bytes', 'string', Uint8Array.of(0xc3, 0xa9), 'é'],
    ['bytes', 'string', Uint8Array.of(0xff), 'cannot cast 1 bytes to string'],
  ])('%s to %s of %s', (from, to, value, expected) => {
    const expr = op('cast', to, [lit(from, value)])
    const failed = typeof expected === 'string' && expected.startsWith('cannot')
    expect(run(expr)).toEqual(failed ? `! ${expected}` : expected)
  })

  it('gives canonical values or failures, for every pair of types', () => {
    const types = Object.keys(TYPES) as TypeName[]
    const samples: Partial<Record<TypeName, Value>> = {
      ...{ bool: true, uuid: '00000000-0000-0000-0000-0000000000ff' },
      ...{ json: normalise('json', 1) as Value, interval: normalise('interval', '1 day') as Value },
    }
    for (const from of types) {
      const { js } = TYPES[from]
      const value =
        samples[from] ?? (js === 'number' ? 1 : js === 'bigint' ? 1n : js === 'string' ? '1' : new Uint8Array(1))
      for (const to of types.filter(t => castable(from, t))) {
        const result = run(op('cast', to, [lit(from, value)]))
        const failed = typeof result === 'string' && result.startsWith('! cannot cast')
        if (!failed) expect(normalise(to, result), `${from} to ${to}`).toEqual(result)
      }
      expect(cast(from, from, value)).toBe(value)
    }
  })
})

describe('parts of dates', () => {
  const at = BigInt(Date.UTC(2024, 11, 31, 23, 59, 58)) * 1000n + 500_000n
  it('of a timestamp', () => {
    const parts = ['year', 'quarter', 'month', 'day', 'dayOfWeek', 'dayOfYear', 'hour', 'minute', 'second'] as const
    expect(parts.map(p => datePart(p, 'timestamptz', at))).toEqual([2024, 4, 12, 31, 2, 366, 23, 59, 58.5])
    expect(datePart('epoch', 'timestamp', at)).toBe(Number(at) / 1e6)
    expect(datePart('second', 'timestamp', -1n)).toBe(59.999999)
    expect(datePart('dayOfWeek', 'date', -1)).toBe(3)
    expect(datePart('epoch', 'date', 2)).toBe(172_800)
    expect(datePart('hour', 'date', 2)).toBe(0)
    expect(datePart('hour', 'time', 3_600_000_000n)).toBe(1)
    expect(hasDatePart('year', 'time')).toBe(false)
    expect(hasDatePart('year', 'i64')).toBe(false)
  })
})

describe('user functions', () => {
  const call = (fn: (...args: never[]) => unknown, nullable = true) =>
    run(op('udf', 'i64', [i64(null)], { nullable, udf: { name: 'f', fn } }))
  it('get decoded values, and fail as data', () => {
    expect(call(x => (x === null ? 5 : 6))).toBe(5n)
    expect(call(() => undefined)).toBe(null)
    expect(call(() => null, false)).toContain('! function "f" returned NULL, expected i64')
    expect(call(() => 'x')).toContain('! function "f": expected i64')
    expect(
      call(() => {
        throw new Error('boom')
      }),
    ).toBe('! function "f" failed: boom')
    expect(
      call(() => {
        throw { toString: null }
      }),
    ).toBe('! function "f" failed: something that has no text was thrown')
  })
})
