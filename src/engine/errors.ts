/**
 * Failed rows as data: an expression that fails on a row does not stop the epoch. The failure is kept here with the
 * row's weight, and goes away when the row is retracted.
 */
import type { TypeName, Value } from '../schema/types.js'

/** A failed row: the message, and the values the expression saw; of what fails on a group, its key. */
export interface Failure {
  readonly message: string
  readonly row: readonly Value[]
  /** What the user wrote that failed, like `map "ratio"`; null if that is not known. Follows from the rest. */
  readonly operator: string | null
  /** What the values of the row are. */
  readonly columns: readonly FailureColumn[]
}

export interface FailureColumn {
  readonly name: string
  readonly type: TypeName
}

export const failureColumns = (columns: readonly FailureColumn[]): FailureColumn[] =>
  columns.map(({ name, type }) => ({ name, type }))

export interface FailureEntry extends Failure {
  weight: bigint
}

export class ErrorSet {
  private readonly entries = new Map<string, FailureEntry>()
  private staged: { failure: Failure; weight: bigint }[] = []
  /** What changed since the set was last written somewhere; null if nobody writes it. */
  private changes: Map<string, FailureEntry> | null = null

  /** Records a failure in the running epoch. */
  add(failure: Failure, weight: bigint): void {
    this.staged.push({ failure, weight })
  }

  commit(): void {
    if (this.staged.length === 0) return
    for (const { failure, weight } of this.staged) {
      addTo(this.entries, failure, weight)
      if (this.changes !== null) addTo(this.changes, failure, weight)
    }
    this.staged = []
  }

  /** Begins with these failures, and notes from now on what changes. REQUIRES: it is empty. */
  restore(failures: Iterable<FailureEntry>): void {
    for (const { weight, ...failure } of failures) addTo(this.entries, failure, weight)
    this.changes = new Map()
  }

  /** What changed since `restore` or the last call. */
  takeChanges(): FailureEntry[] {
    const taken = [...(this.changes?.values() ?? [])]
    this.changes = new Map()
    return taken
  }

  /** Changes that could not be written. */
  putBack(changes: Iterable<FailureEntry>): void {
    this.changes ??= new Map()
    for (const { weight, ...failure } of changes) addTo(this.changes, failure, weight)
  }

  /** Is there anything to be written? */
  get isChanged(): boolean {
    return this.changes !== null && this.changes.size > 0
  }

  abort(): void {
    if (this.staged.length > 0) this.staged = []
  }

  get size(): number {
    return this.entries.size
  }

  /** The running epoch adds or removes failures. */
  get changing(): boolean {
    return this.staged.length > 0
  }

  list(): FailureEntry[] {
    return [...this.entries.values()].map(entry => ({ ...entry }))
  }
}

function addTo(entries: Map<string, FailureEntry>, failure: Failure, weight: bigint): void {
  const key = `${failure.message}\0${failure.row.map(textOf).join('\0')}`
  const entry = entries.get(key)
  if (entry === undefined) entries.set(key, { ...failure, weight })
  else if (entry.weight + weight === 0n) entries.delete(key)
  else entry.weight += weight
}

function textOf(value: Value): string {
  return value instanceof Uint8Array ? `bytes:${value.join(',')}` : `${typeof value}:${String(value)}`
}

/** Takes failures that another operator already records. */
export const SILENT = { add(_failure: Failure, _weight: bigint): void {} }
