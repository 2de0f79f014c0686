/** Every operator on every type it is for: specialised, generic and interpreted agree on values, NULLs and failures. */
import { describe, expect, it } from 'vitest'
import { canFail } from '../../codegen/expr/compile.js'
import type { Expr, Op } from '../../src/circuit/expr.js'
import { castable, type DecimalOp, decimalResult } from '../../src/circuit/scalar.js'
import { arrangedLayout, flatLayout } from '../../src/schema/schema.js'
import { decimalOf, decimalShape, TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import {
  batchOf,
  bytesOf,
  column,
  compileRun,
  DECIMALS,
  expected,
  generic,
  literal,
  op,
  outcome,
  programOf,
  random,
  randomRows,
  SAMPLES,
  schemaOf,
  sourceOf,
} from './rows-support.js'

const names = Object.keys(TYPES) as TypeName[]
const ROWS = 48
/** Decimals of every kind with those of every other, which takes half a minute. */
const EVERY_PAIR = process.env.EVERY_PAIR === '1'

/** Two columns of a type, the second nullable, and another nullable one. */
function tableOf(type: TypeName, other: TypeName = type) {
  const schema = schemaOf('t', { a: type, b: `${type}?`, c: `${other}?`, d: other, p: 'bool?', q: 'bool?', r: 'bool' })
  const col = (name: string) => column(schema, name)
  return { schema, col, rows: randomRows(schema, ROWS, type.length * 77 + other.length * 5 + type.charCodeAt(0)) }
}

function check(table: ReturnType<typeof tableOf>, outputs: readonly Expr[], filter: Expr | null = null): void {
  const layout = flatLayout(table.schema)
  const input = batchOf(layout, table.rows)
  // One program for each output that can fail, so that it does not hide the others, and one for all of them.
  for (const list of [...outputs.filter(canFail).map(o => [o]), outputs.filter(o => !canFail(o)), outputs]) {
    if (list.length === 0) continue
    const program = programOf(layout, filter, list)
    const should = expected(program, table.rows)
    const plain = outcome(program, generic(program), input)
    const { fn, source } = compileRun(program)
    const fast = outcome(program, fn, input)
    expect(plain.rows, 'generic').toEqual(should.rows)
    expect(fast.rows, source).toEqual(should.rows)
    expect(fast.failures, source).toEqual(should.failures)
    expect(plain.failures).toEqual(should.failures)
    expect(bytesOf(fast.batch), source).toEqual(bytesOf(plain.batch))
  }
}

const COMPARISONS: readonly Op[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'is', 'isnt']

describe('comparison', () => {
  it.each(names)('of %s with columns, literals and NULL', type => {
    const table = tableOf(type)
    const { col } = table
    const sample = SAMPLES[type][Math.min(3, SAMPLES[type].length - 1)]
    const last = SAMPLES[type][SAMPLES[type].length - 1]
    const all = COMPARISONS.flatMap(o => [
      op(o, [col('a'), col('a')], 'bool'),
      op(o, [col('a'), col('b')], 'bool'),
      op(o, [col('b'), col('c')], 'bool'),
      op(o, [col('b'), literal(type, sample)], 'bool'),
      op(o, [literal(type, last), col('a')], 'bool'),
      op(o, [literal(type, null), col('b')], 'bool'),
      op(o, [op('coalesce', [col('b'), col('a')], type), col('c')], 'bool'),
    ])
    check(table, all)
  })

  it.each([
    ['i32', 'f64'],
    ['f32', 'f64'],
    ['u8', 'i32'],
    ['i64', 'u64'],
    ['u64', 'u128'],
    ['f64', 'i64'],
    ['u64', 'i64'],
  ] as const)('of %s with %s', (type, other) => {
    const table = tableOf(type, other)
    check(
      table,
      COMPARISONS.map(o => op(o, [table.col('b'), table.col('c')], 'bool')),
    )
    check(
      table,
      COMPARISONS.map(o => op(o, [table.col('d'), table.col('a')], 'bool')),
    )
  })

  it('of literals of every length with stored text and bytes', () => {
    for (const type of ['string', 'bytes'] as const) {
      const table = tableOf(type)
      check(
        table,
        SAMPLES[type].flatMap(v => [
          op('eq', [table.col('a'), literal(type, v)], 'bool'),
          op('lt', [literal(type, v), table.col('b')], 'bool'),
        ]),
      )
    }
  })
})

const ARITHMETIC: readonly Op[] = ['add', 'sub', 'mul', 'div', 'rem']

describe('arithmetic', () => {
  it.each(['i8', 'i16', 'i32', 'u8', 'u16', 'u32', 'i64', 'u64'] as const)('of %s is exact or fails', type => {
    const table = tableOf(type)
    const { col } = table
    const lits = SAMPLES[type].slice(0, 5).map(v => literal(type, v))
    const exprs = ARITHMETIC.flatMap(o => [
      op(o, [col('a'), col('b')], type),
      op(o, [col('b'), col('c')], type),
      ...lits.flatMap(l => [op(o, [col('a'), l], type), op(o, [l, col('b')], type)]),
    ])
    check(table, [...exprs, op('neg', [col('b')], type)])
  })

  it.each(['i8', 'u32', 'f32', 'f64', 'date'] as const)('of %s as f64 is IEEE without -0', type => {
    const table = tableOf(type)
    const { col } = table
    const product = op('mul', [col('a'), literal('f64', 0)], 'f64')
    const exprs = [...ARITHMETIC, 'pow' as const].flatMap(o => [
      op(o, [col('a'), col('b')], 'f64'),
      op(o, [col('b'), literal('f64', 2.5)], 'f64'),
      op(o, [literal('f64', 1), product], 'f64'),
      op(o, [product, literal('f64', -1)], 'f64'),
      op(o, [op('neg', [col('b')], 'f64'), product], 'f64'),
    ])
    check(table, [...exprs, op('neg', [col('a')], 'f64'), op('sub', [product, literal('f64', 0)], 'f64')])
    check(
      table,
      ARITHMETIC.map(o => op(o, [col('a'), col('b')], 'f32')),
    )
  })

  it('of mixed 64-bit types, of times, and where literals adapt', () => {
    const table = tableOf('i64', 'u64')
    const { col } = table
    check(
      table,
      ARITHMETIC.flatMap(o => [
        op(o, [col('a'), col('c')], 'i64'),
        op(o, [col('d'), literal('i64', 5n)], 'u64'),
        op(o, [col('d'), literal('i64', -5n)], 'u64'),
      ]),
    )
    const times = tableOf('timestamp')
    check(times, [
      op('sub', [times.col('a'), times.col('b')], 'i64'),
      op('add', [times.col('b'), literal('i64', 60n)], 'timestamp'),
    ])
  })

  it('by Math', () => {
    const table = tableOf('f64')
    const { col } = table
    const one = [
      'abs',
      'floor',
      'ceil',
      'round',
      'trunc',
      'sign',
      'sqrt',
      'exp',
      'log',
      'sin',
      'atan',
      'fround',
      'clz32',
    ]
    const two = ['min', 'max', 'pow', 'atan2', 'hypot', 'imul']
    check(
      table,
      one.map(detail => op('math', [col('b')], 'f64', { detail })),
    )
    const zero = op('mul', [col('a'), literal('f64', 0)], 'f64')
    check(
      table,
      two.flatMap(detail => [
        op('math', [col('a'), col('c')], 'f64', { detail }),
        op('math', [zero, literal('f64', -1)], 'f64', { detail }),
      ]),
    )
  })
})

describe('decimals', () => {
  const literals = (type: TypeName) => SAMPLES[type].slice(0, 4).concat(SAMPLES[type].slice(-2))
  const function_ = (detail: string, args: readonly Expr[], type: TypeName) => op('function', args, type, { detail })

  it.each(DECIMALS)('arithmetic of %s with other decimals', type => {
    const at = DECIMALS.indexOf(type)
    for (const other of EVERY_PAIR ? DECIMALS : [at, at + 3].map(n => DECIMALS[n % DECIMALS.length])) {
      const table = tableOf(type, other)
      const { col } = table
      const values = EVERY_PAIR
        ? literals(other)
        : literals(other)
            .slice(1)
            .filter((_, n) => n % 3 === at % 3)
      const exprs = ARITHMETIC.flatMap(o => {
        const result = decimalResult(o as DecimalOp, type, other)
        if (result === null) return []
        const constant = values.map(v => op(o, [col('b'), literal(other, v)], result))
        return [op(o, [EVERY_PAIR ? col('a') : col('b'), col('d')], result), ...constant]
      })
      check(table, [...exprs, op('neg', [op('neg', [col('b')], type)], type)])
    }
  })

  it.each(DECIMALS)('comparison of %s, computed and stored', type => {
    const table = tableOf(type)
    const { col } = table
    const negated = op('neg', [col('c')], type)
    check(
      table,
      COMPARISONS.flatMap(o => [
        op(o, [col('a'), col('b')], 'bool'),
        op(o, [negated, col('b')], 'bool'),
        op(o, [negated, op('coalesce', [col('b'), col('a')], type)], 'bool'),
        ...literals(type).flatMap(v => [
          op(o, [col('b'), literal(type, v)], 'bool'),
          op(o, [literal(type, v), negated], 'bool'),
        ]),
        op(o, [col('b'), literal(type, null)], 'bool'),
      ]),
    )
  })

  it.each(DECIMALS)('choice, rounding and casts of %s', type => {
    const table = tableOf(type)
    const { col } = table
    const { precision, scale } = decimalShape(type) as { precision: number; scale: number }
    const roundings = ['decimalRound', 'decimalFloor', 'decimalCeil', 'decimalTrunc'].flatMap(detail =>
      [...new Set([0, scale >> 1, scale])].map(to => {
        return function_(detail, [col('b')], decimalOf(Math.min(38, precision - scale + to + 1), to))
      }),
    )
    check(table, [
      ...roundings,
      function_('decimalAbs', [col('b')], type),
      op('if', [col('p'), col('a'), op('neg', [col('b')], type)], type),
      op('coalesce', [col('b'), op('neg', [col('a')], type), literal(type, 1n)], type),
      op('if', [col('r'), literal(type, -1n), literal(type, null)], type),
    ])
    const targets = [...names, ...DECIMALS].filter(to => castable(type, to))
    check(
      table,
      targets.flatMap(to => [op('cast', [col('b')], to), op('cast', [op('neg', [col('a')], type)], to)]),
    )
  })

  it.each(names.filter(from => castable(from, DECIMALS[0])))('casts from %s', from => {
    const table = tableOf(from)
    const { col } = table
    check(
      table,
      DECIMALS.flatMap(to => [op('cast', [col('a')], to), op('cast', [col('b')], to)]),
    )
  })

  it('casts from doubles are those of their text', () => {
    const next = random(7)
    const doubles = Array.from({ length: 400 }, () => (next(2 ** 31) - 2 ** 30) / 10 ** next(12))
    const halves = [0.5, 1.5, 2.675, 1.005, 0.1 + 0.2, 1e15, 999999999999999.9, 1e-7, 5e-8, 123456.785, 4.35]
    const schema = schemaOf('t', { a: 'f64', b: 'f64?', c: 'f64?', d: 'f64', p: 'bool?', q: 'bool?', r: 'bool' })
    const rows = [...doubles, ...halves, ...halves.map(x => -x)].map(x => [x, x, x, x, true, true, true])
    const col = (name: string) => column(schema, name)
    check(
      { schema, col, rows },
      DECIMALS.map(to => op('cast', [col('a')], to)),
    )
  })

  it('are read from and written to packed keys', () => {
    for (const type of DECIMALS) {
      const schema = schemaOf('t', { a: type, b: 'bool' })
      const layout = arrangedLayout(schema, [0])
      const out = programOf(layout, null, [op('neg', [column(schema, 'a')], type), column(schema, 'a')])
      const rows = SAMPLES[type].map((v): Value[] => [v, true])
      const { fn, source } = compileRun(out)
      expect(outcome(out, fn, batchOf(layout, rows)).rows, source).toEqual(expected(out, rows).rows)
    }
  })
})

describe('logic and choice', () => {
  const table = tableOf('i64')
  const { col } = table
  const fails = op('gt', [op('div', [col('a'), col('c')], 'i64'), literal('i64', 0n)], 'bool')
  const conditions: Expr[] = [
    col('p'),
    col('q'),
    col('r'),
    literal('bool', null),
    literal('bool', true),
    literal('bool', false),
    fails,
  ]
  const nested = conditions.flatMap(x => conditions.flatMap(y => [op('and', [x, y], 'bool'), op('or', [x, y], 'bool')]))

  it('of three values', () => {
    check(table, [
      ...nested,
      ...nested.map(e => op('not', [e], 'bool')),
      op('and', [col('p'), col('q'), fails], 'bool'),
    ])
  })

  it('as filters', () => {
    for (const filter of [...nested, ...nested.map(e => op('not', [e], 'bool'))]) {
      const layout = flatLayout(table.schema)
      const program = programOf(layout, filter, [col('a'), op('mul', [col('a'), col('b')], 'i64')])
      const { fn, source } = compileRun(program)
      const should = expected(program, table.rows)
      const fast = outcome(program, fn, batchOf(layout, table.rows))
      expect(fast.rows, source).toEqual(should.rows)
      expect(fast.failures, source).toEqual(should.failures)
    }
  })

  it.each(names)('if and coalesce of %s', type => {
    const one = tableOf(type)
    const at = one.col
    const sample = literal(type, SAMPLES[type][1])
    const danger = op('isNull', [op('div', [literal('f64', 1), literal('f64', 0)], 'f64')], 'bool')
    check(one, [
      op('if', [at('p'), at('a'), at('b')], type),
      op('if', [at('r'), at('b'), sample], type),
      op('if', [op('and', [at('p'), at('r')], 'bool'), literal(type, null), at('a')], type),
      op('if', [danger, at('a'), op('if', [at('q'), at('c'), sample], type)], type),
      op('coalesce', [at('b'), at('a')], type),
      op('coalesce', [at('b'), at('c')], type),
      op('coalesce', [at('b'), at('c'), sample], type),
      op('coalesce', [literal(type, null), at('b')], type),
      op('isNull', [at('b')], 'bool'),
      op('isNull', [at('a')], 'bool'),
      op('isNull', [op('if', [at('p'), at('a'), at('b')], type)], 'bool'),
    ])
  })

  it('evaluates no branch that is not taken', () => {
    const ratio = op('div', [col('a'), col('b')], 'i64')
    const isZero = op('is', [col('b'), literal('i64', 0n)], 'bool')
    check(table, [
      op('if', [isZero, literal('i64', 0n), ratio], 'i64'),
      op('coalesce', [col('c'), ratio], 'i64'),
      op('coalesce', [ratio, col('a')], 'i64'),
      op('or', [isZero, op('gt', [ratio, col('a')], 'bool')], 'bool'),
    ])
  })
})

describe('text', () => {
  const table = tableOf('string')
  const { col } = table
  const text = (value: string) => literal('string', value)

  it('operators', () => {
    check(table, [
      op('concat', [col('a'), col('b')], 'string'),
      op('concat', [col('a'), text('-'), col('d')], 'string'),
      ...(['startsWith', 'endsWith', 'includes'] as const).flatMap(o => [
        op(o, [col('a'), col('b')], 'bool'),
        ...['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'é', '😀'].map(s => op(o, [col('b'), text(s)], 'bool')),
      ]),
      op('slice', [col('b'), literal('f64', 1)], 'string'),
      op('slice', [col('a'), literal('f64', 0), literal('f64', 2)], 'string'),
      op('length', [col('b')], 'f64'),
      op('upper', [col('a')], 'string'),
      op('lower', [col('b')], 'string'),
      op('trim', [op('concat', [text(' '), col('b')], 'string')], 'string'),
      op('eq', [op('upper', [col('a')], 'string'), text('ABCD')], 'bool'),
      op('lt', [op('upper', [col('a')], 'string'), op('lower', [col('b')], 'string')], 'bool'),
    ])
    const bytes = tableOf('bytes')
    check(bytes, [op('length', [bytes.col('b')], 'f64')])
  })

  it('is written down harmlessly', () => {
    const hostile = `"); process.exit(1); //\u2028'\${x}\\`
    check(table, [op('concat', [col('a'), text(hostile)], 'string'), op('eq', [col('a'), text(hostile)], 'bool')])
    const schema = schemaOf('t', { 'a"); process.exit(1); ("': 'i64', __proto__x: 'string?', '*/': 'f64' })
    const rows = randomRows(schema, 20, 5)
    const layout = flatLayout(schema)
    const program = programOf(
      layout,
      null,
      schema.columns.map(c => column(schema, c.name)),
    )
    const { fn, source } = compileRun(program)
    expect(source).not.toContain('process.exit(')
    expect(outcome(program, fn, batchOf(layout, rows)).rows).toEqual(rows)
  })
})

describe('casts', () => {
  const numbers: TypeName[] = [
    'bool',
    'i8',
    'i32',
    'i64',
    'u8',
    'u16',
    'u32',
    'u64',
    'u128',
    'f32',
    'f64',
    'date',
    'time',
    'timestamp',
  ]

  it.each(names)('from %s to everything', from => {
    const table = tableOf(from)
    const targets = names.filter(to => castable(from, to))
    check(
      table,
      targets.flatMap(to => [op('cast', [table.col('a')], to), op('cast', [table.col('b')], to)]),
    )
  })

  it('of computed values', () => {
    const table = tableOf('i64', 'f64')
    const { col } = table
    const sum = op('add', [col('a'), literal('i64', 1n)], 'i64')
    const chosen = op('if', [col('r'), col('a'), col('b')], 'i64')
    const half = op('mul', [col('d'), literal('f64', -0.5)], 'f64')
    for (const value of [sum, chosen, half]) {
      check(
        table,
        numbers.filter(to => castable(value.type, to)).map(to => op('cast', [value], to)),
      )
    }
  })
})

describe('user functions and parts of dates', () => {
  const table = tableOf('string', 'i64')
  const { col } = table
  const call = (fn: (...args: never[]) => unknown, type: TypeName, nullable: boolean, ...args: Expr[]) =>
    op('udf', args, type, { nullable, udf: { name: 'mine; x', fn } })

  it('see NULL, may give NULL, and fail by throwing or by a wrong result', () => {
    check(table, [
      call((a: string | null) => (a === null ? 'none' : a + a), 'string', false, col('b')),
      call((a: bigint | null) => (a === 0n ? null : a), 'i64', true, col('c')),
      call(
        (a: bigint) => {
          if (a < 0n) throw new Error(`negative: ${a}`)
          return Number(a % 100n)
        },
        'i32',
        false,
        col('d'),
      ),
      call(() => 1e10, 'i32', false),
      op('add', [call((a: bigint) => (a > 0n ? a : null), 'i64', true, col('d')), literal('i64', 1n)], 'i64'),
    ])
  })

  it.each(['date', 'timestamp', 'timestamptz', 'time'] as const)('parts of %s', type => {
    const dates = tableOf(type)
    const parts =
      type === 'time'
        ? ['hour', 'minute', 'second']
        : ['year', 'quarter', 'month', 'day', 'dayOfWeek', 'dayOfYear', 'epoch']
    check(
      dates,
      parts.flatMap(detail => [
        op('datePart', [dates.col('a')], 'f64', { detail }),
        op('datePart', [dates.col('b')], 'f64', { detail }),
      ]),
    )
  })
})

describe('the code', () => {
  it('of a filter and plain copies is a condition and plain copies', () => {
    const schema = schemaOf('t', { id: 'u64', price: 'f64', note: 'string?', tag: 'i32?' })
    const col = (name: string) => column(schema, name)
    const filter = op('gt', [col('price'), literal('f64', 100)], 'bool')
    expect(sourceOf(programOf(flatLayout(schema), filter, ['id', 'price', 'note', 'tag'].map(col)))).toMatchSnapshot()
  })

  it('of arithmetic with overflow checks is straight', () => {
    const schema = schemaOf('t', { a: 'i64', b: 'i64?' })
    const col = (name: string) => column(schema, name)
    const sum = op('add', [op('mul', [col('a'), literal('i64', 3n)], 'i64'), col('b')], 'i64')
    expect(
      sourceOf(programOf(flatLayout(schema), op('gt', [col('a'), literal('i64', 0n)], 'bool'), [sum])),
    ).toMatchSnapshot()
  })
})

describe('expressions with shared parts', () => {
  it('compile in time that follows their size as graphs, and compute each part once', () => {
    const schema = schemaOf('t', { a: 'i64', p: 'bool?', r: 'bool' })
    const layout = flatLayout(schema)
    let sum: Expr = column(schema, 'a')
    let flag: Expr = op('or', [column(schema, 'p'), column(schema, 'r')], 'bool')
    for (let n = 0; n < 40; n++) {
      sum = op('sub', [sum, op('sub', [sum, literal('i64', 1n)], 'i64')], 'i64')
      flag = op('and', [flag, op('not', [op('not', [flag], 'bool')], 'bool')], 'bool')
    }
    const { fn, source } = compileRun(programOf(layout, flag, [sum]))
    expect(source.length).toBeLessThan(30_000)
    const rows = [
      [5n, true, false],
      [6n, null, false],
      [7n, false, true],
    ]
    expect(outcome(programOf(layout, flag, [sum]), fn, batchOf(layout, rows)).rows).toEqual([[1n], [1n]])
  })

  it('do not let a part computed in one branch be used in another', () => {
    const table = tableOf('i64')
    const { col } = table
    const quotient = op('div', [col('a'), col('d')], 'i64')
    const shared = op('add', [quotient, literal('i64', 1n)], 'i64')
    const upper = op('cast', [col('a')], 'string')
    check(table, [
      op('if', [col('p'), shared, op('if', [col('q'), shared, quotient], 'i64')], 'i64'),
      op('coalesce', [op('if', [col('p'), shared, literal('i64', null)], 'i64'), shared], 'i64'),
      op(
        'or',
        [op('and', [col('r'), op('gt', [shared, col('a')], 'bool')], 'bool'), op('lt', [shared, col('b')], 'bool')],
        'bool',
      ),
      op('if', [col('r'), upper, op('concat', [upper, upper], 'string')], 'string'),
    ])
  })
})
