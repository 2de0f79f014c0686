/** Read-only snapshots: every table and view as of one LSN, while others write. */
import { UsageError } from '../../base/errors.js'
import type { TableDef } from '../../circuit/columns.js'
import type { TableDefinition } from '../../circuit/rel.js'
import type { Layer } from '../read-over.js'
import type { RelationReader } from '../relation.js'
import type { TransactionHost } from '../transaction.js'
import type { Pin } from './history.js'
import type { Past } from './past.js'
import { type Access, type Layered, mustHaveBeen, type Readable, Reads } from './reads.js'

export interface SnapshotOptions {
  /** A name by which `db.snapshotAt` finds it. The snapshot is then kept until it is released. */
  readonly name?: string
}

/** Pins of snapshots that nobody holds any more, and nobody has released. */
const abandoned = new FinalizationRegistry<() => void>(release => release())

export class Snapshot extends Reads {
  private readonly readers = new Map<RelationReader<unknown>, RelationReader<unknown>>()
  private readonly letGo: () => void

  /** Use `db.snapshot()`. `past` takes the state that is pinned further back, and has views that were made since. */
  constructor(
    private readonly host: TransactionHost,
    private readonly pin: Pin,
    /** The transaction after which everything was as the snapshot shows it. */
    readonly lsn: bigint,
    /** Under which `db.snapshotAt` finds it. */
    readonly name: string | null,
    private readonly past: Past | null,
    released: () => void,
  ) {
    super()
    const { history } = host
    this.letGo = () => {
      history.release(pin)
      released()
    }
    abandoned.register(this, this.letGo, this)
  }

  get released(): boolean {
    return this.pin.segment === null
  }

  /** Lets go of the state. The snapshot cannot be read any more; does nothing the second time. */
  release(): void {
    if (this.released) return
    abandoned.unregister(this)
    this.letGo()
  }

  /** `using snapshot = db.snapshot()`. */
  [Symbol.dispose](): void {
    this.release()
  }

  protected override get exclusive(): boolean {
    return false
  }

  protected override access(ref: unknown): Access {
    this.mustBeHeld()
    const readable = this.host.readable(ref)
    const { definition, createdAt } = readable
    const { past } = this
    if (past !== null && definition.kind === 'view' && !(past.isKept && createdAt <= this.lsn)) {
      const entriesOf = (table: TableDefinition) => this.entries(table as TableDef<unknown>)
      return { reader: past.view(definition, entriesOf), reads: null }
    }
    mustHaveBeen(readable, this.lsn)
    readable.check(errors => this.host.history.failures(this.pin, errors))
    return { reader: this.readerOf(readable), reads: null }
  }

  protected override layered(ref: unknown): Layered {
    const handle = this.host.readable(ref)
    return { handle, runs: this.layerOf(handle.relation).runs() }
  }

  private readerOf({ relation }: Readable): RelationReader<unknown> {
    let reader = this.readers.get(relation)
    if (reader === undefined) {
      reader = relation.over(this.layerOf(relation))
      this.readers.set(relation, reader)
    }
    return reader
  }

  private layerOf(relation: RelationReader<unknown>): Layer {
    const { history } = this.host
    const { kernels } = relation.shape
    return {
      kernels,
      key: relation.key,
      written: false,
      runs: () => {
        this.mustBeHeld()
        const runs = history.runs(this.pin, relation)
        return this.past === null ? runs : [...runs, ...this.past.runs(relation)]
      },
      version: () => {
        this.mustBeHeld()
        return relation.version() + history.version
      },
    }
  }

  private mustBeHeld(): void {
    if (this.released) throw new UsageError(`the snapshot of transaction ${this.lsn} was released`)
  }
}
