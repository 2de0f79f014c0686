/** A relation as one transaction sees it: as of its snapshot, with what it has written itself. */
import type { Batch } from '../../zset/batch.js'
import type { Layer } from '../read-over.js'
import type { RelationReader } from '../relation.js'
import { Overlay } from './overlay.js'
import { collect, type PendingTable } from './pending.js'
import { ReadSet } from './read-set.js'
import type { Access } from './reads.js'

/** What a view of a relation needs of its transaction. */
export interface SeenBy {
  /** Runs to lay over the present state to see the snapshot. */
  since(relation: RelationReader<unknown>): readonly Batch[]
  /** Counts what moves these. */
  readonly sinceVersion: number
  /** What the transaction has written to the relation. */
  written(relation: RelationReader<unknown>): PendingTable | undefined
}

export class Seen implements Access, Layer {
  readonly reads = new ReadSet()
  readonly reader: RelationReader<unknown>
  /** The first `copied` rows that were written, arranged. */
  private own: Overlay | null = null
  private copied = 0

  constructor(
    readonly live: RelationReader<unknown>,
    private readonly by: SeenBy,
  ) {
    this.reader = live.over(this)
  }

  get kernels() {
    return this.live.shape.kernels
  }

  get key() {
    return this.live.key
  }

  get written(): boolean {
    return this.live.definition.kind === 'table'
  }

  runs(): readonly Batch[] {
    const since = this.by.since(this.live)
    const own = this.ownRuns()
    return since.length === 0 ? own : [...since, ...own]
  }

  private ownRuns(): readonly Batch[] {
    const target = this.by.written(this.live)
    if (target === undefined) return []
    collect(target)
    const { pending } = target
    pending.texts?.settle(null)
    if (pending.length > this.copied) {
      this.own ??= new Overlay(this.live.shape)
      this.own.append(pending, this.copied, pending.length, false)
      this.copied = pending.length
    }
    return this.own?.runs() ?? []
  }

  version(): number {
    const target = this.by.written(this.live)
    const own = target === undefined ? 0 : target.pending.length + (target.whole?.length ?? 0)
    return this.live.version() + this.by.sinceVersion + own
  }
}
