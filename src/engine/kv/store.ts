/** Key-value stores as they are read and written: of a database, in a transaction, in a snapshot. */
import { readValue } from '../../../codegen/expr/plain.js'
import { quote, show, UsageError } from '../../base/errors.js'
import { mustBeOptions } from '../../base/options.js'
import type { Value } from '../../schema/types.js'
import { compareValues, normalise, Problem } from '../../schema/values.js'
import type { Batch } from '../../zset/batch.js'
import { RANGE_OPTIONS } from '../keys.js'
import type { Bounds } from '../read.js'
import type { RelationReader } from '../relation.js'
import type { ReadSet } from '../transactions/read-set.js'
import { beginsWith, behind, headOf, type KvDef, type KvRow, type KvTable, keyOf } from './definition.js'

export interface KvRangeOptions<K> {
  /** Inclusive bounds. */
  readonly from?: K
  readonly to?: K
  /** Exclusive lower bound in the direction of reading: where the last page ended. */
  readonly after?: K
  /** Only keys that begin with this. */
  readonly prefix?: K
  readonly reverse?: boolean
  readonly limit?: number
}

const OPTIONS: readonly (keyof KvRangeOptions<never>)[] = [...RANGE_OPTIONS, 'prefix']

/** The table of a store as its reader finds it. */
export interface KvAccess {
  readonly reader: RelationReader<unknown>
  /** Where reads are remembered, if they are. */
  readonly reads: ReadSet | null
  /** Nobody else can write meanwhile. */
  readonly exclusive: boolean
}

/** The column of a store's table that has the key. */
const KEY = 1

/** Reading a store: the same everywhere. `K` and `V` are the types of keys and values. */
export class KvReads<K, V> {
  constructor(
    /** Internal. */
    readonly definition: KvDef<K, V>,
    private readonly open: () => KvAccess,
  ) {}

  get name(): string {
    return this.definition.name
  }

  /** The value under a key; undefined if there is none. Throws UsageError if it is no key. */
  get(key: K): V | undefined {
    const { reader, reads, exclusive } = this.open()
    const values = this.keyValues(key)
    reads?.addKey(values, exclusive)
    return (reader.first(values) as KvRow<K, V> | undefined)?.value
  }

  /** The values under several keys, in their order; undefined where there is none. */
  getMany(keys: Iterable<K>): (V | undefined)[] {
    return Array.from(keys, key => this.get(key))
  }

  /** Is there something under a key? Does not read the value. */
  has(key: K): boolean {
    const { reader, reads, exclusive } = this.open()
    const values = this.keyValues(key)
    reads?.addKey(values, exclusive)
    return reader.find(values).next().done !== true
  }

  /**
   * Keys and values in the order of keys. What is written during the iteration shows in keys that it has not reached
   * yet. Throws UsageError on bounds that are no keys.
   */
  range(options: KvRangeOptions<K> = {}): IterableIterator<[K, V]> {
    return this.walk(options, (reader, batch, row) => {
      const { key, value } = reader.decode(batch, row) as KvRow<K, V>
      return [key, value]
    })
  }

  /** The keys alone: values are not read. */
  keys(options: KvRangeOptions<K> = {}): IterableIterator<K> {
    return this.walk(options, (_, batch, row) => keyAt(batch, row) as K)
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.range()
  }

  /** How many keys there are: of all, or within bounds. Reads keys. */
  count(options: KvRangeOptions<K> = {}): number {
    let count = 0
    for (const _ of this.keys(options)) count++
    return count
  }

  private walk<T>(
    options: KvRangeOptions<K>,
    decode: (reader: RelationReader<unknown>, batch: Batch, row: number) => T,
  ): Generator<T> {
    this.checkRange(options)
    const { reader, reads, exclusive } = this.open()
    const limit = reader.limitOf(options)
    const bounds = this.boundsOf(options)
    const ended = (limit === 0 ? undefined : reads?.addRange(bounds, exclusive)) ?? (() => {})
    const begin = options.prefix === undefined ? null : this.keyValues(options.prefix, 'prefix')[1]
    const isInside = (batch: Batch, row: number) => begin === null || beginsWith(keyAt(batch, row) as string, begin)
    return whileFound(
      reader.walkAs(bounds, limit, ended, (batch, row) =>
        isInside(batch, row) ? { value: decode(reader, batch, row) } : null,
      ),
    )
  }

  /** Throws UsageError on options that there are not: they might have been meant to spare something. */
  protected checkRange(options: unknown): void {
    mustBeOptions(`kv ${quote(this.name)}`, options, OPTIONS)
  }

  private boundsOf({ from, to, after, prefix, reverse = false }: KvRangeOptions<K>): Bounds {
    const bound = (what: string, key: K | undefined) => (key === undefined ? null : this.keyValues(key, what))
    const bounds = { from: bound('from', from), to: bound('to', to), after: bound('after', after), reverse }
    if (prefix === undefined) return bounds
    const begin = this.keyValues(prefix, 'prefix')
    const end = behind(begin[1])
    if (bounds.from === null || this.compare(begin, bounds.from) > 0) bounds.from = begin
    if (end === null) return bounds
    // Itself it does not begin with the prefix.
    const last = this.keyValues(end)
    if (!reverse) {
      if (bounds.to === null || this.compare(last, bounds.to) < 0) bounds.to = last
    } else if (bounds.after === null || this.compare(last, bounds.after) < 0) bounds.after = last
    return bounds
  }

  /** Order of two keys, as primary keys of the table. */
  private compare(a: readonly Value[], b: readonly Value[]): number {
    return compareValues(this.definition.types.key, a[1], b[1])
  }

  /** The primary key of a key. Throws UsageError if it is none. */
  protected keyValues(key: unknown, what = 'key'): [bigint, string | Uint8Array] {
    const checked = keyOf(this.definition, what, key) as string | Uint8Array
    return [headOf(checked), checked]
  }

  /** Throws UsageError on undefined, which stands for nothing. */
  protected rowOf(key: K, value: V): KvRow<K, V> {
    this.checkValue(value)
    const [head, checked] = this.keyValues(key)
    return { head, key: checked as K, value }
  }

  protected checkValue(value: V): void {
    if (value !== undefined) return
    throw new UsageError(`kv ${quote(this.name)}: expected a value, found undefined, which stands for nothing`)
  }

  /** Is what is under a key as expected? undefined: nothing is. Throws UsageError if that can be no value. */
  protected isAsExpected(key: K, expected: V | undefined): boolean {
    const found = this.get(key)
    if (expected === undefined || found === undefined) return expected === found
    const [a, b] = [expected, found].map(value => this.canonical(value))
    return compareValues(this.definition.types.value, a, b) === 0
  }

  private canonical(value: V): Value {
    if (value === null) return null
    const canonical = normalise(this.definition.types.value, value)
    if (!(canonical instanceof Problem)) return canonical
    throw new UsageError(`kv ${quote(this.name)}: value: ${canonical.message}`)
  }
}

function* whileFound<T>(items: Iterable<{ readonly value: T } | null>): Generator<T> {
  for (const item of items) {
    if (item === null) return
    yield item.value
  }
}

function keyAt(batch: Batch, row: number): Value {
  return readValue(batch, batch.layout.schema.columns[KEY], row)
}

/** The transaction that a store writes with. */
export interface KvWriter {
  upsert(table: unknown, rows: readonly KvRow<unknown, unknown>[]): void
  deleteKey(table: unknown, key: readonly unknown[]): boolean
}

/** A store in a transaction: `tx.kv(blobs)`. */
export class KvTransaction<K, V> extends KvReads<K, V> {
  /** Use `tx.kv`. */
  constructor(
    definition: KvDef<K, V>,
    open: () => KvAccess,
    private readonly writer: KvWriter,
  ) {
    super(definition, open)
  }

  /** Puts a value under a key, in place of the one that is there. Throws UsageError and RowError on what does not fit. */
  put(key: K, value: V): void {
    this.writer.upsert(this.definition.table, [this.rowOf(key, value)])
  }

  /** The same for many. */
  putAll(entries: Iterable<readonly [K, V]>): void {
    const rows = Array.from(entries, ([key, value]) => this.rowOf(key, value))
    if (rows.length > 0) this.writer.upsert(this.definition.table, rows)
  }

  /** Takes a key and its value out. Returns false if there was none. */
  delete(key: K): boolean {
    return this.writer.deleteKey(this.definition.table, this.keyValues(key))
  }

  /** Takes out all keys within bounds; returns how many. Does not read the order of what it has not reached. */
  deleteRange(options: KvRangeOptions<K>): number {
    this.checkRange(options)
    const keys = [...this.keys(options)]
    for (const key of keys) this.delete(key)
    return keys.length
  }

  /** Puts a value under a key if there is none. Returns whether it did. */
  putIfAbsent(key: K, value: V): boolean {
    this.checkValue(value)
    return this.compareAndSet(key, undefined, value)
  }

  /**
   * Puts `value` under a key (undefined: takes the key out) if what is there is equal to `expected` (undefined: nothing
   * is there). Returns whether it did.
   */
  compareAndSet(key: K, expected: V | undefined, value: V | undefined): boolean {
    if (!this.isAsExpected(key, expected)) return false
    if (value !== undefined) this.put(key, value)
    else this.delete(key)
    return true
  }
}

/** What the store of a database needs of it. `C`: what a transaction gives back. */
export interface KvHost<C> {
  transact(write: (tx: { kv<K, V>(store: KvDef<K, V>): KvTransaction<K, V> }) => void): C
}

/** A store: by its definition, or as a database has it. */
export type KvRef<K, V> = KvDef<K, V> | Kv<K, V, unknown>

/** Throws UsageError if it is none. */
export function kvOf<K, V>(call: string, store: KvRef<K, V>): KvDef<K, V> {
  const found: unknown = store instanceof KvReads ? store.definition : store
  if (typeof found === 'object' && found !== null && (found as { kind?: unknown }).kind === 'kv') return found as never
  throw new UsageError(`${call}: expected a key-value store, found ${show(store)}`)
}

/** A store of a database: `db.kv(blobs)`. Every write is a transaction of its own. */
export class Kv<K, V, C> extends KvReads<K, V> {
  /** Use `db.kv`. */
  constructor(
    definition: KvDef<K, V>,
    open: () => KvAccess,
    private readonly host: KvHost<C>,
  ) {
    super(definition, open)
  }

  /** For views: `q.from(store.table)`. To be written by the store alone. */
  get table(): KvTable<K, V> {
    return this.definition.table
  }

  /** Puts a value under a key, in place of the one that is there. Throws UsageError and RowError on what does not fit. */
  put(key: K, value: V): C {
    return this.batch(store => store.put(key, value))
  }

  /** One transaction that puts many. */
  putAll(entries: Iterable<readonly [K, V]>): C {
    return this.batch(store => store.putAll(entries))
  }

  /** Takes a key and its value out; null, and no transaction, if there was none. */
  delete(key: K): C | null {
    return this.has(key) ? this.batch(store => store.delete(key)) : null
  }

  /** One transaction that takes out all keys within bounds; null, and no transaction, if there are none. */
  deleteRange(options: KvRangeOptions<K>): C | null {
    this.checkRange(options)
    const isEmpty = this.keys({ ...options, limit: Math.min(1, options.limit ?? 1) }).next().done === true
    return isEmpty ? null : this.batch(store => store.deleteRange(options))
  }

  /** Puts a value under a key if there is none; null, and no transaction, if there is one. */
  putIfAbsent(key: K, value: V): C | null {
    this.checkValue(value)
    return this.compareAndSet(key, undefined, value)
  }

  /**
   * Puts `value` under a key (undefined: takes the key out) if what is there is equal to `expected` (undefined: nothing
   * is there); null, and no transaction, if not.
   */
  compareAndSet(key: K, expected: V | undefined, value: V | undefined): C | null {
    if (!this.isAsExpected(key, expected)) return null
    return this.batch(store => {
      if (value !== undefined) store.put(key, value)
      else store.delete(key)
    })
  }

  /** One transaction of any writes to this store: all of them or, if `write` throws, none. */
  batch(write: (store: KvTransaction<K, V>) => void): C {
    if (typeof write !== 'function') throw new UsageError(`batch: expected a function, found ${show(write)}`)
    return this.host.transact(tx => {
      const result: unknown = write(tx.kv(this.definition))
      if (!(result instanceof Promise)) return
      // Nobody else hears of what becomes of it.
      result.catch(() => undefined)
      throw new UsageError('batch: expected a function that is not async; use transact')
    })
  }
}
