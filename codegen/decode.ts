/** Batches to row objects, and single rows from one layout to another. */
import type { Expression, ObjectExpression } from 'estree'
import { allColumns } from '../src/circuit/substitute.js'
import { flatLayout, type Layout, layoutFingerprint, type RowSchema, rowSchema } from '../src/schema/schema.js'
import { TYPES, type TypeName, type Value } from '../src/schema/types.js'
import { present } from '../src/schema/values.js'
import type { Batch } from '../src/zset/batch.js'
import { decodeRow, projectRow } from '../templates/project.js'
import { call, cond, lit } from './ast.js'
import { type RowProgram, rowProgram, type StoreMap } from './rows.js'
import { type ExpandContext, type Macro, macro } from './specialise/types.js'
import { type CodeContext, make, SourceList } from './steps.js'

export type DecodeRow = (batch: Batch, i: number) => Record<string, Value>
export type ProjectRow = (from: Batch, i: number, to: Batch, k: number) => void

function identity(schema: RowSchema, input: Layout): RowProgram {
  return rowProgram({ inputs: [{ layout: input, name: 'input' }], filter: null, outputs: allColumns(schema), schema })
}

/** Reads a row of `input` as a plain object with the columns of `schema`, the first of the input's, in order. */
export function rowDecoder(
  context: CodeContext,
  input: Layout,
  sources = new SourceList(),
  schema: RowSchema = input.schema,
): DecodeRow {
  const key = [layoutFingerprint(input), schema.columns.length]
  return make<DecodeRow>(context, sources, 'decodeRow', decodeRow, key, () => {
    const $row = identity(schema, input)
    return { $row, $object: objectOf($row) }
  })
}

/** Copies the first columns of a row, those of `schema`, into a flat batch. */
export function rowProjector(context: CodeContext, input: Layout, schema: RowSchema, sources: SourceList): ProjectRow {
  const out = flatLayout(schema)
  return make<ProjectRow>(context, sources, 'projectRow', projectRow, [input, out].map(layoutFingerprint), () => {
    const $row = identity(schema, input)
    return { $row, $store: $row.storeInto(out) }
  })
}

/**
 * Copies the first `count` columns of a row of a batch of layout `input` into those of a flat batch of `to`, which
 * have the same types; the columns of `to` behind them are left alone, and their null bits 0.
 */
export function prefixProjector(
  context: CodeContext,
  input: Layout,
  to: RowSchema,
  count: number,
  sources: SourceList,
): ProjectRow {
  const out = flatLayout(to)
  const from = input.schema
  return make<ProjectRow>(
    context,
    sources,
    'projectRow',
    projectRow,
    [count, ...[input, out].map(layoutFingerprint)],
    () => {
      const copied = from.columns.slice(0, count)
      const outputs = allColumns(from).slice(0, count)
      const schema = rowSchema(from.name, copied)
      const $row = rowProgram({ inputs: [{ layout: input, name: 'input' }], filter: null, outputs, schema })
      const columns = copied.map((_, i) => ({ output: i, target: i }))
      const store = $row.storeColumns as unknown as (out: Batch, k: number, map: StoreMap) => void
      const map: StoreMap = { layout: out, columns }
      const $store = macro(
        (batch: Batch, k: number) => store(batch, k, map),
        ([batch, k], ctx) => $row.storeColumns.expand([batch, k, { type: 'StaticArgument', value: map }], ctx),
      )
      return { $row, $store }
    },
  )
}

/** An object literal of all outputs. Names are string keys, computed where `__proto__` would mean something else. */
function objectOf(program: RowProgram): Macro {
  const generic = (): Record<string, unknown> => {
    const entries = program.outputs.map(o => [o.name, callNull(o.isNull) ? null : present(o.type, callValue(o.value))])
    return Object.fromEntries(entries) as Record<string, unknown>
  }
  return macro(generic, (_args, ctx) => {
    const object: ObjectExpression = { type: 'ObjectExpression', properties: [] }
    for (const output of program.outputs) {
      const value = output.value.expand([], ctx) as Expression
      const shown = presented(output.type, value, ctx)
      const isNull = output.nullable ? output.isNull.expand([], ctx) : null
      object.properties.push({
        type: 'Property',
        kind: 'init',
        method: false,
        shorthand: false,
        computed: output.name === '__proto__',
        key: lit(output.name),
        value: isNull === null ? shown : cond(isNull, lit(null), shown),
      })
    }
    return object
  })
}

/** What users see of a value, where that is not the value itself. */
function presented(type: TypeName, value: Expression, ctx: ExpandContext): Expression {
  if (TYPES[type].shape === null) return value
  return call(
    ctx.constant((x: Value) => present(type, x), 'present'),
    value,
  )
}

const callNull = (m: Macro): boolean => (m as unknown as () => boolean)()
const callValue = (m: Macro): Value => (m as unknown as () => Value)()
