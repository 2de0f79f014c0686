/**
 * States from before any open snapshot, as long as somebody still has the changes since: a table is what it is, less
 * these; a view is computed anew from the tables.
 */
import { UsageError } from '../../base/errors.js'
import { nodesOf } from '../../circuit/nodes.js'
import type { Rel, TableDefinition, ViewDefinition } from '../../circuit/rel.js'
import type { Batch } from '../../zset/batch.js'
import type { Delta } from '../operators/operator.js'
import type { Entry, RelationReader } from '../relation.js'
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
  load(table: TableDefinition, entries: Iterable<Entry<unknown>>): void
  view(definition: ViewDefinition): RelationReader<unknown>
}

export class Past {
  private readonly overlays = new Map<RelationReader<unknown>, Overlay>()
  private readonly loaded = new Set<TableDefinition>()
  private recomputed: Recomputed | null = null

  /** Goes back from `upTo`, which is readable, to `lsn`. */
  constructor(
    private readonly log: DeltaLog,
    private readonly lsn: bigint,
    private readonly upTo: bigint,
    private readonly recompute: () => Recomputed,
  ) {}

  /** What has to be laid over a table as it was at `upTo`. */
  runs(table: RelationReader<unknown>): readonly Batch[] {
    let overlay = this.overlays.get(table)
    if (overlay === undefined) {
      overlay = new Overlay(table.shape)
      for (const { batch, from, to } of this.log.deltas(table.definition as TableDefinition, this.lsn, this.upTo)) {
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
    mustFollow(definition, this.lsn)
    for (const table of tablesOf(definition.rel)) {
      if (this.loaded.has(table)) continue
      if (table.stream) {
        throw new UsageError(
          `view "${definition.schema.name}" cannot be shown as of transaction ${this.lsn}: it reads the stream ` +
            `"${table.schema.name}", whose rows are not kept`,
        )
      }
      this.recomputed.load(table, entriesOf(table))
      this.loaded.add(table)
    }
    return this.recomputed.view(definition)
  }
}

/** All nodes of a circuit, those of views that it reads included. */
function* allNodesOf(rel: Rel): Generator<Rel> {
  for (const node of nodesOf(rel)) {
    yield node
    if (node.kind === 'source' && node.relation.kind === 'view') yield* allNodesOf(node.relation.rel)
  }
}

/** The tables that a circuit reads, directly and through views. */
function tablesOf(rel: Rel): Set<TableDefinition> {
  const tables = new Set<TableDefinition>()
  for (const node of allNodesOf(rel)) {
    if (node.kind === 'source' && node.relation.kind === 'table') tables.add(node.relation)
  }
  return tables
}

/** Throws UsageError if what a view holds does not follow from the tables alone. */
function mustFollow({ schema, rel }: ViewDefinition, lsn: bigint): void {
  for (const node of allNodesOf(rel)) {
    if (node.kind !== 'noise') continue
    throw new UsageError(
      `view "${schema.name}" cannot be shown as of transaction ${lsn}: its noise would be drawn again, which would tell ` +
        'more than its budget allows',
    )
  }
}
