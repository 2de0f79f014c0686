/**
 * fast-check arbitraries for values, rows, schemas and changes. Rows are arrays of values in column order, as a user
 * would hand them in: valid, not always canonical (-0).
 */
import fc from 'fast-check'
import { type Row, rowText } from '../circuit/interpret.js'
import type { TableDefinition } from '../circuit/rel.js'
import type { Column, RowSchema } from '../schema/schema.js'
import { TYPES, type TypeName } from '../schema/types.js'
import { type NonNullValue, normalise, Problem, uuidFromU128 } from '../schema/values.js'
import { table } from './nodes.js'
import { canonicalRow } from './runner.js'
import { SAMPLE_TYPES, samples } from './samples.js'

/** A row whose weight in a table changes by `weight`: negative takes away, also what is not there; 0 does nothing. */
export interface Change {
  readonly table: TableDefinition
  readonly row: Row
  readonly weight: bigint
}

/** The changes of one transaction. */
export type Step = readonly Change[]

/** Values of a type: mostly from a small domain with extremes, sometimes any. */
export function valueArb(type: TypeName): fc.Arbitrary<NonNullValue> {
  const usual = fc.constantFrom(...samples(type))
  return fc.oneof({ arbitrary: usual, weight: 5 }, { arbitrary: anyValueArb(type), weight: 1 })
}

function anyValueArb(type: TypeName): fc.Arbitrary<NonNullValue> {
  const { js, min, max, shape } = TYPES[type]
  // Their samples have all there is to them.
  if (shape !== null) return shape.kind === 'json' ? anyJsonArb : fc.constantFrom(...samples(type))
  switch (type) {
    case 'bool':
      return fc.boolean()
    case 'f64':
      return fc.double()
    case 'f32':
      return fc.float()
    case 'string':
      return fc.string({ unit: 'binary' })
    case 'bytes':
      return fc.uint8Array()
    case 'uuid':
      return fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(uuidFromU128)
    default: {
      const integers = fc.bigInt({ min: min ?? 0n, max: max ?? 0n })
      return js === 'bigint' ? integers : integers.map(Number)
    }
  }
}

const anyJsonArb = fc.jsonValue({ maxDepth: 3 }).map(value => {
  const canonical = normalise('json', value)
  return canonical instanceof Problem ? samples('json')[0] : canonical
})

/** Values of a column: NULL now and then where it is nullable. */
export function cellArb(column: Column): fc.Arbitrary<NonNullValue | null> {
  return column.nullable ? fc.option(valueArb(column.type), { nil: null, freq: 3 }) : valueArb(column.type)
}

/** Rows of a schema. */
export const rowArb = (schema: RowSchema): fc.Arbitrary<Row> => fc.tuple(...schema.columns.map(cellArb))

export const typeArb: fc.Arbitrary<TypeName> = fc.constantFrom(...SAMPLE_TYPES)

const NAMES = ['a', 'b', 'c', 'total', '__proto__', 'constructor', "x'y", '*/', '\n', '💥', '"); throw 0; ("', 'class']

/** Table definitions: one to `maxColumns` columns of any type, hostile names, with or without a primary key. */
export function schemaArb(name: string, maxColumns = 5): fc.Arbitrary<TableDefinition> {
  const columnName = fc.oneof(fc.constantFrom(...NAMES), fc.string({ minLength: 1, unit: 'binary' }))
  const columnArb = fc.record({ name: columnName, type: typeArb, nullable: fc.boolean(), inKey: fc.boolean() })
  const columnsArb = fc.uniqueArray(columnArb, { minLength: 1, maxLength: maxColumns, selector: c => c.name })
  return columnsArb.map(columns => {
    const key = columns.filter(c => c.inKey)
    const specs = columns.map(c => [c.name, c.type, c.nullable && !c.inKey] as const)
    return table(
      name,
      specs,
      key.map(c => c.name),
    )
  })
}

/** Weights as changes have them: mostly 1 and -1. */
export const weightArb: fc.Arbitrary<bigint> = fc.constantFrom(1n, 1n, 1n, 1n, 1n, -1n, -1n, 2n, -2n, 3n, 0n)

export interface StepsOptions {
  /** Most transactions in a run, default 6. */
  readonly maxSteps?: number
  /** Most changes in a transaction, default 8. */
  readonly maxChanges?: number
  /** Most different rows of a table, default 6: few, so that changes meet. */
  readonly maxRows?: number
  /** Rows of a table, by its name, where `rowArb` would not do. */
  readonly rows?: Readonly<Record<string, fc.Arbitrary<Row>>>
  /** Allow tables to hold rows with negative weight, default true. */
  readonly negative?: boolean
}

/**
 * Changes of one table: duplicates, retractions of rows that are there and of rows that are not, zero weights.
 */
export function deltaArb(definition: TableDefinition, options: StepsOptions = {}): fc.Arbitrary<Step> {
  return stepsArb([definition], { ...options, maxSteps: 1 }).map(steps => steps[0] ?? [])
}

/** Sequences of transactions over tables. */
export function stepsArb(tables: readonly TableDefinition[], options: StepsOptions = {}): fc.Arbitrary<Step[]> {
  const { maxSteps = 6, maxChanges = 8, maxRows = 6, negative = true } = options
  const pools = tables.map(t => {
    const rows = options.rows?.[t.schema.name] ?? rowArb(t.schema)
    return fc.array(rows, { minLength: 1, maxLength: maxRows })
  })
  const planned = fc.record({ table: fc.nat(0xffff), row: fc.nat(0xffff), weight: weightArb })
  const plan = fc.array(fc.array(planned, { maxLength: maxChanges, size: 'max' }), { maxLength: maxSteps, size: 'max' })
  return fc.tuple(fc.tuple(...pools), plan, negative ? fc.boolean() : fc.constant(true)).map(([rows, steps, cut]) => {
    if (tables.length === 0) return steps.map(() => [])
    const all = steps.map(step =>
      step.map(({ table: t, row, weight }) => {
        const pool = rows[t % tables.length]
        return { table: tables[t % tables.length], row: pool[row % pool.length], weight }
      }),
    )
    return cut ? withoutNegative(all) : all
  })
}

/** The steps with every retraction cut to what is there. */
export function withoutNegative(steps: readonly Step[]): Step[] {
  const held = new Map<TableDefinition, Map<string, bigint>>()
  // Rows come from pools: the same objects again and again.
  const texts = new Map<Row, string>()
  return steps.map(step =>
    step.map(change => {
      const { table, row } = change
      const text = texts.get(row) ?? rowText(canonicalRow(table, row))
      texts.set(row, text)
      const rows = held.get(table) ?? new Map<string, bigint>()
      held.set(table, rows)
      const before = rows.get(text) ?? 0n
      const weight = before + change.weight < 0n ? -before : change.weight
      rows.set(text, before + weight)
      return { ...change, weight }
    }),
  )
}
