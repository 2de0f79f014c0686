/**
 * Loops in plans: which nodes are inside of which loop, and what crosses its border. Operators inside are run by the loop's
 * fixpoint, not by the scheduler; what they read from outside comes through imports.
 */
import { inputsOf } from '../circuit/nodes.js'
import type { Loop, Rel, VariableDefinition } from '../circuit/rel.js'
import { type Arranged, ArrangeOperator } from './operators/arrange.js'
import type { VariableOperator } from './operators/fixpoint.js'
import { ImportedArrangement, ImportedProducer, type LoopArrange } from './operators/loop.js'
import type { Operator, Producer } from './operators/operator.js'
import type { SharedArrangement } from './sharing.js'

/** A loop while it is planned. */
export class LoopPlan {
  readonly gate = { isOpen: false }
  /** Operators inside, producers before consumers; without the variables. */
  readonly body: Operator[] = []
  readonly outside = new Set<Operator>()
  /** Arrangements inside, by what and how they arrange. */
  readonly arrangements = new Map<string, LoopArrange>()
  readonly shared: SharedArrangement[] = []
  private readonly members = new Set<Operator>()
  private readonly imports = new Map<Operator, ImportedArrangement | ImportedProducer>()

  constructor(
    readonly loop: Loop,
    readonly producers: readonly VariableOperator[],
  ) {
    for (const producer of producers) this.members.add(producer)
  }

  /** The variable's producer, if it is one of this loop. */
  producerOf(variable: VariableDefinition): VariableOperator | undefined {
    return this.producers[this.loop.variables.indexOf(variable)]
  }

  add(operator: Operator): void {
    this.body.push(operator)
    this.members.add(operator)
    for (const input of operator.inputs()) {
      if (!this.members.has(input)) this.outside.add(input)
      else if (!input.consumers.includes(operator)) input.consumers.push(operator)
    }
  }

  /** The producer as operators inside read it. */
  within(producer: Producer): Producer {
    if (this.members.has(producer)) return producer
    return this.import(producer, () => new ImportedProducer(producer, this.gate))
  }

  /** The arrangement as joins inside read it. */
  arranged(arrangement: Arranged): Arranged {
    if (this.members.has(arrangement.operator) || !(arrangement instanceof ArrangeOperator)) return arrangement
    return this.import(arrangement, () => new ImportedArrangement(arrangement, this.gate))
  }

  private import<I extends ImportedArrangement | ImportedProducer>(outer: Operator, make: () => I): I {
    let imported = this.imports.get(outer)
    if (imported === undefined) {
      imported = make()
      this.imports.set(outer, imported)
    }
    return imported as I
  }
}

/** The loops of a plan. */
export class Loops {
  private readonly plans: LoopPlan[] = []
  private readonly known = new Map<Rel, LoopPlan | null>()

  add(plan: LoopPlan): void {
    this.plans.push(plan)
  }

  /** The loop that computes the relation: the one on whose variables it depends; null if there is none. */
  of(rel: Rel): LoopPlan | null {
    let loop = this.known.get(rel)
    if (loop === undefined) {
      loop = this.find(rel)
      this.known.set(rel, loop)
    }
    return loop
  }

  private find(rel: Rel): LoopPlan | null {
    if (rel.kind === 'source') {
      const { relation } = rel
      if (relation.kind !== 'variable') return null
      return this.plans.find(plan => plan.producerOf(relation) !== undefined) ?? null
    }
    // A fixpoint is complete.
    if (rel.kind === 'fixpoint') return null
    for (const input of inputsOf(rel)) {
      const loop = this.of(input)
      if (loop !== null) return loop
    }
    return null
  }
}
