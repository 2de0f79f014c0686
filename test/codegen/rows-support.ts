/** Rows, batches and the small templates that run row programs both ways. */

import { readRow, writeRow } from '../../codegen/expr/plain.js'
import { load, print } from '../../codegen/load.js'
import { type RowProgram, type RowProgramSpec, rowProgram } from '../../codegen/rows.js'
import { specialise } from '../../codegen/specialise/index.js'
import { evaluate } from '../../src/circuit/eval.js'
import type { CallExpr, ColumnExpr, Expr, LiteralExpr, Op } from '../../src/circuit/expr.js'
import { Failure } from '../../src/circuit/scalar.js'
import { flatLayout, type Layout, type RowSchema, rowSchema } from '../../src/schema/schema.js'
import { decimalOf, decimalShape, isDecimal, type TypeName, type Value } from '../../src/schema/types.js'
import { normalise } from '../../src/schema/values.js'
import { samples } from '../../src/testing/samples.js'
import { Batch } from '../../src/zset/batch.js'

export function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const integers = (bits: number, signed: boolean): number[] => {
  const top = 2 ** (signed ? bits - 1 : bits) - 1
  return signed ? [0, 1, -1, 2, 7, -7, 100, top, -top - 1, top - 1] : [0, 1, 2, 7, 100, top, top - 1, (top + 1) / 2]
}
const I64 = [
  0n,
  1n,
  -1n,
  2n,
  7n,
  -7n,
  3000000000n,
  -3000000000n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 53n + 1n,
  2n ** 32n,
]
const FLOATS = [0, 1, -1, 0.5, -2.5, 1e300, -1e300, 5e-324, NaN, Infinity, -Infinity, 300, 2 ** 31, 2 ** 53, 2 ** 63]
const utf8 = new TextEncoder()
const TEXTS = [
  '',
  'a',
  'ab',
  'abcd',
  'abce',
  'abcd\0',
  'abcdefghijkl',
  'abcdefghijklm',
  'abcdefghijkln',
  'é😀x',
  '\u{ffff}',
  '😀',
]
const MICROS = [0n, 1n, -1n, 999_999_999_999_999n, -62_135_596_800_000_000n, 86_399_999_999n]

/** Decimals that are 64 bits wide to generated code, those next to them, and the widest. */
export const DECIMALS: readonly TypeName[] = (
  [
    [1, 0],
    [5, 2],
    [10, 2],
    [18, 0],
    [18, 9],
    [19, 0],
    [20, 3],
    [38, 0],
    [38, 10],
    [38, 38],
  ] as const
).map(([precision, scale]) => decimalOf(precision, scale))

/** Small units, ends of the type, of 32, 53 and 64 bits, and what is a half after the point. */
function unitsOf(type: TypeName): bigint[] {
  const { precision, scale } = decimalShape(type) as { precision: number; scale: number }
  const most = 10n ** BigInt(precision) - 1n
  const one = 10n ** BigInt(scale)
  const ends = [2n ** 31n, 2n ** 32n + 5n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n, 10n ** 18n]
  const units = [0n, 1n, 2n, 7n, 49n, 50n, 150n, one, one / 2n, one + one / 2n, one * 2n, most, most / 2n, ...ends]
  return [...new Set(units.flatMap(u => [u, -u]))].filter(u => u <= most && u >= -most)
}

/** Values worth trying, by type. */
export const SAMPLES = {
  ...Object.fromEntries(DECIMALS.map(type => [type, unitsOf(type)])),
  bool: [false, true],
  i8: integers(8, true),
  i16: integers(16, true),
  i32: integers(32, true),
  u8: integers(8, false),
  u16: integers(16, false),
  u32: integers(32, false),
  i64: I64,
  u64: [0n, 1n, 2n, 7n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, 3000000000n, 2n ** 53n + 1n],
  u128: [0n, 1n, 2n ** 64n, 2n ** 128n - 1n, 2n ** 127n, 2n ** 64n - 1n],
  f32: [...FLOATS.filter(x => Math.abs(x) < 1e38 || !Number.isFinite(x)).map(Math.fround), Math.fround(0.1)],
  f64: [...FLOATS, 0.1, 127, -128.5],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '01234567-89ab-cdef-0123-456789abcdef',
  ],
  string: TEXTS,
  bytes: TEXTS.map(text => utf8.encode(text)),
  date: [0, 1, -1, 19000, -719162, 2 ** 31 - 1],
  time: [0n, 1n, 86_399_999_999n],
  timestamp: [...MICROS, 2n ** 63n - 1n, -(2n ** 63n)],
  timestamptz: MICROS,
  interval: samples('interval'),
  json: samples('json'),
} as Record<TypeName, readonly Value[]>

export type Columns = Record<string, string>

/** `{ a: 'i64?' }` is a nullable column. */
export function schemaOf(name: string, columns: Columns): RowSchema {
  return rowSchema(
    name,
    Object.entries(columns).map(([column, text]) => {
      return { name: column, type: text.replace('?', '') as TypeName, nullable: text.endsWith('?') }
    }),
  )
}

export function randomRows(schema: RowSchema, count: number, seed: number): Value[][] {
  const next = random(seed)
  return Array.from({ length: count }, () =>
    schema.columns.map(column => {
      const samples = SAMPLES[column.type]
      return column.nullable && next(4) === 0 ? null : samples[next(samples.length)]
    }),
  )
}

export function batchOf(layout: Layout, rows: readonly (readonly Value[])[]): Batch {
  const batch = new Batch(layout, rows.length)
  for (const [k, row] of rows.entries()) writeRow(batch, k, row)
  batch.length = rows.length
  return batch
}

export function column(schema: RowSchema, name: string, input: 0 | 1 = 0): ColumnExpr {
  const found = schema.columns.find(c => c.name === name)
  if (found === undefined) throw new Error(`no column ${name}`)
  return { kind: 'column', input, index: found.index, name, type: found.type, nullable: found.nullable }
}

export function literal(type: TypeName, value: Value): LiteralExpr {
  return { kind: 'literal', value, type, nullable: value === null }
}

export function op(name: Op, args: readonly Expr[], type: TypeName, more: Partial<CallExpr> = {}): CallExpr {
  const never = name === 'is' || name === 'isnt' || name === 'isNull'
  const some = args.some(a => a.nullable)
  const nullable =
    name === 'coalesce' ? args.every(a => a.nullable) : name === 'if' ? args.slice(1).some(a => a.nullable) : some
  return { kind: 'call', op: name, args, type, nullable: !never && nullable, detail: null, udf: null, ...more }
}

/** One input, outputs named after their position. */
export function programOf(layout: Layout, filter: Expr | null, outputs: readonly Expr[]): RowProgram {
  const schema = rowSchema(
    'out',
    outputs.map(({ type, nullable }, n) => ({ name: `out${n}`, type, nullable })),
  )
  const spec: RowProgramSpec = { inputs: [{ layout, name: 'in' }], filter, outputs, schema }
  return rowProgram(spec)
}

type Run = (input: Batch, from: number, to: number, out: Batch, failures: string[]) => number

/** The template: also runs as it stands. */
export function run(
  $row: {
    evaluate: (batch: Batch, i: number) => number
    store: (out: Batch, k: number) => void
    failure: (batch: Batch, i: number) => Failure
    canFail: boolean
  },
  input: Batch,
  from: number,
  to: number,
  out: Batch,
  failures: string[],
): number {
  let k = out.length
  for (let i = from; i < to; i++) {
    const status = $row.evaluate(input, i)
    if (status === 1) {
      $row.store(out, k)
      k++
    }
    if ($row.canFail) {
      if (status === 2) {
        const failed = $row.failure(input, i)
        failures.push(failed.message)
      }
    }
  }
  out.length = k
  return k
}

export function compileRun(program: RowProgram): { fn: Run; source: string } {
  const fn = specialise(run as never, { $row: program }, { name: 'run' })
  return load<Run>({ unit: 'test', kernel: 'run', provenance: [], functions: [fn], exports: 'run' })
}

export const sourceOf = (program: RowProgram): string =>
  print(specialise(run as never, { $row: program }, { name: 'run' }).ast)

export interface Outcome {
  readonly rows: Value[][]
  readonly failures: string[]
  readonly batch: Batch
}

export function outcome(program: RowProgram, fn: Run, input: Batch): Outcome {
  const batch = new Batch(flatLayout(program.spec.schema), input.length)
  // Rubbish left over from earlier use must not show.
  for (const region of [...batch.columns, batch.nulls]) new Uint8Array(region.buffer).fill(0xa5)
  const failures: string[] = []
  fn(input, 0, input.length, batch, failures)
  const rows = Array.from({ length: batch.length }, (_, i) => readRow(batch, i))
  return { rows, failures, batch }
}

export const generic =
  (program: RowProgram): Run =>
  (input, from, to, out, failures) =>
    run(program as never, input, from, to, out, failures)

/** What the interpreter says. */
export function expected(program: RowProgram, rows: readonly (readonly Value[])[]): Omit<Outcome, 'batch'> {
  const { filter, outputs } = program.spec
  const kept: Value[][] = []
  const failures: string[] = []
  for (const row of rows) {
    try {
      if (filter !== null && evaluate(filter, row) !== true) continue
      kept.push(
        outputs
          .map(e => evaluate(e, row))
          // A decimal as a bigint would be a whole number to `normalise`.
          .map((v, n) => (v === null || isDecimal(outputs[n].type) ? v : (normalise(outputs[n].type, v) as Value))),
      )
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      failures.push(failure.message)
    }
  }
  return { rows: kept, failures }
}

/** The bytes of the rows in use, cut to what is comparable: heap offsets follow from the order of writing. */
export function bytesOf(batch: Batch): unknown {
  const { schema } = batch.layout
  const cut = (array: { buffer: ArrayBufferLike }, perRow: number) =>
    Buffer.from(array.buffer as ArrayBuffer, 0, perRow * batch.length).toString('hex')
  return {
    nulls: schema.nullWords > 0 ? cut(batch.nulls, schema.nullWords * 8) : '',
    columns: batch.layout.stored.map(c => cut(batch.columns[c.index], c.info.sizeBytes)),
    keys: batch.layout.key.words > 0 ? cut(batch.keys, batch.layout.key.words * 8) : '',
    heap: Buffer.from(batch.heap.bytes.subarray(0, batch.heap.length)).toString('hex'),
  }
}
