/**
 * Lambdas after the tools that stand between an author and the run: the TypeScript compiler at several targets, and
 * esbuild (which tsx is made of), minifying and not. The expression must mean the same as the one as written.
 */
import { runInNewContext } from 'node:vm'
import { transformSync } from 'esbuild'
import ts from 'typescript-5'
import { describe, expect, test } from 'vitest'
import { evaluate } from '../../src/circuit/eval.js'
import { fn } from '../../src/circuit/index.js'
import { columnsLambda, type NamedExpr } from '../../src/circuit/lambda/index.js'
import { rowSchema } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'

const schema = rowSchema('t', [
  { name: 'a', type: 'i32', nullable: false },
  { name: 'b', type: 'f64', nullable: true },
  { name: 'note', type: 'string', nullable: true },
  { name: 'flag', type: 'bool', nullable: false },
  { name: 'day', type: 'date', nullable: false },
  { name: 'big', type: 'i64', nullable: false },
])

const rows: Value[][] = [
  [1, 2.5, ' Ann ', true, 11356, 5n],
  [-3, null, null, false, 0, -5n],
  [100, 0, '', true, -1, 0n],
]

const ctx = { min: 2, label: 'x', year: fn.year, deep: { limit: 50n } }

/** Written without 64-bit literals, which older targets do not have. */
const lambdas = [
  `(o) => ({ x: o.a > 1 && o.note !== null, y: o.a === 1 || o.b === null, z: !(o.flag && o.a < 5) })`,
  `(o) => ({ x: o.note ?? 'none', y: o.b ?? o.a, z: (o.note ?? null)?.length })`,
  `(o) => ({ x: o.note?.trim().toUpperCase(), y: o.note?.length ?? -1, z: o['a'] })`,
  "(o) => ({ x: `${o.a}/${o.big}`, y: 'n' + o.a, z: `plain` })",
  `(o) => ({ ...o, a: o.a ** 2, extra: Math.max(o.a, 0.5, Infinity) })`,
  `({ a, note: text, ...rest }) => ({ a, text, ...rest })`,
  `(o, { min, label }) => ({ x: o.a > min, label, y: o.flag ? min : -min })`,
  `(o, ctx) => ({ x: ctx.year(o.day) === 2001, y: ctx.year(o.day) % 4, z: o.big < ctx.deep.limit })`,
  `(o) => { const twice = o.a * 2; if (o.note === null) return { x: twice, y: true }; return { x: -twice, y: false } }`,
  `(o) => { if (o.a > 50) { return { x: 'big' } } else if (o.a > 0) { return { x: 'small' } } else { return { x: 'none' } } }`,
  `function (o) { const { a, b } = o; const sum = a + (b ?? 0); return { sum, half: sum / 2, is: sum !== 3.5 } }`,
  `(o) => ({ x: o.note === undefined ? 1 : 2, y: undefined === o.b, t: true, f: false, i: 1 / 0 })`,
  `(o) => ({ x: o.flag ? o.a > 1 ? 'p' : 'q' : o.b === null ? 'r' : 's' })`,
]

const compiler =
  (target: ts.ScriptTarget) =>
  (code: string): string =>
    ts.transpileModule(code, { compilerOptions: { target, module: ts.ModuleKind.CommonJS } }).outputText

const tools: Record<string, (code: string) => string> = {
  'as written': code => code,
  'tsc ES2022': compiler(ts.ScriptTarget.ES2022),
  'tsc ES2019': compiler(ts.ScriptTarget.ES2019),
  'tsc ES2015': compiler(ts.ScriptTarget.ES2015),
  'tsc ES5': compiler(ts.ScriptTarget.ES5),
  esbuild: code => transformSync(code, { loader: 'ts', keepNames: true }).code,
  'esbuild minified': code => transformSync(code, { loader: 'ts', minify: true }).code,
  'esbuild minified es2019': code => transformSync(code, { loader: 'ts', minify: true, target: 'es2019' }).code,
  'esbuild es2017': code => transformSync(code, { loader: 'ts', target: 'es2017' }).code,
}

/** Targets without object rest and spread. */
const OLDER = ['tsc ES2015', 'tsc ES5', 'esbuild es2017']

/** The columns of a lambda after a tool, and their values on all rows. */
function compile(source: string, tool: (code: string) => string): { columns: NamedExpr[]; values: Value[][] } {
  const holder: { lambda?: unknown } = {}
  runInNewContext(tool(`holder.lambda = ${source}`), { holder })
  const columns = columnsLambda({ fn: holder.lambda, ctx, rows: [schema], what: 'map' })
  return { columns, values: rows.map(row => columns.map(c => evaluate(c.expr, row))) }
}

describe.each(Object.keys(tools))('%s', name => {
  test.each(lambdas)('%s', source => {
    // Object rest becomes a helper that copies by name at run time below ES2018; it has no text to read.
    if (source.includes('...rest') && OLDER.includes(name)) {
      expect(() => compile(source, tools[name])).toThrow(/unknown name "__(rest|objRest)"/)
      return
    }
    const expected = compile(source, code => code)
    const { columns, values } = compile(source, tools[name])
    expect(values).toEqual(expected.values)
    const describeColumn = (c: NamedExpr) => `${c.name}: ${c.expr.type}${c.expr.nullable ? '?' : ''}`
    expect(columns.map(describeColumn)).toEqual(expected.columns.map(describeColumn))
  })
})

test('64-bit literals survive minifying', () => {
  const source = '(o) => ({ x: o.big > 100n, y: o.big * -2n + 18446744073709551n })'
  const minified = tools['esbuild minified']
  expect(compile(source, minified).values).toEqual(compile(source, code => code).values)
})
