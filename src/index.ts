/** gnitz: an incremental database that a TypeScript program embeds. */

export {
  CompileError,
  type ErrorCode,
  ExpressionError,
  GnitzError,
  RowError,
  SchemaError,
  UsageError,
  WeightOverflowError,
} from './base/errors.js'
export * from './circuit/index.js'
export type { Commit, Committed } from './engine/commit.js'
export { type CreateViewOptions, Database, type OpenOptions } from './engine/database.js'
export { type SubscribeOptions, TableHandle, type ViewError, ViewHandle, type ViewStats } from './engine/handles.js'
export { IndexHandle } from './engine/indexes/handle.js'
export type { ColumnInput, ColumnsInput } from './engine/ingest.js'
export type { PlanFormat } from './engine/inspect.js'
export type { KeyInput, PrimaryKey, RangeOptions, TableBound, TableKey } from './engine/keys.js'
export { type OpenDirectoryOptions, open } from './engine/open.js'
export type { OperatorStats } from './engine/operators/operator.js'
export type { Changes, Entry, Subscriber } from './engine/relation.js'
export type { TableRef, Transaction } from './engine/transaction.js'
export type { TypeName, Value } from './schema/types.js'
