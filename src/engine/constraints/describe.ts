/** What a constraint objects to, in words and as data: the slow path, taken when a transaction is refused. */
import type { Agree } from '../../../codegen/constraints.js'
import { readRow, readValue } from '../../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { ConstraintError, quote, type Violation } from '../../base/errors.js'
import { evaluate } from '../../circuit/eval.js'
import type { Expr } from '../../circuit/expr.js'
import { printExpr } from '../../circuit/print.js'
import type { CheckDefinition, ConstraintDefinition } from '../../circuit/rel.js'
import { Failure } from '../../circuit/scalar.js'
import { usedColumns } from '../../circuit/substitute.js'
import type { Column, RowSchema } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import type { Batch } from '../../zset/batch.js'
import { MergeWalk } from '../operators/walk.js'

export type RowObject = Readonly<Record<string, Value>>

/** The first columns of a row, those of `schema`. */
export function rowObject(batch: Batch, row: number, schema: RowSchema): RowObject {
  return Object.fromEntries(
    schema.columns.map(c => [c.name, readValue(batch, batch.layout.schema.columns[c.index], row)]),
  )
}

const MAX_TEXT = 200

export function rowText(row: RowObject): string {
  const fields = Object.entries(row).map(([name, value]) => `${name}: ${valueText(value)}`)
  const text = `{ ${fields.join(', ')} }`
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 5)} … }`
}

function valueText(value: Value): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'bigint') return `${value}n`
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value)
}

/** Columns and expressions that a constraint is about. */
export function columnsOf(definition: ConstraintDefinition, schema: RowSchema): string[] {
  if (definition.kind === 'unique') return definition.terms.map(t => t.name)
  if (definition.kind === 'foreignKey') return definition.columns.map(c => schema.columns[c].name)
  return [...usedColumns(definition.condition)[0]].sort((a, b) => a - b).map(c => schema.columns[c].name)
}

type Parts = Partial<Pick<Violation, 'other' | 'parent'>>

export function violationOf(definition: ConstraintDefinition, schema: RowSchema, row: RowObject, parts: Parts = {}) {
  const violation: Violation = {
    constraint: definition.name,
    kind: definition.kind,
    table: schema.name,
    columns: columnsOf(definition, schema),
    row,
    other: parts.other ?? null,
    parent: parts.parent ?? null,
  }
  return violation
}

/** Is the condition FALSE on these values, or why can it not be told? Null if it is satisfied. */
export function objection(condition: Expr, values: readonly Value[]): string | null {
  try {
    return evaluate(condition, values) === false ? `${printExpr(condition)} is false` : null
  } catch (failure) {
    if (failure instanceof Failure) return `${printExpr(condition)} failed: ${failure.message}`
    throw failure
  }
}

export function checkError(definition: CheckDefinition, schema: RowSchema, batch: Batch, row: number): ConstraintError {
  const object = rowObject(batch, row, schema)
  const why = objection(definition.condition, readRow(batch, row)) ?? 'it is not satisfied'
  return new ConstraintError(violationOf(definition, schema, object), `row ${rowText(object)}: ${why}`)
}

/** Net rows over several runs whose key words are those of a row. */
class KeyRows extends MergeWalk {
  constructor(
    kernels: CompiledKernels,
    private readonly probe: Batch,
    private readonly place: number,
    runs: readonly Batch[],
  ) {
    super(kernels)
    this.reset(false)
    for (const run of runs) {
      const first = kernels.seek(run, 0, probe, place)
      if (first < run.length && this.inside(run, first)) this.enter(run, first)
    }
  }

  protected override inside(run: Batch, row: number): boolean {
    const lanes = this.kernels.layout.key.words * 2
    for (let l = 0; l < lanes; l++) {
      if (run.keys32[row * lanes + l] !== this.probe.keys32[this.place * lanes + l]) return false
    }
    return true
  }
}

export interface NetRow {
  readonly batch: Batch
  readonly row: number
  readonly weight: bigint
}

/** The rows of the group of row `at` of `probe`, over all runs, in order, with net weights that are not 0. */
export function groupRows(kernels: CompiledKernels, agree: Agree, probe: Batch, at: number, runs: readonly Batch[]) {
  const found: NetRow[] = []
  const walk = new KeyRows(kernels, probe, at, runs)
  while (walk.next()) {
    if (walk.run !== null && agree(walk.run, walk.row, probe, at)) {
      found.push({ batch: walk.run, row: walk.row, weight: walk.weight })
    }
  }
  return found
}

/** Values of key columns by name. */
export function keyObject(batch: Batch, row: number, columns: readonly Column[], names: readonly string[]): RowObject {
  return Object.fromEntries(columns.map((column, n) => [names[n], readValue(batch, column, row)]))
}

export const keyText = (key: RowObject): string =>
  Object.entries(key)
    .map(([name, value]) => `${name}: ${valueText(value)}`)
    .join(', ')
