/** Which rows of a frame count for an aggregate, and which of them comes first by an order of its own. */
import type { Column, RowSchema } from '../../../schema/schema.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull, compareCells } from '../../../zset/cells.js'

export interface Term {
  readonly column: Column
  readonly descending: boolean
}

export class Preference {
  constructor(
    readonly terms: readonly Term[],
    /** None of these may be NULL. */
    readonly required: readonly Column[],
    /** This one is to be TRUE, if there is one. */
    readonly filter: Column | null = null,
  ) {}

  /** Whether a row takes part. */
  takes(batch: Batch, row: number): boolean {
    const { filter, required } = this
    if (filter !== null && (cellIsNull(batch, filter, row) || batch.columns[filter.index][row] === 0)) return false
    for (let r = 0; r < required.length; r++) if (cellIsNull(batch, required[r], row)) return false
    return true
  }

  /** Negative if row i of `a` comes first, 0 if the terms do not say; NULL is less than anything. */
  compare(a: Batch, i: number, b: Batch, j: number): number {
    const { terms } = this
    for (let t = 0; t < terms.length; t++) {
      const { column, descending } = terms[t]
      const p = cellIsNull(a, column, i)
      const q = cellIsNull(b, column, j)
      const order = p || q ? Number(q) - Number(p) : compareCells(a, column, i, b, column, j)
      if (order !== 0) return descending ? -order : order
    }
    return 0
  }

  /** The same rows the other way round. */
  get reversed(): Preference {
    const terms = this.terms.map(t => ({ ...t, descending: !t.descending }))
    return new Preference(terms, this.required, this.filter)
  }

  /** The same over rows that begin with the same columns. */
  over({ columns }: RowSchema): Preference {
    const terms = this.terms.map(t => ({ ...t, column: columns[t.column.index] }))
    return new Preference(
      terms,
      this.required.map(c => columns[c.index]),
      this.filter && columns[this.filter.index],
    )
  }

  /** All columns that are read. */
  get columns(): Column[] {
    return [...this.terms.map(t => t.column), ...this.required, ...(this.filter === null ? [] : [this.filter])]
  }
}
