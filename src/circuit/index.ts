/** What users of the builder need: tables, views, queries, aggregates, functions for lambdas. */

export type { Interval } from '../schema/interval.js'
export type { JsonValue } from '../schema/nested.js'
export type { IntervalInput } from '../schema/present.js'
export * from './builder/index.js'
export {
  array,
  bool,
  bytes,
  ColumnBuilder,
  type ColumnBuilders,
  date,
  decimal,
  f32,
  f64,
  type InsertOf,
  i8,
  i16,
  i32,
  i64,
  interval,
  json,
  map,
  type RowOf,
  string,
  struct,
  type TableDef,
  type TableOptions,
  table,
  time,
  timestamp,
  timestamptz,
  u8,
  u16,
  u32,
  u64,
  u128,
  uuid,
} from './columns.js'
export { fn, type JsOf, type UdfFunction, type UdfType, udf } from './lambda/functions.js'
