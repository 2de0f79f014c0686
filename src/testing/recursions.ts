/**
 * Random recursive programs: linear, non-linear and mutual, of every operator that may stand in a cycle, over whatever
 * relations there are. Relations are narrow, and mostly hold values that are there already, so that most programs come to
 * an end and the oracle can follow them.
 */
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import { recursiveOf, variableOf, variableSource } from '../circuit/recursion/program.js'
import type { Rel } from '../circuit/rel.js'
import type { ColumnSpec, RowSchema } from '../schema/schema.js'
import { arrayOf } from '../schema/types.js'
import * as n from './nodes.js'
import { canonical, samples } from './samples.js'
import { columnsOf, type Surroundings } from './surroundings.js'

const LIMITS = [12, 12, 12, 3, 1]

/** One of the relations of a random program. */
export function recursion(c: Surroundings, depth: number): Rel {
  const { choices } = c
  const count = choices.oneIn(3) ? 2 : 1
  const bases = Array.from({ length: count }, () => narrow(c, c.relation(depth)))
  const variables = bases.map(base => variableOf(base.schema))
  const steps = new Steps(
    c,
    variables.map(variableSource),
    Array.from({ length: 1 + choices.below(2) }, () => narrow(c, c.relation(depth))),
  )
  const bodies = bases.map(base => n.plus(base, ...steps.rules(base.schema)))
  const relations = recursiveOf({ names: ['a', 'b'].slice(0, count), variables, bodies, limit: choices.pick(LIMITS) })
  return choices.pick(relations)
}

/** One or two columns of the relation. */
function narrow(c: Surroundings, rel: Rel): Rel {
  const columns = columnsOf(rel)
  const width = Math.min(columns.length, c.choices.oneIn(4) ? 1 : 2)
  const first = c.choices.below(columns.length)
  const picked = Array.from({ length: width }, (_, i) => columns[(first + i) % columns.length])
  return n.map(
    rel,
    picked.map((e, i): n.Output => [`c${i}`, e]),
  )
}

/** Relations that depend on the program's variables. */
class Steps {
  constructor(
    private readonly c: Surroundings,
    private readonly selves: readonly Rel[],
    private readonly others: readonly Rel[],
  ) {}

  /** What follows from the program's relations, with these columns: often paths, and something made of them. */
  rules(schema: RowSchema): Rel[] {
    const { choices } = this.c
    if (choices.oneIn(2)) return [this.like(schema, 1 + choices.below(3))]
    const made = choices.oneIn(2) ? this.step(1 + choices.below(2)) : choices.pick(BY_ROW)(this, 1)
    return [this.like(schema, 1, this.join('inner', 0)), this.like(schema, 1, made)]
  }

  /** A step, or one of fewer columns. */
  private rows(depth: number): Rel {
    return depth > 0 && this.c.choices.oneIn(2) ? this.narrowed(depth - 1) : this.step(depth)
  }

  /** A step with these columns. */
  like(schema: RowSchema, depth: number, rel = this.step(depth)): Rel {
    return n.map(
      rel,
      schema.columns.map((c): n.Output => [c.name, this.value(c, columnsOf(rel))]),
    )
  }

  /** A column of the type if there is one, else something computed; not NULL if it must not be. */
  private value({ name, type, nullable }: ColumnSpec, columns: readonly ColumnExpr[]): Expr {
    const { choices } = this.c
    const own = columns.filter(e => e.type === type)
    const same = columns.find(e => e.name === name)
    const computed = own.length === 0 || choices.oneIn(16)
    const plain = same?.type === type && !choices.oneIn(6) ? same : choices.pick(own)
    const expr = computed ? this.c.expression(type, columns) : plain
    return expr.nullable && !nullable
      ? n.call('coalesce', type, expr, n.literal(type, canonical(type, samples(type)[0])))
      : expr
  }

  private step(depth: number): Rel {
    const self = this.c.choices.pick(this.selves)
    if (depth === 0) return self
    // What only takes rows away leaves little to see.
    if (this.c.choices.oneIn(3)) return this.join('inner', depth - 1)
    return this.c.choices.pick(STEPS)(this, depth - 1)
  }

  private other(): Rel {
    return this.c.choices.pick(this.others)
  }

  filter(depth: number): Rel {
    const input = this.step(depth)
    return n.filter(input, this.c.expression('bool', columnsOf(input)))
  }

  /** Rows that differ become one, with derivations of several iterations. */
  narrowed(depth: number): Rel {
    return narrow(this.c, this.step(depth))
  }

  plus(depth: number): Rel {
    const left = this.step(depth)
    return n.plus(left, this.like(left.schema, depth))
  }

  set(depth: number): Rel {
    const left = this.step(depth)
    const op = this.c.choices.pick(['union', 'intersect', 'except'] as const)
    if (op !== 'except') return n.set(op, left, this.like(left.schema, depth))
    const other = this.other()
    const right = left.schema.columns.map((c): n.Output => [c.name, this.value(c, columnsOf(other))])
    return n.set(op, left, n.map(other, right))
  }

  /** With another relation, or with one that depends on the program too. */
  join(type: JoinType, depth: number): Rel {
    const { choices } = this.c
    const left = this.rows(depth)
    const isMonotone = type === 'inner' || type === 'semi'
    const right = isMonotone && choices.oneIn(3) ? this.step(0) : this.other()
    if (type === 'right' || (type === 'inner' && choices.oneIn(3))) return this.pairs(type, right, left)
    return this.pairs(type, left, right)
  }

  private pairs(type: JoinType, left: Rel, right: Rel): Rel {
    const { choices } = this.c
    const [l, r] = [columnsOf(left), columnsOf(right, 1)]
    const [outLeft, outRight] = [columnsOf(left, 0, type === 'right'), columnsOf(right, 1, type === 'left')]
    const visible = type === 'semi' || type === 'anti' ? l : [...outLeft, ...outRight]
    // Mostly the ends of a path.
    const ends = [visible[0], visible[visible.length - 1]]
    const outputs = (choices.oneIn(3) ? [choices.pick(visible), choices.pick(visible)] : ends).map(
      (e, i): n.Output => [`c${i}`, e],
    )
    const residual = choices.oneIn(2) ? this.condition(l, r) : null
    const on = residual !== null && choices.oneIn(3) ? [] : [this.key(l, r)]
    return n.join(type, left, right, on, residual, outputs)
  }

  /** Anything, or a comparison between the sides. */
  private condition(l: readonly ColumnExpr[], r: readonly ColumnExpr[]): Expr {
    const { choices } = this.c
    const [a, b] = this.key(l, r)
    return choices.oneIn(3) ? this.c.expression('bool', l, r) : n.call(choices.pick(COMPARISONS), 'bool', a, b)
  }

  /** With what is complete. */
  asOf(depth: number): Rel {
    const { choices } = this.c
    const [left, right] = [this.rows(depth), this.other()]
    const [l, r] = [columnsOf(left), columnsOf(right, 1)]
    const type = choices.pick(['inner', 'left'] as const)
    const [earlier, later] = this.key(l, r)
    const on = choices.oneIn(2) ? [this.key(l, r)] : []
    const outputs = [l[0], choices.pick([...l, ...columnsOf(right, 1, type === 'left')])]
    return n.asOf(
      type,
      choices.pick(['le', 'lt', 'ge', 'gt'] as const),
      left,
      right,
      on,
      [earlier, later],
      outputs.map((e, i): n.Output => [`c${i}`, e]),
    )
  }

  /** Of arrays of the row's own values. */
  unnest(depth: number): Rel {
    const { choices } = this.c
    const input = this.rows(depth)
    const columns = columnsOf(input)
    const { type } = choices.pick(columns)
    const own = columns.filter(c => c.type === type)
    const array = arrayOf({ type, nullable: own.some(c => c.nullable) })
    const numbered = choices.oneIn(3)
    const apart = n.unnest(input, n.fn('makeArray', array, ...own), 'element', numbered, choices.oneIn(3))
    const [first, ...more] = columnsOf(apart)
    const element = columnsOf(apart)[columns.length]
    const outputs = choices.oneIn(3) ? [element, choices.pick(more)] : [first, element]
    return n.map(
      apart,
      outputs.map((e, i): n.Output => [`c${i}`, e]),
    )
  }

  private key(l: readonly ColumnExpr[], r: readonly ColumnExpr[]) {
    const { choices } = this.c
    const nullSafe = choices.oneIn(3)
    const common = l.flatMap(a => r.filter(b => b.type === a.type).map(b => [a, b] as const))
    if (common.length === 0) {
      const { type } = choices.pick(l)
      return [this.c.expression(type, l), this.c.expression(type, r), nullSafe] as const
    }
    // The last column of one side and the first of the other: paths.
    const [last, first] = [l[l.length - 1], r[0]]
    const [a, b] = last.type === first.type && !choices.oneIn(3) ? [last, first] : choices.pick(common)
    return [a, b, nullSafe] as const
  }

  distinct(depth: number): Rel {
    return n.distinct(this.step(depth))
  }
}

type JoinType = 'inner' | 'semi' | 'anti' | 'left' | 'right'
const COMPARISONS = ['lt', 'le', 'ge', 'gt', 'ne'] as const

/** What acts on each row by itself. */
const BY_ROW: readonly ((s: Steps, depth: number) => Rel)[] = [
  (s, depth) => s.join('anti', depth),
  (s, depth) => s.join('left', depth),
  (s, depth) => s.join('right', depth),
  (s, depth) => s.asOf(depth),
  (s, depth) => s.unnest(depth),
]

const STEPS: readonly ((s: Steps, depth: number) => Rel)[] = [
  (s, depth) => s.join('inner', depth),
  ...BY_ROW,
  (s, depth) => s.filter(depth),
  (s, depth) => s.narrowed(depth),
  (s, depth) => s.plus(depth),
  (s, depth) => s.set(depth),
  (s, depth) => s.join('semi', depth),
  (s, depth) => s.distinct(depth),
]
