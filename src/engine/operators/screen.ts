/**
 * Keeps late rows out of a view: changes below one of its waterlines, as it was before the transaction, go no further. What
 * is dropped is handed to whoever lists it (`late.ts`). What an epoch drops depends on what came in earlier ones, so the
 * log is replayed one transaction at a time where there is a screen.
 */
import { readRow, readValue } from '../../../codegen/expr/plain.js'
import { rowText } from '../../circuit/interpret/zset.js'
import type { RowSchema } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { runFeeds } from './feed.js'
import { LinearOperator } from './linear.js'
import type { Time, WaterlineOperator } from './waterline.js'

export class ScreenOperator extends LinearOperator {
  override readonly kind = 'screen'
  readonly waterlines: WaterlineOperator[] = []
  /** What the last epoch that dropped something dropped; whoever takes it puts null here. */
  dropped: Batch | null = null
  /** While an epoch undoes others: the rows that those dropped, which it is not to take out. Nothing is late then. */
  undone: readonly Batch[] | null = null
  private dropping: Batch | null = null

  constructor(
    private readonly schema: RowSchema,
    /** All changes of rows that agree in these columns are late if one is. */
    private readonly key: readonly number[],
  ) {
    super(schema)
  }

  override describe(): string[] {
    const late = this.waterlines.map(w => `late: ${this.schema.columns[w.column].name} < its waterline`)
    return [...late, ...super.describe()]
  }

  override step(): void {
    this.rowsIn += runFeeds(this.feeds)
    if (this.undone === null) this.drop()
    else for (const batch of this.undone) appendRows(batch, 0, batch.length, this.out)
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  private drop(): void {
    const { out, key, schema } = this
    const late = lateRows(out, this.waterlines)
    if (late === null) return
    // What comes and goes again in one transaction, as it may in joins, has not changed.
    const { net } = this.sums(late)
    for (let i = 0; i < out.length; i++) if (net[i] === 0n) late[i] = 0
    spread(late, i => key.map(c => readValue(out, schema.columns[c], i)))
    this.take(late)
  }

  /** Takes the rows out: those of weight 0 are not there. */
  private take(late: Uint8Array): void {
    const { out } = this
    const { net, first } = this.sums(late)
    const dropping = new Batch(out.layout)
    for (let i = 0; i < out.length; i++) {
      if (late[i] === 0) continue
      if (first[i] === i && net[i] !== 0n) {
        appendRows(out, i, i + 1, dropping)
        dropping.weights[dropping.length - 1] = net[i]
      }
      out.weights[i] = 0n
    }
    this.dropping = dropping.length === 0 ? null : dropping
  }

  /** Of each marked row the weight of all that are equal to it, and the first of these. */
  private sums(marked: Uint8Array): { readonly net: readonly bigint[]; readonly first: readonly number[] } {
    const { out } = this
    const firsts = new Map<string, number>()
    const sums = new Map<number, bigint>()
    const first = Array.from(marked, (mark, i) => {
      if (mark === 0) return -1
      const text = rowText(readRow(out, i))
      const at = firsts.get(text) ?? i
      firsts.set(text, at)
      sums.set(at, (sums.get(at) ?? 0n) + out.weights[i])
      return at
    })
    return { net: first.map(at => sums.get(at) ?? 1n), first }
  }

  override commit(): void {
    super.commit()
    if (this.dropping !== null) this.dropped = this.dropping
    this.dropping = null
  }

  override abort(): void {
    super.abort()
    this.dropping = null
  }
}

/** Which rows of a flat batch are below a waterline; null if none is. */
export function lateRows(rows: Batch, waterlines: readonly WaterlineOperator[]): Uint8Array | null {
  let late: Uint8Array | null = null
  for (const { column, value } of waterlines) {
    if (value === null) continue
    const cells = rows.columns[column] as ArrayLike<Time>
    for (let i = 0; i < rows.length; i++) {
      if (cells[i] >= value || rows.weights[i] === 0n) continue
      late ??= new Uint8Array(rows.length)
      late[i] = 1
    }
  }
  return late
}

/** Marks all rows whose key has a late one. */
export function spread(late: Uint8Array, keyOf: (row: number) => readonly Value[]): void {
  const textOf = (i: number): string => keyOf(i).map(String).join('\u0000')
  const keys = new Set<string>()
  for (let i = 0; i < late.length; i++) if (late[i] === 1) keys.add(textOf(i))
  for (let i = 0; i < late.length; i++) if (late[i] === 0 && keys.has(textOf(i))) late[i] = 1
}
