/** Every aggregate there is, by name. To add one: a row here, its meaning in `interpret/aggregates.ts`, and a function
 * in `builder/aggregates.ts`; the random circuits of `gnitz/testing` contain it then. */
import type { TypeName } from '../../schema/types.js'
import type { AggregateSpec } from '../rel.js'
import type { WindowFn } from '../window.js'
import type { AggregateDefinition } from './definition.js'
import * as i from './intervals.js'
import * as l from './linear.js'
import * as o from './ordered.js'
import * as k from './sketches.js'
import * as s from './statistics.js'

const definitions = {
  count: l.count,
  sum: l.sum,
  avg: l.avg,
  intervalSum: i.intervalSum,
  intervalAvg: i.intervalAvg,
  min: o.min,
  max: o.max,
  boolAnd: l.boolAnd,
  boolOr: l.boolOr,
  bitAnd: l.bitAnd,
  bitOr: l.bitOr,
  bitXor: l.bitXor,
  varPop: s.varPop,
  varSamp: s.varSamp,
  stddevPop: s.stddevPop,
  stddevSamp: s.stddevSamp,
  covarPop: s.covarPop,
  covarSamp: s.covarSamp,
  corr: s.corr,
  regrCount: s.regrCount,
  regrAvgX: s.regrAvgX,
  regrAvgY: s.regrAvgY,
  regrSxx: s.regrSxx,
  regrSyy: s.regrSyy,
  regrSxy: s.regrSxy,
  regrSlope: s.regrSlope,
  regrIntercept: s.regrIntercept,
  regrR2: s.regrR2,
  linear: l.linear,
  argMin: o.argMin,
  argMax: o.argMax,
  first: o.first,
  last: o.last,
  mode: o.mode,
  percentileCont: o.percentileCont,
  percentileDisc: o.percentileDisc,
  median: o.median,
  approxPercentile: o.approxPercentile,
  approxCountDistinct: k.approxCountDistinct,
  registers: k.registers,
  histogram: k.histogram,
  stringAgg: o.stringAgg,
  arrayAgg: o.arrayAgg,
  jsonAgg: o.jsonAgg,
  fold: o.fold,
}

export type AggregateFn = keyof typeof definitions

export const AGGREGATES: Readonly<Record<AggregateFn, AggregateDefinition>> = Object.freeze(definitions)
/** Those that users can ask for. */
export const AGGREGATE_FNS: readonly AggregateFn[] = Object.freeze(
  (Object.keys(AGGREGATES) as AggregateFn[]).filter(fn => fn !== 'registers'),
)

/** What users call a function. */
export const calledName = (fn: WindowFn): string => (fn in AGGREGATES && AGGREGATES[fn as AggregateFn].called) || fn

/** May the value of an aggregate not exist, which fails its group? */
export const valueCanFail = (fn: AggregateFn, types: readonly TypeName[]): boolean =>
  AGGREGATES[fn].canFail?.(types) === true

/** Type and nullability of an aggregate's column; `isGlobal`: there may be no rows. */
export function aggregateColumn(spec: AggregateSpec, isGlobal: boolean): { type: TypeName; nullable: boolean } {
  const { type, total, partial, nullable, plan } = AGGREGATES[spec.fn]
  const required = plan.kind === 'ordered' ? plan.required : [...spec.args.keys()]
  const missing = spec.filter !== null || required.some(i => spec.args[i]?.nullable === true)
  const can = total !== true && (isGlobal || missing || partial === true || nullable?.(spec) === true)
  return {
    type: type(
      spec.args.map(a => a.type),
      spec.detail,
      spec.args,
    ),
    nullable: can,
  }
}
