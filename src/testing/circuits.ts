/** Random circuits: every operator over given relations, with self-joins, shared nodes and views over views. */
import type fc from 'fast-check'
import type { Rel, Relation, SetRel, TableDefinition } from '../circuit/rel.js'
import { TYPES } from '../schema/types.js'
import { aggregateOperator, globalOperator } from './aggregates.js'
import { Choices, genomeArb } from './choices.js'
import { asOfOperator, joinOperator } from './joins.js'
import * as n from './nodes.js'
import { recursion } from './recursions.js'
import { NESTED_TYPES } from './samples.js'
import { anOrder, columnsOf, groupKey, Surroundings } from './surroundings.js'
import { gateOperator, timeWindowOperator } from './times.js'
import { windowOperator } from './windows.js'

export interface CircuitOptions {
  /** Most operators on a path from the result to a table, default 4. */
  readonly maxDepth?: number
  /** Only these kinds of operators (and sources); default all. */
  readonly kinds?: readonly OperatorKind[]
  /** Prefix of the names of views inside the circuit, default `inner`. */
  readonly prefix?: string
}

export type OperatorKind = keyof typeof OPERATORS

/** Alternatives that end a path, by the depth that is left. */
const STOPS = [14, 8, 3, 1]
/** Most nodes of a circuit, so that nested joins do not explode the oracle's work. */
const MAX_NODES = 14

/** What lets state go by more than the keys of groups: several times as often where tables have waterlines. */
const TIMED: readonly OperatorKind[] = ['window', 'window', 'window', 'session', 'session', 'asOf']

/** Random circuits over the relations (tables or views). */
export function circuitArb(relations: readonly Relation[], options: CircuitOptions = {}): fc.Arbitrary<Rel> {
  return genomeArb(160).map(genome => decodeCircuit(new Choices(genome), relations, options))
}

/** The circuit that the choices describe; with no choices left, the first relation itself. */
export function decodeCircuit(choices: Choices, relations: readonly Relation[], options: CircuitOptions = {}): Rel {
  return new Circuits(choices, relations, options).relation(options.maxDepth ?? 4)
}

/** A recursive program over the relations, and sometimes something over that. */
export function decodeRecursion(choices: Choices, relations: readonly Relation[], options: CircuitOptions = {}): Rel {
  const circuits = new Circuits(choices, relations, { ...options, maxDepth: 0 })
  const rel = recursion(circuits, 0)
  if (!choices.oneIn(4)) return rel
  const over = new Circuits(choices, [n.view('program', rel), ...relations], options)
  return over.relation(options.maxDepth ?? 2)
}

class Circuits extends Surroundings {
  private readonly relations: readonly Relation[]
  private readonly kinds: readonly OperatorKind[]

  /** Nodes made so far, for use a second time. */
  private readonly made: Rel[] = []
  private readonly prefix: string
  private views = 0

  constructor(choices: Choices, relations: readonly Relation[], options: CircuitOptions) {
    super(choices)
    this.relations = relations
    this.prefix = options.prefix ?? 'inner'
    const kinds = options.kinds ?? (Object.keys(OPERATORS) as OperatorKind[])
    const isTimed = this.tables.some(t => t.waterlines !== undefined)
    this.kinds = isTimed ? [...kinds, ...TIMED.filter(kind => kinds.includes(kind))] : kinds
  }

  override get tables(): TableDefinition[] {
    return this.relations.filter(r => r.kind === 'table')
  }

  override relation(depth: number): Rel {
    const rel = depth <= 0 || this.made.length >= MAX_NODES ? this.base() : this.operator(depth)
    this.made.push(rel)
    return rel
  }

  private operator(depth: number): Rel {
    // Stopping early is one alternative among many at first, and likelier further down: most rows do not survive
    // many random operators, and an empty result tests little.
    const stops = STOPS[Math.min(depth, STOPS.length) - 1]
    const at = this.choices.below(this.kinds.length + stops)
    return at < stops ? this.base() : OPERATORS[this.kinds[at - stops]](this, depth - 1)
  }

  private base(): Rel {
    if (this.made.length > 0 && this.choices.oneIn(3)) return this.choices.pick(this.made)
    return n.source(this.choices.pick(this.relations))
  }

  /** The relation wrapped into a view of its own. */
  asView(rel: Rel): Rel {
    return n.source(n.view(`${this.prefix}${this.views++}`, rel))
  }

  /** A relation with the column types of `like`. */
  alike(like: Rel, depth: number): Rel {
    const rel = this.relation(depth)
    const types = (r: Rel): string => r.schema.columns.map(c => c.type).join()
    if (types(rel) === types(like)) return rel
    const columns = columnsOf(rel)
    return n.map(
      rel,
      like.schema.columns.map((c): n.Output => [c.name, this.expression(c.type, columns)]),
    )
  }
}

const setOperator =
  (op: SetRel['op']) =>
  (c: Circuits, depth: number): Rel => {
    const left = c.relation(depth)
    return n.set(op, left, c.alike(left, depth))
  }

function topKOperator(c: Circuits, depth: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const keys = Array.from({ length: c.choices.below(2) }, () => groupKey(c, columns))
  return n.topK(input, keys, anOrder(c, columns), 1 + c.choices.below(4))
}

function unnestOperator(c: Circuits, depth: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const own = columns.filter(column => TYPES[column.type].shape?.kind === 'array')
  const type = c.choices.pick(NESTED_TYPES.filter(t => TYPES[t].shape?.kind === 'array'))
  const array = own.length > 0 && !c.choices.oneIn(3) ? c.choices.pick(own) : c.expression(type, columns)
  const taken = new Set(columns.map(column => column.name))
  const name = ['e', 'e1', 'e2', 'e3', 'e4', 'e5'].find(e => !taken.has(e) && !taken.has(`${e}_number`)) ?? 'element'
  return n.unnest(input, array, name, c.choices.oneIn(2), c.choices.oneIn(2))
}

/** One node of each kind, over relations of the given depth. Simple ones first. */
const OPERATORS = {
  filter: (c: Circuits, depth: number): Rel => {
    const input = c.relation(depth)
    const columns = columnsOf(input)
    const condition = c.expression('bool', columns)
    return n.filter(
      input,
      c.choices.oneIn(2) ? condition : n.call('or', 'bool', condition, c.expression('bool', columns)),
    )
  },
  map: (c: Circuits, depth: number): Rel => {
    const input = c.relation(depth)
    return n.map(input, c.outputs(columnsOf(input)))
  },
  distinct: (c: Circuits, depth: number): Rel => n.distinct(c.relation(depth)),
  negate: (c: Circuits, depth: number): Rel => n.negate(c.relation(depth)),
  plus: (c: Circuits, depth: number): Rel => {
    const first = c.relation(depth)
    return n.plus(first, ...Array.from({ length: 1 + c.choices.below(2) }, () => c.alike(first, depth)))
  },
  inner: joinOperator('inner'),
  aggregate: aggregateOperator,
  global: globalOperator,
  left: joinOperator('left'),
  right: joinOperator('right'),
  full: joinOperator('full'),
  semi: joinOperator('semi'),
  anti: joinOperator('anti'),
  union: setOperator('union'),
  intersect: setOperator('intersect'),
  intersectAll: setOperator('intersectAll'),
  except: setOperator('except'),
  exceptAll: setOperator('exceptAll'),
  topK: topKOperator,
  window: windowOperator,
  unnest: unnestOperator,
  asOf: asOfOperator,
  session: timeWindowOperator,
  gate: gateOperator,
  view: (c: Circuits, depth: number): Rel => c.asView(c.relation(depth)),
  recursive: recursion,
}

export const OPERATOR_KINDS: readonly OperatorKind[] = Object.freeze(Object.keys(OPERATORS) as OperatorKind[])
