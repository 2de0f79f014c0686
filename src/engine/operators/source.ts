/** A table as the circuit sees it: this epoch's rows, and, unless it is a stream, all rows so far. */
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { Store } from '../../zset/store.js'
import { type StatePart, storePart } from '../state/part.js'
import type { Feed } from './feed.js'
import { type Delta, NO_STATE, type Operator, Producer, type StateSize } from './operator.js'

export interface TableState {
  readonly name: string
  readonly store: Store | null
  readonly layout: Layout
}

export class SourceOperator extends Producer {
  readonly kind = 'table'
  /** Counts committed epochs that changed the table, and moves of its rows. */
  version = 0
  /** Whether somebody besides the consumers sees the rows. */
  isFollowed: () => boolean = () => true
  name!: string
  store!: Store | null
  layout!: Layout
  private rows: Batch | null = null
  /** This epoch's rows are a run of the store already. */
  private isArranged = false
  private start = 0

  /** `store`: null for a stream. `layout`: of the rows it is offered. */
  constructor(name: string, store: Store | null, layout: Layout) {
    super()
    this.keep({ name, store, layout })
  }

  private keep({ name, store, layout }: TableState): void {
    this.name = name
    this.store = store
    this.layout = layout
  }

  /** Goes on with other columns; returns what it was. REQUIRES: no epoch runs; the rows are the same but for those. */
  become(kept: TableState): TableState {
    const { name, store, layout } = this
    this.keep(kept)
    this.version++
    this.flushed()
    return { name, store, layout }
  }

  describe(): string[] {
    if (this.store === null) return [`${this.name}, a stream: not kept`]
    const { schema, key } = this.store.layout
    return [`${this.name}, kept by ${key.columns.map(c => schema.columns[c].name).join(', ')}`]
  }

  inputs(): readonly Operator[] {
    return []
  }

  /**
   * Hands in the epoch's rows: a flat batch that stays as it is until the epoch has ended, or a consolidated one of the
   * store's layout, which belongs to the store from then on.
   */
  offer(rows: Batch): void {
    this.rows = rows
    this.isArranged = rows.layout === this.store?.layout
    this.dirty = true
  }

  step(): void {
    const { rows: current, store } = this
    if (current === null || current.length === 0) return
    this.rowsIn += current.length
    this.rowsOut += current.length
    if (current.texts?.isEmpty === false) current.texts.settle(this.read())
    if (store !== null) {
      if (this.isArranged) store.trace.prepare(current)
      else {
        store.append(current, 0, current.length)
        this.start = store.prepare(this.start)
      }
    }
    this.wakeConsumers()
  }

  /** By index, the columns that somebody reads; null if it may be all. */
  private read(): boolean[] | null {
    if (this.store !== null || this.isFollowed()) return null
    const read: boolean[] = []
    for (const { feeds } of this.consumers as readonly (Operator & { readonly feeds?: readonly Feed[] })[]) {
      if (feeds === undefined) return null
      for (const { producer, columns } of feeds) {
        if (producer !== this) continue
        if (columns === null) return null
        for (const index of columns) read[index] = true
      }
    }
    return read
  }

  protected current(): Delta | null {
    const { rows: current } = this
    return current === null || current.length === 0 ? null : { batch: current, from: 0, to: current.length }
  }

  contents(whole: boolean): Delta[] {
    if (this.store === null) return []
    const batches = this.store.contents(whole)
    this.start = this.store.tail.length
    return batches.map(batch => ({ batch, from: 0, to: batch.length }))
  }

  commit(): void {
    const { rows, store } = this
    this.version++
    this.rows = null
    if (store === null) return
    if (this.isArranged && rows !== null) store.trace.insert(rows, true)
    store.commit()
    this.start = store.tail.length
  }

  abort(): void {
    this.store?.truncate(this.start)
    this.start = this.store?.tail.length ?? 0
    this.rows = null
  }

  flushed(): void {
    this.start = this.store?.tail.length ?? 0
  }

  /** A checkpoint has flushed the store and moved its rows. */
  private moved(): void {
    this.version++
    this.flushed()
  }

  parts(): StatePart[] {
    return this.store === null ? [] : [storePart('rows', this.store, () => this.moved())]
  }

  override state(): StateSize {
    const { store } = this
    if (store === null) return NO_STATE
    return {
      rows: store.trace.rowCount + store.tail.length,
      usedBytes: store.usedBytes,
      allocatedBytes: store.allocatedBytes,
    }
  }
}
