/**
 * Running epochs: the operators with work to do, in order; then all of them commit, or, if one throws, all of them
 * abort.
 */
import type { Operator } from './operators/operator.js'

export class Scheduler {
  /** Producers before consumers. */
  private operators: Operator[] = []
  private readonly ran: Operator[] = []
  private nextId = 1

  add(operators: readonly Operator[]): void {
    for (const operator of operators) {
      operator.id = this.nextId++
      this.operators.push(operator)
    }
  }

  remove(operators: ReadonlySet<Operator>): void {
    this.operators = this.operators.filter((o) => !operators.has(o))
    for (const operator of this.operators) removeAll(operator.consumers, operators)
  }

  list(): readonly Operator[] {
    return this.operators
  }

  /**
   * Runs all dirty operators. `published` is called when every step has succeeded, before anything is committed:
   * deltas can still be read. If a step throws, nothing has happened, and the error is passed on.
   */
  run(published: () => void): void {
    this.steps(this.operators)
    try {
      published()
    } catch (error) {
      this.abort()
      throw error
    }
    for (const operator of this.ran) operator.commit()
    this.ran.length = 0
  }

  private steps(operators: readonly Operator[]): void {
    try {
      for (let o = 0; o < operators.length; o++) {
        const operator = operators[o]
        if (!operator.dirty) continue
        operator.dirty = false
        this.ran.push(operator)
        operator.run()
      }
    } catch (error) {
      this.abort()
      throw error
    }
  }

  private abort(): void {
    for (const operator of this.operators) operator.dirty = false
    for (const operator of this.ran) operator.abort()
    this.ran.length = 0
  }

  /** One epoch of new operators alone: how a view catches up with loaded tables. */
  runOnly(operators: readonly Operator[]): void {
    for (const operator of operators) operator.dirty = true
    this.steps(operators)
    for (const operator of this.ran) operator.commit()
    this.ran.length = 0
  }
}

function removeAll(list: Operator[], gone: ReadonlySet<Operator>): void {
  for (let i = list.length - 1; i >= 0; i--) if (gone.has(list[i])) list.splice(i, 1)
}
