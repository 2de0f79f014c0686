/**
 * Lowering of aggregates. What the user wrote as expressions becomes columns:
 *
 *     rows = map(input, keys, arguments and order, NULL where FILTER is not TRUE)
 *     aggregate(map(rows, keys, columns of the accumulators))
 *
 * DISTINCT, and aggregates that are made of others, read rows of their own. They join the group's rows in one union, in
 * which each aggregate's columns are NULL in the rows that are not its own, and a column `counts` tells by which rows a
 * group exists:
 *
 *     aggregate(plus(map(rows, keys, columns …, NULL …, TRUE), map(one(map(rows, keys, x)), keys, NULL …, x, FALSE)))
 *
 * so a group has one record, whatever its aggregates read. ENSURES of the lowered node, beside what `lower.ts` says:
 *
 * - nothing is DISTINCT; FILTER is only left to ordered aggregates, as the condition under which a row takes part;
 * - the arguments of an aggregate are the columns that its definition asks for (`plan.columns`);
 * - the order of an ordered aggregate is complete: of its arguments, none is missing.
 */
import type { RowSchema } from '../schema/schema.js'
import type { Source } from './aggregates/definition.js'
import { AGGREGATES } from './aggregates/index.js'
import type { ColumnExpr, Expr } from './expr.js'
import { clampOf, filterOf, mapOf, plusOf, schemaOf, specsOf } from './nodes.js'
import type { AggregateRel, AggregateSpec, OrderTerm, Rel } from './rel.js'
import { allColumns, call, columnOf, exprKey, FALSE, literal, TRUE } from './substitute.js'

/** Expressions, each once, as columns to be. */
class Columns {
  readonly exprs: Expr[] = []
  readonly names: string[] = []
  private readonly places = new Map<string, number>()

  add(expr: Expr, name: string): number {
    const key = exprKey(expr)
    const known = this.places.get(key)
    if (known !== undefined) return known
    this.places.set(key, this.exprs.length)
    this.names.push(name)
    return this.exprs.push(expr) - 1
  }

  /** A relation has at least one column. */
  over(input: Rel, name: string): Rel {
    if (this.exprs.length === 0) this.add(TRUE, 'row')
    return mapOf(input, this.exprs, this.schema(name))
  }

  schema(name: string): RowSchema {
    return schemaOf(
      name,
      this.exprs.map((e, i) => ({ name: this.names[i], type: e.type, nullable: e.nullable })),
    )
  }
}

/** Rows that some of the aggregates read, and those aggregates, over their columns. */
interface Branch {
  readonly rel: Rel
  readonly specs: Map<number, AggregateSpec>
}

export function lowerAggregate(rel: AggregateRel, input: Rel): Rel {
  const columns = new Columns()
  const keys = rel.keys.map((k, i) => columns.add(k, rel.schema.columns[i].name))
  const placed = rel.aggregates.map(spec => placeSpec(spec, columns))
  const rows = columns.over(input, rel.schema.name)
  const at = (i: number): ColumnExpr => columnOf(rows.schema, i)
  const specs = placed.map(p => p.onto(at))
  const keyColumns = keys.map(at)
  const branches = branchesOf(rows, keyColumns, specs)
  const name = rel.schema.name
  if (branches.length === 1) return single(rel, rows, keyColumns, branches[0].specs)
  return union(rel, name, keyColumns, branches)
}

/** Puts what a spec reads among the columns; `onto` gives the spec over them. */
function placeSpec(spec: AggregateSpec, columns: Columns) {
  const { filter, name } = spec
  const within = (e: Expr): Expr => (filter === null ? e : call('if', [filter, e, literal(e.type, null)], e.type))
  const given = spec.args.length === 0 && filter !== null ? [TRUE] : spec.args
  const isOrdered = AGGREGATES[spec.fn].plan.kind === 'ordered'
  const condition = filter !== null && isOrdered ? columns.add(filter, name) : -1
  const args = given.map(a => columns.add(within(a), a.kind === 'column' ? a.name : name))
  const order = spec.order.map(o => columns.add(within(o.expr), o.expr.kind === 'column' ? o.expr.name : 'order'))
  const onto = (at: (i: number) => Expr): AggregateSpec => ({
    ...spec,
    args: args.map(at),
    filter: condition < 0 ? null : at(condition),
    order: spec.order.map((o, i) => ({ ...o, expr: at(order[i]) })),
  })
  return { onto }
}

/** The group's own rows first, with the aggregates that read them. */
function branchesOf(rows: Rel, keys: readonly ColumnExpr[], specs: readonly AggregateSpec[]): Branch[] {
  const main: Branch = { rel: rows, specs: new Map() }
  const branches = new Map<string, Branch>()
  for (const [i, spec] of specs.entries()) {
    const { source } = AGGREGATES[spec.fn]
    if (!spec.distinct && source === undefined) {
      main.specs.set(i, spec)
      continue
    }
    const narrow = narrowed(rows, keys, spec)
    const own: Source = source === undefined ? narrow : source(narrow.rel, keys.length, narrow.spec)
    const key = `${source === undefined ? 'distinct' : `${spec.fn} ${JSON.stringify(spec.detail)}`} ${spec.distinct} ${narrow.key}`
    const known = branches.get(key)
    if (known === undefined) branches.set(key, { rel: own.rel, specs: new Map([[i, own.spec]]) })
    else known.specs.set(i, own.spec)
  }
  return [main, ...branches.values()]
}

/** Just the group columns and what one spec reads, each row once if it is DISTINCT. */
function narrowed(rows: Rel, keys: readonly ColumnExpr[], spec: AggregateSpec) {
  const read = [...(spec.filter === null ? [] : [spec.filter]), ...spec.args, ...spec.order.map(o => o.expr)]
  const columns = new Columns()
  const exprs = [...keys, ...read]
  // Group columns stay apart, each at its own place.
  const places = exprs.map((e, i) => (i < keys.length ? columns.exprs.push(e) - 1 : columns.add(e, '')))
  const schema = schemaOf(rows.schema.name, specsOf(columns.exprs, String))
  const mapped = mapOf(rows, columns.exprs, schema)
  const rel = spec.distinct ? clampOf(taking(spec, mapped, places[keys.length]), 'one') : mapped
  let next = keys.length
  const take = (): Expr => columnOf(rel.schema, places[next++])
  const narrow: AggregateSpec = {
    ...spec,
    distinct: false,
    filter: spec.filter === null ? null : take(),
    args: spec.args.map(take),
    order: spec.order.map(o => ({ ...o, expr: take() })),
  }
  return {
    rel,
    spec: narrow,
    key: places.slice(keys.length).join() + columns.exprs.slice(keys.length).map(exprKey).join(),
  }
}

/** Without rows that take no part, if that is to be seen by the only argument: they need not be made distinct. */
function taking(spec: AggregateSpec, rows: Rel, place: number): Rel {
  if (AGGREGATES[spec.fn].plan.kind !== 'linear' || spec.args.length !== 1 || !spec.args[0].nullable) return rows
  return filterOf(rows, call('not', [call('isNull', [columnOf(rows.schema, place)], 'bool')], 'bool'))
}

/** The columns that a definition makes of a spec's arguments. */
function columnsOf(spec: AggregateSpec): readonly Expr[] {
  const { plan } = AGGREGATES[spec.fn]
  return plan.columns?.(spec.args, spec.detail) ?? spec.args
}

/** The lowered spec, given where its columns are. */
function finished(
  spec: AggregateSpec,
  args: readonly Expr[],
  filter: Expr | null,
  order: readonly Expr[],
): AggregateSpec {
  const { plan } = AGGREGATES[spec.fn]
  if (plan.kind === 'linear') return Object.freeze({ ...spec, args, filter: null, order: [] })
  const present = plan.required
    .filter(c => args[c].nullable)
    .map(c => call('not', [call('isNull', [args[c]], 'bool')], 'bool'))
  const conditions = [...(filter === null ? [] : [filter]), ...present]
  const user = spec.order.map((o, i): OrderTerm => ({ ...o, expr: order[i] }))
  const terms = plan.all === true ? args.map((_, at) => ({ at, descending: false })) : plan.terms
  const own = terms.map((t): OrderTerm => ({ expr: args[t.at], descending: t.descending }))
  return Object.freeze({
    ...spec,
    args,
    filter: conditions.length > 1 ? call('and', conditions, 'bool') : (conditions[0] ?? null),
    order: Object.freeze([...user, ...own]),
  })
}

function single(
  rel: AggregateRel,
  rows: Rel,
  keys: readonly ColumnExpr[],
  specs: ReadonlyMap<number, AggregateSpec>,
): Rel {
  const wide = new Columns()
  for (const c of allColumns(rows.schema)) wide.add(c, c.name)
  const aggregates = rel.aggregates.map((_, i) => {
    const spec = specs.get(i) as AggregateSpec
    return { spec, at: columnsOf(spec).map(e => wide.add(e, spec.name)) }
  })
  const computed = wide.exprs.length > rows.schema.columns.length
  const input = computed ? wide.over(rows, rel.schema.name) : rows
  const column = (i: number): ColumnExpr => columnOf(input.schema, i)
  const again = (e: Expr): Expr => (e.kind === 'column' ? column(e.index) : e)
  return Object.freeze({
    ...rel,
    input,
    keys: keys.map(k => column(k.index)),
    aggregates: aggregates.map(({ spec, at }) =>
      finished(
        spec,
        at.map(column),
        spec.filter && again(spec.filter),
        spec.order.map(o => again(o.expr)),
      ),
    ),
  })
}

/** All branches side by side. */
function union(rel: AggregateRel, name: string, keys: readonly ColumnExpr[], branches: readonly Branch[]): Rel {
  const parts = branches.map(branch => partOf(branch, keys))
  const width = parts.reduce((n, p) => n + p.exprs.length, 0)
  let before = 0
  const starts = parts.map(p => {
    const start = keys.length + before
    before += p.exprs.length
    return start
  })
  const counts = keys.length + width
  const all = parts.flatMap(p => p.exprs)
  const schema = schemaOf(name, [
    ...keys.map((k, i) => ({ name: rel.schema.columns[i].name, type: k.type, nullable: k.nullable })),
    ...all.map((e, i) => ({ name: e.kind === 'column' ? e.name : `value ${i}`, type: e.type, nullable: true })),
    { name: 'counts', type: 'bool', nullable: false },
  ])
  const inputs = parts.map((part, p) => {
    const exprs = all.map((e, i): Expr => {
      const own = i - (starts[p] - keys.length)
      return own >= 0 && own < part.exprs.length ? part.exprs[own] : literal(e.type, null)
    })
    const groupColumns = keys.map((k, i): Expr => (p === 0 ? k : columnOf(part.rel.schema, i)))
    const mapped = [...groupColumns, ...exprs, p === 0 ? TRUE : FALSE]
    return mapOf(part.rel, mapped, schema)
  })
  const column = (i: number): ColumnExpr => columnOf(schema, i)
  const aggregates = rel.aggregates.map((_, i) => {
    const p = branches.findIndex(b => b.specs.has(i))
    const { spec, at, filter, order } = parts[p].specs.get(i) as PlacedSpec
    const place = (c: number): ColumnExpr => column(starts[p] + c)
    return finished(spec, at.map(place), filter < 0 ? null : place(filter), order.map(place))
  })
  return Object.freeze({
    ...rel,
    input: plusOf(inputs, schema),
    keys: keys.map((_, i) => column(i)),
    aggregates,
    counts: column(counts),
  })
}

interface PlacedSpec {
  readonly spec: AggregateSpec
  readonly at: readonly number[]
  readonly filter: number
  readonly order: readonly number[]
}

/** The columns a branch adds to the union, over its relation. */
function partOf(branch: Branch, keys: readonly Expr[]) {
  const columns = new Columns()
  const specs = new Map<number, PlacedSpec>()
  for (const [i, spec] of branch.specs) {
    const at = columnsOf(spec).map(e => columns.add(e, spec.name))
    const isOrdered = AGGREGATES[spec.fn].plan.kind === 'ordered'
    // In the rows of other branches it is NULL, and so they take no part.
    const filter = isOrdered ? columns.add(spec.filter ?? TRUE, spec.name) : -1
    specs.set(i, { spec, at, filter, order: spec.order.map(o => columns.add(o.expr, 'order')) })
  }
  return { rel: branch.rel, exprs: columns.exprs, specs, keys }
}
