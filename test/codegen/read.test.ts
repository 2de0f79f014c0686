import { readdirSync } from 'node:fs'
import { parseExpressionAt } from 'acorn'
import { describe, expect, test } from 'vitest'
import { readFunction } from '../../codegen/specialise/read.js'

/** The general parser's tree, as far as the reader makes it. */
function reference(source: string): unknown {
  const { end: _, ...rest } = parseExpressionAt(source, 0, { ecmaVersion: 2022 })
  return withoutEnds(rest)
}

function withoutEnds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEnds)
  if (typeof value !== 'object' || value === null) return value
  const { type } = value as { type?: unknown }
  // Arrow functions have no name, and others no `expression`, except in the general parser's trees.
  const extra = type === 'ArrowFunctionExpression' ? 'id' : type === 'FunctionExpression' ? 'expression' : ''
  const kept = Object.entries(value).filter(([key]) => key !== 'end' && key !== extra)
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutEnds(item)]))
}

const folder = new URL('../../templates/', import.meta.url)
const modules = await Promise.all(
  readdirSync(folder)
    .filter(file => file.endsWith('.js'))
    .map(async file => [file, (await import(new URL(file, folder).href)) as Record<string, unknown>] as const),
)
const templates = modules.flatMap(([file, module]) =>
  Object.entries(module).flatMap(([name, value]) =>
    typeof value === 'function' ? [[`${file} ${name}`, String(value)] as const] : [],
  ),
)

describe('the reader of templates', () => {
  test.each(templates)('%s is read as the general parser reads it', (_, source) => {
    expect(readFunction(source)).toEqual(reference(source))
  })

  test.each([
    'x => x',
    '(a, b,) => a < b',
    'function () {}',
    'function f(a) { return }',
    'function f(a) { return\na }',
    'function f(a, b) { a\n++b\nb--\n;[a][0] = b, a }',
    'function f(a) { let x\n= 1, y; x += a = -x * (y + 1) % 2 }',
    'function f(a) { const x = a ? a : a ? 1 : 2 }',
    'function f(a) { return a || a && a | a ^ a & a === a < a << a + a * a / a - a }',
    'function f(a) { return a - a - a * a * a + a }',
    'function f(a) { return (a, a) ?? (a + a)[(a)] }',
    'function f(a) { return new Map(new a.b.C, 1).get(a).x[a](a)(a,) }',
    'function f(a) { return typeof -a + void 0 + !~+a + --a.b }',
    'function f(a) { outer: for (;;) { if (a) break outer; else continue outer } }',
    'function f(a) { for (let i = 0, j = 1; i < a; i++, j--) ; }',
    'function f(a) { for (const x of a) { throw x } while (a) a-- }',
    'function f(a) { switch (a) { case 1: case 2: return 3; default: a = 0 } }',
    'function f(a) { if (a) if (a) a(); else a() /* ; */ // else\n}',
    'function f($a) { return [true, false, null, undefined, 0x1F, 0xFFn, 10n, 1.5e-3, "a", \'b"\'] }',
    'function f(a) { return a >>> 0 >= 1 >> 2 !== (a >>>= 1) }',
    'function f(a) { return a.if.of.new }',
  ])('%s', source => {
    expect(readFunction(source)).toEqual(reference(source))
  })

  test.each([
    'class T {}',
    'async x => x',
    'async function f() {}',
    'function* f() {}',
    'method(a) { return a }',
    'function f({ a }) {}',
    'function f(a = 1) {}',
    'function f(...a) {}',
    'function f(a) { return a?.b }',
    'function f(a) { return a ** 2 }',
    'function f(a) { return `${a}` }',
    'function f(a) { return /a/ }',
    'function f(a) { return x => x }',
    'function f(a) { return (x) => x }',
    'function f(a) { return () => a }',
    'function f(a) { return { a } }',
    'function f(a) { return "\\n" }',
    'function f(a) { return a\nin a }',
    'function f(a) { return a instanceof a }',
    'function f(a) { "use strict" }',
    'function f(a) { a &&= 1 }',
    'function f(a) { return .5 + 1_000 }',
    'function f(a) { return g(...a) }',
    'function f(a) { var x = 1 }',
    'function f(a) { try { a() } catch { } }',
    'function f(a) { for (const x in a) ; }',
    'function f(a) { for (a of a) ; }',
    'function f(a) { do a-- ; while (a) }',
    'function f(a) { function g() {} }',
    'function f(a) { return this.a }',
    'function f(é) { return é }',
    'function max() { [native code] }',
  ])('%s is left to the general parser', source => {
    expect(readFunction(source)).toBeNull()
  })
})
