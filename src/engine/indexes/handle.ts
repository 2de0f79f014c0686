/** Secondary indexes of a table, as users hold them: reading in the index's order, with all columns of each row. */
import { type DecodeRow, rowDecoder } from '../../../codegen/decode.js'
import { type CodeContext, SourceList } from '../../../codegen/steps.js'
import { quote, UsageError } from '../../base/errors.js'
import type { IndexDefinition } from '../../circuit/rel.js'
import type { Layout, RowSchema } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { KeyInput, RangeOptions } from '../keys.js'
import type { ArrangeOperator } from '../operators/arrange.js'
import type { OperatorStats } from '../operators/operator.js'
import type { Reader } from '../read.js'
import { type Entry, RelationReader } from '../relation.js'

/** An index is read like a relation with more columns than it shows. */
export class IndexRelation<R> extends RelationReader<R> {
  private readonly shown = new Map<Layout, DecodeRow>()

  constructor(
    name: string,
    private readonly table: RowSchema,
    full: RowSchema,
    terms: readonly number[],
    private readonly code: CodeContext,
    reader: Reader,
    version: () => number,
  ) {
    super({ kind: 'index', schema: { ...full, name: `${name} of table ${table.name}` } }, terms, code, reader, version)
  }

  override decode(batch: Batch, row: number): R {
    let decoder = this.shown.get(batch.layout)
    if (decoder === undefined) {
      decoder = rowDecoder(this.code, batch.layout, new SourceList(), this.table)
      this.shown.set(batch.layout, decoder)
    }
    return decoder(batch, row) as R
  }
}

/** What an index asks of its table. */
export interface IndexOwner {
  readonly name: string
  readonly dropped: boolean
  readonly database: { mustBeReadable(): void; readonly tracer: ((event: IndexRead) => void) | null }
}

/** A reading of an index. */
export interface IndexRead {
  readonly kind: 'index'
  readonly operation: 'find' | 'range' | 'rows'
  readonly table: string
  readonly index: string
  /** The key or the bounds, as given. */
  readonly key: unknown
}

/** What a handle shows of its index. */
export interface IndexFace<R> {
  readonly definition: IndexDefinition
  readonly operator: ArrangeOperator
  readonly relation: RelationReader<R>
}

export class IndexHandle<R> {
  /** Internal: set by `dropIndex`. */
  dropped = false

  constructor(
    private readonly owner: IndexOwner,
    private face: IndexFace<R>,
  ) {}

  get definition(): IndexDefinition {
    return this.face.definition
  }

  /** Internal: the arrangement that holds the rows. */
  get operator(): ArrangeOperator {
    return this.face.operator
  }

  /** Internal: its rows. */
  get relation(): RelationReader<R> {
    return this.face.relation
  }

  /** Internal: shows an index that is another one now, of an altered table; returns what it showed. */
  become(face: IndexFace<R>): IndexFace<R> {
    const before = this.face
    this.face = face
    return before
  }

  get name(): string {
    return this.definition.name
  }

  /** Internal: throws if it cannot be read, and tells who traces that it is. */
  check(operation: IndexRead['operation'], key: unknown): void {
    const { owner, name } = this
    if (this.dropped || owner.dropped) {
      throw new UsageError(`index ${quote(name)} of table ${quote(owner.name)} was dropped`)
    }
    owner.database.mustBeReadable()
    owner.database.tracer?.({ kind: 'index', operation, table: owner.name, index: name, key })
  }

  /**
   * Rows whose terms have these values: the value of the first term, or values in order, or by name. Fewer values than
   * the index has terms find all rows that begin with them.
   */
  find(key: KeyInput): R[] {
    this.check('find', key)
    return [...this.relation.range({ from: key, to: key })]
  }

  /**
   * Rows in the order of the index, from `from` to `to` inclusive, or after `after`; a bound may give the first terms
   * only. `from` comes before `to` in that order: of a descending term it has the greater value. Throws UsageError if
   * the table changes before the iteration ends.
   */
  range(options: RangeOptions = {}): IterableIterator<R> {
    this.check('range', options)
    return this.relation.range(options)
  }

  /** All rows in the order of the index, each as often as its weight says. */
  rows(): R[] {
    this.check('rows', null)
    return this.relation.rows()
  }

  /** All distinct rows with their weights, in the order of the index. */
  entries(): Entry<R>[] {
    this.check('rows', null)
    return [...this.relation.entries()]
  }

  stats(): OperatorStats {
    return this.operator.stats()
  }
}
