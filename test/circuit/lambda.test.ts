/** Lambdas → expressions: types, values (by the interpreter), and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CompileError } from '../../src/base/errors.js'
import { evaluate } from '../../src/circuit/eval.js'
import type { Expr } from '../../src/circuit/expr.js'
import { fn, udf } from '../../src/circuit/index.js'
import { columnsLambda, conditionLambda, valueLambda } from '../../src/circuit/lambda/index.js'
import { Failure } from '../../src/circuit/scalar.js'
import { rowSchema } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'

const schema = rowSchema('t', [
  { name: 'id', type: 'u64', nullable: false },
  { name: 'amount', type: 'i64', nullable: false },
  { name: 'small', type: 'i32', nullable: false },
  { name: 'price', type: 'f64', nullable: true },
  { name: 'note', type: 'string', nullable: true },
  { name: 'flag', type: 'bool', nullable: true },
  { name: 'key', type: 'uuid', nullable: false },
  { name: 'day', type: 'date', nullable: false },
  { name: 'at', type: 'timestamptz', nullable: true },
  { name: 'big', type: 'u128', nullable: false },
  { name: 'raw', type: 'bytes', nullable: false },
])

interface Row {
  id: bigint
  amount: bigint
  small: number
  price: number | null
  note: string | null
  flag: boolean | null
  key: string
  day: number
  at: bigint | null
  big: bigint
  raw: Uint8Array
}

const UUID = '123e4567-e89b-12d3-a456-426614174000'
// 2001-02-03T04:05:06.5Z
const AT = 981173106500000n
const full: Row = {
  id: 7n,
  amount: -5n,
  small: 3,
  price: 2.5,
  note: ' Ann ',
  flag: true,
  key: UUID,
  day: 11356,
  at: AT,
  big: 1n << 100n,
  raw: new Uint8Array([1, 2, 3]),
}
const nulls: Row = { ...full, price: null, note: null, flag: null, at: null }
const values = (row: Row): Value[] => schema.columns.map(c => row[c.name as keyof Row])

type Ctx = Record<string, unknown>
/** The expression of a lambda given as a function or as text that tools made of one. */
function compile(lambda: ((row: Row, ctx: never) => unknown) | string, ctx?: Ctx): Expr {
  const source = typeof lambda === 'string' ? textFunction(lambda) : lambda
  return valueLambda({ fn: source, ctx, rows: [schema], what: 'map' })
}

const sources = new WeakMap<object, string>()
const original = Function.prototype.toString
beforeAll(() => {
  Function.prototype.toString = function shown(this: object): string {
    return sources.get(this) ?? original.call(this)
  }
})
afterAll(() => {
  Function.prototype.toString = original
})

/** A function whose source is `text`, which need not be one that this file could contain. */
function textFunction(text: string): () => void {
  const stub = () => undefined
  sources.set(stub, text)
  return stub
}

const run = (lambda: ((row: Row, ctx: never) => unknown) | string, row: Row = full, ctx?: Ctx): Value =>
  evaluate(compile(lambda, ctx), values(row))

function problem(lambda: ((row: Row, ctx: never) => unknown) | string | null | object, ctx?: Ctx): CompileError {
  try {
    if (typeof lambda === 'string') compile(lambda, ctx)
    else valueLambda({ fn: lambda, ctx, rows: [schema], what: 'map' })
  } catch (thrown) {
    if (thrown instanceof CompileError) return thrown
    throw thrown
  }
  throw new Error('expected a CompileError')
}

describe('values', () => {
  test('literals', () => {
    expect(run('() => 1n')).toBe(1n)
    expect(run('o => -3')).toBe(-3)
    expect(run('o => -3n')).toBe(-3n)
    expect(run('o => 18446744073709551615n')).toBe(18446744073709551615n)
    expect(compile('o => 18446744073709551615n').type).toBe('u64')
    expect(run('o => !0')).toBe(true)
    expect(run('o => !1')).toBe(false)
    expect(run('o => 1/0')).toBe(Infinity)
    expect(run('o => Math.PI')).toBe(Math.PI)
    expect(run('o => Number.MAX_SAFE_INTEGER')).toBe(Number.MAX_SAFE_INTEGER)
    expect(run('o => "a\\n"')).toBe('a\n')
    expect(run('o => ``')).toBe('')
  })

  test('arithmetic of numbers is f64', () => {
    expect(compile(o => o.small * 2)).toMatchObject({ op: 'mul', type: 'f64', nullable: false })
    expect(run(o => (o.small + 1) / 8 - 0.25)).toBe(0.25)
    expect(run(o => o.small ** 2 % 5)).toBe(4)
    expect(run(o => -o.small)).toBe(-3)
    expect(run(o => +o.small)).toBe(3)
    expect(compile(o => (o.price ?? 0) + o.small)).toMatchObject({ type: 'f64', nullable: false })
    expect(run(o => (o.price as number) + 1, nulls)).toBe(null)
    expect(run(o => o.day + 1)).toBe(11357)
  })

  test('arithmetic of bigints is exact and checked', () => {
    expect(compile(o => o.amount * 2n)).toMatchObject({ type: 'i64' })
    expect(compile(o => o.id + 1n)).toMatchObject({ type: 'u64' })
    expect(compile(o => 1n + o.id)).toMatchObject({ type: 'u64' })
    expect(compile(o => o.id + -1n)).toMatchObject({ type: 'i64' })
    expect(compile(o => o.id + o.amount)).toMatchObject({ type: 'i64' })
    expect(run(o => o.id + o.amount)).toBe(2n)
    expect(run(o => o.amount / 2n)).toBe(-2n)
    expect(run(o => o.amount % 2n)).toBe(-1n)
    expect(run(o => -o.id)).toBe(-7n)
    expect(() => run(o => o.id - 8n)).toThrow(Failure)
    expect(() => run(o => o.amount / 0n)).toThrow(Failure)
  })

  test('comparisons', () => {
    expect(run(o => o.amount < 0n)).toBe(true)
    expect(run(o => o.id >= 7n && o.small <= 3)).toBe(true)
    expect(run(o => (o.price as number) > 1, nulls)).toBe(null)
    expect(compile(o => (o.price as number) > 1)).toMatchObject({ op: 'gt', type: 'bool', nullable: true })
    expect(compile('o => o.id > 100')).toMatchObject({ args: [{ type: 'u64' }, { type: 'u64', value: 100n }] })
    expect(compile('o => o.id > -1n')).toMatchObject({ args: [{ type: 'u64' }, { type: 'i64', value: -1n }] })
    expect(run('o => o.id > -1n')).toBe(true)
    expect(run('o => o.id > o.amount')).toBe(true)
    expect(compile('o => o.small < 4n')).toMatchObject({ args: [{ type: 'i32' }, { type: 'f64', value: 4 }] })
    expect(compile(o => o.small < 4)).toMatchObject({ args: [{ type: 'i32' }, { type: 'f64', value: 4 }] })
    expect(run('o => 5n < o.big')).toBe(true)
  })

  test('=== is IS NOT DISTINCT FROM', () => {
    expect(compile(o => o.price === 2.5)).toMatchObject({ op: 'is', nullable: false })
    expect(run(o => o.price === 2.5, nulls)).toBe(false)
    expect(run(o => o.price !== 2.5, nulls)).toBe(true)
    expect(run(o => o.note === null, nulls)).toBe(true)
    expect(run(o => null !== o.note, nulls)).toBe(false)
    expect(run('o => o.note == null', nulls)).toBe(true)
    expect(run('o => o.note != void 0', nulls)).toBe(false)
    expect(run(o => o.note === undefined, nulls)).toBe(true)
    expect(run('o => null === null')).toBe(true)
    expect(run('o => o.price === NaN', { ...full, price: NaN })).toBe(true)
  })

  test('logic is three-valued, ?: takes NULL for false', () => {
    expect(run(o => o.flag && o.small === 3, nulls)).toBe(null)
    expect(run(o => o.flag || o.small === 3, nulls)).toBe(true)
    expect(run(o => !o.flag, nulls)).toBe(null)
    expect(run(o => (o.flag ? 'y' : 'n'), nulls)).toBe('n')
    expect(run('o => o.flag ? null : 1n')).toBe(null)
    expect(compile('o => o.flag ? null : 1n')).toMatchObject({ op: 'if', type: 'i64', nullable: true })
    expect(compile('o => o.flag ? o.small : 0')).toMatchObject({ type: 'i32' })
    expect(compile('o => o.flag ? o.small : 0.5')).toMatchObject({ type: 'f64' })
    expect(compile('o => o.flag ? o.id : 0n')).toMatchObject({ type: 'u64' })
  })

  test('?? and what tools make of it', () => {
    const forms = [
      'o => o.note ?? "none"',
      'o => o.note !== null && o.note !== void 0 ? o.note : "none"',
      'o => o.note != null ? o.note : "none"',
      'o => o.note == null ? "none" : o.note',
      'function (o) { var _a; return (_a = o.note) !== null && _a !== void 0 ? _a : "none"; }',
      'function (o) { var n = o.note; if (n === null || n === undefined) { return "none" } return n }',
    ]
    for (const form of forms) {
      expect(compile(form), form).toMatchObject({ op: 'coalesce', type: 'string', nullable: false })
      expect(run(form, nulls), form).toBe('none')
      expect(run(form), form).toBe(' Ann ')
    }
    const chain =
      '(o) => { var _a, _b; return (_b = (_a = o.note) !== null && _a !== void 0 ? _a : null) !== null && _b !== void 0 ? _b : "x"; }'
    expect(run(chain, nulls)).toBe('x')
    const optional = 'o => { var _a; return (_a = o.note) === null || _a === void 0 ? void 0 : _a.length }'
    expect(run(optional, nulls)).toBe(null)
    expect(run(optional)).toBe(5)
    expect(compile(o => o.note ?? o.key.slice(0) ?? 'x')).toMatchObject({ nullable: false })
  })

  test('strings', () => {
    expect(run(o => o.note?.trim().toUpperCase())).toBe('ANN')
    expect(run(o => o.note?.trim().toLowerCase().slice(1))).toBe('nn')
    expect(run(o => o.note?.slice(-2, -1))).toBe('n')
    expect(run(o => o.note?.length)).toBe(5)
    expect(run(o => o.raw.length)).toBe(3)
    expect(run(o => o.note?.startsWith(' A'))).toBe(true)
    expect(run(o => o.note?.endsWith('x'))).toBe(false)
    expect(run(o => o.note?.includes('nn'))).toBe(true)
    expect(run(o => o.note?.length, nulls)).toBe(null)
    expect(run(o => `${o.small}/${o.amount}${o.flag}`)).toBe('3/-5true')
    expect(run(o => 'x' + o.small)).toBe('x3')
    expect(run(o => o.small + 1 + 'x')).toBe('4x')
    expect(run('o => "".concat(o.small, "/").concat(o.amount)')).toBe('3/-5')
    expect(run(o => o.key.slice(0, 4))).toBe('123e')
    expect(run(o => o.small.toString())).toBe('3')
    expect(run(o => String(o.amount))).toBe('-5')
    expect(run('o => "abc".length')).toBe(3)
  })

  test('Math and conversions', () => {
    expect(run(o => Math.max(o.small, 10, Math.abs(-20)))).toBe(20)
    expect(run(o => Math.floor(Math.sqrt(o.small)))).toBe(1)
    expect(run(o => o.small ** 2)).toBe(9)
    expect(run(o => Number(o.amount) / 2)).toBe(-2.5)
    expect(run(o => BigInt(o.small) + o.amount)).toBe(-2n)
    expect(compile(o => BigInt(o.id))).toMatchObject({ kind: 'column' })
    expect(run(o => Number.isNaN(o.small))).toBe(false)
    expect(compile('o => BigInt(o.at)')).toMatchObject({ op: 'cast', type: 'i64', nullable: true })
    expect(run('o => -9223372036854775808n')).toBe(-(2n ** 63n))
    expect(() => run('o => BigInt(o.price)')).toThrow(Failure)
  })

  test('literals of text next to uuid, dates and times', () => {
    expect(run(o => o.key === '123E4567-e89b-12d3-a456-426614174000')).toBe(true)
    expect(run('o => o.day > "2001-02-02"')).toBe(true)
    expect(run('o => o.at >= "2001-02-03T04:05:06.5Z"')).toBe(true)
    expect(problem("o => o.day > 'soon'").message).toMatch(/expected a date.*found the string "soon"/s)
    expect(problem("o => o.key === 'x'").frame).toContain("o.key === 'x'")
  })
})

describe('ctx', () => {
  test('parameters, destructured or not, nested, renamed', () => {
    const ctx = { min: 5, name: 'Ann', none: null, nested: { limit: 3 } }
    expect(run((o, c: typeof ctx) => o.small < c.min, full, ctx)).toBe(true)
    expect(run((o, { min: least }: typeof ctx) => o.small < least, full, ctx)).toBe(true)
    expect(run((o, { nested: { limit } }: typeof ctx) => o.small === limit, full, ctx)).toBe(true)
    expect(run((o, c: typeof ctx) => o.small === c.nested.limit, full, ctx)).toBe(true)
    expect(run((o, { name }: typeof ctx) => o.note?.includes(name), full, ctx)).toBe(true)
    expect(run((o, { name }: typeof ctx) => o.note?.includes(name.toUpperCase()), full, ctx)).toBe(false)
    expect(run((o, { none }: typeof ctx) => o.note === none, nulls, ctx)).toBe(true)
    expect(run('(o, { name }) => name.length', full, ctx)).toBe(3)
  })

  test('a Date is a timestamptz in µs', () => {
    const since = new Date('2001-02-03T04:05:06Z')
    expect(run('(o, { since }) => o.at > since', full, { since })).toBe(true)
    expect(compile('(o, { since }) => since', { since })).toMatchObject({ type: 'timestamptz' })
    expect(run('(o, { since }) => o.day === since', full, { since: new Date('2001-02-03T00:00:00Z') })).toBe(true)
    expect(problem('(o, { since }) => o.at > since', { since: new Date(NaN) }).message).toContain('invalid Date')
  })

  test('built-in functions', () => {
    type Fn = typeof fn
    expect(run((o, { year }: Fn) => year(o.at) === 2001, full, fn)).toBe(true)
    expect(run((o, c: { fn: Fn }) => c.fn.month(o.day), full, { fn })).toBe(2)
    expect(run((o, { dayOfWeek }: Fn) => dayOfWeek(o.day), full, fn)).toBe(6)
    expect(run((o, { second }: Fn) => second(o.at), full, fn)).toBe(6.5)
    expect(compile((o, { i32 }: Fn) => i32(o.small * 2), fn)).toMatchObject({ op: 'cast', type: 'i32' })
    expect(run((o, { i8 }: Fn) => i8(o.small * 2), full, fn)).toBe(6)
    expect(() => run((o, { u8 }: Fn) => u8(o.amount), full, fn)).toThrow(Failure)
    expect(run((o, { date }: Fn) => o.day === date('2001-02-03'), full, fn)).toBe(true)
    expect(run((o, { date }: Fn) => date(o.day + 1), full, fn)).toBe(11357)
    expect(run((o, { coalesce }: Fn) => coalesce(o.note, null, 'x'), nulls, fn)).toBe('x')
    expect(run((o, { isNull }: Fn) => isNull(o.note), nulls, fn)).toBe(true)
    expect(run((o, { upper, trim }: Fn) => upper(trim(o.note)), full, fn)).toBe('ANN')
    expect(run((_o, { string }: Fn) => string(null), full, fn)).toBe(null)
    expect(compile((_o, { string }: Fn) => string(null), fn)).toMatchObject({ type: 'string', nullable: true })
    expect(() => fn.year(1n)).toThrow(/only inside a lambda/)
    expect(problem((o, { year }: Fn) => year(o.small), fn).message).toContain('an i32 has no year')
    expect(problem('(o, { year }) => year()', fn).message).toContain('expected 1 argument(s), found 0')
    expect(problem((_o, { date }: Fn) => date('never'), fn).message).toContain('cannot cast "never" to date')
  })

  test('user functions', () => {
    const km = udf('km', ['f64'], 'f64', miles => miles * 1.5)
    const pick = udf('pick', ['i32', 'string'], 'string', (n, s) => s.repeat(n))
    expect(km(2)).toBe(3)
    expect(run('(o, { km }) => km(o.small)', full, { km })).toBe(4.5)
    expect(run('(o, { km }) => km(o.price)', nulls, { km })).toBe(null)
    expect(compile('(o, { km }) => km(o.price)', { km })).toMatchObject({ op: 'if', nullable: true })
    expect(compile('(o, { km }) => km(o.small)', { km })).toMatchObject({ op: 'udf', nullable: false })
    expect(run('(o, { pick }) => pick(o.small, "a")', full, { pick })).toBe('aaa')
    expect(problem('(o, { km }) => km(o.id)', { km }).message).toContain('km: argument 1: expected f64, found a u64')
    expect(problem('(o, { km }) => km()', { km }).message).toContain('expected 1 argument(s), found 0')
    expect(problem('(o, { f }) => f(o.id)', { f: (x: number) => x }).message).toMatch(
      /ctx\.f is a plain function.*udf/s,
    )
    const wrong = ['number'] as unknown as ['f64']
    expect(() => udf('x', wrong, 'f64', x => x)).toThrow(/argument 1: expected a type/)
  })
})

describe('forms of functions', () => {
  test('arrow, function, method, named, destructured rows', () => {
    const holder = {
      method(o: Row) {
        return o.small + 1
      },
    }
    expect(run(holder.method)).toBe(4)
    expect(
      run(function named(o: Row) {
        return o.small + 1
      }),
    ).toBe(4)
    expect(run(({ small, note: text }) => text?.length === 5 && small === 3)).toBe(true)
    expect(run("({ 'small': s, ['note']: n }) => s")).toBe(3)
    expect(run("o => o['small']")).toBe(3)
    expect(run('o => o[`small`]')).toBe(3)
    expect(run('(o, { c }) => o[c]', full, { c: 'small' })).toBe(3)
    expect(run('(o)=>(0,o.small)')).toBe(3)
    expect(run('o => /* @__PURE__ */ (o.small)')).toBe(3)
  })

  test('blocks', () => {
    expect(
      run(o => {
        const double = o.small * 2
        const { note } = o
        if (note === null) return -1
        if (double > 100) {
          return 0
        } else if (double > 5) {
          const plus = double + 1
          return plus
        }
        return 7
      }),
    ).toBe(7)
    expect(run('o => { if (o.flag) { const a = 1; } return 2 }')).toBe(2)
    expect(run("function (o) { 'use strict'; var a = o.small, b = a + 1; return b }")).toBe(4)
    expect(problem('o => { if (o.flag) return 1 }').message).toContain('not every path returns a value')
    expect(problem('o => { a: o.small }').message).toContain('label')
    expect(problem('o => { let x = 1; x = 2; return x }').message).toContain('cannot be compiled')
    expect(problem('o => { for (;;) return 1 }').message).toContain('only const, if and return')
  })

  test('a temporary assigned in a branch is unknown after it', () => {
    expect(problem('o => { var _a; return (o.flag ? (_a = 1) : 2) + _a }').message).toContain('may have no value')
  })
})

describe('objects', () => {
  const columns = (text: string | ((row: Row) => unknown), ctx?: Ctx) =>
    columnsLambda({ fn: typeof text === 'string' ? textFunction(text) : text, ctx, rows: [schema], what: 'map' })
  const names = (text: string | ((row: Row) => unknown)) => columns(text).map(c => c.name)

  test('keys and spreads', () => {
    expect(names(o => ({ ...o, small: 1, extra: 2 }))).toEqual([...schema.columns.map(c => c.name), 'extra'])
    expect(names(({ id, ...rest }) => ({ rest: id, ...rest })).slice(0, 3)).toEqual(['rest', 'amount', 'small'])
    expect(names(({ id, small }) => ({ id, 'a b': small, ['c' + 1]: 1, 2: small }))).toEqual(['id', 'a b', 'c1', '2'])
    expect(names('o => __spreadProps(__spreadValues({}, o), { x: 1 })').at(-1)).toBe('x')
    expect(names('o => Object.assign({}, o, { x: 1 })').at(-1)).toBe('x')
    expect(names(o => o)).toHaveLength(11)
    expect(names("o => ({ ['__proto__']: o.id, __proto: 1 })")).toEqual(['__proto__', '__proto'])
    expect(names('(__proto__) => ({ a: __proto__.id })')).toEqual(['a'])
  })

  test('a choice of objects is made column by column', () => {
    const made = columns('o => o.flag ? { a: 1n, b: null } : { b: o.note, a: o.amount }')
    expect(made.map(c => [c.name, c.expr.type, c.expr.nullable])).toEqual([
      ['a', 'i64', false],
      ['b', 'string', true],
    ])
    expect(() => columns('o => o.flag ? { a: 1n } : { b: 1n }')).toThrow(/same columns, found "a"/)
  })

  test('refused', () => {
    expect(() => columns('o => ({ __proto__: o.id })')).toThrow(/sets the prototype/)
    expect(() => columns("o => ({ '__proto__': o.id })")).toThrow(/sets the prototype/)
    expect(() => columns('o => ({})')).toThrow(/at least one column/)
    expect(() => columns('o => o.id')).toThrow(/expected an object of columns, found a single value \(u64\)/)
    expect(() => columns('o => ({ a: {} })')).toThrow(/an object without members/)
    expect(() => columns('o => ({ a: o })')).toThrow(/a whole row is not a value/)
    expect(() => columns('o => ({ a: null })')).toThrow(/column "a" is always null/)
    expect(() => columns('o => ({ a() { return 1 } })')).toThrow(/cannot be a method/)
    expect(() => columns('o => ({ [o.note]: 1 })')).toThrow(/must be constant/)
    expect(() => columns('o => ({ "": 1 })')).toThrow(/non-empty name/)
  })
})

describe('refused, with the place and a way out', () => {
  test('closures', () => {
    const limit = 5
    const error = problem(o => o.small > limit)
    expect(error.message).toBe(
      [
        'map lambda: unknown name "limit": a lambda sees its parameters only, not the variables and imports around it',
        '  1 | (o) => o.small > limit',
        '    |                  ^^^^^',
        'hint: pass it through the ctx object: (row, { limit }) => …, { limit }',
      ].join('\n'),
    )
    expect(problem('o => (0, __vi_import_0__.year)(o.at)').message).toContain('unknown name "year"')
    expect(problem('o => (0, import_lib.year)(o.at)').message).toContain('unknown name "year"')
    expect(problem('o => (0, year)(o.at)').message).toContain('unknown name "year"')
    expect(problem('o => process.exit(1)').message).toContain('unknown name "process"')
  })

  test('names', () => {
    const error = problem('o => o.nte')
    expect(error.message).toContain('the row has no column "nte"; it has "id", "amount"')
    expect(error.hint).toBe('did you mean "note"?')
    expect(problem('o => o.constructor').message).toContain('no column "constructor"')
    expect(problem('(o, { constructor: c }) => c', {}).message).toContain('ctx has no "constructor"')
    expect(problem('(o, { limt }) => limt', { limit: 1 }).hint).toBe('did you mean "limit"?')
    expect(problem('(o, { limit }) => limit').message).toContain('ctx has no "limit"')
    expect(problem('(o, { x }) => x', { x: undefined }).message).toContain('ctx.x: expected a parameter')
    expect(problem('(o, { x }) => x', { x: Symbol('s') }).message).toContain('ctx.x: expected a parameter')
    expect(problem('(o, { x }) => x', { x: [1] }).message).toContain('ctx.x: expected a parameter')
    expect(problem('(a, b, c) => 1').message).toContain('at most 2 parameters')
    expect(problem('(a = 1) => 1').message).toContain('default value')
    expect(problem('(...a) => 1').message).toContain('rest parameter')
  })

  test('constructs', () => {
    for (const body of [
      'o.small & 1',
      '~o.small',
      'typeof o.small',
      'new Date()',
      'o.note.split("")',
      '/x/.test(o.note)',
      '[]',
      '[, 1]',
      '[...o.note]',
      '(x => x)(1)',
      'o.note in o',
      'this.x',
      'o.small++',
      'Math.random()',
      'o.note.replace("a", "b")',
      'Date.now()',
      'tag`x`',
      'o.note.startsWith(...o)',
      'Math.max()',
      'Math.floor(1, 2)',
      'import.meta',
      'o.note.trim(1)',
      'new.target',
      'Object.keys(o)',
      'Number',
      'Math',
    ]) {
      const error = problem(`function (o) { return ${body} }`)
      expect(error.frame ?? error.message, body).toMatch(/\^|source cannot be read/)
    }
  })

  test('types', () => {
    const cases: [string, RegExp][] = [
      ['o.amount + 1', /cannot mix an i64 \(bigint\) and an f64 \(number\).*BigInt\(x\).*Number\(x\)/s],
      ['o.amount > o.small', /cannot compare an i64 with an i32/],
      ['o.amount > 1.5', /cannot compare an i64 with an f64/],
      ['o.note === 1', /cannot compare a string with an f64/],
      ['o.flag === 1', /cannot compare a boolean with an f64/],
      ['o.key === o.note', /cannot compare a uuid with a string.*uuid\(x\)/s],
      ['o.note && true', /&& needs a boolean, found a string.*x !== ''/s],
      ['o.note || "x"', /\|\| needs a boolean/],
      ['!o.small', /! needs a boolean, found an i32/],
      ['o.small ? 1 : 2', /\?: needs a boolean/],
      ['o.flag ? 1 : "x"', /gives either an f64 or a string/],
      ['o.note ?? 1', /gives either a string or an f64/],
      ['o.id ?? o.amount', /i64\(x\) or u64\(x\)/],
      ['o.big + 1n', /u128 has no arithmetic/],
      ['o.amount ** 2n', /\*\* is for numbers/],
      ['o.flag + 1', /\+ needs numbers or bigints, found a boolean/],
      ['o.note - 1', /- needs numbers or bigints, found a string/],
      ['o.small < null', /comparison by size with null/],
      ['o.small == 3', /== converts its operands.*===/s],
      ['Math.abs(o.amount)', /Math\.abs needs a number, found an i64.*Number\(x\)/s],
      ['o.small.trim()', /\.trim needs a string, found an i32/],
      ['o.small.length', /\.length needs a string/],
      ['null ?? null', /has no type/],
      ['null', /always null/],
      ['-o.note', /- needs a number or a bigint, found a string/],
      ['+o.amount', /\+ needs a number/],
      ['99999999999999999999999999999999999999999999n', /fits neither/],
      ['"\\ud800"', /lone surrogate/],
      ['o', /a whole row is not a value/],
    ]
    for (const [body, message] of cases) {
      const error = problem(`o => ${body}`)
      expect(error.message, body).toMatch(message)
      expect(error.frame, body).toContain('^')
    }
  })

  test('what is not a lambda', () => {
    expect(problem(null).message).toContain('expected a function, found null')
    expect(problem(Math.max).message).toContain('native or bound')
    expect(problem(((o: Row) => o.small).bind(null)).message).toContain('native or bound')
    expect(problem(async (o: Row) => o.small).message).toContain('async')
    expect(problem('function* (o) { yield 1 }').message).toContain('generator')
    expect(problem(class A {}).message).toContain('expected a function')
    expect(problem('async method(o) { return 1 }').message).toContain('async')
    expect(problem('o => o.small +').message).toContain('source cannot be read')
  })

  test('depth', () => {
    expect(problem(`o => ${'o.small + '.repeat(50_000)}1`).message).toMatch(/nested too deeply|stack/)
  })

  test('a frame of minified code is cut around the place', () => {
    const error = problem(`o=>${'o.small+'.repeat(60)}nope`)
    const [, line, caret] = error.message.split('\n')
    expect(line.length).toBeLessThan(120)
    expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('nope')
  })
})

test('conditions', () => {
  const condition = (f: (o: Row) => unknown) =>
    conditionLambda({ fn: f, ctx: undefined, rows: [schema], what: 'filter' })
  expect(condition(o => o.flag)).toMatchObject({ kind: 'column', type: 'bool' })
  expect(() => condition(o => o.small)).toThrow(/filter needs a boolean, found an i32/)
})
