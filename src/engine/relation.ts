/** What tables and views of a database have in common: they are read by key and range, followed, and counted. */
import { type DecodeRow, rowDecoder } from '../../codegen/decode.js'
import type { CodeContext } from '../../codegen/steps.js'
import { quote, show, UsageError } from '../base/errors.js'
import type { Relation } from '../circuit/rel.js'
import { flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import type { Value } from '../schema/types.js'
import { normalise, Problem } from '../schema/values.js'
import type { Batch } from '../zset/batch.js'
import type { Delta } from './operators/operator.js'
import { type Bounds, consolidated, EVERYTHING, type Reader, type RowRef } from './read.js'

/** A row with its weight. */
export interface Entry<R> {
  readonly row: R
  readonly weight: bigint
}

/** What a subscriber gets: the consolidated change of one epoch. */
export interface Changes<R> {
  readonly lsn: bigint
  readonly changes: readonly Entry<R>[]
}

export type Subscriber<R> = (delta: Changes<R>) => void

/** A key: the value of a single key column, or the values by name or in order. A range may give a prefix. */
export type KeyInput = Value | readonly unknown[] | Readonly<Record<string, unknown>> | Date

export interface RangeOptions {
  /** Inclusive bounds. */
  readonly from?: KeyInput
  readonly to?: KeyInput
  /** Exclusive lower bound in the direction of reading: where the last page ended. */
  readonly after?: KeyInput
  readonly reverse?: boolean
  readonly limit?: number
}

/** Most rows that are put into one array: beyond about this many elements the platform ends the process. */
const MAX_ROWS = 2 ** 26

export class RelationReader<R> {
  private readonly decoders = new Map<Layout, DecodeRow>()
  private readonly subscribers = new Set<Subscriber<R>>()
  private captured: Changes<R> | null = null

  private readonly what: string
  private readonly flat: Layout

  /** `version` counts the relation's changes. */
  constructor(
    definition: Relation,
    private readonly key: readonly number[],
    private readonly context: CodeContext,
    private readonly reader: Reader,
    private readonly version: () => number,
  ) {
    this.what = `${definition.kind} ${quote(definition.schema.name)}`
    this.flat = flatLayout(definition.schema)
  }

  get schema(): RowSchema {
    return this.flat.schema
  }

  private decode(batch: Batch, row: number): R {
    let decoder = this.decoders.get(batch.layout)
    if (decoder === undefined) {
      decoder = rowDecoder(this.context, batch.layout)
      this.decoders.set(batch.layout, decoder)
    }
    return decoder(batch, row) as R
  }

  private *entriesIn(rows: Iterable<RowRef>): Generator<Entry<R>> {
    for (const { batch, row, weight } of rows) yield { row: this.decode(batch, row), weight }
  }

  entries(bounds: Bounds = EVERYTHING): Generator<Entry<R>> {
    return this.entriesIn(this.reader.range(bounds))
  }

  /** Rows as often as their weight says. Throws if a weight is negative. */
  private *bag(entries: Iterable<Entry<R>>): Generator<R> {
    for (const { row, weight } of entries) {
      if (weight < 0n) {
        const found = `a row has weight ${weight}: more of it was retracted than inserted; entries() lists it`
        throw new UsageError(`${this.what} cannot be listed as rows: ${found}`)
      }
      for (let n = 0n; n < weight; n++) yield row
    }
  }

  rows(): R[] {
    return this.listed(this.entries())
  }

  private listed(entries: Iterable<Entry<R>>): R[] {
    const out: R[] = []
    for (const entry of entries) {
      if (out.length + Number(entry.weight) > MAX_ROWS) {
        throw new UsageError(
          `${this.what} has more than ${MAX_ROWS} rows, each as often as its weight says; use entries()`,
        )
      }
      for (const row of this.bag([entry])) out.push(row)
    }
    return out
  }

  get(key: KeyInput): R | undefined {
    for (const row of this.bag(this.entriesIn(this.reader.find(this.keyOf(key, true))))) return row
    return undefined
  }

  getAll(key: KeyInput): R[] {
    return this.listed(this.entriesIn(this.reader.find(this.keyOf(key, true))))
  }

  range(options: RangeOptions): Generator<R> {
    const { limit = Infinity, reverse = false } = options
    if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 0)) {
      throw new UsageError(`${this.what}: expected a limit of 0 or more, found ${show(limit)}`)
    }
    const bound = (key: KeyInput | undefined) => (key === undefined ? null : this.keyOf(key, false))
    const bounds = { from: bound(options.from), to: bound(options.to), after: bound(options.after), reverse }
    return this.walk(bounds, limit)
  }

  private *walk(bounds: Bounds, limit: number): Generator<R> {
    let left = limit
    if (left === 0) return
    const version = this.version()
    for (const row of this.bag(this.entries(bounds))) {
      yield row
      if (--left === 0) return
      // State is changed in place: what comes next may have moved.
      if (this.version() !== version) {
        throw new UsageError(`${this.what} changed while it was iterated over; take rows() or entries() first`)
      }
    }
  }

  size(): { rows: number; weight: bigint } {
    return this.reader.size()
  }

  /** Key values in key order. Throws UsageError naming the column where one does not fit. */
  private keyOf(input: KeyInput, whole: boolean): Value[] {
    const columns = this.key.map(k => this.schema.columns[k])
    const names = columns.map(c => quote(c.name)).join(', ')
    const given = this.keyParts(input, names)
    if (given.length > columns.length || given.length === 0 || (whole && given.length < columns.length)) {
      throw new UsageError(`${this.what}: expected a key of ${names}, found ${given.length} values`)
    }
    return given.map((value, k) => {
      if (value === null && columns[k].nullable) return null
      const canonical = normalise(columns[k].type, value)
      if (!(canonical instanceof Problem)) return canonical
      throw new UsageError(`${this.what}: key column ${quote(columns[k].name)}: ${canonical.message}`)
    })
  }

  private keyParts(input: KeyInput, names: string): unknown[] {
    if (Array.isArray(input)) return [...(input as unknown[])]
    const isRecord =
      typeof input === 'object' && input !== null && !(input instanceof Uint8Array) && !(input instanceof Date)
    if (!isRecord) return [input]
    const record = input as Readonly<Record<string, unknown>>
    for (const name of Object.keys(record)) {
      if (!this.key.some(k => this.schema.columns[k].name === name)) {
        throw new UsageError(`${this.what}: ${quote(name)} is not part of the key, which is ${names}`)
      }
    }
    const parts: unknown[] = []
    for (const k of this.key) {
      const { name } = this.schema.columns[k]
      if (!Object.hasOwn(record, name)) break
      parts.push(record[name])
    }
    if (parts.length < Object.keys(record).length) {
      throw new UsageError(`${this.what}: the key is ${names}; a bound gives the first of them`)
    }
    return parts
  }

  // ---- following

  get isFollowed(): boolean {
    return this.subscribers.size > 0
  }

  subscribe(subscriber: Subscriber<R>): () => void {
    if (typeof subscriber !== 'function') {
      throw new UsageError(`${this.what}: expected a function to call with changes, found ${show(subscriber)}`)
    }
    // A wrapper, so that one function may be subscribed twice.
    const own: Subscriber<R> = delta => subscriber(delta)
    this.subscribers.add(own)
    return () => void this.subscribers.delete(own)
  }

  /** Takes the epoch's delta as rows, while it can still be read. */
  capture(delta: Delta | null, lsn: bigint): boolean {
    if (delta === null || this.subscribers.size === 0) return false
    const refs = consolidated(this.flat, delta.batch, delta.from, delta.to)
    if (refs.length === 0) return false
    this.captured = { lsn, changes: [...this.entriesIn(refs)] }
    return true
  }

  /** Hands captured changes to all subscribers; collects what they throw. */
  deliver(failures: unknown[]): void {
    const delta = this.captured
    this.captured = null
    if (delta === null) return
    for (const subscriber of [...this.subscribers]) {
      if (!this.subscribers.has(subscriber)) continue
      try {
        subscriber(delta)
      } catch (error) {
        failures.push(error)
      }
    }
  }
}
