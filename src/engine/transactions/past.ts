/**
 * States from before any open snapshot, as long as somebody still has the changes since: a table is what it is, less
 * these; a view is computed anew from the tables.
 */
import { UsageError } from '../../base/errors.js'
import type { TableDefinition, ViewDefinition } from '../../circuit/rel.js'
import type { Batch } from '../../zset/batch.js'
import type { Delta } from '../operators/operator.js'
import type { Entry, RelationReader } from '../relation.js'
import { beyondRows, type Current, clocksUnder, tablesUnder } from '../repeatable.js'
import { Overlay } from './overlay.js'

/** Changes of tables that were committed and are still known, such as those in a log. */
export interface DeltaLog {
  /** The oldest state that can be gone back to: every change after its LSN is there. Throws IoError. */
  readonly start: PastState
  /** The last transaction up to a time (microseconds since 1970); null if that is before the start, or has not come yet. */
  lsnAt(time: bigint): bigint | null
  /**
   * The changes of a table with `after` < LSN <= `upTo`, in any order, as batches of any layout. Throws UsageError if the
   * table was not there, or was another one, at `after`.
   */
  deltas(table: TableDefinition, after: bigint, upTo: bigint): Iterable<Delta>
  /** Keeps what is needed to go back to a state, until what this returns is called. */
  hold(lsn: bigint): () => void
}

export interface PastState {
  readonly lsn: bigint
  /** Microseconds since 1970; null if that is not known. */
  readonly time: bigint | null
}

/** A database of the past, for views: makes one from rows of tables. */
export interface Recomputed {
  readonly current: Current
  load(table: TableDefinition, entries: Iterable<Entry<unknown>>): void
  view(definition: ViewDefinition): RelationReader<unknown>
}

export class Past {
  private readonly overlays = new Map<RelationReader<unknown>, Overlay>()
  private readonly loaded = new Set<TableDefinition>()
  private recomputed: Recomputed | null = null

  /** `back`: from where to go back to `lsn`, and with what; null if that state is kept, and only views may be missing. */
  constructor(
    private readonly lsn: bigint,
    private readonly recompute: () => Recomputed,
    private readonly back: { readonly log: DeltaLog; readonly from: bigint } | null,
  ) {}

  /** Can what is there since be read as it is kept? */
  get isKept(): boolean {
    return this.back === null
  }

  /** What has to be laid over a table as it was where this goes back from. */
  runs(table: RelationReader<unknown>): readonly Batch[] {
    if (this.back === null) return []
    const { log, from: upTo } = this.back
    let overlay = this.overlays.get(table)
    if (overlay === undefined) {
      overlay = new Overlay(table.shape)
      for (const { batch, from, to } of log.deltas(table.definition as TableDefinition, this.lsn, upTo)) {
        overlay.append(batch, from, to, true)
        overlay.settle()
      }
      this.overlays.set(table, overlay)
    }
    return overlay.runs()
  }

  /** A view as it was. `entriesOf` reads a table as it was. */
  view(
    definition: ViewDefinition,
    entriesOf: (table: TableDefinition) => Iterable<Entry<unknown>>,
  ): RelationReader<unknown> {
    this.recomputed ??= this.recompute()
    const { recomputed, loaded } = this
    mustFollow(definition, recomputed.current, this.lsn)
    for (const table of tablesUnder(definition, recomputed.current)) {
      if (loaded.has(table)) continue
      recomputed.load(table, entriesOf(table))
      loaded.add(table)
    }
    return recomputed.view(definition)
  }
}

/** Throws UsageError if what a view held does not follow from the tables alone. */
function mustFollow(view: ViewDefinition, current: Current, lsn: bigint): void {
  const clock = () => clocksUnder(view, current).size > 0
  const problem =
    beyondRows(view, current) ?? (clock() ? 'it depends on what the clock showed, which is not kept' : null)
  if (problem === null) return
  throw new UsageError(`view "${view.schema.name}" cannot be shown as of transaction ${lsn}: ${problem}`)
}
