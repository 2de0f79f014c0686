import type { PipelineSpec } from '../../codegen/steps.js'
import { assert } from '../base/errors.js'
import type { Expr } from '../circuit/expr.js'
import { mapOf } from '../circuit/nodes.js'
import type { AggregateRel, MapRel, Rel } from '../circuit/rel.js'
import { exprKey } from '../circuit/substitute.js'
import { type ColumnSpec, type RowSchema, rowSchema } from '../schema/schema.js'
import { isFloat } from '../schema/types.js'
import type { AccumulatorSpec } from '../zset/records.js'

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

/** Group columns, then each different argument once. */
export function planAggregate(rel: AggregateRel) {
  const args = new Map<string, { expr: Expr; name: string; at: number }>()
  for (const { arg, name } of rel.aggregates) {
    if (arg !== null && !args.has(exprKey(arg))) {
      const label = arg.kind === 'column' ? arg.name : name
      args.set(exprKey(arg), { expr: arg, name: label, at: rel.keys.length + args.size })
    }
  }
  const specs = [
    ...rel.keys.map((key, k) => specOf(key, rel.schema.columns[k].name)),
    ...[...args.values()].map(({ expr, name }) => specOf(expr, name)),
  ]
  const pipeline: PipelineSpec = {
    filter: null,
    exprs: [...rel.keys, ...[...args.values()].map(a => a.expr)],
    schema: uniqueSchema(rel.schema.name, specs),
    negate: false,
  }
  const aggregates = rel.aggregates.map(({ fn, arg }, n) => {
    const isExtreme = fn === 'min' || fn === 'max'
    const kind = fn === 'count' ? 'count' : isExtreme ? 'extreme' : isFloat(arg?.type ?? 'f64') ? 'float' : 'int'
    return {
      fn,
      kind: kind as AccumulatorSpec['kind'],
      counted: arg?.nullable === true && !isExtreme,
      argument: arg === null ? -1 : (args.get(exprKey(arg))?.at ?? -1),
      column: rel.schema.columns[rel.keys.length + n],
    }
  })
  return { pipeline, aggregates }
}

export function mapRel(input: Rel, pipeline: PipelineSpec): MapRel {
  return mapOf(input, pipeline.exprs, pipeline.schema)
}

export const accumulatorOf = ({ kind, counted }: AccumulatorSpec): AccumulatorSpec => ({ kind, counted })
