/**
 * Constructors of circuits, node by node, without the builder: for generated circuits and for the reproductions that
 * a failed property prints. They compute schemas and nullability and check nothing else.
 */
import { aggregateColumn } from '../circuit/aggregates/index.js'
import { type Bound, boundsOf } from '../circuit/bounds.js'
import type { CallExpr, ColumnExpr, DatePart, Expr, Op, Udf } from '../circuit/expr.js'
import { lower } from '../circuit/lower.js'
import type {
  AggregateFn,
  AggregateRel,
  AggregateSpec,
  AsOfRel,
  ClampMode,
  FilterRel,
  GateRel,
  JoinRel,
  MapRel,
  RecursiveProgram,
  Rel,
  Relation,
  SessionRel,
  SetRel,
  TableDefinition,
  TopKRel,
  UnnestRel,
  VariableDefinition,
  ViewDefinition,
  Waterline,
  WindowRel,
} from '../circuit/rel.js'
import type { FunctionName } from '../circuit/scalar.js'
import { columnOf as columnExpr, detailed } from '../circuit/substitute.js'
import { DEFAULT_FRAME, type WindowOrder, type WindowSpec, windowResult } from '../circuit/window.js'
import { type ColumnSpec, type RowSchema, rowSchema, tableSchema } from '../schema/schema.js'
import { TYPES, type TypeName } from '../schema/types.js'

/** A named output column. */
export type Output = readonly [name: string, expr: Expr]

export function table(
  name: string,
  columns: readonly (readonly [name: string, type: TypeName, nullable?: boolean])[],
  primaryKey: readonly string[] = [],
  waterlines: readonly Waterline[] = [],
): TableDefinition {
  const specs = columns.map(([column, type, nullable]) => ({ name: column, type, nullable: nullable ?? false }))
  const definition = { kind: 'table', schema: tableSchema(name, specs, primaryKey), stream: false } as const
  return Object.freeze(waterlines.length === 0 ? definition : { ...definition, waterlines })
}

/** `key` defaults to all columns. */
export function view(name: string, rel: Rel, key: readonly number[] = rel.schema.columns.map(c => c.index)) {
  const definition: ViewDefinition = { kind: 'view', schema: rowSchema(name, rel.schema.columns), rel, key }
  return Object.freeze(definition)
}

/** Column `index` of a relation; of the right side of a join with `input` 1. */
export function column(schema: RowSchema, index: number, input: 0 | 1 = 0, nullable = false): ColumnExpr {
  const { name, type, nullable: own } = schema.columns[index]
  return Object.freeze({ kind: 'column', input, index, name, type, nullable: nullable || own })
}

export { literal } from '../circuit/substitute.js'

/** Any operator but `math`, `datePart` and `udf`. */
export function call(op: Op, type: TypeName, ...args: readonly Expr[]): CallExpr {
  return callOf(op, type, args, nullability(op, args))
}

export const math = (fn: string, ...args: readonly Expr[]): CallExpr =>
  callOf('math', 'f64', args, nullability('math', args), fn)

/** A function of `scalar/nested.ts`. */
export const fn = (name: FunctionName, type: TypeName, ...args: readonly Expr[]): CallExpr =>
  detailed('function', name, Object.freeze(args), type)

export const datePart = (part: DatePart, arg: Expr): CallExpr => callOf('datePart', 'f64', [arg], arg.nullable, part)

export const udf = (fn: Udf, type: TypeName, ...args: readonly Expr[]): CallExpr =>
  callOf('udf', type, args, true, null, fn)

function callOf(
  op: Op,
  type: TypeName,
  args: readonly Expr[],
  nullable: boolean,
  detail: string | null = null,
  udf: Udf | null = null,
): CallExpr {
  return Object.freeze({ kind: 'call', op, args: Object.freeze(args), type, nullable, detail, udf })
}

function nullability(op: Op, args: readonly Expr[]): boolean {
  switch (op) {
    case 'is':
    case 'isnt':
    case 'isNull':
      return false
    case 'coalesce':
      return args.every(a => a.nullable)
    case 'if':
      return args[1].nullable || args[2].nullable
    default:
      return args.some(a => a.nullable)
  }
}

/** A relation that bodies of a recursive program read. */
export function variable(columns: readonly (readonly [name: string, type: TypeName, nullable?: boolean])[]) {
  const specs = columns.map(([name, type, nullable]) => ({ name, type, nullable: nullable ?? false }))
  const definition: VariableDefinition = { kind: 'variable', schema: rowSchema('variable', specs) }
  return Object.freeze(definition)
}

/** REQUIRES: what `recursiveOf` ensures; it is the one to use where circuits are made. */
export function program(
  names: readonly string[],
  parameters: readonly VariableDefinition[],
  variables: readonly VariableDefinition[],
  bodies: readonly Rel[],
  limit: number,
): RecursiveProgram {
  return Object.freeze({ names, parameters, variables, bodies, limit })
}

export function recursive(of: RecursiveProgram, inputs: readonly Rel[], index: number): Rel {
  return Object.freeze({ kind: 'recursive', schema: of.variables[index].schema, inputs, program: of, index })
}

export const source = (relation: Relation | VariableDefinition): Rel =>
  Object.freeze({ kind: 'source', schema: relation.schema, relation })

export function filter(input: Rel, predicate: Expr): FilterRel {
  return Object.freeze({ kind: 'filter', schema: input.schema, input, predicate })
}

export function map(input: Rel, outputs: readonly Output[]): MapRel {
  return Object.freeze({ kind: 'map', schema: schemaOf('map', outputs), input, exprs: outputs.map(o => o[1]) })
}

export const negate = (input: Rel): Rel => Object.freeze({ kind: 'negate', schema: input.schema, input })

export const distinct = (input: Rel): Rel => Object.freeze({ kind: 'distinct', schema: input.schema, input })

/** Found in lowered circuits only. */
export function clamp(input: Rel, mode: ClampMode): Rel {
  return Object.freeze({ kind: 'clamp', schema: input.schema, input, mode })
}

/** REQUIRES: the inputs have the same column types. */
export function plus(...inputs: readonly Rel[]): Rel {
  return Object.freeze({ kind: 'plus', schema: joinedSchema('plus', inputs), inputs: Object.freeze(inputs) })
}

/** REQUIRES: both sides have the same column types. */
export function set(op: SetRel['op'], left: Rel, right: Rel): SetRel {
  return Object.freeze({ kind: 'set', schema: joinedSchema(op, [left, right]), op, left, right })
}

export function join(
  type: JoinRel['type'],
  left: Rel,
  right: Rel,
  on: readonly (readonly [left: Expr, right: Expr, nullSafe: boolean])[],
  residual: Expr | null,
  outputs: readonly Output[],
): JoinRel {
  return Object.freeze({
    ...{ kind: 'join', schema: schemaOf('join', outputs), type, left, right, residual },
    on: on.map(([l, r]) => [l, r] as const),
    nullSafe: on.map(([, , nullSafe]) => nullSafe),
    exprs: outputs.map(o => o[1]),
  })
}

/** What an aggregate may have besides its arguments. */
export type AggregateOptions = Partial<Pick<AggregateSpec, 'filter' | 'distinct' | 'order' | 'detail'>>

export type AggregateOutput = readonly [
  name: string,
  fn: AggregateFn,
  args: Expr | readonly Expr[] | null,
  options?: AggregateOptions,
]

export function aggregateSpec([name, fn, given, options = {}]: AggregateOutput): AggregateSpec {
  const args = given === null ? [] : Array.isArray(given) ? (given as Expr[]) : [given as Expr]
  return Object.freeze({ name, fn, args, ...{ filter: null, distinct: false, order: [], detail: null }, ...options })
}

export function aggregate(input: Rel, keys: readonly Output[], aggregates: readonly AggregateOutput[]): AggregateRel {
  const specs = aggregates.map(aggregateSpec)
  const columns = specs.map((spec): ColumnSpec => ({ name: spec.name, ...aggregateColumn(spec, keys.length === 0) }))
  return Object.freeze({
    ...{ kind: 'aggregate', input, keys: keys.map(k => k[1]) },
    schema: rowSchema('aggregate', [...keys.map(specOf), ...columns]),
    aggregates: specs,
  })
}

export function topK(
  input: Rel,
  keys: readonly Expr[],
  order: readonly { readonly expr: Expr; readonly descending: boolean }[],
  limit: number,
): TopKRel {
  return Object.freeze({ kind: 'topK', schema: input.schema, input, keys, order, limit })
}

export type WindowFunction = Omit<WindowSpec, 'name' | 'fallback' | 'n' | 'ignoreNulls' | 'frame'> &
  Partial<Pick<WindowSpec, 'fallback' | 'n' | 'ignoreNulls' | 'frame'>>

export function window(
  input: Rel,
  partition: readonly Expr[],
  order: readonly WindowOrder[],
  functions: readonly (readonly [name: string, spec: WindowFunction])[],
): WindowRel {
  const specs = functions.map(([name, spec]): WindowSpec => {
    const aggregate = spec.aggregate === undefined ? {} : { aggregate: { ...spec.aggregate, name } }
    return { fallback: null, n: 0, ignoreNulls: false, frame: DEFAULT_FRAME, ...spec, name, ...aggregate }
  })
  const columns = specs.map((spec): ColumnSpec => ({ name: spec.name, ...windowResult(spec) }))
  const schema = rowSchema('window', [...input.schema.columns, ...columns])
  return Object.freeze({ kind: 'window', schema, input, partition, order, functions: specs })
}

export function asOf(
  type: AsOfRel['type'],
  op: AsOfRel['op'],
  left: Rel,
  right: Rel,
  on: readonly (readonly [left: Expr, right: Expr, nullSafe: boolean])[],
  times: AsOfRel['times'],
  outputs: readonly Output[],
): AsOfRel {
  const exprs = outputs.map(o => o[1])
  const nullSafe = Object.freeze(on.map(pair => pair[2]))
  const pairs = Object.freeze(on.map(pair => [pair[0], pair[1]] as const))
  const parts = { type, op, left, right, on: pairs, nullSafe, times, exprs }
  return Object.freeze({ kind: 'asOf', schema: schemaOf('asOf', outputs), ...parts })
}

/** Rows that pass by their key and a threshold. */
export function gate(input: Rel, key: Expr, op: GateRel['op'], threshold: Bound): GateRel {
  return Object.freeze({ kind: 'gate', input, key, op, threshold, schema: input.schema })
}

/** What column `column` of a relation is bounded by; null if nothing is known. */
export const boundOf = (rel: Rel, column: number): Bound | null => boundsOf(lower(rel))[column]

/** A bound that follows from the waterline of a column: `value` over column 0. */
export const waterlineBound = (table: TableDefinition, column: number, value: (signal: Expr) => Expr): Bound => ({
  kind: 'value',
  signal: { kind: 'waterline', table, column },
  value: value({ ...columnExpr(table.schema, column), index: 0 }),
})

/** `keys` and `at` of the input; adds the columns `start` and `end`. */
export function session(
  input: Rel,
  keys: readonly Expr[],
  at: Expr,
  gap: bigint,
  start = 'windowStart',
  end = 'windowEnd',
): SessionRel {
  const { type } = at
  const added = [start, end].map(name => ({ name, type, nullable: false }))
  const schema = rowSchema('session', [...input.schema.columns, ...added])
  return Object.freeze({ kind: 'session', input, keys, at, gap, schema })
}

export function unnest(input: Rel, array: Expr, name: string, ordinality: boolean, outer: boolean): UnnestRel {
  const { shape } = TYPES[array.type]
  if (shape?.kind !== 'array') throw new Error(`expected an array, found ${array.type}`)
  const { columns } = input.schema
  const element = { name, type: shape.element.type, nullable: shape.element.nullable || outer }
  const number: ColumnSpec = { name: `${name}_number`, type: 'u32', nullable: outer }
  const schema = rowSchema('unnest', [...columns, element, ...(ordinality ? [number] : [])])
  return Object.freeze({ kind: 'unnest', input, array, ordinality, outer, schema })
}

const specOf = ([name, { type, nullable }]: Output): ColumnSpec => ({ name, type, nullable })
const schemaOf = (name: string, outputs: readonly Output[]): RowSchema => rowSchema(name, outputs.map(specOf))

function joinedSchema(name: string, inputs: readonly Rel[]): RowSchema {
  const columns = inputs[0].schema.columns.map((c, i) => ({
    ...{ name: c.name, type: c.type },
    nullable: inputs.some(input => input.schema.columns[i].nullable),
  }))
  return rowSchema(name, columns)
}
