/**
 * Failed rows as data: an expression that fails on a row does not stop the epoch. The failure is kept here with the
 * row's weight, and goes away when the row is retracted.
 */
import type { Value } from '../schema/types.js'

/** A failed row: the message, and the values the expression saw. */
export interface Failure {
  readonly message: string
  readonly row: readonly Value[]
}

export interface FailureEntry extends Failure {
  weight: bigint
}

export class ErrorSet {
  private readonly entries = new Map<string, FailureEntry>()
  private staged: { failure: Failure; weight: bigint }[] = []

  /** Records a failure in the running epoch. */
  add(failure: Failure, weight: bigint): void {
    this.staged.push({ failure, weight })
  }

  commit(): void {
    if (this.staged.length === 0) return
    for (const { failure, weight } of this.staged) {
      const key = `${failure.message}\0${failure.row.map(textOf).join('\0')}`
      const entry = this.entries.get(key)
      if (entry === undefined) this.entries.set(key, { ...failure, weight })
      else if (entry.weight + weight === 0n) this.entries.delete(key)
      else entry.weight += weight
    }
    this.staged = []
  }

  abort(): void {
    if (this.staged.length > 0) this.staged = []
  }

  get size(): number {
    return this.entries.size
  }

  list(): FailureEntry[] {
    return [...this.entries.values()].map(entry => ({ ...entry }))
  }
}

function textOf(value: Value): string {
  return value instanceof Uint8Array ? `bytes:${value.join(',')}` : `${typeof value}:${String(value)}`
}

/** Takes failures that another operator already records. */
export const SILENT = { add(_failure: Failure, _weight: bigint): void {} }
