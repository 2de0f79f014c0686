/**
 * Changes of definitions, each all or nothing: steps that have been made and may still be taken back, until all of them are
 * in the catalog as one transaction.
 */
import type { GnitzError } from '../base/errors.js'
import type { Definitions } from './definitions.js'
import type { Bookkeeping } from './durable/bookkeeping.js'
import type { Epochs } from './epochs.js'
import type { Defined } from './registry.js'

/** What a step makes and drops, sources first: what was made, and what goes once everything else has succeeded. */
export interface Changes {
  readonly created: Defined[]
  readonly removed: Defined[]
}

/** A part of a change, which has been made and may still be taken back. */
export interface Step<T> {
  readonly result: T
  /** What the catalog is to forget, and to hold. */
  readonly before: readonly Defined[]
  readonly after: readonly Defined[]
  undo(): void
  /** It is in the catalog: lets go of what was. */
  finish(): void
  /** Tells who follows it. */
  tell?(): void
}

export class Changing {
  /** Of the change that is being made. */
  private steps: Step<unknown>[] | null = null

  constructor(
    private readonly definitions: Definitions,
    private readonly epochs: Epochs,
    /** Keeps the catalog; null in memory. */
    private readonly books: Bookkeeping | null,
  ) {}

  /** Makes and drops what `change` lists, which it has made and unregistered. */
  define<T>(change: (changes: Changes) => T): T {
    return this.carryOut(() => {
      const changes: Changes = { created: [], removed: [] }
      const { created, removed } = changes
      const undo = () => {
        this.definitions.restore(removed)
        this.definitions.remove(created.reverse())
      }
      try {
        const result = change(changes)
        return { result, before: removed, after: created, undo, finish: () => this.definitions.remove(removed) }
      } catch (error) {
        undo()
        throw error
      }
    })
  }

  /** Makes a step; by itself, it is all of a change. */
  carryOut<T>(make: () => Step<T>): T {
    if (this.steps === null) return this.together(() => this.carryOut(make))
    const step = make()
    this.steps.push(step)
    return step.result
  }

  /** Carries out steps, and puts them into the catalog as one transaction: all of them or, if anything throws, none. */
  together<T>(change: () => T): T {
    const { definitions } = this
    const steps: Step<unknown>[] = []
    let result: T
    let failure: GnitzError | null
    this.steps = steps
    this.epochs.state = 'building'
    definitions.keepsAll = true
    try {
      try {
        result = change()
        const [created, removed] = [steps.flatMap(s => s.after), steps.flatMap(s => s.before)]
        failure = this.books?.record(created, removed) ?? null
      } catch (error) {
        for (const step of steps.reverse()) step.undo()
        definitions.durability?.settle()
        throw error
      } finally {
        this.steps = null
        this.epochs.state = 'idle'
      }
      for (const step of steps) step.finish()
    } finally {
      definitions.keepsAll = false
      definitions.collect()
    }
    for (const step of steps) step.tell?.()
    if (failure !== null) throw failure
    return result
  }
}
