/**
 * Recursive programs: relations that are defined by one another, as the least sets that satisfy the definitions.
 *
 * `recursiveOf` takes the definitions apart into strata: relations that depend on one another become one `recursive`
 * node, the others are ordinary relations over it or under it. Within a stratum every operator between two of its relations must
 * be monotone (more rows in, no row out less), or the program means nothing and is refused, with the cycle named:
 *
 *     filter, map, unnest, unionAll, union, distinct, join, semiJoin, intersect     always
 *     leftJoin, antiJoin, asOfJoin, asOfLeftJoin, except (rightJoin: mirrored)     if the other side does not depend on
 *                                                                                 the stratum
 *
 * What a stratum reads from outside may be any relation, aggregates and all; it is read as a set: rows with a weight above
 * 0 count once. So all weights inside are natural numbers, whatever tables hold, and which rows there are is decided by sets alone
 * (Abiteboul, Hull, Vianu, Foundations of Databases, 12 and 15.2: stratified Datalog with negation).
 */
import { CompileError, quote } from '../../base/errors.js'
import type { RowSchema } from '../../schema/schema.js'
import { conform, inputsOf, nodesOf, withInputs } from '../nodes.js'
import { weightBound } from '../optimise/weights.js'
import type {
  AsOfRel,
  JoinRel,
  RecursiveProgram,
  Rel,
  SetRel,
  SourceRel,
  UnnestRel,
  VariableDefinition,
} from '../rel.js'
import { allColumns } from '../substitute.js'

/** Iterations unless the user says otherwise. */
export const DEFAULT_LIMIT = 10_000

export function variableOf(schema: RowSchema): VariableDefinition {
  return Object.freeze({ kind: 'variable', schema })
}

export function variableSource(variable: VariableDefinition): SourceRel {
  return Object.freeze({ kind: 'source', schema: variable.schema, relation: variable })
}

/** The definitions of a program: variable k is what `bodies[k]` computes, which may read all variables. */
export interface Definitions {
  readonly names: readonly string[]
  readonly variables: readonly VariableDefinition[]
  /** Of the variables' columns. */
  readonly bodies: readonly Rel[]
  readonly limit: number
}

/** The relations defined, in order. Throws CompileError if the program is not stratified. */
export function recursiveOf(definitions: Definitions): Rel[] {
  const { variables } = definitions
  const bodies = definitions.bodies.map((body, k) => conform(body, variables[k].schema))
  const reach = closure(bodies.map(body => readVariables(body, variables)))
  const results: (Rel | null)[] = variables.map(() => null)
  const solved = new Map<Rel['schema'] | VariableDefinition, Rel>()
  for (let k = next(reach, results); k >= 0; k = next(reach, results)) {
    const members = variables.flatMap((_, j) => (j === k || (reach[k].has(j) && reach[j].has(k)) ? [j] : []))
    const own = members.map(m => replaceSolved(bodies[m], solved))
    const stratum = {
      names: members.map(m => definitions.names[m]),
      variables: members.map(m => variables[m]),
      bodies: own,
      limit: definitions.limit,
    }
    const relations = reach[k].has(k) ? solve(stratum) : own.map(asSet)
    members.forEach((m, i) => {
      results[m] = relations[i]
      solved.set(variables[m], relations[i])
    })
  }
  return results as Rel[]
}

/** A variable that depends on no other stratum that is not solved yet; -1 if all are. */
function next(reach: readonly ReadonlySet<number>[], results: readonly (Rel | null)[]): number {
  return results.findIndex(
    (result, k) => result === null && [...reach[k]].every(j => results[j] !== null || j === k || reach[j].has(k)),
  )
}

function readVariables(body: Rel, variables: readonly VariableDefinition[]): Set<number> {
  const read = nodesOf(body).map(node =>
    node.kind === 'source' ? variables.indexOf(node.relation as VariableDefinition) : -1,
  )
  return new Set(read.filter(v => v >= 0))
}

/** Which variables each depends on, directly or through others. */
function closure(reads: readonly Set<number>[]): Set<number>[] {
  const reach = reads.map(r => new Set(r))
  for (const [via] of reach.entries()) {
    for (const from of reach) if (from.has(via)) for (const to of reach[via]) from.add(to)
  }
  return reach
}

function replaceSolved(body: Rel, solved: ReadonlyMap<unknown, Rel>): Rel {
  return rebuild(body, node => (node.kind === 'source' ? solved.get(node.relation) : undefined))
}

/** The DAG with some nodes replaced by others of the same schema; nodes that were shared stay shared. */
function rebuild(root: Rel, instead: (node: Rel) => Rel | undefined): Rel {
  const done = new Map<Rel, Rel>()
  const visit = (node: Rel): Rel => {
    let result = done.get(node)
    if (result === undefined) {
      result = instead(node) ?? withInputs(node, inputsOf(node).map(visit))
      done.set(node, result)
    }
    return result
  }
  return visit(root)
}

const asSet = (rel: Rel): Rel =>
  weightBound(rel) === 'unit' ? rel : Object.freeze({ kind: 'distinct', schema: rel.schema, input: rel })

/** One stratum of relations that depend on one another. */
function solve(stratum: Definitions): Rel[] {
  const dependent = dependents(stratum)
  for (const [k, body] of stratum.bodies.entries()) mustBeMonotone(stratum, k, body, dependent)
  const inputs: Rel[] = []
  const parameters: VariableDefinition[] = []
  const places = new Map<Rel, Rel>()
  const parameterOf = (rel: Rel): Rel => {
    let source = places.get(rel)
    if (source === undefined) {
      const parameter = variableOf(rel.schema)
      source = variableSource(parameter)
      inputs.push(asSet(rel))
      parameters.push(parameter)
      places.set(rel, source)
    }
    return source
  }
  const done = new Map<Rel, Rel>()
  const cut = (node: Rel): Rel => {
    if (!dependent.has(node)) return parameterOf(node)
    let result = done.get(node)
    if (result === undefined) {
      const within = withInputs(node, inputsOf(node).map(cut))
      result = within.kind === 'set' && within.op === 'intersect' ? intersection(within) : within
      done.set(node, result)
    }
    return result
  }
  const bodies = stratum.bodies.map(cut)
  const program: RecursiveProgram = Object.freeze({ ...stratum, parameters, bodies })
  return stratum.variables.map(
    ({ schema }, index): Rel => Object.freeze({ kind: 'recursive', schema, inputs, program, index }),
  )
}

/** Nodes that depend on a variable. */
function dependents({ bodies, variables }: Definitions): Set<Rel> {
  const found = new Set<Rel>()
  for (const node of bodies.flatMap(nodesOf)) {
    const isVariable = node.kind === 'source' && variables.includes(node.relation as VariableDefinition)
    if (isVariable || inputsOf(node).some(input => found.has(input))) found.add(node)
  }
  return found
}

/** Rows of both, as a semijoin on all columns, whose every part is monotone. */
function intersection({ left, right, schema }: SetRel): Rel {
  const on = left.schema.columns.map(
    c => [allColumns(left.schema)[c.index], allColumns(right.schema, 1)[c.index]] as const,
  )
  const join: JoinRel = Object.freeze({
    ...{ kind: 'join', type: 'semi', left, right, on, residual: null, schema: left.schema },
    nullSafe: on.map(() => true),
    exprs: allColumns(left.schema),
  })
  return Object.freeze({ kind: 'distinct', schema, input: conform(join, schema) })
}

function mustBeMonotone(stratum: Definitions, k: number, body: Rel, dependent: ReadonlySet<Rel>): void {
  for (const node of nodesOf(body)) {
    if (!dependent.has(node)) continue
    const problem = obstacle(node, rel => dependent.has(rel))
    if (problem === null) continue
    throw new CompileError(
      `recursive: ${quote(stratum.names[k])} depends on itself through ${problem.what}: ${cycle(stratum, k, body, node, problem.through)}`,
      { hint: problem.hint },
    )
  }
}

/**
 * What makes of each row something that depends on that row and on complete relations alone, so that rows that come take
 * nothing away: monotone, although it may read other relations negatively.
 */
export type ByRow = UnnestRel | AsOfRel | (JoinRel & { readonly type: 'left' | 'right' | 'anti' })

export function actsByRow(rel: Rel): rel is ByRow {
  if (rel.kind === 'join') return rel.type === 'left' || rel.type === 'right' || rel.type === 'anti'
  return rel.kind === 'unnest' || rel.kind === 'asOf'
}

interface Obstacle {
  readonly what: string
  readonly hint: string
  /** The input through which the cycle goes. */
  readonly through: Rel
}

const STRATIFY =
  'apply it to a relation that is complete: outside of the recursion, or to one that does not depend on it'

/** Why the node is not monotone in its dependent inputs; null if it is. */
function obstacle(node: Rel, depends: (rel: Rel) => boolean): Obstacle | null {
  const [first] = inputsOf(node).filter(depends)
  const refuse = (what: string, through = first, hint = STRATIFY): Obstacle => ({ what, hint, through })
  switch (node.kind) {
    case 'source':
    case 'filter':
    case 'map':
    case 'plus':
    case 'distinct':
    case 'unnest':
      return null
    case 'set':
      if (node.op === 'union' || node.op === 'intersect') return null
      if (node.op === 'except') return depends(node.right) ? refuse('except', node.right) : null
      return refuse(
        node.op,
        first,
        'a recursive relation is a set and has no duplicates to count: use intersect or except',
      )
    case 'join':
      return joinObstacle(node, depends, refuse)
    case 'asOf':
      return depends(node.right) ? refuse(nodeName(node), node.right) : null
    case 'recursive':
      return refuse('another recursion', first, 'define both together: q.recursive({ a: …, b: … }, ({ a, b }) => …)')
    default:
      return refuse(nodeName(node))
  }
}

function joinObstacle(
  node: JoinRel,
  depends: (rel: Rel) => boolean,
  refuse: (what: string, through?: Rel) => Obstacle,
): Obstacle | null {
  if (node.type === 'inner' || node.type === 'semi') return null
  const name = nodeName(node)
  // The side whose rows are missed.
  const missed = node.type === 'right' ? node.left : node.right
  if (depends(missed)) return refuse(name, missed)
  return node.type === 'full' ? refuse(name) : null
}

const JOIN_NAMES: Readonly<Record<JoinRel['type'], string>> = {
  ...{ inner: 'join', left: 'leftJoin', right: 'rightJoin', full: 'fullJoin', semi: 'semiJoin', anti: 'antiJoin' },
}

/** The operator as the builder calls it. */
function nodeName(node: Rel): string {
  switch (node.kind) {
    case 'join':
      return JOIN_NAMES[node.type]
    case 'asOf':
      return node.type === 'inner' ? 'asOfJoin' : 'asOfLeftJoin'
    case 'topK':
      return 'top'
    case 'gate':
      return 'filter with now()'
    case 'plus':
      return 'unionAll'
    case 'set':
      return node.op
    default:
      return node.kind
  }
}

/** `b ← antiJoin ← map ← a ← join ← b`: each is made from what follows. */
function cycle({ names, variables, bodies }: Definitions, k: number, body: Rel, node: Rel, through: Rel): string {
  const isVariable = (rel: Rel): boolean =>
    rel.kind === 'source' && variables.includes(rel.relation as VariableDefinition)
  const down = pathTo(body, rel => rel === node)
  const [first, ...more] = pathTo(through, isVariable).reverse()
  const reached = variables.indexOf((first as SourceRel).relation as VariableDefinition)
  const parts = [names[k], ...[...down, ...more.reverse()].map(nodeName), names[reached]]
  // From there back to the beginning, by way of the other variables.
  for (const [from, to] of routeBetween(reached, k, bodies, variables)) {
    const path = pathTo(bodies[from], rel => rel.kind === 'source' && rel.relation === variables[to])
    parts.push(...path.slice(0, -1).map(nodeName), names[to])
  }
  return parts.join(' ← ')
}

/** From `root` down to a node for which `found` holds, both included. */
function pathTo(root: Rel, found: (rel: Rel) => boolean): Rel[] {
  const seen = new Set<Rel>()
  const visit = (rel: Rel): Rel[] | null => {
    if (found(rel)) return [rel]
    if (seen.has(rel)) return null
    seen.add(rel)
    for (const input of inputsOf(rel)) {
      const rest = visit(input)
      if (rest !== null) return [rel, ...rest]
    }
    return null
  }
  return visit(root) ?? []
}

/** The shortest way from one variable to another over what their bodies read; none if they are the same. */
function routeBetween(
  start: number,
  end: number,
  bodies: readonly Rel[],
  variables: readonly VariableDefinition[],
): (readonly [number, number])[] {
  const before = new Map<number, number>([[start, start]])
  const queue = [start]
  for (const at of queue) {
    for (const to of readVariables(bodies[at], variables)) {
      if (before.has(to)) continue
      before.set(to, at)
      queue.push(to)
    }
  }
  const route: (readonly [number, number])[] = []
  for (let at = end; at !== start; at = before.get(at) as number) route.unshift([before.get(at) as number, at])
  return route
}
