/**
 * Names of operators' state: a hash of what an operator computes, over the numbers of the tables and views it reads. Two
 * processes that plan one view in one way give one name, and a plan that changed gets others, so that state of the old
 * one is not taken for its own.
 */
import { createHash } from 'node:crypto'
import { nodeCanFail, nodesOf } from '../../circuit/nodes.js'
import type { Rel, Relation } from '../../circuit/rel.js'
import { circuitText } from '../../circuit/serialise/circuit.js'
import { type Operator, UNNAMED } from '../operators/operator.js'

/** Raised whenever the state of some operator begins to mean something else. */
const VERSION = 1

export class StateNames {
  private readonly given = new Map<string, number>()

  constructor(
    private readonly owner: Relation,
    private readonly numberOf: (relation: Relation) => number,
  ) {}

  /** For an operator that only this view uses. */
  own(rel: Rel): () => string {
    return this.named(() => [this.numberOf(this.owner), this.textOf(rel)])
  }

  /**
   * For an arrangement, which views share if they arrange the same rows in the same way. A failing row is reported where it
   * was written, so what can fail is not shared.
   */
  arrangement(rel: Rel, by: unknown): () => string {
    return this.named(() => {
      const owner = nodesOf(rel).some(nodeCanFail) ? [this.numberOf(this.owner)] : []
      return ['arrange', this.textOf(rel), by, ...owner]
    })
  }

  /** For keys that are counted: of these expressions over a table, whatever columns it has besides. */
  keys(what: object): () => string {
    return this.named(() => ['keys', this.textOf(what)])
  }

  /** For an arrangement that is cut off, which no other view can share. */
  bounded(rel: Rel, by: unknown): () => string {
    return this.named(() => ['bounded', this.numberOf(this.owner), this.textOf(rel), by])
  }

  /** Names operators that were made for `rel` and have no name yet. */
  giveTo(operators: readonly Operator[], rel: Rel): void {
    for (const operator of operators) if (operator.stateName === UNNAMED) operator.stateName = this.own(rel)
  }

  /** A name is made when it is first asked for. Operators of one view that compute the same are told apart by number. */
  private named(parts: () => readonly unknown[]): () => string {
    let name: string | null = null
    return () => {
      if (name !== null) return name
      const text = JSON.stringify([VERSION, ...parts()])
      const hash = createHash('sha256').update(text).digest('hex').slice(0, 24)
      const count = this.given.get(hash) ?? 0
      this.given.set(hash, count + 1)
      name = count === 0 ? hash : `${hash}-${count}`
      return name
    }
  }

  private textOf(plan: object): string {
    return circuitText(plan, relation => `${this.numberOf(relation)}`)
  }
}
