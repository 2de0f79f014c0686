/** gnitz: an incremental database that a TypeScript program embeds. */

export {
  CompileError,
  ConflictError,
  ConstraintError,
  type ConstraintKind,
  type ErrorCode,
  ExpressionError,
  GnitzError,
  RowError,
  SchemaError,
  TransactionTooOldError,
  UsageError,
  type Violation,
  WeightOverflowError,
} from './base/errors.js'
export * from './circuit/index.js'
export type { Altered, AlterTable } from './engine/alter/spec.js'
export type { AdvanceOptions, ClockOptions } from './engine/clock.js'
export type { Commit, Committed } from './engine/commit.js'
export { checkConstraints, checkIndexes, type Finding } from './engine/constraints/verify.js'
export { Database, type OpenOptions, type TraceEvent } from './engine/database.js'
export type { CreateViewOptions } from './engine/defining.js'
export type { RetainOptions } from './engine/durable/retention.js'
export type { NamedChanges, NamedOptions, SubscriptionInfo } from './engine/durable/subscriptions.js'
export type { SubscribeOptions } from './engine/handles/relation.js'
export { TableHandle } from './engine/handles/table.js'
export { ViewHandle, type ViewStats } from './engine/handles/view.js'
export { IndexHandle } from './engine/indexes/handle.js'
export type { ColumnInput, ColumnsInput } from './engine/ingest.js'
export type { PlanFormat } from './engine/inspect.js'
export type { KeyInput, PrimaryKey, RangeOptions, TableBound, TableKey } from './engine/keys.js'
export {
  type KvDef,
  type KvKeys,
  type KvRow,
  type KvTable,
  type KvTypes,
  type KvValues,
  kv,
} from './engine/kv/definition.js'
export { Kv, type KvRangeOptions, KvReads, type KvRef, KvTransaction } from './engine/kv/store.js'
export { LateRows } from './engine/late.js'
export { type OpenDirectoryOptions, open, type Recovery, type StorageEvent } from './engine/open.js'
export type { OperatorStats } from './engine/operators/operator.js'
export type { Changes, Entry, Subscriber } from './engine/relation.js'
export type { Change, Expected, Transaction } from './engine/transaction.js'
export type { IndexView } from './engine/transactions/index-view.js'
export type { InteractiveTransaction } from './engine/transactions/interactive.js'
export type { ReadRef, TableRef, ViewRef } from './engine/transactions/reads.js'
export type { TransactOptions } from './engine/transactions/retry.js'
export type { Snapshot, SnapshotOptions } from './engine/transactions/snapshot.js'
export type { SnapshotStats, SnapshotTarget } from './engine/transactions/snapshots.js'
export type { ViewError } from './engine/view-errors.js'
export type { TypeName, Value } from './schema/types.js'
