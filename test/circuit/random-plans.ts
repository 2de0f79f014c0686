/**
 * Random circuits and contents for the tests of lowering and optimising: small domains, so that rows meet; weights
 * of either sign; NULLs; expressions that fail on some rows.
 */
import { aggregateColumn } from '../../src/circuit/aggregates/index.js'
import type { CallExpr, Expr, Op } from '../../src/circuit/expr.js'
import { addRow, type ZSet } from '../../src/circuit/interpret.js'
import { schemaOf, specsOf } from '../../src/circuit/nodes.js'
import type {
  AggregateFn,
  AggregateSpec,
  JoinRel,
  Rel,
  Relation,
  SetRel,
  TableDefinition,
} from '../../src/circuit/rel.js'
import { allColumns, call, columnOf, literal } from '../../src/circuit/substitute.js'
import { type RowSchema, rowSchema, tableSchema } from '../../src/schema/schema.js'
import type { TypeName, Value } from '../../src/schema/types.js'

export const tableOf = (name: string, columns: Record<string, string>, key: string[] = []): TableDefinition => ({
  kind: 'table',
  stream: false,
  schema: tableSchema(
    name,
    Object.entries(columns).map(([column, type]) => ({
      name: column,
      type: type.replace('?', '') as TypeName,
      nullable: type.endsWith('?'),
    })),
    key,
  ),
})

export const TABLES: readonly TableDefinition[] = [
  tableOf('orders', { id: 'i64', customer: 'i64?', amount: 'i64', note: 'string?' }),
  tableOf('customers', { id: 'i64', boss: 'i64?', region: 'string' }, ['id']),
  tableOf('points', { u: 'u64?', x: 'f64', n: 'i32?', on: 'bool?' }),
]

export const sourceOf = (relation: Relation): Rel => ({ kind: 'source', relation, schema: relation.schema })

/** A generator of whole numbers below a bound, from a seed. */
export type Pick = (bound: number) => number

export function picker(seed: number): Pick {
  let a = seed | 0
  return bound => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }
}

const oneOf = <T>(pick: Pick, items: readonly T[]): T => items[pick(items.length)]

export function randomInputs(pick: Pick): Map<Relation, ZSet> {
  const inputs = new Map<Relation, ZSet>()
  for (const table of TABLES) {
    const zset: ZSet = new Map()
    for (let i = pick(9); i > 0; i--) {
      const row = table.schema.columns.map(c => (c.nullable && pick(3) === 0 ? null : randomValue(c.type, pick)))
      addRow(zset, row, BigInt(oneOf(pick, [1, 1, 1, 2, 3, -1, -2])))
    }
    inputs.set(table, zset)
  }
  return inputs
}

function randomValue(type: TypeName, pick: Pick): Value {
  switch (type) {
    case 'bool':
      return pick(2) === 0
    case 'string':
      return oneOf(pick, ['', 'a', 'b', '1', 'é'])
    case 'i64':
      return BigInt(pick(4) - 1)
    case 'u64':
      return BigInt(pick(3))
    case 'i32':
      return pick(4) - 1
    default:
      return oneOf(pick, [0, 1, 2, 0.5])
  }
}

type Inputs = readonly RowSchema[]

/** An expression over the columns of one or two rows. `risk`: how often it may contain what can fail, of 10. */
export function randomExpr(type: TypeName, inputs: Inputs, depth: number, risk: number, pick: Pick): Expr {
  const columns = inputs.flatMap((s, input) => allColumns(s, input as 0 | 1)).filter(c => c.type === type)
  const sub = (t: TypeName): Expr => randomExpr(t, inputs, depth - 1, risk, pick)
  if (depth <= 0 || pick(3) === 0) {
    if (columns.length > 0 && pick(6) > 0) return oneOf(pick, columns)
    return literal(type, pick(8) === 0 ? null : randomValue(type, pick))
  }
  if (pick(8) === 0) return call('if', [sub('bool'), sub(type), sub(type)], type)
  if (pick(8) === 0) return call('coalesce', [sub(type), sub(type)], type)
  const risky = pick(10) < risk
  switch (type) {
    case 'bool':
      return randomCondition(sub, pick)
    case 'i64':
      if (!risky) return call('if', [sub('bool'), sub('i64'), sub('i64')], type)
      return pick(4) === 0
        ? call('cast', [sub('string')], type)
        : call(arithmeticOp(pick), [sub(type), sub(type)], type)
    case 'f64':
      return call(
        oneOf<Op>(pick, ['add', 'sub', 'mul', 'div']),
        [sub(oneOf<TypeName>(pick, ['f64', 'i32'])), sub('f64')],
        type,
      )
    case 'string':
      return risky ? call('upper', [sub('string')], type) : call('trim', [sub('string')], type)
    case 'u64':
      return risky ? call('cast', [sub('i64')], type) : literal(type, BigInt(pick(3)))
    default:
      return risky ? call('cast', [sub('f64')], type) : literal(type, pick(3))
  }
}

const arithmeticOp = (pick: Pick): Op => oneOf<Op>(pick, ['add', 'sub', 'div', 'rem', 'div'])

function randomCondition(sub: (type: TypeName) => Expr, pick: Pick): CallExpr {
  const op = oneOf<Op>(pick, ['and', 'and', 'or', 'not', 'isNull', 'lt', 'ge', 'eq', 'ne', 'is', 'isnt', 'eq'])
  if (op === 'and' || op === 'or') return call(op, [sub('bool'), sub('bool')], 'bool')
  if (op === 'not') return call('not', [sub('bool')], 'bool')
  const type = oneOf<TypeName>(pick, ['i64', 'i64', 'string', 'f64', 'i32', 'u64', 'bool'])
  return op === 'isNull' ? call(op, [sub(type)], 'bool') : call(op, [sub(type), sub(type)], 'bool')
}

const EXPR_TYPES: readonly TypeName[] = ['i64', 'i64', 'string', 'f64', 'bool', 'i32', 'u64']

/** A circuit over TABLES; sub-plans are sometimes used twice, as the same object. */
export function randomPlan(depth: number, risk: number, pick: Pick, made: Rel[] = []): Rel {
  const rel = makePlan(depth, risk, pick, made)
  made.push(rel)
  return rel
}

function makePlan(depth: number, risk: number, pick: Pick, made: Rel[]): Rel {
  if (depth <= 0) return sourceOf(oneOf(pick, TABLES))
  if (made.length > 0 && pick(6) === 0) return oneOf(pick, made)
  const input = randomPlan(depth - 1, risk, pick, made)
  const expr = (type: TypeName): Expr => randomExpr(type, [input.schema], 2, risk, pick)
  switch (pick(12)) {
    case 0:
    case 1:
      return { kind: 'filter', schema: input.schema, input, predicate: expr('bool') }
    case 2:
    case 3:
      return randomMap(
        input,
        EXPR_TYPES.slice(0, 1 + pick(4)).map(() => expr(oneOf(pick, EXPR_TYPES))),
      )
    case 4:
      return { kind: oneOf(pick, ['distinct', 'negate']), schema: input.schema, input }
    case 5:
    case 6: {
      const other = alike(input, randomPlan(depth - 1, risk, pick, made), pick)
      const schema = joinedSchema(input.schema, other.schema)
      if (pick(3) === 0) return { kind: 'plus', schema, inputs: [input, other] }
      const op = oneOf<SetRel['op']>(pick, ['union', 'intersect', 'intersectAll', 'except', 'exceptAll'])
      return { kind: 'set', op, schema, left: input, right: other }
    }
    case 7:
      return randomAggregate(input, expr, pick)
    case 8: {
      const keys = pick(2) === 0 ? [] : [expr(oneOf(pick, EXPR_TYPES))]
      const order = [{ expr: expr(oneOf(pick, EXPR_TYPES)), descending: pick(2) === 0 }]
      return { kind: 'topK', schema: input.schema, input, keys, order, limit: 1 + pick(3) }
    }
    default:
      return randomJoin(input, randomPlan(depth - 1 - pick(2), risk, pick, made), risk, pick)
  }
}

function randomMap(input: Rel, exprs: readonly Expr[]): Rel {
  return {
    kind: 'map',
    schema: schemaOf(
      'mapped',
      specsOf(exprs, i => `c${i}`),
    ),
    input,
    exprs,
  }
}

/** The second relation given the columns of the first one. */
function alike(first: Rel, second: Rel, pick: Pick): Rel {
  const exprs = first.schema.columns.map(c => {
    const found = allColumns(second.schema).filter(d => d.type === c.type)
    return found.length > 0 ? oneOf(pick, found) : literal(c.type, c.nullable ? null : randomSafe(c.type))
  })
  return randomMap(second, exprs)
}

function randomSafe(type: TypeName): Value {
  return randomValue(type, () => 1)
}

function joinedSchema(a: RowSchema, b: RowSchema): RowSchema {
  const specs = a.columns.map((c, i) => ({ name: c.name, type: c.type, nullable: c.nullable || b.columns[i].nullable }))
  return rowSchema(a.name, specs)
}

function randomAggregate(input: Rel, expr: (type: TypeName) => Expr, pick: Pick): Rel {
  const keys = Array.from({ length: pick(3) }, () => expr(oneOf(pick, EXPR_TYPES)))
  const aggregates = Array.from({ length: 1 + pick(3) }, (_, i): AggregateSpec => {
    const fn = oneOf<AggregateFn>(pick, ['count', 'sum', 'avg', 'min', 'max'])
    const types: readonly TypeName[] = fn === 'sum' || fn === 'avg' ? ['i64', 'f64'] : EXPR_TYPES
    const args = fn === 'count' && pick(2) === 0 ? [] : [expr(oneOf(pick, types))]
    const filter = pick(4) === 0 ? expr('bool') : null
    return { fn, args, name: `a${i}`, filter, distinct: args.length > 0 && pick(4) === 0, order: [], detail: null }
  })
  const specs = [
    ...specsOf(keys, i => `k${i}`),
    ...aggregates.map(a => ({ name: a.name, type: aggregateColumn(a, false).type, nullable: a.fn !== 'count' })),
  ]
  return { kind: 'aggregate', schema: schemaOf('grouped', specs), input, keys, aggregates }
}

function randomJoin(left: Rel, right: Rel, risk: number, pick: Pick): Rel {
  const type = oneOf<JoinRel['type']>(pick, ['inner', 'inner', 'left', 'right', 'full', 'semi', 'anti'])
  const on = Array.from({ length: 1 + pick(2) }, () => randomPair(left, right, risk, pick))
  const residual = pick(2) === 0 ? null : randomExpr('bool', [left.schema, right.schema], 2, risk, pick)
  const outer = (s: RowSchema, absent: boolean): RowSchema =>
    rowSchema(
      s.name,
      s.columns.map(c => ({ name: c.name, type: c.type, nullable: c.nullable || absent })),
    )
  const seen: Inputs =
    type === 'semi' || type === 'anti'
      ? [left.schema]
      : [
          outer(left.schema, type === 'right' || type === 'full'),
          outer(right.schema, type === 'left' || type === 'full'),
        ]
  const exprs: Expr[] = []
  for (let i = 1 + pick(4); i > 0; i--) exprs.push(randomExpr(oneOf(pick, EXPR_TYPES), seen, pick(3), risk, pick))
  const schema = schemaOf(
    'joined',
    specsOf(exprs, i => `c${i}`),
  )
  return { kind: 'join', type, schema, left, right, on, nullSafe: on.map(() => pick(2) === 0), residual, exprs }
}

/** Keys of one type, or of two numeric types that are compared by value. */
function randomPair(left: Rel, right: Rel, risk: number, pick: Pick): readonly [Expr, Expr] {
  const types = oneOf<readonly [TypeName, TypeName]>(pick, [
    ['i64', 'i64'],
    ['string', 'string'],
    ['i64', 'u64'],
    ['u64', 'i64'],
    ['i32', 'f64'],
    ['bool', 'bool'],
  ])
  const key = (rel: Rel, type: TypeName, input: 0 | 1): Expr => {
    const columns = allColumns(rel.schema, input).filter(c => c.type === type)
    if (columns.length > 0 && pick(4) > 0) return oneOf(pick, columns)
    return onInput(randomExpr(type, [rel.schema], 2, risk, pick), rel.schema, input)
  }
  return [key(left, types[0], 0), key(right, types[1], 1)]
}

function onInput(expr: Expr, schema: RowSchema, input: 0 | 1): Expr {
  if (expr.kind === 'column') return columnOf(schema, expr.index, input)
  return expr.kind === 'call' ? { ...expr, args: expr.args.map(a => onInput(a, schema, input)) } : expr
}
