/** Properties over random data and circuits: run, shrink, and print what can be pasted. */
import fc from 'fast-check'
import type { Rel, ViewDefinition } from '../circuit/rel.js'
import { type StepsOptions, stepsArb } from './arbitraries.js'
import { type Case, type CaseOptions, caseArb, graphCaseArb } from './cases.js'
import { checkLaws, LAWS, type Law } from './laws.js'
import { minimise } from './minimise.js'
import { view } from './nodes.js'
import { printCase } from './print.js'
import { type RunnerFactory, tablesOf } from './runner.js'

export interface CheckOptions {
  /** How many random cases, default 100. */
  readonly runs?: number
  /** With a seed (and the path that a failure printed) the same cases again. */
  readonly seed?: number
  readonly path?: string
  /** Which laws, default all of `LAWS`. */
  readonly laws?: readonly Law[]
  /** How long to look for a smaller case once one failed, default 15,000 ms. */
  readonly shrinkMilliseconds?: number
  /** Called before each case. */
  readonly onCase?: (test: Case) => void
}

/** A property that failed: the breach, how to run the shrunk case again, and the case as text. */
export class PropertyFailure extends Error {
  readonly test: Case
  readonly reproduction: string
  readonly seed: number
  readonly path: string
  constructor(cause: unknown, test: Case, reproduction: string, seed: number, path: string) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`${reason}\n\nseed ${seed}, path ${JSON.stringify(path)}; to reproduce:\n\n${reproduction}`, { cause })
    this.name = 'PropertyFailure'
    this.test = test
    this.reproduction = reproduction
    this.seed = seed
    this.path = path
  }
}

/** Checks that a view (or circuit) obeys the laws for random contents of the tables it reads. */
export function checkView(factory: RunnerFactory, subject: ViewDefinition | Rel, options: CheckOptions & StepsOptions) {
  const definition = subject.kind === 'view' ? subject : view('view', subject)
  const tables = tablesOf([definition.rel])
  const cases = stepsArb(tables, options).map((steps): Case => ({ tables, views: [definition], steps }))
  checkCases(factory, cases, options)
}

/** Checks that random circuits over random tables obey the laws. */
export function checkRandom(factory: RunnerFactory, options: CheckOptions & CaseOptions = {}): void {
  checkCases(factory, caseArb(options), options)
}

/** Checks that random recursive programs over graphs obey the laws. */
export function checkGraphs(factory: RunnerFactory, options: CheckOptions & CaseOptions = {}): void {
  checkCases(factory, graphCaseArb(options), options)
}

/** Throws PropertyFailure with the smallest failing case. */
function checkCases(factory: RunnerFactory, cases: fc.Arbitrary<Case>, options: CheckOptions): void {
  const { runs = 100, seed, path, laws = LAWS, shrinkMilliseconds = 15_000, onCase } = options
  let failedAt = Infinity
  const property = fc.property(cases, fc.nat(), (test, shuffle) => {
    // Out of time to shrink: everything else counts as passing, which leaves the smallest case so far.
    if (performance.now() - failedAt > shrinkMilliseconds) return
    onCase?.(test)
    try {
      checkLaws(factory, test, shuffle, laws)
    } catch (problem) {
      failedAt = Math.min(failedAt, performance.now())
      throw problem
    }
  })
  const result = fc.check(property, {
    numRuns: runs,
    ...(seed === undefined ? {} : { seed }),
    ...(path === undefined ? {} : { path }),
  })
  if (!result.failed || result.counterexample === null) return
  const [found, shuffle] = result.counterexample
  let breach = result.errorInstance
  const fails = (test: Case): boolean => {
    try {
      checkLaws(factory, test, shuffle, laws)
      return false
    } catch (problem) {
      breach = problem
      return true
    }
  }
  const test = minimise(found, fails, performance.now() + shrinkMilliseconds)
  throw new PropertyFailure(breach, test, printCase(test, shuffle), result.seed, result.counterexamplePath ?? '')
}
