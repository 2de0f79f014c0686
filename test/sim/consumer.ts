/**
 * A subscriber with a name that lives longer than the database: it keeps what it is told, as of every LSN, and finds its way
 * back when it hears of the last transactions again.
 */
import type { NamedChanges, NamedOptions } from '../../src/engine/durable/subscriptions.js'
import type { Entry } from '../../src/engine/relation.js'
import { text } from './database-model.js'

/** Weights of rows. */
type Contents = ReadonlyMap<string, bigint>
type Event = Pick<NamedChanges<object>, 'changes' | 'from' | 'lsn' | 'reset'>

interface Followed {
  subscribe(told: (event: Event) => void, options: NamedOptions): () => void
  entries(): Entry<object>[]
}

export class Consumer {
  /** What it has, by LSN, oldest first. */
  private history: { readonly lsn: bigint; readonly rows: Contents }[] = []
  private failure: unknown = null
  /** Counts those that it has seen. */
  private process = 0
  private following: { readonly handle: Followed; readonly stop: () => void } | null = null

  /** `forgetful`: it leaves it to the database to know where it is. */
  constructor(
    readonly name: string,
    private readonly forgetful: boolean,
  ) {}

  get isAttached(): boolean {
    return this.following !== null
  }

  /** `known`: up to where the database knows that it was told, if it knows it at all. */
  attach(handle: Followed, known: bigint | undefined, tally: { told: number; resets: number }): void {
    // What cancels out since then is not told, so it goes on from there.
    if (this.forgetful) this.rewind(known ?? 0n)
    const after = this.history.at(-1)?.lsn
    const { process } = this
    const told = (event: Event) => {
      // Promises of a process that has gone may end all the same.
      if (process !== this.process) return
      tally.told++
      if (event.reset) tally.resets++
      this.take(event)
    }
    const onError = (error: unknown) => {
      if (process === this.process) this.failure = error
    }
    const options = { name: this.name, onError, ...(this.forgetful || after === undefined ? {} : { after }) }
    this.following = { handle, stop: handle.subscribe(told, options) }
  }

  private take({ changes, from, lsn, reset }: Event): void {
    const known = this.history.findLast(h => h.lsn <= from)
    if (!reset && known === undefined)
      throw new Error(`${this.name}: told of changes since ${from}, which it never had`)
    const rows = new Map(reset ? [] : known?.rows)
    for (const { row, weight } of changes) {
      const key = textOf(row)
      const sum = (rows.get(key) ?? 0n) + weight
      if (sum === 0n) rows.delete(key)
      else rows.set(key, sum)
    }
    this.history = [...this.history.filter(h => (reset ? h.lsn < lsn : h.lsn <= from)), { lsn, rows }]
  }

  /** Has it what is there? */
  check(): void {
    const entries = this.following?.handle.entries() ?? []
    if (this.failure !== null) throw this.failure
    const list = (rows: Iterable<readonly [string, bigint]>) =>
      Array.from(rows, ([row, weight]) => `${weight} ${row}`)
        .sort()
        .join(', ')
    const expected = list(entries.map(({ row, weight }) => [textOf(row), weight] as const))
    const found = list(this.history.at(-1)?.rows ?? [])
    if (expected !== found) throw new Error(`subscriber ${this.name}: expected ${expected}, found ${found}`)
  }

  end(): void {
    this.following?.stop()
    this.following = null
  }

  /** Forgets what a crash has taken back, as one must before other transactions have these numbers. */
  rewind(lsn: bigint): void {
    this.history = this.history.filter(h => h.lsn <= lsn)
  }

  /** The process has gone. */
  lose(): void {
    this.process++
    this.following = null
  }
}

const textOf = (row: object): string => text(Object.entries(row))
