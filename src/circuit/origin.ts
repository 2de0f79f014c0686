/**
 * Who wrote an expression: calls that can fail carry the operator of the builder, and the column, that they were written
 * for, through all that lowering and the optimiser make of them. Told with the failure of a row. It is nothing that
 * distinguishes expressions, and is not written down with them.
 */
import { quote } from '../base/errors.js'
import type { RowSchema } from '../schema/schema.js'
import { calledName } from './aggregates/index.js'
import { type CallExpr, type Expr, ORIGIN } from './expr.js'
import type { AggregateRel, AggregateSpec, JoinRel, Rel, WindowRel } from './rel.js'
import { opCanFail } from './substitute.js'

/** Marks what can fail in an expression, unless it is marked. */
type Mark = <E extends Expr | null>(expr: E, origin: string) => E

function marker(): Mark {
  const done = new Map<CallExpr, CallExpr>()
  const mark = (expr: Expr | null, origin: string): Expr | null => {
    if (expr === null || expr.kind !== 'call') return expr
    const known = done.get(expr)
    if (known !== undefined) return known
    const args = expr.args.map(arg => mark(arg, origin) as Expr)
    const own = expr[ORIGIN] ?? (opCanFail(expr) ? origin : undefined)
    const same = own === expr[ORIGIN] && args.every((arg, i) => arg === expr.args[i])
    const marked = same ? expr : Object.freeze({ ...expr, args, ...(own === undefined ? {} : { [ORIGIN]: own }) })
    done.set(expr, marked)
    return marked
  }
  return mark as Mark
}

/** The origins of the expressions of a list, for tests and keys; empty if none of them is marked. */
export function originsIn(exprs: readonly Expr[]): string[] {
  const found = new Set<string>()
  const seen = new Set<Expr>()
  const visit = (expr: Expr): void => {
    if (expr.kind !== 'call' || seen.has(expr)) return
    seen.add(expr)
    if (expr[ORIGIN] !== undefined) found.add(expr[ORIGIN])
    expr.args.forEach(visit)
  }
  exprs.forEach(visit)
  return [...found]
}

const cache = new WeakMap<Rel, Rel>()

/** The node with its own expressions marked; itself if nothing of it can fail. */
export function withOrigins<R extends Rel>(rel: R): R {
  let marked = cache.get(rel)
  if (marked === undefined) {
    const parts: Record<string, unknown> = partsOf(rel, marker())
    const same = Object.entries(parts).every(([name, part]) => isSame(part, rel[name as keyof R]))
    marked = same ? rel : (Object.freeze({ ...rel, ...parts }) as unknown as Rel)
    cache.set(rel, marked)
  }
  return marked as R
}

const isSame = (a: unknown, b: unknown): boolean =>
  a === b || (Array.isArray(a) && Array.isArray(b) && a.every((x, i) => isSame(x, b[i])))

const columnText = ({ name, columns }: RowSchema, i: number): string => `${name} ${quote(columns[i].name)}`

/** Members of the node that hold expressions, marked. */
function partsOf(rel: Rel, mark: Mark): Record<string, unknown> {
  switch (rel.kind) {
    case 'filter':
      return { predicate: mark(rel.predicate, 'filter') }
    case 'map':
      return { exprs: rel.exprs.map((e, i) => mark(e, columnText(rel.schema, i))) }
    case 'join':
    case 'asOf':
      return joinParts(rel, mark)
    case 'aggregate':
      return aggregateParts(rel, mark)
    case 'topK':
      return {
        keys: rel.keys.map(k => mark(k, 'groupBy')),
        order: rel.order.map(o => term(o, mark, 'top order')),
      }
    case 'window':
      return windowParts(rel, mark)
    case 'gate':
      return { key: mark(rel.key, 'filter') }
    case 'session':
      return { keys: rel.keys.map(k => mark(k, 'session by')), at: mark(rel.at, 'session') }
    case 'unnest':
      return { array: mark(rel.array, 'unnest') }
    default:
      return {}
  }
}

type Joining = Extract<Rel, { kind: 'join' | 'asOf' }>

function joinParts(rel: Joining, mark: Mark): Record<string, unknown> {
  const name = joinName(rel)
  const pair = ([a, b]: readonly [Expr, Expr]) => [mark(a, `${name} condition`), mark(b, `${name} condition`)] as const
  return {
    on: rel.on.map(pair),
    ...(rel.kind === 'join' ? { residual: mark(rel.residual, `${name} condition`) } : { times: pair(rel.times) }),
    exprs: rel.exprs.map((e, i) => mark(e, `${name} select ${quote(rel.schema.columns[i].name)}`)),
  }
}

/** Semi- and antijoins have the schema of their left side. */
function joinName(rel: Joining): string {
  const type: JoinRel['type'] = rel.type
  return type === 'semi' || type === 'anti' ? `${type}Join` : rel.schema.name
}

function aggregateParts(rel: AggregateRel, mark: Mark): Record<string, unknown> {
  return {
    keys: rel.keys.map((k, i) => mark(k, `groupBy ${quote(rel.schema.columns[i].name)}`)),
    aggregates: rel.aggregates.map(spec =>
      aggregateOf(spec, `aggregate ${quote(spec.name)}: ${calledName(spec.fn)}`, mark),
    ),
  }
}

function aggregateOf(spec: AggregateSpec, what: string, mark: Mark): AggregateSpec {
  const parts = {
    args: spec.args.map(a => mark(a, what)),
    filter: mark(spec.filter, `${what} filter`),
    order: spec.order.map(o => term(o, mark, `${what} order`)),
  }
  const same = Object.entries(parts).every(([name, part]) => isSame(part, spec[name as keyof AggregateSpec]))
  return same ? spec : Object.freeze({ ...spec, ...parts })
}

function windowParts(rel: WindowRel, mark: Mark): Record<string, unknown> {
  const functions = rel.functions.map(f => {
    const what = `window ${quote(f.name)}: ${calledName(f.fn)}`
    const [arg, fallback] = [mark(f.arg, what), mark(f.fallback, `${what} default`)]
    const aggregate = f.aggregate && aggregateOf(f.aggregate, what, mark)
    if (arg === f.arg && fallback === f.fallback && aggregate === f.aggregate) return f
    return Object.freeze({ ...f, arg, fallback, ...(aggregate === undefined ? {} : { aggregate }) })
  })
  return {
    partition: rel.partition.map(p => mark(p, 'window partitionBy')),
    order: rel.order.map(o => term(o, mark, 'window orderBy')),
    functions,
  }
}

function term<T extends { readonly expr: Expr }>(given: T, mark: Mark, origin: string): T {
  const expr = mark(given.expr, origin)
  return expr === given.expr ? given : Object.freeze({ ...given, expr })
}
