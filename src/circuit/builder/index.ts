/** The typed builder. */
export * from './aggregate-functions.js'
export type { Aggregate, Aggregates } from './aggregates.js'
export type { Order } from './calls.js'
export type { TopOptions } from './compound.js'
export { type QueryRoot, type ViewOptions, view } from './definitions.js'
export type {
  CalendarDuration,
  Distance,
  Duration,
  FrameBound,
  FrameSpec,
  GroupsFrame,
  RangeFrame,
  RowsFrame,
} from './frames.js'
export { Grouped, GroupingSets } from './grouped.js'
export { grouping } from './grouping.js'
export * from './ordered-functions.js'
export { noisyCount, noisySum, type PrivacyOptions, type PrivateAggregate } from './privacy.js'
export { Query } from './query.js'
export {
  type CheckSpec,
  type ConstraintSpec,
  type ForeignKeySpec,
  type IndexSpec,
  type RowLambda,
  type Term,
  type UniqueSpec,
  type WithContext,
  withContext,
} from './rules.js'
export type { SampleOptions } from './sample.js'
export { sourceOwners } from './sources.js'
export type { Span } from './spans.js'
export type { InWindow, RollingOptions, SessionOptions, TimeWindowOptions, TumbleOptions } from './time-windows.js'
export type {
  Cell,
  Cells,
  Context,
  ContextValue,
  Ctx,
  Handle,
  InsertType,
  RowType,
  Scalar,
  Source,
  ViewDef,
} from './types.js'
export {
  cumeDist,
  denseRank,
  firstValue,
  lag,
  lastValue,
  lead,
  nthValue,
  ntile,
  type OffsetOptions,
  over,
  percentRank,
  rank,
  rowNumber,
  type ValueOptions,
  type WindowFunction,
  type WindowFunctions,
  type WindowOptions,
  type WindowOrderTerm,
} from './windows.js'
