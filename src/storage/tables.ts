/**
 * The tables of a directory: made, found by name, given another layout or successor, removed with a checkpoint. What
 * `Storage` is built on.
 */
import { FormatError, quote, UsageError } from '../base/errors.js'
import type { Layout } from '../schema/schema.js'
import type { Fill } from '../zset/widen.js'
import type { TreeContext } from './context.js'
import { fits, retyped, widened } from './evolution.js'
import { canonical, describe, present, schemaHash } from './manifest/descriptor.js'
import { Publication } from './manifest/publication.js'
import { ShardRegistry } from './manifest/registry.js'
import { type Base, checkThreshold, oneOf, type StorageOptions, type TableOptions } from './options.js'
import { Tree } from './tree.js'
import { type Manifest, type ShardEntry, type TableEntry, type TableId, VALUE_THRESHOLD } from './types.js'
import type { Wal } from './wal/wal.js'

export abstract class StorageTables {
  protected readonly context: TreeContext
  protected readonly publication: Publication
  /** Tables that go with the next checkpoint. */
  protected readonly doomed = new Set<Tree>()
  /** A drop has failed, so the manifest on disk may lack a table that is open here. */
  protected isDropping = false
  protected state: 'open' | 'closed' = 'open'

  protected constructor(
    protected readonly options: StorageOptions,
    { context, nextFileId }: Base,
    protected readonly trees: Map<TableId, Tree>,
    /** Null if the directory is only read. */
    protected readonly writer: Wal | null,
    manifest: Manifest,
  ) {
    this.context = context
    this.publication = new Publication(context, manifest, nextFileId, writer, shards => {
      for (const tree of trees.values()) tree.mayBePublished(shards)
    })
    context.staleValues = () => context.values.stale(this.shards)
  }

  /** What is on disk. */
  protected get manifest(): Manifest {
    return this.publication.manifest
  }

  protected publish(next: Manifest): void {
    this.publication.publish(next)
    this.isDropping = false
  }

  get directory(): string {
    return this.options.directory
  }

  get isReadOnly(): boolean {
    return this.writer === null
  }

  protected get shards(): readonly ShardEntry[] {
    return [...this.trees.values()].flatMap(tree => tree.entries)
  }

  get tables(): readonly Tree[] {
    return [...this.trees.values()]
  }

  /** The shards of all tables by key range: how many overlap where, and which tables are above the threshold. */
  get registry(): ShardRegistry {
    const registry = new ShardRegistry(this.context.amplificationThreshold)
    for (const tree of this.trees.values()) registry.set(tree.tableId, tree.entries)
    return registry
  }

  /** The table of that name, or undefined. */
  table(name: string): Tree | undefined {
    return this.tables.find(t => t.name === name && !this.doomed.has(t))
  }

  /**
   * Makes a table, durably; or gives the one of that name. Throws FormatError if that one has another schema, and
   * IoError; then there is no new table.
   */
  createTable(layout: Layout, options: TableOptions = {}): Tree {
    this.mustBeOpen()
    const { kind = 'durable', policy = 'write-heavy', weights = 'any' } = options
    oneOf('kind', kind, ['durable', 'ephemeral'])
    oneOf('policy', policy, ['write-heavy', 'read-heavy'])
    oneOf('weights', weights, ['any', 'nonNegative'])
    if (layout.key.words === 0) throw new UsageError(`table ${quote(layout.schema.name)}: expected an arranged layout`)
    const { valueThreshold = this.options.valueThreshold ?? VALUE_THRESHOLD } = options
    checkThreshold(valueThreshold)
    const threshold = valueThreshold === Number.POSITIVE_INFINITY ? null : valueThreshold
    const descriptor = describe(layout, policy, weights, threshold)
    const hash = schemaHash(descriptor)
    const existing = this.table(descriptor.name)
    if (existing !== undefined) {
      const [expected, found] = [canonical(descriptor), canonical(present(existing.table.descriptor))]
      if (expected === found && existing.table.kind === kind) return existing
      const name = quote(descriptor.name)
      const [wanted, there] = [`${kind} ${expected}`, `${existing.table.kind} ${found}`]
      throw new FormatError(this.options.directory, null, `table ${name}: expected ${wanted}, found ${there}`)
    }
    const { publish = true } = options
    if (publish) this.mustBeWritable()
    // A call that fails uses up a number, too: the table may be on disk.
    const tableId = this.publication.newTableId()
    const entry: TableEntry = { tableId, kind, schemaHash: hash, flushedLsn: 0n, descriptor }
    const tree = new Tree(this.context, entry, this.options.kernelsOf(layout), [])
    // Its blocks may enter the log only when every reader of the directory can know their length.
    if (publish) this.publish({ ...this.manifest, tables: [...this.manifest.tables, entry] })
    this.trees.set(tableId, tree)
    return tree
  }

  /** Do the rows of a table lie as `layout` says? Names do not matter. */
  fits(table: Tree, layout: Layout): boolean {
    return fits(table, layout)
  }

  /**
   * Gives a table another layout object and name. REQUIRES: it was just opened or made, nobody uses it yet.
   * Throws FormatError if rows would lie otherwise in files.
   */
  retype(table: Tree, layout: Layout, name = layout.schema.name): Tree {
    const descriptor = retyped(this.options.directory, table, layout, name)
    const tree = new Tree(this.context, { ...table.table, descriptor }, this.options.kernelsOf(layout), table.entries)
    table.close()
    this.trees.set(tree.tableId, tree)
    return tree
  }

  /**
   * Prepares `table` to go on as `next`, which has more columns: its rows stay in the files they are in. `layout`: of
   * `next`; `columns[i]`: where column i is in it; `fills`: by column, what those hold that are missing. The result, called
   * `name`, takes the place of both with `succeed`, or is closed. Throws IoError, FormatError; then nothing has changed.
   * REQUIRES: `next` is empty, nothing of `table` is in memory here, neither changes before.
   */
  successor(
    table: Tree,
    next: Tree,
    layout: Layout,
    columns: readonly number[],
    fills: readonly Fill[],
    name = table.name,
  ): Tree {
    const entry = widened(table, next, name, columns, fills)
    return new Tree(this.context, entry, this.options.kernelsOf(layout), table.entries)
  }

  /** Lets `successor` take the place of the tables that it was made of. Nobody may use those from now on. */
  succeed(successor: Tree, table: Tree, next: Tree): void {
    successor.succeed(table)
    this.trees.set(successor.tableId, successor)
    next.close()
    this.doom(table)
  }

  /** Removes a table with the next checkpoint: until then the log may hold rows of it. Nobody may use it from now on. */
  doom(table: Tree): void {
    this.doomed.add(table)
  }

  protected mustBeWritable(): void {
    this.mustBeOpen()
    if (this.writer === null) throw new UsageError(`${this.options.directory} was opened to be read only`)
  }

  protected mustBeOpen(): void {
    if (this.state === 'closed') throw new UsageError(`${this.options.directory} is closed`)
  }
}
