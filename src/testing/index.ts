/**
 * `gnitz/testing`: property tests of incremental views for users, and for gnitz itself.
 *
 *     checkIncremental(spend, { runs: 200 })
 *
 * feeds random transactions to a database with the view (duplicates, retractions, NULLs, extreme values), compares
 * it after each with recomputation from scratch, and prints the smallest case that fails so that it can be pasted.
 */
import type { Rel, ViewDefinition } from '../circuit/rel.js'
import type { OpenOptions } from '../engine/database.js'
import type { Step, StepsOptions } from './arbitraries.js'
import type { CaseOptions } from './cases.js'
import { type CheckOptions, checkGraphs, checkRandom, checkView } from './check.js'
import { engineRunner } from './engine-runner.js'
import { checkLaws } from './laws.js'
import type { RunnerFactory } from './runner.js'
import { tablesOf } from './runner.js'

export type { Entry, Interpretation, Row, ZSet } from '../circuit/interpret.js'
export { interpret, printZSet } from '../circuit/interpret.js'
export type { Change, Step, StepsOptions } from './arbitraries.js'
export { cellArb, deltaArb, rowArb, schemaArb, stepsArb, typeArb, valueArb, weightArb } from './arbitraries.js'
export { type Case, type CaseOptions, caseArb } from './cases.js'
export { type CheckOptions, PropertyFailure } from './check.js'
export { type CircuitOptions, circuitArb, OPERATOR_KINDS, type OperatorKind } from './circuits.js'
export { engineRunner } from './engine-runner.js'
export { checkLaws, LAWS, type Law, LawViolation } from './laws.js'
export * as nodes from './nodes.js'
export { printCase } from './print.js'
export { NaiveRunner, type Runner, type RunnerFactory, type RunningView } from './runner.js'
export {
  checkBilinear,
  checkGroup,
  checkIncrementalOf,
  checkLinear,
  checkMonoid,
  checkRing,
  checkSemigroup,
  checkSemiring,
  checkTimeInvariant,
  runStream,
  type StreamLawOptions,
  type StreamOperator,
} from './stream-laws.js'

interface DatabaseOptions {
  /** What runs the views, default a database in memory. */
  readonly runner?: RunnerFactory
  /** For the default runner. */
  readonly open?: OpenOptions
}

export type IncrementalOptions = CheckOptions & StepsOptions & DatabaseOptions
export type CircuitsOptions = CheckOptions & CaseOptions & DatabaseOptions

/**
 * Checks that a view obeys all laws of incremental views (`LAWS`) on random contents of the tables it reads.
 * Throws PropertyFailure with the smallest failing case, ready to paste.
 */
export function checkIncremental(view: ViewDefinition | Rel, options: IncrementalOptions = {}): void {
  checkView(runnerOf(options), view, options)
}

/** The same for random circuits over random tables. */
export function checkCircuits(options: CircuitsOptions = {}): void {
  checkRandom(runnerOf(options), options)
}

/** The same for random recursive programs, over edges that come and go. */
export function checkRecursion(options: CircuitsOptions = {}): void {
  checkGraphs(runnerOf(options), options)
}

/** Runs the laws on one case: what a printed reproduction calls. Throws LawViolation. */
export function replay(
  views: readonly ViewDefinition[],
  steps: readonly Step[],
  options: DatabaseOptions & { readonly shuffle?: number } = {},
): void {
  const tables = new Set([...tablesOf(views.map(v => v.rel)), ...steps.flat().map(change => change.table)])
  checkLaws(runnerOf(options), { tables: [...tables], views, steps }, options.shuffle)
}

const runnerOf = (options: DatabaseOptions): RunnerFactory => options.runner ?? engineRunner(options.open)
