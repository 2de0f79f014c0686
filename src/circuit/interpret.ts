/**
 * The oracle: what a circuit means, by textbook definitions over Maps, recomputed from scratch. It knows nothing of
 * batches, kernels, lowering or increments, and every other execution is tested against it.
 *
 * A row on which an expression fails takes no further part; it is recorded by message (`errors`). A node object
 * that occurs twice in a circuit is evaluated once, and its failures count once. Failures inside a view that is
 * read belong to that view and are not repeated here.
 */
import { elementsOf } from '../schema/nested.js'
import type { Value } from '../schema/types.js'
import type { SignalValue } from './bounds.js'
import { interpretAsOf, interpretSuccessor } from './interpret/asof.js'
import { Context } from './interpret/context.js'
import { interpretGate } from './interpret/gate.js'
import { interpretAggregate, interpretTopK } from './interpret/groups.js'
import { interpretJoin } from './interpret/join.js'
import { solve, solveTimed } from './interpret/recursive.js'
import { interpretSession } from './interpret/session.js'
import { interpretWindow } from './interpret/window.js'
import { addRow, addZSet, weightOf, type ZSet, zsetOf } from './interpret/zset.js'
import { inputsOf, mapOf, nodesOf } from './nodes.js'
import { release } from './privacy.js'
import type {
  ClampMode,
  FilterRel,
  FixpointRel,
  Loop,
  MapRel,
  NoiseRel,
  RecursiveProgram,
  RecursiveRel,
  Rel,
  Relation,
  SetRel,
  SourceRel,
  UnnestRel,
} from './rel.js'
import { allColumns } from './substitute.js'

export type { Entry, Row, ZSet } from './interpret/zset.js'
export { addRow, addZSet, difference, printZSet, rowText, valueText, weightOf, zsetOf } from './interpret/zset.js'

export interface Interpretation {
  readonly rows: ZSet
  /** Message → weight, never 0: the sum over failing rows (for pairs, of the products; 1 for a failing group). */
  readonly errors: ReadonlyMap<string, bigint>
  /** A weight, here or in a view that is read, left the i64 range; the engine refuses such a transaction. */
  readonly overflow: boolean
}

/**
 * The rows and errors of a circuit. `inputs` gives the contents of relations by definition object; a table that is
 * not there is empty, a view that is not there is computed. `signals`: waterlines, where they matter.
 */
export function interpret(
  rel: Rel,
  inputs: ReadonlyMap<Relation, ZSet>,
  signals: SignalValue = () => null,
): Interpretation {
  const context = new Context(signals)
  const [rows] = run([rel], inputs, new Map(), context)
  return { rows, errors: context.errors, overflow: context.overflow }
}

/** The rows of some circuits; nodes that they have in common are evaluated once. */
function run(
  roots: readonly Rel[],
  inputs: ReadonlyMap<SourceRel['relation'], ZSet>,
  views: Map<Relation, Interpretation>,
  context: Context,
  known: ReadonlyMap<Rel, ZSet> = new Map(),
): ZSet[] {
  const done = new Map(known)
  const programs = new Map<RecursiveProgram | Loop, readonly ZSet[]>()

  const source = (relation: SourceRel['relation']): ZSet => {
    const given = inputs.get(relation)
    if (given !== undefined || relation.kind !== 'view') return given ?? new Map()
    let view = views.get(relation)
    if (view === undefined) {
      const own = new Context(context.signals)
      const [rows] = run([relation.rel], inputs, views, own)
      view = { rows, errors: own.errors, overflow: own.overflow }
      views.set(relation, view)
    }
    context.overflow ||= view.overflow
    return view.rows
  }
  const solved = ({ program, inputs: given }: RecursiveRel): readonly ZSet[] => {
    let relations = programs.get(program)
    if (relations === undefined) {
      const parameters = program.parameters.map((p, i) => [p, visit(given[i])] as const)
      const evaluate = (variables: readonly ZSet[]) => {
        const own = new Context(context.signals)
        const all = new Map<SourceRel['relation'], ZSet>([
          ...inputs,
          ...parameters,
          ...program.variables.map((v, k) => [v, variables[k]] as const),
        ])
        return { rows: run(program.bodies, all, views, own).map(body => reweigh(body, one)), context: own }
      }
      relations = solve(program, evaluate, context)
      programs.set(program, relations)
    }
    return relations
  }
  const fixpoint = ({ loop, inputs: bodies }: FixpointRel): readonly ZSet[] => {
    let relations = programs.get(loop)
    if (relations === undefined) {
      const outside = new Map(independent(bodies, loop.variables).map(node => [node, visit(node)]))
      const evaluate = (variables: readonly ZSet[]) => {
        const own = new Context(context.signals)
        const all = new Map<SourceRel['relation'], ZSet>([
          ...inputs,
          ...loop.variables.map((v, k) => [v, variables[k]] as const),
        ])
        return { rows: run(bodies, all, views, own, outside), context: own }
      }
      relations = solveTimed(loop, evaluate, context)
      programs.set(loop, relations)
    }
    return relations
  }
  const visit = (node: Rel): ZSet => {
    const known = done.get(node)
    if (known !== undefined) return known
    const zset = context.check(step(node))
    done.set(node, zset)
    return zset
  }
  const step = (node: Rel): ZSet => {
    switch (node.kind) {
      case 'source':
        return sourceRows(node, source(node.relation), context)
      case 'filter':
        return filter(node, visit(node.input), context)
      case 'map':
        return map(node, visit(node.input), context)
      case 'negate':
        return sum([[visit(node.input), -1n]])
      case 'plus':
        return sum(node.inputs.map(input => [visit(input), 1n]))
      case 'join':
        return interpretJoin(node, visit(node.left), visit(node.right), context)
      case 'distinct':
        return reweigh(visit(node.input), one)
      case 'clamp':
        return reweigh(visit(node.input), CLAMPS[node.mode])
      case 'set':
        return setOperation(node, visit(node.left), visit(node.right))
      case 'aggregate':
        return interpretAggregate(node, visit(node.input), context)
      case 'topK':
        return interpretTopK(node, visit(node.input), context)
      case 'window':
        return interpretWindow(node, visit(node.input), context)
      case 'recursive':
        return solved(node)[node.index]
      case 'fixpoint':
        return fixpoint(node)[0]
      case 'result':
        return withoutTime(fixpoint(node.input)[node.index])
      case 'noise':
        return firstRelease(node, visit(node.input))
      case 'asOf':
        return interpretAsOf(node, visit(node.left), visit(node.right), context)
      case 'successor':
        return interpretSuccessor(node, visit(node.input))
      case 'gate':
        return interpretGate(node, visit(node.input), context.signals, context)
      case 'session':
        return interpretSession(node, visit(node.input), context)
      case 'unnest':
        return unnest(node, visit(node.input), context)
    }
  }

  return roots.map(visit)
}

function filter(rel: FilterRel, input: ZSet, context: Context): ZSet {
  const result: ZSet = new Map()
  for (const { row, weight } of input.values()) {
    if (context.test(rel.predicate, weight, row)) addRow(result, row, weight)
  }
  return result
}

/** The columns that the node has: the table may have got more since. */
function sourceRows(node: SourceRel, rows: ZSet, context: Context): ZSet {
  const { schema, relation } = node
  // A copy: the caller may go on changing its inputs.
  const isWhole = relation.kind === 'variable' || schema.columns.length === relation.schema.columns.length
  if (isWhole) return sum([[rows, 1n]])
  return map(mapOf(node, allColumns(schema), schema), rows, context)
}

function map(rel: MapRel, input: ZSet, context: Context): ZSet {
  const result: ZSet = new Map()
  for (const { row, weight } of input.values()) {
    const mapped = context.evaluateAll(rel.exprs, weight, row)
    if (mapped !== null) addRow(result, mapped, weight)
  }
  return result
}

function unnest(rel: UnnestRel, input: ZSet, context: Context): ZSet {
  const result: ZSet = new Map()
  // In lowered form, columns that are not passed on may stand behind.
  const width = rel.schema.columns.length - (rel.ordinality ? 2 : 1)
  for (const { row, weight } of input.values()) {
    const array = context.evaluateAll([rel.array], weight, row)?.[0]
    if (array === undefined) continue
    const elements = array === null ? [] : elementsOf(rel.array.type, array as Uint8Array)
    const add = (element: Value, number: Value): void =>
      addRow(result, [...row.slice(0, width), element, ...(rel.ordinality ? [number] : [])], weight)
    elements.forEach((element, i) => {
      add(element, i + 1)
    })
    if (elements.length === 0 && rel.outer) add(null, null)
  }
  return result
}

function sum(terms: readonly (readonly [ZSet, bigint])[]): ZSet {
  const result: ZSet = new Map()
  for (const [zset, factor] of terms) addZSet(result, zset, factor)
  return result
}

/** The nodes that do not depend on these variables. */
function independent(bodies: readonly Rel[], variables: readonly SourceRel['relation'][]): Rel[] {
  const dependent = new Set<Rel>()
  const nodes = bodies.flatMap(nodesOf)
  for (const node of nodes) {
    const own = node.kind === 'source' && variables.includes(node.relation)
    if (own || inputsOf(node).some(input => dependent.has(input))) dependent.add(node)
  }
  return nodes.filter(node => !dependent.has(node))
}

const withoutTime = (timed: ZSet): ZSet => zsetOf([...timed.values()].map(e => ({ ...e, row: e.row.slice(0, -1) })))

/** REQUIRES: a seed. */
function firstRelease(rel: NoiseRel, input: ZSet): ZSet {
  const result: ZSet = new Map()
  for (const { row, weight } of input.values()) addRow(result, release(rel, row, 0, Math.random), weight)
  return result
}

const positive = (w: bigint): bigint => (w > 0n ? w : 0n)
const one = (w: bigint): bigint => (w > 0n ? 1n : 0n)
const nonzero = (w: bigint): bigint => (w === 0n ? 0n : 1n)
const CLAMPS: Readonly<Record<ClampMode, (w: bigint) => bigint>> = { positive, one, nonzero }

function reweigh(input: ZSet, weigh: (weight: bigint) => bigint): ZSet {
  const result: ZSet = new Map()
  for (const { row, weight } of input.values()) addRow(result, row, weigh(weight))
  return result
}

/** The weight of a row from its weights in both inputs, negative ones already 0. */
const SET_WEIGHTS: Readonly<Record<SetRel['op'], (a: bigint, b: bigint) => bigint>> = {
  union: (a, b) => one(a + b),
  intersect: (a, b) => one(a) * one(b),
  intersectAll: (a, b) => a - positive(a - b), // the lesser
  except: (a, b) => one(a) * (1n - one(b)),
  exceptAll: (a, b) => positive(a - b),
}

function setOperation(rel: SetRel, left: ZSet, right: ZSet): ZSet {
  const result: ZSet = new Map()
  const weigh = SET_WEIGHTS[rel.op]
  for (const { row } of new Map([...left, ...right]).values()) {
    addRow(result, row, weigh(positive(weightOf(left, row)), positive(weightOf(right, row))))
  }
  return result
}
