/** Random circuits: every operator over given relations, with self-joins, shared nodes and views over views. */
import type fc from 'fast-check'
import type { ArgumentRule, UserAggregate } from '../circuit/aggregates/definition.js'
import { AGGREGATE_FNS, AGGREGATES } from '../circuit/aggregates/index.js'
import type { Bound } from '../circuit/bounds.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { AggregateFn, JoinRel, Rel, Relation, SetRel, TableDefinition } from '../circuit/rel.js'
import type { Frame } from '../circuit/window.js'
import { arrayOf, isDecimal, TYPES, type TypeName } from '../schema/types.js'
import { Choices, genomeArb } from './choices.js'
import { ALL_TYPES, Expressions } from './expressions.js'
import * as n from './nodes.js'
import { recursion } from './recursions.js'
import { NESTED_TYPES } from './samples.js'

export interface CircuitOptions {
  /** Most operators on a path from the result to a table, default 4. */
  readonly maxDepth?: number
  /** Only these kinds of operators (and sources); default all. */
  readonly kinds?: readonly OperatorKind[]
  /** Prefix of the names of views inside the circuit, default `inner`. */
  readonly prefix?: string
}

export type OperatorKind = keyof typeof OPERATORS

/** Most columns of a generated node. */
const MAX_COLUMNS = 5
const EXPRESSION_DEPTH = 3
/** Alternatives that end a path, by the depth that is left. */
const STOPS = [14, 8, 3, 1]
/** Most nodes of a circuit, so that nested joins do not explode the oracle's work. */
const MAX_NODES = 14

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

class Circuits {
  readonly choices: Choices
  private readonly relations: readonly Relation[]
  private readonly kinds: readonly OperatorKind[]

  /** Tables among the relations. */
  get tables(): TableDefinition[] {
    return this.relations.filter(r => r.kind === 'table')
  }

  /** Nodes made so far, for use a second time. */
  private readonly made: Rel[] = []
  private readonly prefix: string
  private views = 0

  constructor(choices: Choices, relations: readonly Relation[], options: CircuitOptions) {
    this.choices = choices
    this.relations = relations
    this.prefix = options.prefix ?? 'inner'
    this.kinds = options.kinds ?? (Object.keys(OPERATORS) as OperatorKind[])
  }

  relation(depth: number): Rel {
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

  expressions(...columns: readonly (readonly ColumnExpr[])[]): Expressions {
    return new Expressions(this.choices, columns.flat())
  }

  expression(type: TypeName, ...columns: readonly (readonly ColumnExpr[])[]): Expr {
    return this.expressions(...columns).of(type, EXPRESSION_DEPTH)
  }

  /** Output columns: existing ones, mostly, and computed ones. */
  outputs(columns: readonly ColumnExpr[], least = 1): n.Output[] {
    const count = Math.min(MAX_COLUMNS, Math.max(least, columns.length) + this.choices.below(2))
    return Array.from({ length: count }, (_, i): n.Output => {
      const plain = columns.length > 0 && !this.choices.oneIn(3)
      return [`c${i}`, plain ? columns[(i + this.choices.below(2)) % columns.length] : this.computed(columns)]
    })
  }

  computed(columns: readonly ColumnExpr[]): Expr {
    return this.expression(this.expressions(columns).type(), columns)
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

const columnsOf = (rel: Rel, input: 0 | 1 = 0, nullable = false): ColumnExpr[] =>
  rel.schema.columns.map(c => n.column(rel.schema, c.index, input, nullable))

const setOperator =
  (op: SetRel['op']) =>
  (c: Circuits, depth: number): Rel => {
    const left = c.relation(depth)
    return n.set(op, left, c.alike(left, depth))
  }

function joinOperator(type: JoinRel['type']) {
  return (c: Circuits, depth: number): Rel => {
    const left = c.relation(depth)
    const right = c.relation(depth)
    const [l, r] = [columnsOf(left), columnsOf(right, 1)]
    const count = c.choices.pick([1, 1, 1, 2, 2, 0])
    const on = Array.from({ length: count }, () => joinKey(c, l, r))
    const plain = c.choices.oneIn(3) || count === 0 ? c.expression('bool', l, r) : null
    const residual = c.choices.oneIn(4) || count === 0 ? rangeCondition(c, l, r, plain) : plain
    // The columns of a side that can be absent are NULL then.
    const outLeft = columnsOf(left, 0, type === 'right' || type === 'full')
    const outRight = columnsOf(right, 1, type === 'left' || type === 'full')
    const visible = type === 'semi' || type === 'anti' ? l : [...outLeft, ...outRight]
    return n.join(type, left, right, on, residual, c.outputs(visible, 2))
  }
}

/** Comparisons between the sides, one or two of them, before or after another condition. */
function rangeCondition(
  c: Circuits,
  left: readonly ColumnExpr[],
  right: readonly ColumnExpr[],
  more: Expr | null,
): Expr {
  const [points, others] = c.choices.oneIn(2) ? [right, left] : [left, right]
  const point = c.choices.pick(points)
  const like = others.filter(o => o.type === point.type)
  const bound = (): Expr => (like.length > 0 ? c.choices.pick(like) : c.expression(point.type, others))
  const lower = n.call(c.choices.pick(['ge', 'gt'] as const), 'bool', point, bound())
  const range = c.choices.oneIn(3) ? lower : n.call('and', 'bool', lower, n.call('le', 'bool', point, bound()))
  if (more === null) return range
  return c.choices.oneIn(2) ? n.call('and', 'bool', more, range) : n.call('and', 'bool', range, more)
}

/** A pair of equal types: two columns where the sides have some, else computed. */
function joinKey(c: Circuits, left: readonly ColumnExpr[], right: readonly ColumnExpr[]) {
  const common = left.filter(l => right.some(r => r.type === l.type))
  const nullSafe = c.choices.oneIn(3)
  if (common.length === 0 || c.choices.oneIn(5)) {
    const type = c.expressions(left, right).type()
    return [c.expression(type, left), c.expression(type, right), nullSafe] as const
  }
  const l = c.choices.pick(common)
  return [l, c.choices.pick(right.filter(r => r.type === l.type)), nullSafe] as const
}

const aggregateOperator = (c: Circuits, depth: number): Rel => aggregateNode(c, depth, 1 + c.choices.below(2))
const globalOperator = (c: Circuits, depth: number): Rel => aggregateNode(c, depth, 0)

function aggregateNode(c: Circuits, depth: number, keyCount: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const keys = Array.from({ length: keyCount }, (_, i): n.Output => [`k${i}`, groupKey(c, columns)])
  const aggregates = Array.from({ length: 1 + c.choices.below(3) }, (_, i) => anAggregate(c, `a${i}`, columns))
  return n.aggregate(input, keys, aggregates)
}

/** The plain ones are half of all. */
const PLAIN: readonly AggregateFn[] = ['count', 'sum', 'min', 'max', 'avg']

function anAggregate(c: Circuits, name: string, columns: readonly ColumnExpr[]): n.AggregateOutput {
  const fn = c.choices.pick(c.choices.oneIn(2) ? AGGREGATE_FNS : PLAIN)
  const { args: rules, optional } = AGGREGATES[fn]
  const bare = optional === true && !c.choices.oneIn(2)
  const args = bare ? [] : rules.map(rule => aggregateArgument(c, rule, columns))
  const filter = c.choices.oneIn(5) ? c.expression('bool', columns) : null
  const distinct = args.length > 0 && c.choices.oneIn(5)
  return [name, fn, args, { filter, distinct, ...aggregateDetail(c, fn, columns) }]
}

const groupKey = (c: Circuits, columns: readonly ColumnExpr[]): Expr =>
  c.choices.oneIn(4) ? c.computed(columns) : c.choices.pick(columns)

function aggregateArgument(c: Circuits, rule: ArgumentRule, columns: readonly ColumnExpr[]): Expr {
  const own = columns.filter(column => rule.accepts(column.type))
  if (own.length > 0 && !c.choices.oneIn(3)) return c.choices.pick(own)
  return c.expression(c.choices.pick(ALL_TYPES.filter(rule.accepts)), columns)
}

/** What some aggregates need besides. */
function aggregateDetail(c: Circuits, fn: AggregateFn, columns: readonly ColumnExpr[]): n.AggregateOptions {
  switch (fn) {
    case 'linear':
      return { detail: WEIGHTED_SUMS }
    case 'fold':
      return { detail: TEXT_OF_ROWS }
    case 'percentileCont':
    case 'percentileDisc':
      return { detail: c.choices.pick([0.5, 0, 1, 0.25, 0.9]) }
    case 'approxPercentile':
      return { detail: [c.choices.pick([0.5, 0, 0.99]), 0.05] }
    case 'approxCountDistinct':
      return { detail: 4 }
    case 'histogram':
      return { detail: [-1, 2, 3] }
    case 'first':
    case 'last':
      return { order: anOrder(c, columns), distinct: false }
    case 'stringAgg':
      return { detail: ', ', order: anOrder(c, columns), distinct: false }
    case 'arrayAgg':
    case 'jsonAgg':
      return { order: anOrder(c, columns), distinct: false }
    default:
      return {}
  }
}

const anOrder = (c: Circuits, columns: readonly ColumnExpr[]) =>
  Array.from({ length: c.choices.below(3) }, () => {
    return { expr: groupKey(c, columns), descending: c.choices.oneIn(2) }
  })

/** A fold of a user: everything it sees, as text. */
const TEXT_OF_ROWS: UserAggregate = Object.freeze({
  ...{ kind: 'user', name: 'texts', type: 'string', nullable: true },
  fn: (rows: readonly { values: readonly unknown[]; weight: bigint }[]) => {
    const text = rows.map(({ values, weight }) => `${values.map(String)} x ${weight}`).join()
    if (text.startsWith('0')) throw new Error('zero')
    return text.length > 20 ? null : `${text.length} ${text.replace(/[^ -~]/g, '?')}`
  },
} as const)

/** A linear aggregate of a user: fails now and then. */
const WEIGHTED_SUMS: UserAggregate = Object.freeze({
  ...{ kind: 'user', name: 'sums', type: 'f64', nullable: true },
  fn: (...sums: readonly (number | bigint)[]) => {
    const total = sums.reduce((sum: number, x) => sum * 2 + Number(x), 0)
    if (total === 3) throw new Error('three')
    return total === 1 ? null : total
  },
} as const)

function topKOperator(c: Circuits, depth: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const keys = Array.from({ length: c.choices.below(2) }, () => groupKey(c, columns))
  const order = Array.from({ length: c.choices.below(3) }, () => {
    return { expr: groupKey(c, columns), descending: c.choices.oneIn(2) }
  })
  return n.topK(input, keys, order, 1 + c.choices.below(4))
}

const RANGED: readonly TypeName[] = ['i32', 'i64', 'f64', 'u8', 'u64', 'f32', 'date', 'timestamp', 'time', 'i8']

function windowOperator(c: Circuits, depth: number): Rel {
  const { choices } = c
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const partition = Array.from({ length: choices.below(2) }, () => groupKey(c, columns))
  const ranged = columns.filter(column => RANGED.includes(column.type) || isDecimal(column.type))
  const single = ranged.length > 0 && choices.oneIn(2)
  const exprs = single ? [choices.pick(ranged)] : Array.from({ length: choices.below(3) }, () => groupKey(c, columns))
  const order = exprs.map(expr => ({ expr, descending: choices.oneIn(2), nullsFirst: choices.oneIn(2) }))
  // One that is alone is not helped by what others have computed again.
  const count = choices.oneIn(2) ? 1 : 2 + choices.below(2)
  const functions = Array.from({ length: count }, (_, i) => {
    return [`w${i}`, windowFunction(c, columns, single ? order[0].expr.type : null)] as const
  })
  return renamed(n.window(input, partition, order, functions))
}

/** With names that no further window takes for its own. */
function renamed(rel: Rel): Rel {
  return n.map(
    rel,
    columnsOf(rel).map((column, i): n.Output => [`c${i}`, column]),
  )
}

const RANK_FNS = ['rowNumber', 'rank', 'denseRank', 'percentRank', 'cumeDist', 'ntile'] as const
const VALUE_FNS = ['lag', 'lead', 'firstValue', 'lastValue', 'nthValue'] as const
const FRAME_FNS = ['count', 'sum', 'min', 'max', 'avg', 'boolAnd', 'boolOr', 'bitAnd', 'bitOr', 'bitXor'] as const

/** `ranged`: the type of the one order column, if RANGE offsets may be taken of it. */
function windowFunction(c: Circuits, columns: readonly ColumnExpr[], ranged: TypeName | null): n.WindowFunction {
  const { choices } = c
  const frame = windowFrame(c, ranged)
  switch (choices.below(4)) {
    case 0:
      return { fn: choices.pick(RANK_FNS), arg: null, n: 1 + choices.below(3) }
    case 1: {
      const fn = choices.pick(VALUE_FNS)
      const arg = groupKey(c, columns)
      const ignoreNulls = choices.oneIn(2)
      const offset = fn === 'lag' || fn === 'lead'
      const fallback = offset && choices.oneIn(2) ? c.expression(arg.type, columns) : null
      return {
        fn,
        arg,
        fallback,
        ignoreNulls,
        frame,
        n: fn === 'nthValue' || ignoreNulls ? 1 + choices.below(3) : choices.below(3),
      }
    }
    case 2: {
      const aggregate = n.aggregateSpec(anAggregate(c, 'framed', columns))
      return { fn: aggregate.fn, arg: null, aggregate, frame }
    }
    default: {
      const fn = choices.pick(FRAME_FNS)
      const { args, optional } = AGGREGATES[fn]
      const bare = optional === true && !choices.oneIn(2)
      return { fn, arg: bare ? null : aggregateArgument(c, args[0], columns), frame }
    }
  }
}

function windowFrame({ choices }: Circuits, ranged: TypeName | null): Frame {
  const mode = choices.pick(['range', 'rows', 'groups'] as const)
  const exclude = choices.pick(['none', 'none', 'current', 'group', 'ties'] as const)
  const bound = (): number | null => (choices.oneIn(3) ? null : choices.below(5) - 2)
  const [a, b] = [bound(), bound()]
  const [start, end] = a !== null && b !== null && a > b && !choices.oneIn(6) ? [b, a] : [a, b]
  if (mode !== 'range') return { mode, start, end, exclude }
  const unit = choices.pick([1, 1, 3, 100])
  const calendar = (ranged === 'date' || ranged === 'timestamp') && choices.oneIn(2)
  const offset = (x: number | null): Frame['start'] => {
    if (calendar && x !== null) return { months: x * unit, micros: BigInt(x) * 86_400_000_000n }
    if (ranged === null) return x === null ? null : 0
    return x !== null && TYPES[ranged].js === 'bigint' ? BigInt(x * unit) : x === null ? null : x * unit
  }
  return { mode, start: offset(start), end: offset(end), exclude }
}

function asOfOperator(c: Circuits, depth: number): Rel {
  const left = c.relation(depth)
  const right = c.relation(depth)
  const [l, r] = [columnsOf(left), columnsOf(right, 1)]
  const on = Array.from({ length: c.choices.pick([1, 0, 2]) }, () => joinKey(c, l, r))
  const type = c.choices.pick(['inner', 'left'] as const)
  const visible = [...l, ...columnsOf(right, 1, type === 'left')]
  const op = c.choices.pick(['le', 'lt', 'ge', 'gt'] as const)
  const [earlier, later] = joinKey(c, l, r)
  return n.asOf(type, op, left, right, on, [earlier, later], c.outputs(visible, 2))
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

const TIMED: readonly TypeName[] = ['i64', 'timestamp', 'i32', 'u64', 'date', 'u8', 'i8', 'timestamptz']

/** A time: a column, if there is one of the right type, that is not NULL. */
function aTime(c: Circuits, columns: readonly ColumnExpr[]): Expr {
  const own = columns.filter(column => TIMED.includes(column.type))
  const expr = own.length > 0 && !c.choices.oneIn(5) ? c.choices.pick(own) : c.computed(columns)
  const time = TIMED.includes(expr.type) ? expr : c.expression(c.choices.pick(TIMED), columns)
  return time.nullable ? n.call('coalesce', time.type, time, n.literal(time.type, wholeOf(time.type, 0))) : time
}

const wholeOf = (type: TypeName, value: number): number | bigint =>
  TYPES[type].js === 'number' ? value : BigInt(value)

function timeWindowOperator(c: Circuits, depth: number): Rel {
  const { choices } = c
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const at = aTime(c, columns)
  const { type } = at
  const [size, step] = [choices.pick([1, 3, 10, 100]), choices.pick([1, 2, 7])]
  const whole = (value: number): Expr => n.literal(type, wholeOf(type, value))
  switch (choices.below(4)) {
    case 0: {
      const start = n.fn('windowStart', type, at, whole(size), whole(choices.below(size)))
      return n.map(input, [...c.outputs(columns).slice(0, 3), ['windowStart', start]])
    }
    case 1: {
      const starts = n.fn(
        'windowStarts',
        arrayOf({ type, nullable: false }),
        at,
        whole(size),
        whole(Math.min(size, step)),
        whole(0),
      )
      return renamed(n.unnest(renamed(input), starts, 'start', false, false))
    }
    default: {
      const keys = Array.from({ length: choices.below(2) }, () => groupKey(c, columns))
      return renamed(n.session(renamed(input), keys, at, BigInt(size)))
    }
  }
}

/** Rows that pass once they are final, or until the clock passes them; the input itself, if there is neither. */
function gateOperator(c: Circuits, depth: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const clock = c.tables.find(t => t.waterlines?.length === 1 && t.schema.columns.length === 1)
  const bounded = columns.filter(column => n.boundOf(input, column.index) !== null)
  if (bounded.length > 0 && c.choices.oneIn(2)) {
    const key = c.choices.pick(bounded)
    return n.gate(input, key, 'lt', n.boundOf(input, key.index) as Bound)
  }
  if (clock === undefined) return input
  const { type } = clock.schema.columns[0]
  const own = columns.filter(column => column.type === type && !column.nullable)
  const key = own.length > 0 ? c.choices.pick(own) : n.literal(type, wholeOf(type, c.choices.below(24)))
  const by = n.literal(type, wholeOf(type, c.choices.below(8)))
  const name = c.choices.pick(['addSaturated', 'subSaturated'] as const)
  const threshold = n.waterlineBound(clock, 0, now => n.fn(name, type, now, by))
  return n.gate(input, key, c.choices.pick(['ge', 'lt', 'gt', 'le'] as const), threshold)
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
