/**
 * Makes a failing case smaller where fast-check's own shrinking, which works on the numbers a case was decoded from,
 * has got stuck: takes away views, transactions, changes, operators and parts of expressions as long as it still fails.
 */
import type { Expr } from '../circuit/expr.js'
import { inputsOf, nodesOf, rewrite, sameShape } from '../circuit/nodes.js'
import type { RecursiveProgram, Rel, ViewDefinition, WindowRel } from '../circuit/rel.js'
import { rowSchema } from '../schema/schema.js'
import type { Change, Step } from './arbitraries.js'
import type { Case } from './cases.js'
import { literal, view } from './nodes.js'
import { viewsOf } from './runner.js'
import { canonical, samples } from './samples.js'

/** The smallest case found until `deadline` (of `performance.now()`). REQUIRES: fails(test). ENSURES: fails(result). */
export function minimise(test: Case, fails: (test: Case) => boolean, deadline: number): Case {
  let best = test
  for (;;) {
    const smaller = firstFailing(candidates(best), fails, deadline)
    if (smaller === null) return best
    best = smaller
  }
}

function firstFailing(cases: Iterable<Case>, fails: (test: Case) => boolean, deadline: number): Case | null {
  for (const candidate of cases) {
    if (performance.now() > deadline) return null
    if (fails(candidate)) return candidate
  }
  return null
}

/** Cases that are smaller in one respect each; big steps first. */
function* candidates(test: Case): Generator<Case> {
  for (const views of without(test.views)) if (views.length > 0) yield { ...test, views }
  for (const steps of without(test.steps)) yield { ...test, steps }
  for (const [i, step] of test.steps.entries()) {
    for (const changes of without(step)) yield { ...test, steps: test.steps.with(i, changes) }
  }
  for (const [i, definition] of test.views.entries()) {
    // Others would go on reading the view as it was, under the same name.
    const others = test.views.filter(v => v !== definition)
    if (viewsOf(others.map(v => v.rel)).includes(definition)) continue
    for (const rel of simpler(definition.rel)) yield { ...test, views: test.views.with(i, renew(definition, rel)) }
  }
  for (const [i, step] of test.steps.entries()) {
    for (const changes of unitWeights(step)) yield { ...test, steps: test.steps.with(i, changes) }
  }
  const used = new Set(test.steps.flat().map(c => c.table))
  const read = new Set(test.views.flatMap(v => nodesOf(v.rel)).flatMap(n => (n.kind === 'source' ? [n.relation] : [])))
  const tables = test.tables.filter(t => used.has(t) || read.has(t))
  if (tables.length < test.tables.length) yield { ...test, tables }
}

const renew = (old: ViewDefinition, rel: Rel): ViewDefinition => view(old.schema.name, rel)

/** The list without one half, or without one element. */
function* without<T>(list: readonly T[]): Generator<T[]> {
  const half = list.length >> 1
  if (half > 1) yield* [list.slice(0, half), list.slice(half)]
  for (let i = list.length - 1; i >= 0; i--) yield list.toSpliced(i, 1)
}

function* unitWeights(step: Step): Generator<Step> {
  for (const [i, change] of step.entries()) {
    const weight = change.weight > 0n ? 1n : -1n
    if (change.weight !== weight) yield step.with(i, { ...change, weight } satisfies Change)
  }
}

function* simpler(root: Rel): Generator<Rel> {
  const nodes = nodesOf(root)
  // Any part of the circuit may do on its own.
  for (const node of nodes) if (node !== root) yield node
  yield* inlined(root)
  for (const node of nodes) {
    for (const instead of replacements(node))
      yield rewrite(root, (rel, original) => (original === node ? instead : rel))
  }
  for (const program of new Set(nodes.flatMap(node => (node.kind === 'recursive' ? [node.program] : [])))) {
    for (const instead of simplerPrograms(program)) {
      yield rewrite(root, rel =>
        rel.kind === 'recursive' && rel.program === program ? { ...rel, program: instead } : rel,
      )
    }
  }
  for (const node of nodes) {
    for (const instead of plainer(node)) {
      yield rewrite(root, (rel, original) => (original === node ? withInputsOf(instead, rel) : rel))
    }
  }
}

/** The program with one body simpler; parts of monotone circuits are monotone. */
function* simplerPrograms(program: RecursiveProgram): Generator<RecursiveProgram> {
  for (const [k, body] of program.bodies.entries()) {
    for (const instead of simpler(body)) {
      if (sameShape(instead.schema, body.schema)) yield { ...program, bodies: program.bodies.with(k, instead) }
    }
  }
}

/** The circuit with one view that it reads put in place of its source. */
function* inlined(root: Rel): Generator<Rel> {
  for (const node of nodesOf(root)) {
    if (node.kind !== 'source' || node.relation.kind !== 'view') continue
    const { rel } = node.relation
    yield rewrite(root, (now, original) => (original === node ? rel : now))
  }
}

/** Things of the same shape that could stand in the node's place. */
function replacements(node: Rel): Rel[] {
  const inputs = inputsOf(node).filter(input => sameShape(input.schema, node.schema))
  if (node.kind === 'window') return [...inputs, ...fewerFunctions(node)]
  if (node.kind !== 'plus') return inputs
  const fewer = [...without(node.inputs)]
    .filter(list => list.length > 0)
    .map((list): Rel => ({ ...node, inputs: list }))
  return [...inputs, ...fewer]
}

/** `node` with the inputs that `rewritten`, a rewritten version of the same node, has by now. */
function withInputsOf(node: Rel, rewritten: Rel): Rel {
  switch (rewritten.kind) {
    case 'source':
      return node
    case 'plus':
    case 'recursive':
    case 'fixpoint':
      return { ...node, inputs: rewritten.inputs } as Rel
    case 'join':
    case 'asOf':
    case 'set':
      return { ...node, left: rewritten.left, right: rewritten.right } as Rel
    default:
      return { ...node, input: rewritten.input } as Rel
  }
}

/** The node with one expression made simpler, or with one part less that its schema does not show. */
function* plainer(node: Rel): Generator<Rel> {
  switch (node.kind) {
    case 'filter':
      for (const predicate of simplerExprs(node.predicate)) yield { ...node, predicate }
      return
    case 'map':
      for (const exprs of simplerLists(node.exprs)) yield { ...node, exprs }
      return
    case 'join':
      if (node.residual !== null) yield { ...node, residual: null }
      for (const exprs of simplerLists(node.exprs)) yield { ...node, exprs }
      for (const on of node.on.length > 1 ? without(node.on) : []) {
        yield { ...node, on, nullSafe: node.nullSafe.slice(0, on.length) }
      }
      if (node.residual !== null) for (const residual of simplerExprs(node.residual)) yield { ...node, residual }
      return
    case 'aggregate':
      for (const keys of simplerLists(node.keys)) yield { ...node, keys }
      for (const [i, spec] of node.aggregates.entries()) {
        for (const args of simplerLists(spec.args)) {
          yield { ...node, aggregates: node.aggregates.with(i, { ...spec, args }) }
        }
        if (spec.filter !== null || spec.distinct) {
          yield { ...node, aggregates: node.aggregates.with(i, { ...spec, filter: null, distinct: false }) }
        }
      }
      return
    case 'topK':
      for (const order of without(node.order)) yield { ...node, order }
      for (const keys of without(node.keys)) yield { ...node, keys }
      return
    case 'window':
      yield* plainerWindows(node)
      return
    default:
  }
}

function* plainerWindows(node: WindowRel): Generator<Rel> {
  for (const partition of without(node.partition)) yield { ...node, partition }
  // A RANGE frame with an offset needs just the column it has.
  const single = node.functions.some(({ frame: f }) => f.mode === 'range' && [f.start, f.end].some(b => b))
  for (const order of single ? [] : without(node.order)) yield { ...node, order }
  for (const partition of simplerLists(node.partition)) yield { ...node, partition }
  for (const [i, spec] of node.functions.entries()) {
    const { aggregate } = spec
    if (aggregate === undefined || (aggregate.filter === null && !aggregate.distinct)) continue
    const plainer = { ...spec, aggregate: { ...aggregate, filter: null, distinct: false } }
    yield { ...node, functions: node.functions.with(i, plainer) }
  }
}

/** The window with a function less, a literal in place of its column. */
function fewerFunctions(node: WindowRel): Rel[] {
  const { columns } = node.schema
  const width = columns.length - node.functions.length
  return node.functions.map((_, i): Rel => {
    const schema = rowSchema(node.schema.name, columns.toSpliced(width + i, 1))
    const input: Rel = { ...node, functions: node.functions.toSpliced(i, 1), schema }
    const exprs = columns.map((c, k): Expr => {
      if (k === width + i) return literal(c.type, c.nullable ? null : canonical(c.type, samples(c.type)[0]))
      const index = k > width + i ? k - 1 : k
      return { kind: 'column', input: 0, index, name: c.name, type: c.type, nullable: c.nullable }
    })
    return { kind: 'map', schema: node.schema, input, exprs }
  })
}

function* simplerLists(exprs: readonly Expr[]): Generator<Expr[]> {
  for (const [i, expr] of exprs.entries()) for (const instead of simplerExprs(expr)) yield exprs.with(i, instead)
}

/** A literal, parts of the expression that have its type, and the expression with one argument simplified. */
function* simplerExprs(expr: Expr): Generator<Expr> {
  if (expr.kind !== 'call') return
  yield literal(expr.type, canonical(expr.type, samples(expr.type)[0]))
  for (const part of partsOf(expr)) {
    if (part !== expr && part.type === expr.type && (expr.nullable || !part.nullable)) yield part
  }
  for (const [i, arg] of expr.args.entries()) {
    for (const instead of simplerExprs(arg)) yield { ...expr, args: expr.args.with(i, instead) }
  }
}

function* partsOf(expr: Expr): Generator<Expr> {
  yield expr
  if (expr.kind === 'call') for (const arg of expr.args) yield* partsOf(arg)
}
