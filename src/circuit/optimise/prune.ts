/**
 * Projection pushdown: columns that nobody reads are not computed, and above all not kept in state. First every
 * node is told which of its columns are read, from the root down; then the circuit is rebuilt from the sources up,
 * each node saying where its remaining columns are.
 *
 * An expression that can fail stays, read or not. Clamps and topK compare whole rows and read all columns.
 * The sides of joins are cut down to what the join reads; all joins that read a node by the same key read the same
 * columns of it, so that they can share one arrangement, and a source that is read by its own key is left whole.
 */
import { type RowSchema, rowSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import {
  aggregateCanFail,
  exprsOf,
  filterOf,
  inputsOf,
  joinOf,
  mapOf,
  nodesOf,
  plusOf,
  project,
  replaceInAggregate,
  withInputs,
} from '../nodes.js'
import type { AggregateRel, JoinRel, MapRel, PlusRel, Rel, WindowRel } from '../rel.js'
import { canFail, identity, onto, replaceAll, replaceColumns, usedColumns } from '../substitute.js'
import { windowFnCanFail } from '../window.js'

/** A rebuilt node; `at[i]` is where its old column i is now, or -1. */
interface Pruned {
  readonly rel: Rel
  readonly at: readonly number[]
}

/** The circuit without what nobody reads; the root keeps all its columns. The same object if nothing changed. */
export function prune(root: Rel): Rel {
  const demand = new Demand()
  demand.all(root)
  const nodes = nodesOf(root)
  for (const rel of [...nodes].reverse()) ask(rel, demand)
  const pruner = new Pruner(demand)
  for (const rel of nodes) pruner.add(rel)
  return pruner.get(root).rel
}

/** Who reads which columns. */
class Demand {
  private readonly columns = new Map<Rel, Set<number>>()
  private readonly arranged = new Map<string, Set<number>>()

  /** The columns of `rel` that are read, ascending; its first one if none is, since a relation has columns. */
  of(rel: Rel): number[] {
    const read = [...this.set(rel)].sort((a, b) => a - b)
    return read.length > 0 ? read : [0]
  }

  /** The columns that joins read of `rel` by this key, ascending. */
  arrangement(rel: Rel, key: readonly number[]): number[] {
    return [...(this.arranged.get(arrangementKey(rel, key)) ?? [])].sort((a, b) => a - b)
  }

  add(rel: Rel, columns: Iterable<number>): void {
    const set = this.set(rel)
    for (const c of columns) set.add(c)
  }

  all(rel: Rel): void {
    this.add(rel, rel.schema.columns.keys())
  }

  addSide(rel: Rel, key: readonly number[], columns: Iterable<number>): void {
    const name = arrangementKey(rel, key)
    const set = this.arranged.get(name) ?? new Set()
    this.arranged.set(name, set)
    for (const c of [...key, ...columns]) set.add(c)
    this.add(rel, set)
  }

  private set(rel: Rel): Set<number> {
    let set = this.columns.get(rel)
    if (set === undefined) {
      set = new Set()
      this.columns.set(rel, set)
    }
    return set
  }
}

const arrangementKey = (rel: Rel, key: readonly number[]): string => `${identity(rel)} by ${key}`

const readBy = (exprs: readonly Expr[], input: 0 | 1 = 0): number[] => exprs.flatMap(e => [...usedColumns(e)[input]])

/** Which expressions of a map or join stay: those that are read or can fail. */
function keptExprs(rel: MapRel | JoinRel, demand: Demand): number[] {
  const read = new Set(demand.of(rel))
  return [...rel.exprs.keys()].filter(i => read.has(i) || canFail(rel.exprs[i]))
}

function keptAggregates(rel: AggregateRel, demand: Demand): number[] {
  const read = new Set(demand.of(rel))
  return [...rel.aggregates.keys()].filter(i => read.has(rel.keys.length + i) || aggregateCanFail(rel, i))
}

/** The key columns of a side of a join. */
export function sideKey(rel: JoinRel, input: 0 | 1): number[] {
  return rel.on.flatMap(pair => (pair[input].kind === 'column' ? [pair[input].index] : []))
}

function ask(rel: Rel, demand: Demand): void {
  switch (rel.kind) {
    case 'filter':
      demand.add(rel.input, [...demand.of(rel), ...readBy([rel.predicate])])
      break
    case 'map': {
      demand.add(rel.input, readBy(keptExprs(rel, demand).map(i => rel.exprs[i])))
      break
    }
    case 'negate':
    case 'plus':
      for (const input of inputsOf(rel)) demand.add(input, demand.of(rel))
      break
    case 'join': {
      const exprs = keptExprs(rel, demand).map(i => rel.exprs[i])
      const more = [...(rel.residual === null ? [] : [rel.residual]), ...(rel.band ? [rel.band.hi] : [])]
      const all = [...exprs, ...more]
      demand.addSide(rel.left, sideKey(rel, 0), readBy(all, 0))
      demand.addSide(rel.right, sideKey(rel, 1), readBy(all, 1))
      break
    }
    case 'window':
      // Rows stand in order of all their columns.
      demand.all(rel.input)
      break
    case 'aggregate': {
      const read = keptAggregates(rel, demand).flatMap(i => exprsOf(rel.aggregates[i]))
      demand.add(rel.input, readBy([...rel.keys, ...read, ...(rel.counts === undefined ? [] : [rel.counts])]))
      break
    }
    default:
      for (const input of inputsOf(rel)) demand.all(input)
  }
}

/** Rebuilds nodes, inputs first. */
class Pruner {
  private readonly demand: Demand
  private readonly done = new Map<Rel, Pruned>()
  private readonly sides = new Map<string, Pruned>()

  constructor(demand: Demand) {
    this.demand = demand
  }

  get(rel: Rel): Pruned {
    return this.done.get(rel) as Pruned
  }

  add(rel: Rel): void {
    this.done.set(rel, this.build(rel))
  }

  private build(rel: Rel): Pruned {
    switch (rel.kind) {
      case 'filter': {
        const { rel: input, at } = this.get(rel.input)
        return { rel: filterOf(input, replaceColumns(rel.predicate, onto([input.schema], [at])), rel), at }
      }
      case 'negate': {
        const { rel: input, at } = this.get(rel.input)
        const schema = input.schema
        return { rel: input === rel.input ? rel : Object.freeze({ kind: 'negate', schema, input }), at }
      }
      case 'map': {
        const { rel: input, at } = this.get(rel.input)
        const kept = keptExprs(rel, this.demand)
        const exprs = replaceAll(pick(rel.exprs, kept), onto([input.schema], [at]))
        return { rel: mapOf(input, exprs, narrow(rel.schema, kept), rel), at: placesOf(rel, kept) }
      }
      case 'plus':
        return this.buildPlus(rel)
      case 'join':
        return this.buildJoin(rel)
      case 'aggregate':
        return this.buildAggregate(rel)
      case 'window':
        return this.buildWindow(rel)
      default: {
        // All columns of the inputs are read, so they are where they were.
        const inputs = inputsOf(rel).map(input => this.get(input).rel)
        return { rel: withInputs(rel, inputs), at: placesOf(rel, [...rel.schema.columns.keys()]) }
      }
    }
  }

  private buildPlus(rel: PlusRel): Pruned {
    const kept = this.demand.of(rel)
    const inputs = rel.inputs.map(i => columnsOf(this.get(i), kept))
    return { rel: plusOf(inputs, narrow(rel.schema, kept), rel), at: placesOf(rel, kept) }
  }

  private buildJoin(rel: JoinRel): Pruned {
    const left = this.side(rel.left, sideKey(rel, 0))
    const right = this.side(rel.right, sideKey(rel, 1))
    const move = onto([left.rel.schema, right.rel.schema], [left.at, right.at])
    const kept = keptExprs(rel, this.demand)
    const parts = {
      left: left.rel,
      right: right.rel,
      on: rel.on.map(([a, b]) => [replaceColumns(a, move), replaceColumns(b, move)] as const),
      residual: rel.residual === null ? null : replaceColumns(rel.residual, move),
      band: rel.band ? movedBand(rel.band, move) : null,
      exprs: replaceAll(pick(rel.exprs, kept), move),
      schema: narrow(rel.schema, kept),
    }
    return { rel: joinOf(parts, rel), at: placesOf(rel, kept) }
  }

  /** A side of a join with just the columns that joins by this key read. */
  private side(rel: Rel, key: readonly number[]): Pruned {
    const name = arrangementKey(rel, key)
    let side = this.sides.get(name)
    if (side === undefined) {
      side = this.cut(rel, key)
      this.sides.set(name, side)
    }
    return side
  }

  private cut(rel: Rel, key: readonly number[]): Pruned {
    const input = this.get(rel)
    if (isOwnKey(rel, key)) return input
    const read = this.demand.arrangement(rel, key)
    return { rel: columnsOf(input, read), at: placesOf(rel, read) }
  }

  private buildWindow(rel: WindowRel): Pruned {
    const { rel: input } = this.get(rel.input)
    const width = input.schema.columns.length
    const read = new Set(this.demand.of(rel))
    const kept = [...rel.functions.keys()].filter(i => read.has(width + i) || windowFnCanFail(rel.functions[i]))
    const all = [...input.schema.columns.keys(), ...kept.map(i => width + i)]
    if (kept.length === rel.functions.length) return { rel: withInputs(rel, [input]), at: placesOf(rel, all) }
    const functions = pick(rel.functions, kept)
    return { rel: Object.freeze({ ...rel, schema: narrow(rel.schema, all), input, functions }), at: placesOf(rel, all) }
  }

  private buildAggregate(rel: AggregateRel): Pruned {
    const { rel: input, at } = this.get(rel.input)
    const kept = keptAggregates(rel, this.demand)
    const move = onto([input.schema], [at])
    const keys = replaceAll(rel.keys, move)
    const aggregates = pick(rel.aggregates, kept).map(a => replaceInAggregate(a, move))
    const counts = rel.counts === undefined ? {} : { counts: replaceColumns(rel.counts, move) }
    const all = [...keys.keys(), ...kept.map(i => i + keys.length)]
    const same = input === rel.input && keys.every((k, i) => k === rel.keys[i])
    if (same && all.length === rel.schema.columns.length && aggregates.every((a, i) => a === rel.aggregates[i])) {
      return { rel, at: placesOf(rel, all) }
    }
    const schema = narrow(rel.schema, all)
    return { rel: Object.freeze({ ...rel, schema, input, keys, aggregates, ...counts }), at: placesOf(rel, all) }
  }
}

function movedBand(band: NonNullable<JoinRel['band']>, move: Parameters<typeof replaceColumns>[1]): JoinRel['band'] {
  const hi = replaceColumns(band.hi, move)
  return hi === band.hi ? band : Object.freeze({ ...band, hi })
}

const pick = <T>(items: readonly T[], indexes: readonly number[]): T[] => indexes.map(i => items[i])

/** Where the old columns of `rel` are if just `kept` remain. */
function placesOf(rel: Rel, kept: readonly number[]): number[] {
  return rel.schema.columns.map((_, i) => kept.indexOf(i))
}

function narrow(schema: RowSchema, kept: readonly number[]): RowSchema {
  return kept.length === schema.columns.length ? schema : rowSchema(schema.name, pick(schema.columns, kept))
}

/** The rebuilt relation with exactly the old columns `kept`, in that order. */
function columnsOf({ rel, at }: Pruned, kept: readonly number[]): Rel {
  const places = pick(at, kept)
  const whole = places.length === rel.schema.columns.length && places.every((p, i) => p === i)
  return whole ? rel : project(rel, places)
}

/** Whether the source is read by its primary key (or a view by its own), by which it is kept in order anyway. */
function isOwnKey(rel: Rel, key: readonly number[]): boolean {
  if (rel.kind !== 'source') return false
  const { relation } = rel
  if (relation.kind === 'variable') return false
  const own = relation.kind === 'table' ? relation.schema.primaryKey : relation.key
  return own.length === key.length && own.every((c, i) => c === key[i])
}
