/**
 * A table's rows in groups by a key, as constraints see them: the state before the transaction, and the transaction's
 * net change, arranged before any step. Most are arrangements, shared with indexes and joins by the same columns. The
 * groups of a unique primary key are the table's own store: its rows enter it sorted, one transaction at a time.
 */
import type { GroupShape } from '../../../codegen/constraints.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { GnitzError } from '../../base/errors.js'
import type { Column } from '../../schema/schema.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import type { ArrangeRows, Store } from '../../zset/store.js'
import { HEAD_ROWS } from '../../zset/trace.js'
import type { ArrangeOperator } from '../operators/arrange.js'
import type { KeysOperator } from '../operators/keys.js'
import type { Operator } from '../operators/operator.js'
import type { SourceOperator } from '../operators/source.js'

/** A table, as far as its groups need to know it. */
export interface Touched {
  /** The running transaction has rows for it. */
  readonly touched: boolean
}

export abstract class KeyGroups {
  constructor(
    readonly kernels: CompiledKernels,
    /** Key columns in the arrangement's schema, in key order. */
    readonly columns: readonly Column[],
    protected readonly table: Touched,
  ) {}

  /** How rows lie, with or without rows that have a NULL in the key. */
  shape(nullsAreFree: boolean): GroupShape {
    return { layout: this.kernels.layout, columns: this.columns, nullsAreFree }
  }

  /** What it reads, unless that is the table itself. */
  abstract readonly operator: Operator | null

  /** The runs before the transaction. */
  abstract before(): readonly Batch[]

  /** The transaction's net change, or null if it has none. Consolidated. */
  abstract ahead(): Batch | null

  /** Any rows of the table, arranged. `rows` is flat. */
  abstract arranged(rows: Batch): Batch

  /** Everything before the transaction as one consolidated run, or null. */
  abstract whole(): Batch | null

  /** Forgets what `ahead` has made: the transaction will not be, or is another one. */
  abstract forget(): void
}

export class ArrangedGroups extends KeyGroups {
  constructor(
    readonly operator: ArrangeOperator,
    columns: readonly Column[],
    table: Touched,
  ) {
    super(operator.kernels, columns, table)
  }

  before(): readonly Batch[] {
    return this.operator.trace.batches()
  }

  ahead(): Batch | null {
    return this.table.touched ? this.operator.ahead() : null
  }

  arranged(rows: Batch): Batch {
    return this.operator.arranged(rows)
  }

  whole(): Batch | null {
    return this.operator.trace.compact()
  }

  forget(): void {
    this.operator.abort()
  }
}

/**
 * The keys of a table's rows, counted: for constraints that ask how many rows have a key, and nothing else of them.
 * Its batches have one row a key, of weight 1.
 */
export class CountedGroups extends KeyGroups {
  private readonly arranger: Arranger
  private readonly probe: Batch

  /** `kernels`: of the key columns alone, arranged by all of them. */
  constructor(
    readonly operator: KeysOperator,
    kernels: CompiledKernels,
    table: Touched,
  ) {
    super(kernels, kernels.layout.schema.columns, table)
    this.arranger = new Arranger(kernels)
    this.probe = new Batch(kernels.layout, SMALL_ROWS)
  }

  before(): readonly Batch[] {
    const whole = this.whole()
    return whole === null ? [] : [whole]
  }

  /** The keys that the transaction touches. */
  ahead(): Batch | null {
    return this.touched(true)
  }

  /** Keys that gain rows and have some then; only those that had none, unless `all`. Valid until the next call. */
  touched(all: boolean): Batch | null {
    if (!this.table.touched) return null
    const { operator } = this
    operator.ahead()
    const { raw } = this.arranger
    const { table } = operator
    for (let t = 0; t < table.touchedCount; t++) {
      if (operator.gains(t, all)) this.put(table.touched[t])
    }
    if (raw.length === 0) return null
    const out = raw.length <= SMALL_ROWS ? this.probe : new Batch(this.kernels.layout, raw.length)
    out.clear()
    return this.sorted(out)
  }

  whole(): Batch | null {
    const { table } = this.operator
    table.source?.fetchAll()
    for (let slot = 0; slot < table.size; slot++) if (this.operator.countOf(slot) > 0n) this.put(slot)
    const { length } = this.arranger.raw
    return length === 0 ? null : this.sorted(new Batch(this.kernels.layout, length))
  }

  private put(slot: number): void {
    const { raw } = this.arranger
    raw.reserve(1)
    this.operator.putKey(slot, raw, raw.length)
    raw.weights[raw.length++] = 1n
  }

  private sorted(out: Batch): Batch {
    const { raw } = this.arranger
    this.arranger.arrange(out)
    raw.clear()
    if (raw.capacity > KEPT_ROWS) raw.release()
    return out
  }

  /** How many rows have the key of a row of another batch by the same kind of key, the transaction's included. */
  countAt(batch: Batch, row: number, columns: readonly Column[]): bigint {
    if (this.table.touched) this.operator.ahead()
    const slot = this.operator.find(batch, row, columns)
    return slot < 0 ? 0n : this.operator.countOf(slot)
  }

  arranged(): Batch {
    throw new GnitzError('INTERNAL', 'keys that are counted lead to no rows')
  }

  forget(): void {
    this.operator.abort()
  }
}

/** Deltas of so many rows are copied into the head of the store's trace, and their memory serves again. */
const SMALL_ROWS = HEAD_ROWS >> 2

/** A table that is its own index. */
export interface StoredSource {
  readonly store: Store
  readonly operator: SourceOperator
  readonly arrange: ArrangeRows
}

export class StoredGroups extends KeyGroups {
  readonly operator = null
  private readonly arranger: Arranger
  private readonly small: Batch
  private current: Batch | null = null

  constructor(
    private readonly source: StoredSource,
    kernels: CompiledKernels,
    columns: readonly Column[],
    table: Touched,
  ) {
    super(kernels, columns, table)
    this.arranger = new Arranger(kernels)
    this.small = new Batch(kernels.layout, SMALL_ROWS)
  }

  before(): readonly Batch[] {
    const { store, operator } = this.source
    if (store.tail.length > 0) {
      // Rows that came before the key was unique.
      store.flush()
      operator.flushed()
    }
    return store.trace.batches()
  }

  /** The transaction's rows as a run of the store: what the table is offered. */
  take(rows: Batch): Batch {
    if (rows.layout === this.kernels.layout && rows.order === 'consolidated') {
      this.current = rows
      return rows
    }
    const { small } = this
    const isSmall = rows.length <= SMALL_ROWS
    if (isSmall) small.clear()
    const run = isSmall ? small : new Batch(this.kernels.layout, rows.length)
    this.sortInto(rows, run)
    this.current = run
    return run
  }

  ahead(): Batch | null {
    return this.table.touched ? this.current : null
  }

  arranged(rows: Batch): Batch {
    const run = new Batch(this.kernels.layout, rows.length)
    this.sortInto(rows, run)
    return run
  }

  private sortInto(rows: Batch, run: Batch): void {
    const { raw } = this.arranger
    raw.reserve(rows.length)
    try {
      this.source.arrange(rows, 0, rows.length, raw)
      this.arranger.arrange(run)
    } finally {
      raw.clear()
      if (raw.capacity > KEPT_ROWS) raw.release()
    }
  }

  whole(): Batch | null {
    this.before()
    return this.source.store.trace.compact()
  }

  forget(): void {
    this.current = null
  }
}

/** Raw rows for which memory is kept from one transaction to the next. */
const KEPT_ROWS = 1 << 15
