/**
 * The laws of incremental views. Each runs a case on a fresh database its own way and compares with the oracle;
 * a breach is thrown as a `LawViolation`.
 */
import { difference, type Interpretation, interpret, printZSet, type ZSet } from '../circuit/interpret.js'
import type { ViewDefinition } from '../circuit/rel.js'
import type { Change, Step } from './arbitraries.js'
import type { Case } from './cases.js'
import { type Runner, type RunnerFactory, type RunningView, Tables, viewsOf } from './runner.js'

export class LawViolation extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LawViolation'
  }
}

export interface Law {
  readonly name: string
  /** `shuffle` decides what the law leaves open, e.g. how a delta is split. Throws LawViolation. */
  readonly run: (factory: RunnerFactory, test: Case, shuffle: number) => void
}

/** A database under test next to the tables as the oracle sees them. */
class Trial {
  readonly tables = new Tables()
  private readonly running = new Map<ViewDefinition, RunningView>()
  private readonly runner: Runner
  private transactions = 0
  /** What the oracle says of the tables as they are. */
  private readonly expected = new Map<ViewDefinition, Interpretation>()
  /** Set once a weight left i64 in the oracle: the database may have refused, nothing is comparable any more. */
  overflow = false

  constructor(factory: RunnerFactory, test: Case) {
    this.runner = factory(test.tables)
  }

  /** Creates the views that are not there yet. */
  create(...views: readonly ViewDefinition[]): void {
    this.noteOverflow(views)
    if (this.overflow) return
    for (const view of views) {
      if (!this.running.has(view)) this.running.set(view, this.runner.createView(view))
    }
  }

  drop(...views: readonly ViewDefinition[]): void {
    for (const view of views) {
      this.running.get(view)?.drop()
      this.running.delete(view)
    }
  }

  apply(step: Step): void {
    this.tables.apply(step)
    this.expected.clear()
    this.transactions++
    this.noteOverflow(this.running.keys())
    if (this.overflow) return
    try {
      this.runner.apply(step)
    } catch (problem) {
      throw new LawViolation(`${this.where()}: the transaction failed: ${String(problem)}`, { cause: problem })
    }
  }

  /** Compares all running views with the oracle. */
  verify(): void {
    if (this.overflow) return
    for (const [view, running] of this.running) this.compare(view, running, this.interpret(view))
  }

  close(): void {
    this.runner.close()
  }

  private noteOverflow(views: Iterable<ViewDefinition>): void {
    for (const view of views) this.overflow ||= this.interpret(view).overflow
  }

  private interpret(view: ViewDefinition): Interpretation {
    let expected = this.expected.get(view)
    if (expected === undefined) {
      expected = interpret(view.rel, this.tables.contents, this.tables.signals)
      this.expected.set(view, expected)
    }
    return expected
  }

  private compare(view: ViewDefinition, running: RunningView, expected: Interpretation): void {
    const where = `${this.where()}, view ${JSON.stringify(view.schema.name)}`
    compareRows(`${where}: entries()`, expected.rows, running.entries())
    compareRows(`${where}: the sum of the published deltas`, expected.rows, running.integral())
    const [wanted, found] = [printErrors(expected.errors), printErrors(running.errors())]
    if (wanted !== found) throw new LawViolation(`${where}: errors()\nexpected:\n${wanted}\nfound:\n${found}`)
  }

  private where = (): string => `after ${this.transactions} transactions`
}

function compareRows(what: string, expected: ZSet, found: ZSet): void {
  const missing = difference(expected, found)
  if (missing.size === 0) return
  throw new LawViolation(
    `${what}: expected minus found is\n${printZSet(missing)}\nexpected:\n${printZSet(expected)}\nfound:\n${printZSet(found)}`,
  )
}

const printErrors = (errors: ReadonlyMap<string, bigint>): string =>
  Array.from(errors, ([message, weight]) => `${weight} × ${message}`)
    .sort()
    .join('\n')

/** Runs `body` on a fresh database and names the law in whatever it throws. */
function law(name: string, body: (trial: Trial, test: Case, random: Random) => void): Law {
  const run = (factory: RunnerFactory, test: Case, shuffle: number): void => {
    const trial = new Trial(factory, test)
    try {
      body(trial, test, randomFrom(shuffle))
      trial.close()
    } catch (problem) {
      const message = problem instanceof LawViolation ? problem.message : String((problem as Error).stack ?? problem)
      throw new LawViolation(`law "${name}" is broken: ${message}`, { cause: problem })
    }
  }
  return Object.freeze({ name, run })
}

export const LAWS: readonly Law[] = Object.freeze([
  law('incremental equals recomputed, after every transaction', (trial, { views, steps }) => {
    trial.create(...views)
    trial.verify()
    for (const step of steps) {
      trial.apply(step)
      trial.verify()
    }
  }),
  law('splitting and reordering changes changes nothing', (trial, { views, steps }, random) => {
    trial.create(...views)
    for (const step of split(shuffled(steps.flat(), random), random)) trial.apply(step)
    trial.verify()
  }),
  law('one transaction is as good as many', (trial, { views, steps }) => {
    trial.create(...views)
    trial.apply(steps.flat())
    trial.verify()
  }),
  law('what is inserted and retracted leaves nothing behind', (trial, { views, steps }, random) => {
    trial.create(...views)
    const changes = steps.flat()
    for (const step of steps) trial.apply(step)
    const inverse = changes.map(change => ({ ...change, weight: -change.weight }))
    for (const step of split(shuffled(inverse, random), random)) trial.apply(step)
    trial.verify()
  }),
  law('a view created late equals one created early', (trial, { views, steps }, random) => {
    for (const step of steps) {
      trial.create(...views.filter(() => random(3) === 0))
      trial.apply(step)
    }
    trial.verify()
    trial.create(...views)
    trial.verify()
    trial.apply(steps.flat())
    trial.verify()
  }),
  law('dropping a view disturbs no other', (trial, { views, steps }, random) => {
    trial.create(...views)
    // Only views that no other one reads can go.
    const read = viewsOf(views.map(v => v.rel))
    const dropped = views.filter(v => !read.includes(v) && random(2) === 0)
    const when = random(steps.length + 1)
    steps.forEach((step, i) => {
      if (i === when) trial.drop(...dropped)
      trial.apply(step)
    })
    trial.verify()
    trial.create(...dropped)
    trial.verify()
  }),
])

/** Runs all laws, or those given, on a case. Throws LawViolation. */
export function checkLaws(factory: RunnerFactory, test: Case, shuffle = 0, laws: readonly Law[] = LAWS): void {
  for (const each of laws) each.run(factory, test, shuffle)
}

/** A number from 0 to n - 1. */
type Random = (n: number) => number

/** A small generator for the laws' own decisions, so that a case and one number say everything. */
function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return n => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

function shuffled(changes: readonly Change[], random: Random): Change[] {
  // A change of weight 3 comes in two parts.
  const parts = changes.flatMap(c =>
    c.weight === 3n
      ? [
          { ...c, weight: 1n },
          { ...c, weight: 2n },
        ]
      : [c],
  )
  for (let i = parts.length - 1; i > 0; i--) {
    const j = random(i + 1)
    const part = parts[i]
    parts[i] = parts[j]
    parts[j] = part
  }
  return parts
}

function split(changes: readonly Change[], random: Random): Step[] {
  const steps: Step[] = []
  for (let from = 0; from < changes.length; ) {
    const to = from + 1 + random(4)
    steps.push(changes.slice(from, to))
    from = to
  }
  return steps
}
