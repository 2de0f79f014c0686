/**
 * Which key took the place of another: what tells an update from a deletion. A transaction is a net change, in which
 * nothing says which new row an old one has become, but for two things: `tx.update(table, old, new)`, and a retraction
 * and an insertion under one unique primary key.
 */
import { readValue } from '../../../codegen/expr/plain.js'
import type { Column } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import type { Batch } from '../../zset/batch.js'
import type { TableRules } from './table-rules.js'

/** Rows i < old of a flat batch became rows old + i. */
export interface Moved {
  readonly rows: Batch
  readonly old: number
}

const textOf = (values: readonly Value[]): string =>
  values.map(v => (v instanceof Uint8Array ? `b${v.join()}` : `${typeof v} ${String(v)}`)).join('\0')

export class Successors {
  private readonly next = new Map<string, Value[]>()

  /** `columns` are those of the key, by their names in the table. */
  constructor(private readonly columns: readonly Column[]) {}

  /** Takes in what the running transaction says of a table. */
  learn(table: TableRules): void {
    for (const { rows, old } of table.moved) this.add(rows, old)
    const { rows } = table
    if (rows === null) return
    for (const at of table.updates) this.note(table.given ?? rows, at, at + 1)
    if (table.stored !== null) this.learnByKey(table.stored.columns, rows)
  }

  private learnByKey(primary: readonly Column[], rows: Batch): void {
    const keyAt = (row: number) => textOf(primary.map(c => readValue(rows, c, row)))
    for (let i = 0; i + 1 < rows.length; i++) {
      if (rows.weights[i] * rows.weights[i + 1] >= 0n || keyAt(i) !== keyAt(i + 1)) continue
      if (rows.weights[i] < 0n) this.note(rows, i, i + 1)
      else this.note(rows, i + 1, i)
    }
  }

  add(rows: Batch, old: number): void {
    for (let i = 0; i < old; i++) this.note(rows, i, old + i)
  }

  private note(rows: Batch, from: number, to: number): void {
    const { columns } = rows.layout.schema
    const key = (row: number) => this.columns.map(c => readValue(rows, columns[c.index], row))
    const [old, now] = [key(from), key(to)]
    if (textOf(old) !== textOf(now)) this.next.set(textOf(old), now)
  }

  /** The key that took the place of this one: of those it became one after the other, the first that is there. */
  of(key: readonly Value[], isThere: (key: readonly Value[]) => boolean): Value[] | null {
    const seen = new Set<string>()
    for (let at = textOf(key); !seen.has(at); ) {
      seen.add(at)
      const next = this.next.get(at)
      if (next === undefined) return null
      if (isThere(next)) return next
      at = textOf(next)
    }
    return null
  }
}
