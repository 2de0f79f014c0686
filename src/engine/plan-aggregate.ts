import type { AccumulatorCode, AggregateCode } from '../../codegen/reduce.js'
import type { PipelineSpec } from '../../codegen/steps.js'
import { assert } from '../base/errors.js'
import { AGGREGATES } from '../circuit/aggregates/index.js'
import type { Expr } from '../circuit/expr.js'
import { mapOf } from '../circuit/nodes.js'
import type { AggregateRel, AggregateSpec, MapRel, OrderTerm, Rel } from '../circuit/rel.js'
import { exprKey } from '../circuit/substitute.js'
import { type ColumnSpec, type RowSchema, rowSchema } from '../schema/schema.js'
import { isDecimal, isFloat, TYPES } from '../schema/types.js'
import type { AccumulatorKind } from '../zset/records.js'

export function columnIndex(expr: Expr): number {
  assert(expr.kind === 'column', 'keys are plain columns after lowering')
  return expr.index
}

export function specOf(expr: Expr, name: string): ColumnSpec {
  return { name, type: expr.type, nullable: expr.nullable }
}

/** A schema whose names are made different where they are not. */
export function uniqueSchema(name: string, specs: readonly ColumnSpec[]): RowSchema {
  const taken = new Set<string>()
  return rowSchema(
    name,
    specs.map(spec => {
      let unique = spec.name
      for (let n = 2; taken.has(unique); n++) unique = `${spec.name}_${n}`
      taken.add(unique)
      return { ...spec, name: unique }
    }),
  )
}

/** Outputs of the row program, each once: group columns first. */
class Outputs {
  readonly exprs: Expr[]
  private readonly specs: ColumnSpec[]
  private readonly places = new Map<string, number>()

  constructor(private readonly rel: AggregateRel) {
    this.exprs = [...rel.keys]
    this.specs = rel.keys.map((key, k) => specOf(key, rel.schema.columns[k].name))
  }

  add(expr: Expr, name: string): number {
    const known = this.places.get(exprKey(expr))
    if (known !== undefined) return known
    this.places.set(exprKey(expr), this.exprs.length)
    this.specs.push(specOf(expr, expr.kind === 'column' ? expr.name : name))
    return this.exprs.push(expr) - 1
  }

  pipeline(): PipelineSpec {
    const { exprs, specs, rel } = this
    return { filter: null, exprs, schema: uniqueSchema(rel.schema.name, specs), negate: false }
  }
}

/** The accumulators of a table, each once. */
class Accumulators {
  readonly list: AccumulatorCode[] = []

  add(kind: AccumulatorKind, args: readonly number[], bits: number): number {
    const known = this.list.findIndex(a => kind !== 'tally' && a.kind === kind && a.arguments.join() === args.join())
    return known >= 0 ? known : this.list.push({ kind, bits, arguments: args }) - 1
  }
}

/** What the group table keeps, and what each aggregate reads of it. */
export function planAggregate(rel: AggregateRel) {
  const outputs = new Outputs(rel)
  const accumulators = new Accumulators()
  const aggregates = rel.aggregates.map((spec, n): AggregateCode => {
    const column = rel.schema.columns[rel.keys.length + n]
    const { plan, total, canFail } = AGGREGATES[spec.fn]
    const types = spec.args.map(a => a.type)
    if (plan.kind === 'ordered') {
      const parts = canFail?.(types) === true ? [accumulators.add('tally', [], 0)] : []
      return { fn: spec.fn, spec, kind: 'stored', values: -1, parts, column }
    }
    const at = spec.args.map(arg => outputs.add(arg, spec.name))
    const values = spec.args[0]?.nullable === true ? accumulators.add('count', [at[0]], 0) : -1
    const wanted = plan.accumulators(types, spec.detail)
    const parts = wanted.map(a =>
      accumulators.add(
        a.kind,
        a.at.map(i => at[i]),
        a.size ?? (a.kind === 'bits' ? TYPES[types[a.at[0]]].sizeBytes * 8 : 0),
      ),
    )
    const isSum = (spec.fn === 'sum' || spec.fn === 'avg') && !isDecimal(types[0])
    const isCount = total === true && wanted.length === 0
    const kind = isCount ? 'count' : !isSum ? 'linear' : isFloat(types[0]) ? 'float' : 'int'
    return { fn: spec.fn, spec, kind, values, parts, column }
  })
  const counts = rel.counts === undefined ? -1 : outputs.add(rel.counts, 'counts')
  return { pipeline: outputs.pipeline(), counts, accumulators: accumulators.list, aggregates }
}

export function mapRel(input: Rel, pipeline: PipelineSpec): MapRel {
  return mapOf(input, pipeline.exprs, pipeline.schema)
}

/** The order of an ordered aggregate, each expression once. */
export function orderOf({ order }: AggregateSpec): OrderTerm[] {
  const terms = new Map<string, OrderTerm>()
  for (const term of order) if (!terms.has(exprKey(term.expr))) terms.set(exprKey(term.expr), term)
  return [...terms.values()]
}

/** What an ordered aggregate reads: its order, and then the arguments that are not part of it. */
export function orderedColumns(spec: AggregateSpec): Expr[] {
  const exprs = orderOf(spec).map(t => t.expr)
  for (const arg of spec.args) if (!exprs.some(e => exprKey(e) === exprKey(arg))) exprs.push(arg)
  return exprs
}
