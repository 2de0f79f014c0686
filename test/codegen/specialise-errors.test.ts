/** What templates cannot say is refused, with the place; and names from users stay harmless. */
import { describe, expect, test } from 'vitest'
import { constant, exprStmt, lit, member } from '../../codegen/ast.js'
import { load, print } from '../../codegen/load.js'
import { safeName } from '../../codegen/names.js'
import { external, inline, macro, specialise, type Template } from '../../codegen/specialise/index.js'
import { CompileError } from '../../src/base/errors.js'

function failure(template: Template, statics: Record<string, unknown> = {}): string {
  try {
    specialise(template, statics, { name: 'f' })
  } catch (error) {
    expect(error).toBeInstanceOf(CompileError)
    return (error as CompileError).message
  }
  throw new Error('expected a CompileError')
}

/** A template from text, for what the type checker would refuse. */
function template(text: string): Template {
  return new Function(`return ${text}`)() as Template
}

function boom(): never {
  throw new Error('boom')
}

describe('errors', () => {
  test('say what, where, and show the line', () => {
    const message = failure(template('function merge($c, left) {\n  return left[$c.index] + $d.x\n}'), {
      $c: { index: 1 },
    })
    expect(message).toBe(
      [
        'template "merge", line 2, column 27: no value was given for $d',
        '2 |   return left[$c.index] + $d.x',
        '                              ^',
      ].join('\n'),
    )
  })

  const cases: [string, Record<string, unknown>, RegExp][] = [
    ['function t($a) {}', {}, /no value was given for \$a/],
    ['function t($a) { return $a.b }', { $a: {} }, /has no property "b"/],
    ['function t($a) { return $a.constructor }', { $a: {} }, /has no property "constructor"/],
    ['function t($a) { return $a.b.c }', { $a: { b: null } }, /cannot read "c" of null/],
    ['function t($a) { return $a }', { $a: {} }, /exists only at compile time/],
    ['function t($a, x) { return x + $a }', { $a: [] }, /exists only at compile time/],
    ['function t($f, x) { return $f(x) }', { $f: Math.abs }, /not all of its arguments are known/],
    ['function t($f) { return $f() }', { $f: boom }, /compile time failed: boom/],
    ['function t($f) { return $f() }', { $f: 3 }, /expected a function, found 3/],
    ['function t($a) { return $a + 1n }', { $a: 1 }, /compile time failed: Cannot mix BigInt/],
    ['function t($a) { $a = 1 }', { $a: 1 }, /found \$a/],
    ['function t($a) { $a.b = 1 }', { $a: {} }, /static value cannot be assigned/],
    ['function t(a) { delete a.b }', {}, /cannot use delete/],
    ['function t(a) { const $b = a }', {}, /expected a value for \$b that is known at compile time/],
    ['function t(a) { let $b = 1 }', {}, /expected const \$b/],
    [
      'function t(a) { for (const $x of a) a() }',
      {},
      /expected a list that is known at compile time, found run-time code/,
    ],
    ['function t($a) { for (const x of $a) x() }', { $a: [] }, /expected \$x as name/],
    ['function t($a) { for (const $x of $a) $x() }', { $a: 5 }, /found 5/],
    ['function t($a) { for (let $i = 0; $i < 5; $a++) $i }', { $a: 5 }, /expected \$i\+\+/],
    ['function t($a) { for (let $i = 0; $i < 5; $i += $a) $i }', { $a: 0 }, /at most 65536 copies/],
    ['function t() { return process }', {}, /found process/],
    ['function t() { return outside(1) }', {}, /found outside/],
    ['function t() { return () => 1 }', {}, /ArrowFunctionExpression/],
    ['function t() { return this.x }', {}, /ThisExpression/],
    ['function t() { var x = 1 }', {}, /expected const or let, found var/],
    ['function t(a) { const { b } = a }', {}, /expected a name, found a pattern/],
    ['function t({ a }) {}', {}, /expected parameters that are plain names/],
    ['function t() { try { x() } catch {} }', {}, /TryStatement/],
    ['async function t() {}', {}, /async/],
    ['class T {}', {}, /expected a function/],
  ]
  test.each(cases)('%s', (text, statics, pattern) => {
    const message = failure(template(text), statics)
    expect(message).toMatch(pattern)
    expect(message).toMatch(/template "[tT]"/)
  })

  test('statics that are no $-names', () => {
    expect(failure(template('function t() {}'), { a: 1 })).toMatch(/begin with \$, found "a"/)
  })

  test('statements where none can stand', () => {
    const emits = macro(
      (x: number) => x,
      (args, ctx) => {
        ctx.emit(exprStmt(lit(1)))
        return args[0] as never
      },
    )
    const long = inline(function long(x: number) {
      const y = x * 2
      return y * y
    })
    const wanted =
      /needs a statement of its own, which cannot be written (on the right of &&|in a branch of \?:|in the test of a loop)/
    expect(failure(template('function t($m, x) { return x && $m(x) }'), { $m: emits })).toMatch(wanted)
    expect(failure(template('function t($m, x) { return x ? $m(x) : 1 }'), { $m: emits })).toMatch(wanted)
    expect(failure(template('function t($m, x) { while ($m(x)) x-- }'), { $m: emits })).toMatch(wanted)
    expect(failure(template('function t($m, x) { while ($m(x)) x-- }'), { $m: long })).toMatch(wanted)
    expect(failure(template('function t($m, x) { return x && $m(x.y) }'), { $m: long })).toMatch(wanted)
  })

  test('inlined templates are checked like others', () => {
    const two = inline((a: number, b: number) => a + b)
    expect(failure(template('function t($f, x) { return $f(x) }'), { $f: two })).toMatch(
      /expected 2 arguments .*, found 1/,
    )
    expect(failure(template('function t($f, $s, x) { return $f(x, $s) }'), { $f: two, $s: {} })).toMatch(
      /call the parameter \$b/,
    )
    const again = template('function $again(x) { return $again(x) }')
    expect(failure(template('function t($again, x) { return $again(x) }'), { $again: again })).toMatch(
      /no value was given for \$again/,
    )
    const statics = { $again: again, $x: 1 }
    expect(failure(template('function t(x) { return $again(x) }'), statics)).toMatch(/at most 64 deep/)
  })

  test('a bundler may rename a parameter that shadows a function of its module', () => {
    const renamed = template('function t($compare2, x) { return $compare2(x) }')
    const made = specialise(renamed, { $compare: external((x: number) => x, 'id') }, { name: 'f' })
    expect(print(made.ast)).toBe('function f(x) {\n  return id(x);\n}')
  })
})

describe('hostile names', () => {
  const names = [
    '"); process.exit(1); ("',
    '*/ process.exit(1) /*',
    '\n\r\u2028\u2029',
    '__proto__',
    'constructor',
    'class',
    'arguments',
    'BigInt',
    'left',
    'i',
    '',
    '1st',
    '😀',
    '\ud800',
    '${x}',
    '`',
    'ſ'.repeat(500),
    'a'.repeat(500),
  ]

  test.each(names)('%j as column, table and function name', name => {
    const text =
      'function t($columns, left, i, row) { for (const $c of $columns) { const v = left.columns[$c.index][i]; row[$c.name] = v } return row }'
    const columns = [
      { name, index: 0 },
      { name: `${name}!`, index: 1 },
    ]
    const made = specialise(template(text), { $columns: columns }, { name })
    const { fn, source } = load<(left: unknown, i: number, row: object) => object>({
      unit: name,
      kernel: name,
      provenance: [name, `table ${name}`],
      functions: [made],
      exports: name,
    })
    const row = fn(
      {
        columns: [
          [10, 11],
          [20, 21],
        ],
      },
      1,
      Object.create(null) as object,
    )
    expect(Object.entries(row)).toEqual([
      [name, 11],
      [`${name}!`, 21],
    ])
    const identifiers = [...source.matchAll(/(?:const|let|function) ([^\s(=]+)/g)].map(match => match[1])
    for (const identifier of identifiers) expect(identifier).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/)
    expect(source.slice(0, source.indexOf("'use strict'")).match(/\*\//g)).toHaveLength(1)
    expect(source).toMatch(/\n\/\/# sourceURL=gnitz\/[\w%.-]*\/[\w%.-]*\.js\n$/)
  })

  test('become safe, short names', () => {
    expect(names.map(safeName)).toMatchInlineSnapshot(`
      [
        "process_exit_1",
        "process_exit_1",
        "x",
        "proto",
        "constructor_",
        "class_",
        "arguments_",
        "BigInt_",
        "left",
        "i",
        "x",
        "_1st",
        "x",
        "x",
        "x",
        "x",
        "x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      ]
    `)
    for (const name of names) {
      expect(safeName(name)).toMatch(/^[A-Za-z_][A-Za-z0-9_]{0,31}$/)
      expect(safeName(safeName(name))).toBe(safeName(name))
    }
  })
})

describe('load', () => {
  const one = () => specialise(template('function t(x) { return x + 1 }'), {}, { name: 'one' })
  const parts = { unit: 'un it\'"/', kernel: 'k', provenance: ['view "a*/b"', 'two\nlines'], exports: 'one' }

  test('prints header, code and source URL', () => {
    expect(load({ ...parts, functions: [one()] }).source).toMatchInlineSnapshot(`
      "/*
       * gnitz: generated code
       * view "a*\\/b"
       * two\\u{a}lines
       */
      'use strict';

      function one(x) {
        return x + 1;
      }

      return one;
      //# sourceURL=gnitz/un%20it%27%22%2F/k.js
      "
    `)
  })

  test('shares code of equal text unless told not to', () => {
    const first = load({ ...parts, functions: [one()] }).fn
    expect(load({ ...parts, functions: [one()] }).fn).toBe(first)
    expect(load({ ...parts, functions: [one()] }, { share: false }).fn).not.toBe(first)
    expect(load({ ...parts, unit: 'other', functions: [one()] }).fn).not.toBe(first)
  })

  test('links constants of several functions', () => {
    const make = (name: string, value: number) =>
      specialise(template('function t($get) { return $get() }'), { $get: external(() => value, 'get') }, { name })
    const caller = macro(
      () => 0,
      (_args, ctx) => {
        const both = ctx.constant([1, 2], 'get')
        return member(both, lit(1))
      },
    )
    const third = specialise(template('function t($c) { return $c() }'), { $c: caller }, { name: 'get' })
    const made = load<() => number>({
      ...parts,
      exports: 'get',
      functions: [make('first', 10), make('second', 20), third],
    })
    expect(made.fn()).toBe(2)
    expect(made.source).toContain('const { get_3, get_4, get_2 } = $constants;')
    expect(() => load({ ...parts, exports: 'get', functions: [make('get', 1)] }, { share: true })).toThrow(
      /cannot be shared/,
    )
  })

  test('refuses modules that do not fit together', () => {
    expect(() => load({ ...parts, functions: [one(), one()] })).toThrow(/different function names/)
    expect(() => load({ ...parts, exports: 'two', functions: [one()] })).toThrow(/expected one of one/)
  })

  test('runs in strict mode', () => {
    const assigns = macro(
      () => 0,
      (_args, ctx) => {
        ctx.emit(constant('frozen', member(ctx.constant(Object.freeze({ x: 1 }), 'c'), 'x')))
        return lit(0)
      },
    )
    const made = specialise(template('function t($m, o) { $m(); o.x = 2 }'), { $m: assigns }, { name: 'one' })
    expect(() => load<(o: object) => void>({ ...parts, functions: [made] }).fn(Object.freeze({ x: 1 }))).toThrow(
      TypeError,
    )
  })
})
