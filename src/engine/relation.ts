/** What tables and views of a database have in common: they are read by key and range, followed, and counted. */
import { type DecodeRow, type ProjectRow, rowDecoder, rowProjector } from '../../codegen/decode.js'
import { readValue } from '../../codegen/expr/plain.js'
import { type CodeContext, SourceList } from '../../codegen/steps.js'
import { quote, show, UsageError } from '../base/errors.js'
import { mustBeOptions } from '../base/options.js'
import { flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import { TYPES, type TypeName, type Value } from '../schema/types.js'
import { equalValues, normalise, Problem } from '../schema/values.js'
import { Batch } from '../zset/batch.js'
import { type KeyInput, RANGE_OPTIONS, type RangeOptions } from './keys.js'
import type { Delta } from './operators/operator.js'
import { type Bounds, consolidated, EVERYTHING, keyColumns, type Reader, type RowRef } from './read.js'
import { compareRows, type Layer, readOver } from './read-over.js'
import { OverlayShape } from './transactions/overlay.js'

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

/** Most rows that are put into one array: beyond about this many elements the platform ends the process. */
const MAX_ROWS = 2 ** 26

/** The last row of an iteration: its key, and where that does not say where to go on, the row. */
interface Place {
  key: Value[] | null
  row: Batch | null
}

export class RelationReader<R> {
  private decoders = new Map<Layout, DecodeRow>()
  private projectors = new Map<Layout, ProjectRow>()
  private subscribers = new Set<Subscriber<R>>()
  private captured: Changes<R> | null = null

  /** Kind and name, for messages. */
  what: string
  private readonly flat: Layout
  private overlays: OverlayShape | null = null
  /** Iterations go on when something has changed: where they were, or, where rows may be written, after the key. */
  private resumes: 'no' | 'rows' | 'keys' = 'no'

  /** `version` counts the relation's changes. */
  constructor(
    readonly definition: { readonly kind: string; readonly schema: RowSchema },
    readonly key: readonly number[],
    private readonly context: CodeContext,
    private readonly reader: Reader,
    readonly version: () => number,
  ) {
    this.what = `${definition.kind} ${quote(definition.schema.name)}`
    this.flat = flatLayout(definition.schema)
  }

  get schema(): RowSchema {
    return this.flat.schema
  }

  /** How Z-sets lie that are laid over this relation. */
  get shape(): OverlayShape {
    this.overlays ??= new OverlayShape(this.schema, this.key, this.context)
    return this.overlays
  }

  /**
   * The same relation with rows laid over it. An iteration may be interrupted by changes of either: it goes on with
   * what then comes next.
   */
  over(layer: Layer): RelationReader<R> {
    const { definition, key, context } = this
    const reader = new RelationReader<R>(definition, key, context, readOver(this.reader, layer), () => layer.version())
    reader.resumes = layer.written ? 'keys' : 'rows'
    reader.decoders = this.decoders
    reader.projectors = this.projectors
    return reader
  }

  /** Copies a row to row k of a flat batch, but for its weight. */
  project(batch: Batch, row: number, flat: Batch, k: number): void {
    let projector = this.projectors.get(batch.layout)
    if (projector === undefined) {
      projector = rowProjector(this.context, batch.layout, this.schema, new SourceList())
      this.projectors.set(batch.layout, projector)
    }
    projector(batch, row, flat, k)
  }

  /** The row as users see it. */
  decode(batch: Batch, row: number): R {
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

  /** Rows where they lie: not to be kept. */
  refs(bounds: Bounds): Generator<RowRef> {
    return this.reader.range(bounds)
  }

  entries(bounds: Bounds = EVERYTHING): Generator<Entry<R>> {
    return this.entriesIn(this.reader.range(bounds))
  }

  /** Rows as often as their weight says. Throws if a weight is negative. */
  private *bag<T>(entries: Iterable<Entry<T>>): Generator<T> {
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
    return this.first(this.keyOf(key, true))
  }

  /** The first row with a key that has been checked. */
  first(key: readonly Value[]): R | undefined {
    for (const row of this.bag(this.entriesIn(this.reader.find(key)))) return row
    return undefined
  }

  getAll(key: KeyInput): R[] {
    return this.all(this.keyOf(key, true))
  }

  /** All rows with a key that has been checked. */
  all(key: readonly Value[]): R[] {
    return this.listed(this.entriesIn(this.reader.find(key)))
  }

  /** All rows with a key, where they lie: not to be kept. */
  find(key: readonly Value[]): Generator<RowRef> {
    return this.reader.find(key)
  }

  range(options: RangeOptions): Generator<R> {
    return this.walk(this.boundsOf(options), this.limitOf(options))
  }

  /** Throws UsageError unless it is a whole number, or left out. */
  limitOf({ limit = Infinity }: Pick<RangeOptions, 'limit'>): number {
    if (limit === Infinity || (Number.isSafeInteger(limit) && limit >= 0)) return limit
    throw new UsageError(`${this.what}: expected a limit of 0 or more, found ${show(limit)}`)
  }

  /** Throws UsageError on options that there are not, and on keys that are none. */
  boundsOf(options: RangeOptions): Bounds {
    mustBeOptions(`${this.what}: range`, options, RANGE_OPTIONS)
    const { from, to, after, reverse = false } = options
    const bound = (key: KeyInput | undefined) => (key === undefined ? null : this.keyOf(key, false))
    return { from: bound(from), to: bound(to), after: bound(after), reverse }
  }

  /**
   * Rows within bounds, at most `limit`. `ended` is told when the reader stops: the key of the last row if it stopped
   * there, null if there were no more.
   */
  walk(bounds: Bounds, limit: number, ended?: (last: Value[] | null) => void): Generator<R> {
    return this.walkAs(bounds, limit, ended ?? (() => {}), (batch, row) => this.decode(batch, row))
  }

  /** The same with rows as `decode` gives them. */
  *walkAs<T>(
    bounds: Bounds,
    limit: number,
    ended: (last: Value[] | null) => void,
    decode: (batch: Batch, row: number) => T,
  ): Generator<T> {
    if (limit === 0) return
    const place: Place = { key: null, row: null }
    let left = limit
    let exhausted = false
    try {
      for (const entry of this.walkEntries(bounds, place, decode)) {
        for (const row of this.bag([entry])) {
          yield row
          if (--left === 0) return
        }
      }
      exhausted = true
    } finally {
      ended(exhausted ? null : place.key)
    }
  }

  private walkEntries<T>(bounds: Bounds, place: Place, decode: (batch: Batch, row: number) => T): Generator<Entry<T>> {
    if (this.resumes === 'keys') return this.walkKeys(bounds, place, decode)
    return this.walkRows(bounds, place, decode)
  }

  /** The rows of a key are taken together, so that what is written to that key does not come again. */
  private *walkKeys<T>(bounds: Bounds, place: Place, decode: (batch: Batch, row: number) => T): Generator<Entry<T>> {
    let from = bounds
    for (let moved = true; moved; ) {
      const version = this.version()
      moved = false
      let group: Entry<T>[] = []
      for (const { batch, row, weight } of this.reader.range(from)) {
        if (group.length > 0 && !this.hasKey(place.key ?? [], batch, row)) {
          yield* group
          group = []
          moved = this.version() !== version
          if (moved) break
        }
        if (group.length === 0) place.key = this.keyAt(batch, row)
        group.push({ row: decode(batch, row), weight })
      }
      if (group.length > 0) {
        yield* group
        moved = this.version() !== version
      }
      if (moved) from = { ...bounds, after: place.key }
    }
  }

  private hasKey(key: readonly Value[], batch: Batch, row: number): boolean {
    return this.key.every((k, n) => {
      const column = this.schema.columns[k]
      return equalValues(column.type, key[n], readValue(batch, column, row))
    })
  }

  /** Where iterations go on after changes, `place` gets a copy of the last row. */
  private *walkRows<T>(bounds: Bounds, place: Place, decode: (batch: Batch, row: number) => T): Generator<Entry<T>> {
    const columns = keyColumns(
      this.schema,
      this.key.map(k => this.schema.columns[k]),
    )
    const step = bounds.reverse ? -1 : 1
    let from = bounds
    let resumed = false
    for (let moved = true; moved; ) {
      const version = this.version()
      moved = false
      for (const ref of this.reader.range(from)) {
        if (this.resumes === 'rows') {
          const last = place.row
          if (resumed && last !== null && compareRows(columns, ref, { batch: last, row: 0, weight: 0n }) * step <= 0) {
            continue
          }
          resumed = false
          this.copyTo(place, ref)
        }
        yield { row: decode(ref.batch, ref.row), weight: ref.weight }
        if (this.version() === version) continue
        // State is changed in place: what comes next may have moved.
        if (this.resumes === 'no') {
          throw new UsageError(`${this.what} changed while it was iterated over; take rows() or entries() first`)
        }
        from = { ...bounds, after: null, [bounds.reverse ? 'to' : 'from']: place.key }
        resumed = moved = true
        break
      }
    }
  }

  private copyTo(place: Place, { batch, row }: RowRef): void {
    place.row ??= new Batch(this.flat, 1)
    place.row.clear()
    this.project(batch, row, place.row, 0)
    place.row.length = 1
    place.key = this.keyAt(batch, row)
  }

  /** The key of a row. */
  keyAt(batch: Batch, row: number): Value[] {
    return this.key.map(k => readValue(batch, this.schema.columns[k], row))
  }

  size(): { rows: number; weight: bigint } {
    return this.reader.size()
  }

  /** Key values in key order. Throws UsageError naming the column where one does not fit. */
  keyOf(input: KeyInput, whole: boolean): Value[] {
    const columns = this.key.map(k => this.schema.columns[k])
    const names = columns.map(c => quote(c.name)).join(', ')
    const given = this.nestedKey(input) ?? this.keyParts(input, names)
    if (given.length > columns.length || given.length === 0 || (whole && given.length < columns.length)) {
      throw new UsageError(`${this.what}: expected a key of ${names}, found ${given.length} values${this.wrapHint()}`)
    }
    return given.map((value, k) => {
      if (value === null && columns[k].nullable) return null
      const canonical = normalise(columns[k].type, value)
      if (!(canonical instanceof Problem)) return canonical
      throw new UsageError(`${this.what}: key column ${quote(columns[k].name)}: ${canonical.message}`)
    })
  }

  /**
   * The value of a key's one column, if that is an array, struct, map or interval that is given as it is. What is a list or
   * record of key values as well is taken for that; so json, which may be anything, and what is nested in an array
   * have to be given as `[value]`.
   */
  private nestedKey(input: KeyInput): unknown[] | null {
    if (this.key.length !== 1 || typeof input !== 'object' || input === null) return null
    const { name, type } = this.schema.columns[this.key[0]]
    if (!takesBare(type) || normalise(type, input) instanceof Problem) return null
    const listed = Array.isArray(input)
      ? input
      : Object.hasOwn(input, name)
        ? [(input as Record<string, unknown>)[name]]
        : []
    return listed.length === 1 && !(normalise(type, listed[0]) instanceof Problem) ? null : [input]
  }

  /** How a key of one column is given that could be mistaken for several values. */
  private wrapHint(): string {
    const isNested = this.key.length === 1 && TYPES[this.schema.columns[this.key[0]].type].shape !== null
    return isNested ? '; give the one value as [value]' : ''
  }

  private keyParts(input: KeyInput, names: string): unknown[] {
    if (Array.isArray(input)) return [...(input as unknown[])]
    const isRecord =
      typeof input === 'object' && input !== null && !(input instanceof Uint8Array) && !(input instanceof Date)
    if (!isRecord) return [input]
    const record = input as Readonly<Record<string, unknown>>
    for (const name of Object.keys(record)) {
      if (!this.key.some(k => this.schema.columns[k].name === name)) {
        throw new UsageError(`${this.what}: ${quote(name)} is not part of the key, which is ${names}${this.wrapHint()}`)
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

  /** Goes by another name in messages. */
  rename(name: string): void {
    this.what = `${this.definition.kind} ${quote(name)}`
  }

  /** Goes on serving the subscribers of another reader. */
  takeSubscribers(from: RelationReader<R>): void {
    for (const subscriber of from.subscribers) this.subscribers.add(subscriber)
    from.subscribers = this.subscribers
  }

  /** Takes the epoch's delta as rows, while it can still be read. */
  capture(delta: Delta | null, lsn: bigint): boolean {
    if (delta === null || this.subscribers.size === 0) return false
    const refs = changesIn(this.flat, delta)
    if (refs.length === 0) return false
    this.captured = { lsn, changes: [...this.entriesIn(refs)] }
    return true
  }

  /** Forgets captured changes: the epoch has not happened. */
  discard(): void {
    this.captured = null
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

/** May a value of this type be given as a key without a list around it? Not where a list of one might be one, too. */
function takesBare(type: TypeName): boolean {
  const { shape } = TYPES[type]
  if (shape === null || shape.kind === 'json' || shape.kind === 'decimal') return false
  return shape.kind !== 'array' || TYPES[shape.element.type].shape === null
}

/** The net rows of a delta; of one that is sorted by key already, in that order. */
function changesIn(flat: Layout, { batch, from, to }: Delta): RowRef[] {
  if (batch.layout.key.kind === 'none' || batch.order !== 'consolidated') return consolidated(flat, batch, from, to)
  return Array.from({ length: to - from }, (_, i) => ({ batch, row: from + i, weight: batch.weights[from + i] }))
}
