/** Columns of outputs, by unit: to be compared between before and after, and written. */
import { writeValue } from '../../../../codegen/expr/plain.js'
import { Failure } from '../../../circuit/scalar.js'
import type { Column } from '../../../schema/schema.js'
import type { Value } from '../../../schema/types.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull, copyCell, sameCell, setCellNull } from '../../../zset/cells.js'

export interface Outputs {
  /** Whether unit i has the same output as unit j of another column of the same function. */
  same(i: number, other: this, j: number): boolean
  /** Writes the output as row k. */
  write(i: number, out: Batch, k: number): void
  /** Why there is none; null if there is one. */
  failure(i: number): string | null
}

/** Numbers that are not NULL: counts and ranks as i64, shares as f64. */
export class NumberOutputs implements Outputs {
  constructor(
    private readonly column: Column,
    private readonly values: Float64Array,
  ) {}

  same(i: number, other: NumberOutputs, j: number): boolean {
    return this.values[i] === other.values[j]
  }

  write(i: number, out: Batch, k: number): void {
    const { index, type } = this.column
    const value = this.values[i]
    if (type === 'f64') out.columns[index][k] = value
    else {
      const lanes = out.lanes[index]
      lanes[k * 2] = value
      lanes[k * 2 + 1] = Math.floor(value / 4294967296)
    }
  }

  failure(): null {
    return null
  }
}

/** Computed values, NULL among them, and failures in their place. */
export class ValueOutputs implements Outputs {
  constructor(
    private readonly column: Column,
    private readonly values: readonly (Value | Failure)[],
  ) {}

  same(i: number, other: ValueOutputs, j: number): boolean {
    return sameValue(this.values[i], other.values[j])
  }

  write(i: number, out: Batch, k: number): void {
    const { column } = this
    const value = this.values[i]
    if (column.nullable) setCellNull(out, column, k, value === null)
    if (value !== null && !(value instanceof Failure)) writeValue(out, column, k, value)
  }

  failure(i: number): string | null {
    const value = this.values[i]
    return value instanceof Failure ? value.message : null
  }
}

function sameValue(a: Value | Failure, b: Value | Failure): boolean {
  if (a instanceof Failure) return b instanceof Failure && a.message === b.message
  if (!(a instanceof Uint8Array)) return Object.is(a, b)
  return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Values of rows: by place in `rows`; -1 for NULL; -2 - place for the fallback of that row. */
export class CellOutputs implements Outputs {
  constructor(
    private readonly column: Column,
    private readonly rows: Batch,
    private readonly arg: Column,
    private readonly fallback: Column | null,
    private readonly places: Int32Array,
  ) {}

  private source(place: number): Column {
    return place >= -1 || this.fallback === null ? this.arg : this.fallback
  }

  private isNull(place: number): boolean {
    return place === -1 || cellIsNull(this.rows, this.source(place), place >= 0 ? place : -2 - place)
  }

  same(i: number, other: CellOutputs, j: number): boolean {
    const [a, b] = [this.places[i], other.places[j]]
    if (a === b) return true
    if (this.isNull(a) || this.isNull(b)) return this.isNull(a) && this.isNull(b)
    const { rows } = this
    return sameCell(rows, this.source(a), a >= 0 ? a : -2 - a, rows, this.source(b), b >= 0 ? b : -2 - b)
  }

  write(i: number, out: Batch, k: number): void {
    const { column } = this
    const place = this.places[i]
    const isNull = this.isNull(place)
    if (column.nullable) setCellNull(out, column, k, isNull)
    if (!isNull) copyCell(this.rows, this.source(place), place >= 0 ? place : -2 - place, out, column, k)
  }

  failure(): null {
    return null
  }
}
